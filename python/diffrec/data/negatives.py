"""Values below zero: returns of what was bought, or dislikes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.data._csr import Parts, assemble, owners_of
from diffrec.data._reshape import keep

#: What may become of values below zero.
NEGATIVES = ("error", "drop", "net", "dislike")
# What is left of a value, or of a return, beyond rounding: a share of it.
_ROUNDING = 1e-6


class NegativesReport(NamedTuple):
    """Report of what became of the entries with a value below zero.

    Attributes
    ----------
    rule : str
        ``"drop"``, ``"net"`` or ``"dislike"``.
    entries : int
        How many there were.
    unmatched : int
        net: returns with nothing, or too little, bought before them; what they had too much was left out.
    vanished : int
        net: events returned as a whole, which are no events any more.
    overruled : int
        dislike: pairs of which there were likes and dislikes; the newest word held.

    Examples
    --------
    >>> print(NegativesReport("net", 3, unmatched=1, vanished=2))
    3 entries below 0 netted off: 2 events returned as a whole, 1 return of more than was bought
    """

    rule: str
    entries: int
    unmatched: int = 0
    vanished: int = 0
    overruled: int = 0

    def __str__(self) -> str:
        entries = f"{self.entries:,} {'entry' if self.entries == 1 else 'entries'} below 0"
        if self.rule == "drop":
            return f"{entries} left out"
        if self.rule == "dislike":
            both = f"; {self.overruled:,} pairs liked and disliked: the newest word holds" if self.overruled else ""
            return f"{entries} kept as dislikes{both}"
        events = f"{self.vanished:,} {'event' if self.vanished == 1 else 'events'} returned as a whole"
        returns = f"{self.unmatched:,} {'return' if self.unmatched == 1 else 'returns'} of more than was bought"
        return f"{entries} netted off: {events}, {returns}"


class Entries(NamedTuple):
    """Rows, columns, values and times of interactions, in whatever order."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]
    times: NDArray[np.float64] | None

    def where(self, kept: NDArray[np.bool_]) -> "Entries":
        """Keep the entries where a mask is true."""
        times = None if self.times is None else self.times[kept]
        return Entries(self.rows[kept], self.columns[kept], self.values[kept], times)

    def parts(self, shape: tuple[int, int]) -> Parts:
        """The matrix, and the events."""
        return assemble(*self, shape)


def settle_negatives(
    entries: Entries, shape: tuple[int, int], rule: str
) -> tuple[Parts, Parts | None, NegativesReport | None]:
    """Make interactions of entries whose values may be below zero.

    Parameters
    ----------
    entries
        As they were given; none is below zero where the rule is ``"error"``.
    shape
        Users and items.
    rule
        ``"drop"`` leaves entries below zero out. ``"net"`` takes each, a return, off what its user bought of its item
        before; see :func:`net_values`. ``"dislike"`` keeps them apart: a pair is liked or disliked, and where both
        were said the newest word holds; see :func:`newest_words`.

    Returns
    -------
    parts : Parts
        What is left above zero.
    dislikes : Parts or None
        Sizes of the values below zero by cell, and the newest time of each; None where there are none.
    report : NegativesReport or None
        None where no value is below zero.
    """
    below = entries.values < 0
    found = int(below.sum())
    if not found:
        return entries.parts(shape), None, None
    if rule == "drop":
        return entries.where(~below).parts(shape), None, NegativesReport(rule, found)
    if rule == "net":
        cells = entries.rows * shape[1] + entries.columns
        left, unmatched = net_values(cells, entries.values, entries.times)
        vanished = int(np.sum((left == 0) & (entries.values > 0)))
        return entries._replace(values=left).parts(shape), None, NegativesReport(rule, found, unmatched, vanished)
    sizes = entries.where(below)
    dislikes = sizes._replace(values=-sizes.values).parts(shape)
    liked, disliked, overruled = newest_words(entries.where(~below).parts(shape), dislikes)
    return liked, disliked, NegativesReport(rule, found, overruled=overruled)


