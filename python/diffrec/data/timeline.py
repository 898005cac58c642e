"""Histories in the order of time, cut into what came before and what came after."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec import _core
from diffrec.data._csr import Csr
from diffrec.data._reshape import owners_of
from diffrec.data.interactions import Interactions

# Time constant of one view of a history: interactions, clock time, or None for one that does not fade.
TimeScale = float | timedelta | None


class Timeline:
    """Users' items, oldest first.

    A *cut* of a history is the number of its interactions that come before. Interactions at the same time keep the
    order in which they are stored, that of their items.

    Parameters
    ----------
    data
        Interactions with timestamps; in seconds where a time scale is a ``timedelta``.

    Attributes
    ----------
    lengths : int64 (users,)
        Interactions of each user.

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

    def __init__(self, data: Interactions) -> None:
        times = data.timestamps
        if times is None:
            if len(data):
                raise ValueError("an order in time needs timestamps; these interactions have none")
            times = np.empty(0)
        matrix = data.matrix
        order = np.lexsort((times, owners_of(matrix)))
        self._indptr = matrix.indptr.astype(np.int64)
        self._items = matrix.indices[order].astype(np.int32, copy=False)
        self._times = times[order]
        self._order = order
        self.n_items = data.shape[1]
        self.lengths: NDArray[np.int64] = np.diff(self._indptr)

    def draw_cuts(self, rows: NDArray[np.int64], seed: int, step: int) -> NDArray[np.int64]:
        """Draw a cut for each of ``rows``, uniformly from those that leave something on both sides.

        The draw at a position depends on ``seed``, ``step`` and the position alone.
        """
        return _core.draw_cuts(self._indptr, rows, seed, step)

    def newest(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the newest ``counts[u]`` interactions of each user u, aligned with ``data.matrix.data``."""
        age = np.repeat(self._indptr[1:], self.lengths) - 1 - np.arange(len(self._items))
        marked = np.empty(len(self._items), dtype=np.bool_)
        marked[self._order] = age < np.repeat(counts, self.lengths)
        return marked

    def before(self, rows: NDArray[np.int64], cuts: NDArray[np.int64], scales: Sequence[TimeScale]) -> Csr:
        """What came before the cuts, seen on several time scales side by side.

        Parameters
        ----------
        rows, cuts
            int64 (n,): users, and how many of their interactions come before.
        scales
            Of each view, the time constant tau of weights ``exp(-age / tau)``: interactions, a ``timedelta`` of clock
            time, or None for even weights of 1 / sqrt(cut).

        Returns
        -------
        scipy.sparse.csr_array
            float32 (n, scales * items); what weighs less than 1e-4 is left out.
        """
        named = [_named(scale) for scale in scales]
        indptr, indices, data = _core.prefix_rows(
            self._indptr, self._items, self._times, self.n_items, rows, cuts, named
        )
        return sparse.csr_array((data, indices, indptr), shape=(len(rows), len(named) * self.n_items))

    def after(self, rows: NDArray[np.int64], cuts: NDArray[np.int64], horizon: int) -> Csr:
        """At most ``horizon`` items that came after the cuts, as ones: float32 (n, items)."""
        indptr, indices = _core.next_items(self._indptr, self._items, self.n_items, rows, cuts, horizon)
        ones = np.ones(len(indices), dtype=np.float32)
        return sparse.csr_array((ones, indices, indptr), shape=(len(rows), self.n_items))

    def last(self, rows: NDArray[np.int64], cuts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """The last items before the cuts, newest last, -1 before the first: int64 (n, length)."""
        return _core.last_items(self._indptr, self._items, self.n_items, rows, cuts, length)


def _named(scale: TimeScale) -> tuple[Literal["interactions", "seconds", "even"], float]:
    if scale is None:
        return "even", 0.0
    if isinstance(scale, timedelta):
        return "seconds", scale.total_seconds()
    return "interactions", float(scale)
