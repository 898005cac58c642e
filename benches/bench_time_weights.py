"""Time weights of ten million interactions, beside pandas and NumPy.

    make bench ONLY=time_weights

Histories have geometrically distributed lengths, 50 on average, and lie in no order of time.
"""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from benches.beside import Beside, Side
from diffrec import _core

USERS = 200_000
INTERACTIONS = 10_000_000
W_MIN, W_MAX = 0.1, 1.0

Weigh = Callable[[NDArray[np.int64], NDArray[np.float64]], NDArray[np.float32]]


@functools.cache
def histories() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Row pointer and times. No two times are equal, so that the rivals need not look after ties."""
    rng = np.random.default_rng(0)
    cuts = np.sort(rng.integers(0, INTERACTIONS + 1, USERS - 1))
    return np.concatenate([[0], cuts, [INTERACTIONS]]), rng.permutation(INTERACTIONS).astype(np.float64)


def with_diffrec(indptr: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.float32]:
    return _core.time_weights(indptr, times, "linear", W_MIN, W_MAX, 1.0)


def with_pandas(indptr: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.float32]:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    lengths = np.diff(indptr)
    users = np.repeat(np.arange(len(lengths)), lengths)
    ranks = pandas.Series(times).groupby(users, sort=False).rank().to_numpy()
    return linear(ranks - 1, np.repeat(lengths, lengths))


def with_numpy(indptr: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.float32]:
    lengths = np.diff(indptr)
    users = np.repeat(np.arange(len(lengths)), lengths)
    ranks = np.empty(len(times), np.int64)
    ranks[np.lexsort((times, users))] = np.arange(len(times)) - np.repeat(indptr[:-1], lengths)
    return linear(ranks, np.repeat(lengths, lengths))


def linear(ranks: NDArray[np.generic], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """From the least weight, for the oldest, up to the largest."""
    return (W_MIN + (W_MAX - W_MIN) / np.maximum(lengths - 1, 1) * ranks).astype(np.float32)


def agree(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


SIDES = {
    "diffrec": Side(with_diffrec),
    "pandas groupby.rank": Side(with_pandas, at_least=5),
    "NumPy lexsort": Side(with_numpy, at_least=2),
}


@pytest.mark.parametrize("library", SIDES)
def test_linear_weights(beside: Beside, library: str) -> None:
    what = f"time weights of {INTERACTIONS / 1e6:g}M interactions"
    beside.measure(what, SIDES, library, *histories(), agree=agree, rounds=3)
