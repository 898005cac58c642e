"""Takings: how often and how long ago users took what they have, once a basket, each with its age."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from diffrec.data._csr import Csr, with_values
from diffrec.data.interactions import Interactions
from diffrec.data.time_weights import require_clock, require_past


@dataclass(frozen=True)
class Takings:
    """Every basket that an item stands in, with the basket's age; an item counts once in a basket.

    Attributes
    ----------
    data : Interactions
        What they are taken of.
    cells : int64 (n,)
        Where in ``data.matrix.data`` the pair of user and item stands.
    owners : int64 (n,)
        The user's row.
    newer : int64 (n,)
        How many of the user's baskets are newer: the age in baskets.
    baskets : int64 (users,)
        How many baskets each user has; without timestamps one.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> bought = Interactions.from_arrays([0] * 3, ["tea", "milk", "tea"], timestamp=[1, 1, 2])
    >>> Takings.of(bought).newer
    array([1, 1, 0])
    """

    data: Interactions
    cells: NDArray[np.int64]
    owners: NDArray[np.int64]
    newer: NDArray[np.int64]
    baskets: NDArray[np.int64]
    _times: NDArray[np.float64] | None

    @classmethod
    def of(cls, data: Interactions) -> "Takings":
        """Find the takings among the events of interactions."""
        events, cells = data.events, data.cells_of_events()
        baskets = events.baskets()
        basket = np.repeat(np.arange(len(baskets.sizes)), baskets.sizes)
        # Events of a basket stand by their items: what an item has twice in one stands side by side.
        first = np.ones(len(cells), dtype=np.bool_)
        first[1:] = (basket[1:] != basket[:-1]) | (events.items[1:] != events.items[:-1])
        owners = events.owners[first]
        newer = baskets.indptr[1:][owners] - 1 - basket[first]
        times = None if events.times is None else events.times[first]
        return cls(data, cells[first], owners, newer, baskets.counts, times)

    def passed(self) -> NDArray[np.float64]:
        """The time from each to the user's newest basket, or to ``data.now`` where that is set, (n,).

        Raises
        ------
        ValueError
            If there are no timestamps, or ``data.now`` is before an event.
        """
        if self._times is None:
            if len(self.cells):
                require_clock(self.data, "an age in clock time")
            return np.empty(0)
        if self.data.now is not None:
            require_past(self.data)
            return self.data.now - self._times
        newest = np.zeros(len(self.baskets))
        # A user's last one is of the newest basket.
        newest[self.owners] = self._times
        passed: NDArray[np.float64] = newest[self.owners] - self._times
        return passed

    def faded(self, half_life: float | timedelta) -> NDArray[np.float64]:
        """Weights ``2^(-age / half_life)``, (n,), the age being in baskets or, by a ``timedelta``, in clock time."""
        if isinstance(half_life, timedelta):
            return np.exp2(-self.passed() / half_life.total_seconds())
        return np.exp2(-self.newer / half_life)

    def summed(self, weights: NDArray[np.floating]) -> Csr:
        """Sum weights (n,) by cell: float32 (users, items), with the pattern of ``data.matrix``."""
        matrix = self.data.matrix
        sums = np.bincount(self.cells, weights, minlength=matrix.nnz).astype(np.float32)
        return with_values(matrix, sums)
