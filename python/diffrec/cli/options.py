"""Arguments and options that several commands share."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from diffrec.checks import one_of
from diffrec.comparison import metric_cut, require_way
from diffrec.data.files import PARTS
from diffrec.data.negatives import NEGATIVES
from diffrec.data.report import ON_BAD_ROW
from diffrec.data.split import WAYS
from diffrec.recommenders.settings import REPEATS
from diffrec.training.checkpoint import seconds_between

_COLUMNS = "Columns (guessed; a name or, in text without a header, a place from 0)"
_GUIDANCE = "Guidance (diffusion models; weights in standard deviations of a user's scores)"
_IDS = "separated by commas, or @FILE with one on each line (@- reads standard input)"

#: Of a file that holds a split: all of its parts.
ALL = "all"


def checked(check: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """Make an option's wrong value a usage error, heard of before any work."""

    def callback(value: str | None) -> str | None:
        if value is not None:
            try:
                check(value)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None
        return value

    return callback


Data = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Interactions, one on each row: .csv, .tsv, .inter (also .gz and .zst), .parquet (also a folder) or .npz.",
        show_default=False,
        readable=False,
    ),
]
Model = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="A model that `diffrec fit` has saved.", show_default=False, readable=False),
]

User = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of user ids.", rich_help_panel=_COLUMNS, show_default=False),
]
Item = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of item ids.", rich_help_panel=_COLUMNS, show_default=False),
]
Timestamp = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of times: numbers, or dates such as 2026-01-31 or 2026-01-31T12:30.",
        rich_help_panel=_COLUMNS,
        show_default=False,
    ),
]
Value = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="How much it counts; never guessed: a rating is used only if named.",
        rich_help_panel=_COLUMNS,
        show_default=False,
    ),
]
Negatives = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        callback=checked(lambda value: one_of(NEGATIVES)("negatives", value)),
        help="What becomes of values below 0: error; drop (left out); net (returns, taken off what the user bought of "
        "the item before); dislike (never recommended, and less of what is like it).",
        rich_help_panel=_COLUMNS,
    ),
]
OnBadRow = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        callback=checked(lambda value: one_of(ON_BAD_ROW)("on_bad_row", value)),
        help="What becomes of rows that cannot be used, such as those without a user: error, or drop (left out and "
        "counted).",
        rich_help_panel=_COLUMNS,
    ),
]
DayFirst = Annotated[
    bool | None,
    typer.Option(
        "--dayfirst/--monthfirst",
        help="Whether 01/02/2026 is in February; by default what the other dates allow alone.",
        rich_help_panel=_COLUMNS,
        show_default=False,
    ),
]
ItemFacts = Annotated[
    Path | None,
    typer.Option(
        "--items",
        metavar="FILE",
        help="Facts about the items, one on each row: a column of ids, named as in the other file, and others such as "
        "title, category or price; .csv, .tsv or .parquet.",
        rich_help_panel=_COLUMNS,
        show_default=False,
        readable=False,
    ),
]
Part = Annotated[
    str | None,
    typer.Option(
        metavar="PART",
        callback=checked(lambda value: one_of((*PARTS, ALL))("part", value)),
        help="Of a .npz file that holds a split: take train, valid or test, or all, instead of each for its purpose.",
        rich_help_panel=_COLUMNS,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Columns:
    """Which column of a file is which, and what becomes of what cannot be used: options of every command that reads."""

    user: User = None
    item: Item = None
    timestamp: Timestamp = None
    value: Value = None
    negatives: Negatives = "error"
    on_bad_row: OnBadRow = "error"
    dayfirst: DayFirst = None

    @property
    def named(self) -> dict[str, str | None]:
        """The names of the columns that are said, None where one is left to be guessed."""
        return {"user": self.user, "item": self.item, "timestamp": self.timestamp, "value": self.value}

    def require_file(self, reads: bool, said: str) -> None:
        """Refuse names of columns where no file is read that could have them."""
        if not reads and any(name is not None for name in self.named.values()):
            raise typer.BadParameter(said, param_hint="--user and others")


#: Columns of which nothing is said.
GUESSED = Columns()


def reads_columns(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that ``Columns`` has, in the place of its parameter ``columns``, which takes them."""
    signature, shared = inspect.signature(command), inspect.signature(Columns).parameters
    parameters = [
        one for own in signature.parameters.values() for one in (shared.values() if own.name == "columns" else [own])
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        columns = Columns(**{name: given.pop(name) for name in shared})
        command(**given, columns=columns)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


Seed = Annotated[
    int | None, typer.Option(metavar="N", help="Seed of every random draw; by default 0.", show_default=False)
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="auto (a GPU where there is one), cpu, cuda or cuda:N; by default auto.",
        show_default=False,
    ),
]
_WAYS = "time (newest last), leave-last (the last basket), random, global-time (one moment for all)"
_BY_DEFAULT = "by default time where there are times, else random."
By = Annotated[
    str | None,
    typer.Option(
        metavar="WAY",
        callback=checked(lambda value: one_of(WAYS)("by", value)),
        help=f"How to part each history: {_WAYS} or users (whole users); {_BY_DEFAULT}",
        show_default=False,
    ),
]
ByHistory = Annotated[
    str | None,
    typer.Option(
        metavar="WAY",
        callback=checked(require_way),
        help=f"How to part each history: {_WAYS}; {_BY_DEFAULT}",
        show_default=False,
    ),
]
Users = Annotated[
    str | None,
    typer.Option(
        metavar="IDS", help=f"Only for these users: ids {_IDS}. By default all users of the model.", show_default=False
    ),
]
Allow = Annotated[
    str | None, typer.Option(metavar="IDS", help=f"Recommend only these items: ids {_IDS}.", show_default=False)
]
Deny = Annotated[
    str | None, typer.Option(metavar="IDS", help=f"Never recommend these items: ids {_IDS}.", show_default=False)
]
Steer = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=WEIGHT",
        help="Push an item, or what the data say of items, such as a genre, up (below 0: down); repeatable.",
        rich_help_panel=_GUIDANCE,
        show_default=False,
    ),
]
Novelty = Annotated[float, typer.Option(metavar="WEIGHT", help="Push against popularity.", rich_help_panel=_GUIDANCE)]
Diversity = Annotated[
    float,
    typer.Option(metavar="WEIGHT", help="Push the items of a list apart; slower.", rich_help_panel=_GUIDANCE),
]
IncludeSeen = Annotated[
    bool,
    typer.Option(
        "--include-seen",
        help="Ask what users take next, whether they had it before or not; without it, what they discover.",
    ),
]
Repeats = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        callback=checked(lambda value: one_of(REPEATS)("repeats", value)),
        help="What a model is chosen and stopped for: exclude, what users discover; include, what they take next, "
        "whether they had it before or not (then recommend and evaluate with --include-seen).",
    ),
]
Metric = Annotated[
    str,
    typer.Option(
        metavar="NAME@K", callback=checked(metric_cut), help="Metric by which recommenders are ranked, such as ndcg@20."
    ),
]
Cuts = Annotated[str, typer.Option("--k", metavar="K,K", help="Lengths of the lists to judge, separated by commas.")]

Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Keep the state of the work in this file: whatever ends it, the same command goes on from there.",
        show_default=False,
    ),
]
Every = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        callback=checked(lambda value: seconds_between(value)),
        help="How often the checkpoint is written, at most: epoch (at the end of each), or a time such as 5min.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on the way: no progress, no notes.")]