def net_values(
    cells: NDArray[np.int64], values: NDArray[np.float32], times: NDArray[np.float64] | None
) -> tuple[NDArray[np.float32], int]:
    """Take returns off purchases: each off the newest that were made before it and are not returned yet.

    Within a cell purchases stack up in the order of time, and a return takes from the top. At one time, or without
    times, purchases come before returns and smaller ones before larger ones. What is returned of more than was bought
    is left out: it is no debt of later purchases.

    Parameters
    ----------
    cells
        int64 (n,), a number for each pair of user and item.
    values
        float32 (n,), below zero for returns.
    times
        float64 (n,), or None.

    Returns
    -------
    left : float32 (n,)
        What is left of each purchase, 0 of what was returned; 0 for the returns.
    unmatched : int
        Returns of more than there was.

    Examples
    --------
    >>> bought = np.array([5, 2, -3, -9], dtype=np.float32)
    >>> net_values(np.zeros(3, dtype=np.int64), bought[:3], np.array([1.0, 2.0, 3.0]))
    (array([4., 0., 0.], dtype=float32), 0)
    >>> net_values(np.zeros(4, dtype=np.int64), bought, np.array([1.0, 2.0, 3.0, 4.0]))
    (array([0., 0., 0., 0.], dtype=float32), 1)
    """
    left = np.maximum(values, 0)
    touched = np.flatnonzero(np.isin(cells, cells[values < 0]))
    if not len(touched):
        return left, 0
    is_return = values[touched] < 0
    moments = [] if times is None else [times[touched]]
    order = touched[np.lexsort([values[touched], is_return, *moments, cells[touched]])]
    change = values[order].astype(np.float64)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(cells[order]) != 0]))
    lengths = np.diff(np.append(starts, len(order)))
    longest_first = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[longest_first], lengths[longest_first]
    # Places of the first entries of all cells, of the second ones of those that have two, and so on.
    nth = [starts[: np.searchsorted(-lengths, -n)] + n for n in range(lengths[0])]
    before, height = np.zeros(len(order)), np.zeros(len(order))
    for n, places in enumerate(nth):
        before[places] = height[places - 1] if n else 0
        height[places] = np.maximum(before[places] + change[places], 0)
    # A purchase lies between the heights before and after it; what is left is what the stack never fell below again.
    least = height.copy()
    for places in nth[:0:-1]:
        least[places - 1] = np.minimum(least[places - 1], least[places])
    remains = (least - before).clip(0)
    whole = np.abs(change) * _ROUNDING
    remains = np.where(remains >= change - whole, change, np.where(remains <= whole, 0, remains))
    unmatched = (change < 0) & (before + change < -whole)
    left[order] = np.where(change > 0, remains, 0).astype(np.float32)
    return left, int(unmatched.sum())


def newest_words(liked: Parts, disliked: Parts) -> tuple[Parts, Parts | None, int]:
    """Part likes and dislikes: of a pair that has both the newest holds, at one time or without times the dislike.

    Returns
    -------
    liked : Parts
        Without the cells that are disliked in the end, with all of their events.
    disliked : Parts or None
        Without those that are liked in the end, and without events; None where none is left.
    overruled : int
        How many cells had both.
    """
    width = liked.matrix.shape[1]
    one, other = (owners_of(part.matrix) * width + part.matrix.indices for part in (liked, disliked))
    _, in_one, in_other = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    holds = np.ones(len(in_one), dtype=np.bool_)
    if liked.times is not None and disliked.times is not None:
        holds = disliked.times[in_other] >= liked.times[in_one]
    kept, still = np.ones(len(one), dtype=np.bool_), np.ones(len(other), dtype=np.bool_)
    kept[in_one[holds]] = False
    still[in_other[~holds]] = False
    disliked = keep(disliked._replace(events=None), still)
    return keep(liked, kept) if holds.any() else liked, disliked if disliked.matrix.nnz else None, len(in_one)
