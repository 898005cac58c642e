"""Columns as a reader found them, and what is left of them once rows that cannot be used are dealt with."""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import one_of
from diffrec.data._columns import Columns
from diffrec.data._encode import still_used
from diffrec.data.report import ON_BAD_ROW, Bad, Origin, ReadReport, Reason, counted, reasons_of, rows_named

if TYPE_CHECKING:
    from diffrec.data.interactions import Interactions


class Found(NamedTuple):
    """The columns that a reader found, and where they come from.

    Attributes
    ----------
    columns : Columns
        One entry for each row that has cells; an id that is no id has the code -1.
    origin : Origin
        Where they come from.
    bad : sequence of Bad
        What cannot be used, by entry.
    rows : NDArray[np.int64] or None
        The row of each entry; None where every row has one.
    lost : sequence of Bad
        Rows without an entry.
    """

    columns: Columns
    origin: Origin
    bad: Sequence[Bad] = ()
    rows: NDArray[np.int64] | None = None
    lost: Sequence[Bad] = ()


class Settled(NamedTuple):
    """Columns of which every row can be used, how to name the rows, and what was dropped."""

    columns: Columns
    where: Callable[[int], str]
    origin: Origin
    dropped: int
    reasons: dict[str, Reason]

    def name_value(self, row: int) -> str:
        """Name a value by its column and its row, or by its place in an array."""
        used = self.origin.used
        return f"{used['value']} in {self.where(row)}" if "value" in used else f"value[{row}]"

    def warn(self, named: object) -> None:
        """Warn the caller of what called this of times that were not used, unless the column of times was named."""
        if self.origin.times and named is None:
            names, used = ", ".join(map(repr, self.origin.times)), self.origin.used.get("timestamp")
            chosen = "no times are used, though" if used is None else f"{used!r} was taken for the times, and"
            looks = "looks like some" if used is None else "looks like some, too"
            warnings.warn(
                f"{self.origin.source}: {chosen} {names} {looks}: name the column with timestamp=, or leave it out",
                stacklevel=3,
            )

    def report(self, made: "Interactions", notes: tuple[str, ...] = ()) -> ReadReport:
        """Say what became of the rows once interactions are made of them: those of value 0 are none."""
        origin, values = self.origin, self.columns.value
        nothing = np.empty(0, dtype=np.int64) if values is None else np.flatnonzero(values == 0)
        reasons = dict(self.reasons)
        if len(nothing):
            first = tuple(map(self.where, nothing[:3].tolist()))
            reasons[f"{origin.used.get('value', 'value')} is 0"] = Reason(len(nothing), first)
        below = [] if made.negatives_ is None else [str(made.negatives_)]
        return ReadReport(
            origin.source,
            origin.rows,
            self.dropped + len(nothing),
            reasons,
            made.n_events,
            made.n_events - len(made),
            origin.used,
            origin.unused,
            (*origin.notes, *below, *notes),
        )


def settle(found: Found, on_bad_row: str, negatives: str) -> Settled:
    """Refuse rows that cannot be used, all kinds at once, or leave them out and count them.

    What is wrong with values below zero alone says what is made of them, where ``negatives`` names nothing.

    Raises
    ------
    ValueError
        If there are such rows and ``on_bad_row`` is ``"error"``, or nothing else.
    """
    one_of(ON_BAD_ROW)("on_bad_row", on_bad_row)
    columns, origin = found.columns, found.origin
    n = len(columns.user.codes)
    kept = np.ones(n, dtype=np.bool_)
    for one in found.bad:
        kept[one.rows] = False
    lost = sum(len(one.rows) for one in found.lost)
    dropped = lost + n - int(kept.sum())
    if not dropped:
        return Settled(columns, lambda row: origin.where(np.array([row]))[0], origin, 0, {})
    entries = np.arange(n) if found.rows is None else found.rows
    refused = on_bad_row == "error" or not kept.any()
    if refused and negatives == "error" and (below := _below_zero(columns, origin)):
        found = found._replace(bad=[*found.bad, *below])
        kept[below[0].rows] = False
        dropped = lost + n - int(kept.sum())
    bad = [*found.lost, *(one._replace(rows=entries[one.rows]) for one in found.bad)]
    reasons = reasons_of(bad, origin.where)
    if refused:
        said = "".join(f"\n  {reason} {rows};" for reason, rows in reasons.items()).rstrip(";")
        raise ValueError(
            f"{origin.source}: {counted(dropped, 'row')} of {origin.rows:,} cannot be used{_way(kept)}:{said}"
        )
    rest = Columns(
        still_used(columns.user, kept),
        still_used(columns.item, kept),
        None if columns.timestamp is None else columns.timestamp[kept],
        None if columns.value is None else columns.value[kept],
    )
    places = entries[kept]
    return Settled(rest, lambda row: origin.where(places[[row]])[0], origin, dropped, reasons)


def _below_zero(columns: Columns, origin: Origin) -> list[Bad]:
    values = columns.value
    if values is None:
        return []
    name = f"{origin.used.get('value', 'value')} is below 0 (negatives= says what that means)"
    return Bad.of(name, np.flatnonzero(values < 0), lambda row: f"{values[row]:g}")


def _way(kept: NDArray[np.bool_]) -> str:
    return " (on_bad_row='drop' leaves them out)" if kept.any() else ", and there are no others"


def all_usable(columns: Columns, source: str, notes: tuple[str, ...] = ()) -> Found:
    """Take columns of which every row can be used."""
    return Found(columns, Origin(source, len(columns.user.codes), rows_named, {}, notes=notes))
