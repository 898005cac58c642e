"""Histories that were typed or sent, item by item, instead of read from data."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec.data import Ids, Interactions


class Past(NamedTuple):
    """What one person took.

    Attributes
    ----------
    rows : int64 (m,)
        Rows of the items, oldest first.
    times : float64 (m,), optional
        Seconds since the epoch; by default a second apart, which tells their order to models that read it.
    values : float32 (m,), optional
        Weights; ones by default.
    """

    rows: NDArray[np.int64]
    times: NDArray[np.float64] | None = None
    values: NDArray[np.float32] | None = None


def histories_of(pasts: Sequence[Past], items: Ids) -> Interactions:
    """Put the histories of n people on a model's items; an empty one is a row without interactions.

    Parameters
    ----------
    pasts : sequence of Past
        One for each of the people, who are numbered from 0.
    items : Ids
        The model's.

    Raises
    ------
    ValueError
        When a time or a value is not finite, or a value is negative.

    Examples
    --------
    >>> two = histories_of([Past(np.array([2, 0])), Past(np.array([], dtype=np.int64))], Ids(["tea", "milk", "salt"]))
    >>> two.shape, two.matrix.toarray().tolist(), two.timestamps.tolist()
    ((2, 3), [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], [1.0, 0.0])
    """
    lengths = [len(past.rows) for past in pasts]
    times = [np.arange(len(past.rows), dtype=np.float64) if past.times is None else past.times for past in pasts]
    values = [np.ones(len(past.rows), dtype=np.float32) if past.values is None else past.values for past in pasts]
    cells = np.repeat(np.arange(len(pasts)), lengths), np.concatenate([past.rows for past in pasts])
    matrix = sparse.coo_array((np.concatenate(values), cells), shape=(len(pasts), len(items)))
    return Interactions.from_csr(matrix, np.concatenate(times), allow_empty=True).with_ids(items=items)
