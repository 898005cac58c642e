"""Every event of every user in the order of time, and the baskets they form."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Baskets(NamedTuple):
    """Events of a user at one time, which have no order among themselves.

    Attributes
    ----------
    indptr : int64 (users + 1,)
        Where each user's baskets lie among all of them, oldest first.
    starts : int64 (baskets + 1,)
        Where each basket's events lie.
    """

    indptr: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, indptr: NDArray[np.int64], times: NDArray[np.float64] | None) -> "Baskets":
        """Group events that are sorted by time within their users; without times a user has one basket."""
        n = int(indptr[-1])
        first = np.zeros(n, dtype=np.bool_)
        if times is not None:
            first[1:] = times[1:] != times[:-1]
        first[indptr[:-1][np.diff(indptr) > 0]] = True
        starts = np.flatnonzero(first).astype(np.int64)
        return cls(np.searchsorted(starts, indptr), np.append(starts, n))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Events of each basket: int64 (baskets,)."""
        return np.diff(self.starts)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Baskets of each user: int64 (users,)."""
        return np.diff(self.indptr)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The user of each basket: int64 (baskets,)."""
        return np.repeat(np.arange(len(self.indptr) - 1), self.counts)

    def spread(self, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark every event of the marked baskets."""
        return np.repeat(marked, self.sizes)


@dataclass(frozen=True)
class Events:
    """Events, one for each time a user did something: sorted by user, time (oldest first), item and value.

    Attributes
    ----------
    indptr : int64 (users + 1,)
        Where each user's events lie.
    items : int32 (events,)
        Columns of the matrix.
    times : float64 (events,) or None
        When each was.
    values : float32 (events,)
        How much each counts.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> bought = Interactions.from_arrays(["ann"] * 3, ["milk", "tea", "milk"], timestamp=[10, 10, 20]).events
    >>> len(bought), bought.items, bought.times
    (3, array([0, 1, 0], dtype=int32), array([10., 10., 20.]))
    >>> bought.baskets().sizes
    array([2, 1])
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.float64] | None
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The user of each event: int64 (events,)."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    def baskets(self) -> Baskets:
        """Group the events of each user by their times."""
        return Baskets.of(self.indptr, self.times)
