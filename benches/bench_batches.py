"""Rows of a sparse matrix into a dense batch, beside SciPy: ``make bench ONLY=batches``."""

import functools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from benches.beside import Beside, Side
from diffrec import _core
from diffrec.data import Csr, csr_arrays

SHAPE = (30_000, 40_981)
ENTRIES_PER_ROW = 24
BATCH = 400
# One buffer serves all batches of an epoch, as in training.
BUFFER = np.empty((BATCH, SHAPE[1]), np.float32)


@functools.cache
def matrix() -> Csr:
    density = ENTRIES_PER_ROW / SHAPE[1]
    return sparse.random_array(SHAPE, density=density, format="csr", dtype=np.float32, rng=np.random.default_rng(0))


@functools.cache
def arrays() -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The matrix in the types of the kernel, into which training brings it once."""
    return csr_arrays(matrix())


def with_diffrec(rows: NDArray[np.int64]) -> NDArray[np.float32]:
    _core.dense_rows(*arrays(), rows, BUFFER)
    return BUFFER


def with_scipy(rows: NDArray[np.int64]) -> NDArray[np.float32]:
    dense: NDArray[np.float32] = matrix()[rows].toarray()
    return dense


SIDES = {"diffrec": Side(with_diffrec), "SciPy": Side(with_scipy, at_least=3)}


@pytest.mark.parametrize("library", SIDES)
def test_dense_rows(beside: Beside, library: str) -> None:
    rows = np.random.default_rng(1).choice(SHAPE[0], BATCH, replace=False)
    what = f"{BATCH} of {SHAPE[0]:,} x {SHAPE[1]:,} sparse rows into a dense batch"
    beside.measure(what, SIDES, library, rows, rounds=50)
