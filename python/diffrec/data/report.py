"""Reports of what became of the rows that a reader was given, and messages where some cannot be used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import shown

#: What may become of rows that cannot be used.
ON_BAD_ROW = ("error", "drop")
#: Rows named for each thing that is wrong.
_NAMED = 3


class Bad(NamedTuple):
    """Rows of which one thing is wrong.

    Attributes
    ----------
    reason : str
        What, with the column's name: ``"customer is empty"``.
    rows : NDArray[np.int64]
        Which, ascending, counted from 0 over all rows.
    entries : sequence of str
        What the first of these rows hold there, where that says more than the reason.
    """

    reason: str
    rows: NDArray[np.int64]
    entries: Sequence[str] = ()

    @classmethod
    def of(cls, reason: str, rows: NDArray[np.int64], entry: Callable[[int], str] | None = None) -> list["Bad"]:
        """Name rows by what they hold, or nothing where there are none."""
        if not len(rows):
            return []
        return [cls(reason, rows, () if entry is None else [entry(row) for row in rows[:_NAMED].tolist()])]


class Reason(NamedTuple):
    """The number of rows that have one thing wrong, and the first of them as people find them."""

    rows: int
    first: tuple[str, ...]

    def __str__(self) -> str:
        more = ", ..." if self.rows > len(self.first) else ""
        return f"in {counted(self.rows, 'row')}: {', '.join(self.first)}{more}"


class Origin(NamedTuple):
    """The source of rows, and what a reader made of them.

    Attributes
    ----------
    source : str
        The file, or what it is.
    rows : int
        How many it has.
    where : callable
        Names rows as people find them: lines of text, rows of a table.
    used : mapping
        user, item, timestamp, value -> column, of those that were used.
    unused : tuple of str
        The other columns.
    notes : tuple of str
        What else was done to them.
    times : tuple of str
        Of the unused columns, those that look like times.
    """

    source: str
    rows: int
    where: Callable[[NDArray[np.int64]], list[str]]
    used: Mapping[str, str]
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    times: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadReport:
    """Report of what a reader made of the rows it was given: ``data.report_``.

    Attributes
    ----------
    source : str
        The file, or what it was.
    rows : int
        How many were read.
    dropped : int
        How many are not in the data: those with something wrong (``on_bad_row="drop"``), and those of value 0.
    reasons : mapping of str to Reason
        Why: in how many rows, and the first three of them. A row may have several.
    events : int
        How many became events, an event for each row.
    merged : int
        How many of these repeat a pair of user and item that another has: they share its cell of the matrix.
    used : mapping of str to str
        ``user``, ``item``, ``timestamp``, ``value`` -> the column taken for it.
    unused : tuple of str
        Columns that were not used.
    notes : tuple of str
        What was done besides, such as milliseconds made seconds.

    Examples
    --------
    >>> from diffrec import Interactions
    >>> orders = {"customer": ["ann", None, "ann"], "sku": [7, 9, 7], "colour": ["red", "red", "blue"]}
    >>> print(Interactions.from_frame(orders, on_bad_row="drop").report_)
    the columns: 3 rows read, 1 dropped, 2 events; 1 of them repeats a pair of user and item
    columns: user is 'customer', item is 'sku'; not used: 'colour'
    dropped: customer is empty in 1 row: row 1
    """

    source: str
    rows: int
    dropped: int
    reasons: Mapping[str, Reason]
    events: int
    merged: int
    used: Mapping[str, str]
    unused: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """The report for people: what became of the rows, the columns, then why rows were dropped and other notes."""
        dropped = f", {self.dropped:,} dropped" if self.dropped else ""
        repeats = "repeats" if self.merged == 1 else "repeat"
        merged = f"; {self.merged:,} of them {repeats} a pair of user and item" if self.merged else ""
        said = [f"{self.source}: {counted(self.rows, 'row')} read{dropped}, {counted(self.events, 'event')}{merged}"]
        if self.used:
            columns = ", ".join(f"{part} is {name!r}" for part, name in self.used.items())
            left = f"; not used: {', '.join(map(repr, self.unused))}" if self.unused else ""
            said.append(f"columns: {columns}{left}")
        said += [f"dropped: {reason} {rows}" for reason, rows in self.reasons.items()]
        return [*said, *self.notes]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def reasons_of(bad: Sequence[Bad], where: Callable[[NDArray[np.int64]], list[str]]) -> dict[str, Reason]:
    """Count the rows of each thing that is wrong, and name the first of them."""
    if not bad:
        return {}
    named = np.unique(np.concatenate([one.rows[:_NAMED] for one in bad]))
    names = dict(zip(named.tolist(), where(named), strict=True))
    found: dict[str, Reason] = {}
    for one in bad:
        entries = [f" ({shown(entry)})" for entry in one.entries] or [""] * _NAMED
        first = tuple(names[row] + entry for row, entry in zip(one.rows[:_NAMED].tolist(), entries, strict=False))
        found[one.reason] = Reason(len(one.rows), first)
    return found


def counted(number: int, noun: str) -> str:
    """A number and what it counts.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rows_named(rows: NDArray[np.int64]) -> list[str]:
    """Name rows of a table, counted from 0."""
    return [f"row {row}" for row in rows.tolist()]
