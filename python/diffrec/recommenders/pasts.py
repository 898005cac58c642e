"""Histories that were typed or sent, item by item, instead of read from data."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.data import Ids, Interactions
from diffrec.data._csr import assemble
from diffrec.data._entries import require_finite, require_values
from diffrec.data._times import in_seconds


class Past(NamedTuple):
    """The history of one person.

    Attributes
    ----------
    rows : int64 (m,)
        Rows of the items, oldest first.
    times : float64 (m,), optional
        Seconds since the epoch, or numbers that can only be milliseconds, microseconds or nanoseconds; by default a
        second apart, which tells their order to models that read it.
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
    # Each by themselves: in which unit one person's times are is no matter of another's.
    times = [
        np.arange(len(past.rows), dtype=np.float64) if past.times is None else in_seconds(past.times)[0]
        for past in pasts
    ]
    values = [np.ones(len(past.rows), dtype=np.float32) if past.values is None else past.values for past in pasts]
    people, shape = np.repeat(np.arange(len(pasts)), lengths), (len(pasts), len(items))
    moments, weights = np.concatenate(times), np.concatenate(values)
    require_finite(moments, "times")
    weights = require_values(weights, lambda place: f"values[{place}]")
    rows = np.concatenate([past.rows for past in pasts])
    wrong = np.flatnonzero((rows < 0) | (rows >= len(items)))
    if len(wrong):
        raise ValueError(f"rows must be below the {len(items)} items, got {rows[wrong[0]]}")
    parts = assemble(people, rows, weights, moments, shape)
    return Interactions.of_parts(parts, Ids.numbered(len(pasts), "user"), items)
