"""Ranking by a sparse matrix of items x items, as neighbours make it, beside SciPy's product and NumPy's selection.

    make bench ONLY=neighbors

512 users of 50 items each; 65,536 items with 100 neighbours each.
"""

import functools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from benches.beside import Beside, Side
from diffrec.ranking import SparseScores, top_k

USERS, HISTORY, ITEMS, NEIGHBORS, K = 512, 50, 65_536, 100, 20
# Users whose scores SciPy's side holds densely at once: 4 MB, as much as diffrec's.
FEW = 16

Lists = tuple[NDArray[np.int32], NDArray[np.float32]]


def random_rows(rows: int, length: int) -> sparse.csr_array:
    """Rows of whole numbers at random places: all sums are exact."""
    rng = np.random.default_rng(rows)
    columns = np.sort(rng.integers(0, ITEMS // length, (rows, length)) + np.arange(length) * (ITEMS // length))
    values = rng.integers(1, 9, rows * length).astype(np.float32)
    return sparse.csr_array((values, columns.ravel(), np.arange(rows + 1) * length), shape=(rows, ITEMS))


@functools.cache
def factors() -> tuple[sparse.csr_array, sparse.csr_array]:
    return random_rows(USERS, HISTORY), random_rows(ITEMS, NEIGHBORS)


def by_diffrec() -> Lists:
    return top_k(SparseScores(*factors()), K, sparse.csr_array((USERS, ITEMS), dtype=np.float32))


def by_scipy() -> Lists:
    histories, similarity = factors()
    items, values = np.empty((USERS, K), np.int32), np.empty((USERS, K), np.float32)
    for first in range(0, USERS, FEW):
        scores = (histories[first : first + FEW] @ similarity).toarray()
        some = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.lexsort((some, -np.take_along_axis(scores, some, axis=1)), axis=1)
        best = np.take_along_axis(some, order, axis=1)
        items[first : first + FEW], values[first : first + FEW] = (
            best,
            np.take_along_axis(scores, best, axis=1),
        )
    return items, values


def agree(ours: Lists, theirs: Lists) -> None:
    """The same scores; among items whose score is that of the last place SciPy's side takes any."""
    np.testing.assert_array_equal(ours[1], theirs[1])
    clear = ours[1] > ours[1][:, -1:]
    np.testing.assert_array_equal(ours[0][clear], theirs[0][clear])


SIDES = {"diffrec": Side(by_diffrec), "SciPy": Side(by_scipy)}


@pytest.mark.parametrize("library", SIDES)
def test_ranking_by_neighbors(beside: Beside, library: str) -> None:
    what = "rank 65,536 items for 512 users by 100 neighbours of each of 50 items, k = 20"
    beside.measure(what, SIDES, library, agree=agree)
