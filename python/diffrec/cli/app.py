"""The commands, put together."""

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Annotated

import typer

import diffrec
from diffrec.cli.doctor import doctor
from diffrec.cli.errors import reported
from diffrec.cli.exploring import explore
from diffrec.cli.exporting import export
from diffrec.cli.fitting import fit
from diffrec.cli.judging import compare, evaluate
from diffrec.cli.looking import demo, info
from diffrec.cli.recommending import recommend
from diffrec.cli.splitting import split

#: In the order of the help. A command's name is its function's; its docstring is its help.
COMMANDS: tuple[Callable[..., None], ...] = (
    demo, fit, recommend, split, evaluate, compare, info, explore, export, doctor,
)  # fmt: skip

app = typer.Typer(
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
    130 interrupted.
    """


def _help(command: Callable[..., None]) -> str:
    """The docstring as a terminal shows it well."""
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition("\n\nExamples\n--------\n")
    # A terminal has a width of its own, so the lines of a paragraph are joined; the mark keeps those of examples apart.
    paragraphs = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    return f"{paragraphs}\n\n\b\nExamples:\n{textwrap.indent(examples, '  ')}" if examples else paragraphs


app.callback(help=_help(_top))(_top)
for _command in COMMANDS:
    app.command(_command.__name__, help=_help(_command))(reported(_command))
