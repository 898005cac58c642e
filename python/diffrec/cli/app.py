"""The commands, put together: each is imported when it is to run, so that the list of them is there at once."""

import importlib
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import diffrec
from diffrec.cli.errors import reported

#: In the order of the help: each command, the module of ``diffrec.cli`` that has the function of its name, and the
#: first line of that function's docstring, which is its help.
COMMANDS = {
    "demo": ("demo", "See the whole job at once: fit, evaluate against popularity, recommend, save and reload."),
    "fit": ("fitting", "Learn a model from a file of interactions and save it."),
    "update": (
        "updating",
        "Learn further interactions into a model, networks and iALS in a fraction of the time of a fit.",
    ),
    "recommend": ("recommending", "Recommend items to users, as a table of user, item, rank and score."),
    "split": (
        "splitting",
        "Part each user's history into train, valid and test, for `diffrec fit` and `diffrec evaluate`.",
    ),
    "prepare": (
        "preparing",
        "Prepare interactions larger than memory for training: ids to rows, k-core, a split, sorted by user.",
    ),
    "evaluate": ("evaluating", "Measure how well a model predicts what its users took later."),
    "compare": (
        "comparing",
        "Fit several recommenders on the same data and say which wins, and whether it may be luck.",
    ),
    "info": (
        "info",
        "Say what a model is: its kind and settings, what it learnt from, how training went.",
    ),
    "explore": (
        "exploring",
        "Explore a model on a page: histories beside recommendations, their reasons, the steps of the reverse chain.",
    ),
    "export": (
        "exporting",
        "Export a model as a graph that serves it without diffrec: history and weights in, best items and scores out.",
    ),
    "serve": ("serving", "Serve a model over HTTP: recommend, similar, explain, health, metrics, reload."),
    "doctor": (
        "doctor",
        "Say what is installed and what this machine can do, and check that diffrec works on it.",
    ),
}


def function_of(name: str) -> Callable[..., None]:
    """The function of a command."""
    module = importlib.import_module(f"diffrec.cli.{COMMANDS[name][0]}")
    function: Callable[..., None] = getattr(module, name)
    return function


class _Deferred(TyperCommand):
    """A command of which no more is known than its name and what it is for, until it is to do something."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **named: Any) -> Any:
        """Let the command itself read its arguments; it is the one that runs then."""
        assert self.name is not None
        function = function_of(self.name)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
        alone.command(self.name, help=_help(function))(reported(function))
        return typer.main.get_command(alone).make_context(info_name, args, *rest, **named)


class _Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, purpose) in COMMANDS.items():
            self.add_command(_Deferred(name, help=purpose))


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"diffrec {diffrec.__version__}")
        raise typer.Exit


def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Learn from who took what, and say what each user will want next.

    Begin with `diffrec demo`, or with `diffrec fit` on a file of your own; `diffrec COMMAND --help` explains each.

    Exit codes: 0 done; 1 the input is bad, and one line says what to do; 2 the command is not written as it should be;
    130 interrupted; 143 asked to end.
    """


def _help(command: Callable[..., None]) -> str:
    """The docstring as a terminal shows it well."""
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition("\n\nExamples\n--------\n")
    # A terminal has a width of its own, so the lines of a paragraph are joined; the mark keeps those of examples apart.
    paragraphs = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    return f"{paragraphs}\n\n\b\nExamples:\n{textwrap.indent(examples, '  ')}" if examples else paragraphs


app.callback(help=_help(_top))(_top)
