"""Histories in the order of time, cut into what came before and what came after."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec import _core
from diffrec.data._csr import Csr, owners_of
from diffrec.data.interactions import Interactions
from diffrec.data.time_weights import require_clock, require_past

# Time constant of one view of a history: baskets, clock time, or None for one that does not fade.
TimeScale = float | timedelta | None
# Views of how an item was taken before, once or again: whether, how often, how long ago, and how long since as compared
# with its usual interval, the user's own or that of all.
RepeatView = Literal["had", "often", "ago", "due", "usual"]
REPEAT_VIEWS: tuple[RepeatView, ...] = get_args(RepeatView)


class Timeline:
    """Users' events, oldest first.

    A *cut* of a history is the number of its events that come before; it lies between two baskets (a user's events at
    one time), which nothing here parts or gives an inner order. A user who takes one item at a time has as many baskets
    as interactions.

    Parameters
    ----------
    data
        Interactions with timestamps; in seconds where a time scale is a ``timedelta``.
    intervals
        (items,), the time that usually passes between two baskets of a user with an item, which the view ``"usual"``
        compares with; see ``usual_intervals``.

    Attributes
    ----------
    lengths : int64 (users,)
        Events of each user: the cut that lets everything come before.
    baskets : int64 (users,)
        Baskets of each user, between which lies one cut fewer.

    Raises
    ------
    ValueError
        If there are no timestamps.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> timeline = Timeline(Interactions.from_arrays([0, 0, 0], [0, 1, 2], timestamp=[30, 10, 20]))
    >>> user, cut = np.array([0]), np.array([2])
    >>> timeline.before(user, cut, [1.0]).toarray().round(2)  # items 1 and 2, the newest in full
    array([[0.  , 0.37, 1.  ]], dtype=float32)
    >>> timeline.after(user, cut, horizon=5).toarray()
    array([[1., 0., 0.]], dtype=float32)
    """

    def __init__(self, data: Interactions, intervals: NDArray[np.float32] | None = None) -> None:
        events = data.events
        if len(events):
            require_clock(data, "an order in time")
        baskets = events.baskets()
        self._indptr = events.indptr
        self._items = events.items.astype(np.int32, copy=False)
        self._times = np.empty(0) if events.times is None else events.times
        self._repeats = data.n_events > len(data)
        self._now = data.now
        self._matrix = data.matrix
        require_past(data)
        self.n_items = data.shape[1]
        self.intervals = intervals
        self.lengths: NDArray[np.int64] = np.diff(self._indptr)
        self.baskets: NDArray[np.int64] = baskets.counts
        # The number of each event's basket among those of its user.
        numbers = np.arange(len(baskets.sizes)) - np.repeat(baskets.indptr[:-1], baskets.counts)
        self._baskets = np.repeat(numbers.astype(np.int32), baskets.sizes)
        self._basket_ends = np.repeat(baskets.starts[1:], baskets.sizes)

    def cuts_of_all(self, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the users of all cuts, ``most`` of each or as many as there are, and their places, for ``draw_cuts``.

        Examples
        --------
        >>> from diffrec.data import Interactions
        >>> Timeline(Interactions.from_arrays([0, 0, 0, 1, 2, 2], range(6), timestamp=range(6))).cuts_of_all(5)
        (array([0, 0, 2]), array([0, 1, 0]))
        """
        counts = (self.baskets - 1).clip(0, most)
        rows = np.repeat(np.arange(len(counts)), counts)
        return rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)

    def draw_cuts(
        self, rows: NDArray[np.int64], places: NDArray[np.int64], most: int, seed: int, step: int
    ) -> NDArray[np.int64]:
        """Draw the cut at each of ``places`` of ``rows``, see ``cuts_of_all``: something is left on both sides.

        A user's cuts are all different and lie evenly among those there are, from a beginning that ``seed``, ``step``
        and the user decide; each is as likely as another. A user with one basket, or none, is not cut: everything comes
        before, at place 0.
        """
        return _core.draw_cuts(self._indptr, self._baskets, rows, places, most, seed, step)

    def before(self, rows: NDArray[np.int64], cuts: NDArray[np.int64], scales: Sequence[TimeScale | RepeatView]) -> Csr:
        """Return what came before the cuts, seen on several time scales side by side.

        Parameters
        ----------
        rows, cuts
            int64 (n,): users, and how many of their events come before.
        scales
            Of each view, the time constant tau of weights ``exp(-age / tau)``: a number of baskets, a ``timedelta`` of
            clock time, or None for even weights of 1 / sqrt(cut). Or what the view says of an item as a whole:
            ``"had"``, 1; ``"often"``, ln(1 + baskets with it); ``"ago"``, 1 / (1 + baskets newer than its newest);
            ``"due"``, r / (1 + r), r being the time since its newest basket as a multiple of the mean time between its
            baskets: 1/2 where it is due, and 0 where it was in one basket only; ``"usual"``, the same with the item's
            ``intervals`` in the place of the user's mean.

        Returns
        -------
        scipy.sparse.csr_array
            float32 (n, scales * items): for each item the sum over its events, of which those that weigh less than
            1e-4 are left out. Ages are counted from the newest event before the cut; by the clock from ``data.now``
            where the interactions are looked at from there.
        """
        named = [_named(scale) for scale in scales]
        indptr, indices, weights = _core.prefix_rows(
            self._indptr,
            self._items,
            self._baskets,
            self._times,
            self.n_items,
            rows,
            cuts,
            named,
            repeats=self._repeats,
            now=self._now,
            intervals=None if self.intervals is None else self.intervals.astype(np.float64),
        )
        return sparse.csr_array((weights, indices, indptr), shape=(len(rows), len(named) * self.n_items))

    def usual_intervals(self) -> NDArray[np.float32]:
        """Learn how much time usually passes between two baskets of a user with an item, float32 (items,).

        It is the mean over all users of the item, to which one interval is added that is as long as the mean over all
        items: what few took again is as usual as anything. Where nobody took anything again it is the span of all
        times.

        Examples
        --------
        >>> from diffrec.data import Interactions
        >>> bought = Interactions.from_arrays([0, 0, 0, 1, 1], [0, 0, 1, 0, 0], timestamp=[10, 30, 30, 20, 60])
        >>> Timeline(bought).usual_intervals()  # item 0 after 20 and after 40
        array([30., 30.], dtype=float32)
        """
        owners = np.repeat(np.arange(len(self.lengths)), self.lengths)
        order = np.argsort(owners * self.n_items + self._items, kind="stable")
        owners, items, times = owners[order], self._items[order], self._times[order]
        again = (np.diff(owners) == 0) & (np.diff(items) == 0) & (np.diff(self._baskets[order]) > 0)
        gaps, gap_of = np.diff(times)[again], items[1:][again]
        span = float(np.ptp(times)) if len(times) else 1.0
        usual = float(gaps.mean()) if len(gaps) else span
        sums = np.bincount(gap_of, gaps, minlength=self.n_items) + usual
        found: NDArray[np.float32] = (sums / (1 + np.bincount(gap_of, minlength=self.n_items))).astype(np.float32)
        return found.clip(float(np.finfo(np.float32).tiny))

    def after(self, rows: NDArray[np.int64], cuts: NDArray[np.int64], horizon: int, *, repeats: bool = True) -> Csr:
        """The items that came after the cuts, as ones: float32 (n, items).

        They are those of whole baskets, the next one first, until there are at least ``horizon``. An item counts once;
        without ``repeats`` only one that did not come before the cut counts.
        """
        indptr, indices = _core.next_items(
            self._indptr,
            self._items,
            self._baskets,
            self.n_items,
            rows,
            cuts,
            horizon,
            repeats=self._repeats,
            fresh=not repeats,
        )
        ones = np.ones(len(indices), dtype=np.float32)
        return sparse.csr_array((ones, indices, indptr), shape=(len(rows), self.n_items))

    def values(self, rows: NDArray[np.int64], after: Csr) -> NDArray[np.float32]:
        """The values of users' pairs with items, float32 (nnz,): row i of ``after`` holds items of user ``rows[i]``."""
        own = self._matrix[rows]
        cells, wanted = (owners_of(matrix) * self.n_items + matrix.indices for matrix in (own, after))
        found: NDArray[np.float32] = own.data[np.searchsorted(cells, wanted)]
        return found

    def trend(
        self, rows: NDArray[np.int64], cuts: NDArray[np.int64], half_life: timedelta | None
    ) -> NDArray[np.float32] | None:
        """Weigh what comes after cuts by its age: float32 (n,), ``2^(-age / half_life)``; None without a half-life.

        The age is the time from the first event after the cut to the newest event of all.

        Raises
        ------
        ValueError
            If nothing comes after a cut.
        """
        if half_life is None:
            return None
        if np.any(cuts >= self.lengths[rows]):
            raise ValueError("cuts must leave an event after them")
        ages = self._newest - self._times[self._indptr[rows] + cuts]
        weights: NDArray[np.float32] = np.exp2(-ages / half_life.total_seconds()).astype(np.float32)
        return weights

    @cached_property
    def _newest(self) -> float:
        """The time of the newest event of all."""
        return float(self._times.max(initial=-np.inf))

    def last(self, rows: NDArray[np.int64], cuts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """The last items before the cuts, newest last, -1 before the first: int64 (n, length).

        Within a basket they stand by their numbers, and the oldest one may be parted.
        """
        start = self._indptr[rows]
        at = (start + cuts)[:, None] - length + np.arange(length)
        there = at >= start[:, None]
        if not there.any():
            return np.full(at.shape, -1)
        return np.where(there, self._items[np.where(there, at, 0)], -1).astype(np.int64)

    def first_kept(self, rows: NDArray[np.int64], cuts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return the place where the last ``length`` events before each cut begin, int64 (n,), counted as a cut is.

        The oldest of them is a whole basket: one that would be parted is left out, unless it is the only one.
        """
        start = self._indptr[rows]
        first = start + np.maximum(cuts - length, 0)
        at = np.minimum(first, max(len(self._items) - 1, 0))
        if len(self._items) == 0:
            return first - start
        parted = (first > start) & (self._baskets[at] == self._baskets[np.maximum(at - 1, 0)])
        end = self._basket_ends[at] - start
        return np.where(parted & (end < cuts), end, first - start)

    def basket_end(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the end of the basket that holds a user's event at each place, (n,), counted as a cut is."""
        ends: NDArray[np.int64] = self._basket_ends[self._indptr[rows] + places] - self._indptr[rows]
        return ends

    def sequences(
        self, rows: NDArray[np.int64], cuts: NDArray[np.int64], length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """The last events before the cuts, oldest first, with what tells how far apart they are.

        Within a basket they stand by their items' numbers, so that there is one such list for a history.

        Parameters
        ----------
        rows, cuts
            int64 (n,): users, and how many of their events come before.
        length
            How many events at most; see ``first_kept``.

        Returns
        -------
        items : int64 (n, length)
            -1 before the first.
        ages : int64 (n, length)
            Baskets between each event's and the newest.
        elapsed : float32 (n, length)
            Time between each event and the newest.

        Examples
        --------
        >>> from diffrec.data import Interactions
        >>> timeline = Timeline(Interactions.from_arrays([0] * 4, [0, 1, 2, 3], timestamp=[10, 10, 20, 50]))
        >>> [values.tolist() for values in timeline.sequences(np.array([0]), np.array([4]), 3)]
        [[[-1, 2, 3]], [[0, 1, 0]], [[0.0, 30.0, 0.0]]]
        """
        end = self._indptr[rows] + cuts
        first = self._indptr[rows] + self.first_kept(rows, cuts, length)
        at = end[:, None] - length + np.arange(length)
        there = at >= first[:, None]
        if not there.any():
            return np.full(at.shape, -1), np.zeros(at.shape, np.int64), np.zeros(at.shape, np.float32)
        at, newest = np.where(there, at, 0), np.maximum(end - 1, 0)[:, None]
        return (
            np.where(there, self._items[at], -1).astype(np.int64),
            np.where(there, self._baskets[newest].astype(np.int64) - self._baskets[at], 0),
            np.where(there, self._times[newest] - self._times[at], 0).astype(np.float32),
        )

    @cached_property
    def _first_takings(self) -> NDArray[np.int64]:
        """Places of the events at which a user took an item for the first time, rising."""
        cells = np.repeat(np.arange(len(self.lengths)) * self.n_items, self.lengths) + self._items
        return np.sort(np.unique(cells, return_index=True)[1])

    @property
    def brings_new(self) -> bool:
        """Whether somebody ever took something new after the first basket."""
        places = self._first_takings if self._repeats else slice(None)
        return bool((self._baskets[places] > 0).any())

    def following(
        self,
        rows: NDArray[np.int64],
        cuts: NDArray[np.int64],
        horizon: int,
        decay: float,
        *,
        by_value: bool = False,
        repeats: bool = True,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """The events after the cuts, whole baskets until there are ``horizon``, as a CSR's arrays.

        Without ``repeats`` only those count at which the user took an item for the first time.

        Returns
        -------
        indptr : int64 (n + 1,)
            Where each row's events lie.
        items : int64 (nnz,)
            Columns; one may recur in a row.
        weights : float32 (nnz,)
            In proportion to ``decay`` to the power of the baskets between, and to the pairs' values where asked; a
            row's sum to 1.
        """
        first, stop = self._indptr[rows] + cuts, self._indptr[rows + 1]
        fresh = self._first_takings if self._repeats and not repeats else None
        if fresh is not None:
            # Their places among those that count, which lie side by side, too.
            first, stop = np.searchsorted(fresh, first), np.searchsorted(fresh, stop)
        last = np.maximum(np.minimum(first + horizon, stop) - 1, 0)
        # Up to the end of the basket that the last one lies in.
        ends = self._basket_ends[last] if fresh is None else np.searchsorted(fresh, self._basket_ends[fresh[last]])
        counts = np.where(first < stop, ends - first, 0)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        at = np.arange(indptr[-1]) + np.repeat(first - indptr[:-1], counts)
        nearest = np.where(counts > 0, first, 0)
        if fresh is not None:
            at, nearest = fresh[at], fresh[nearest]
        away = self._baskets[at] - np.repeat(self._baskets[nearest], counts)
        weights = np.power(decay, away, dtype=np.float64)
        if by_value:
            shape = (len(rows), self.n_items)
            weights *= self.values(rows, sparse.csr_array((weights, self._items[at], indptr), shape=shape))
        sums = np.bincount(np.repeat(np.arange(len(rows)), counts), weights, minlength=len(rows))
        return indptr, self._items[at].astype(np.int64), (weights / np.repeat(sums, counts)).astype(np.float32)


def _named(
    scale: TimeScale | RepeatView,
) -> tuple[Literal["interactions", "seconds", "even", "had", "often", "ago", "due", "usual"], float]:
    if scale is None:
        return "even", 0.0
    if isinstance(scale, str):
        return scale, 0.0
    if isinstance(scale, timedelta):
        return "seconds", scale.total_seconds()
    return "interactions", float(scale)
