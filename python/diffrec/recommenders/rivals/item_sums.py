"""Sums over the users for each pair of items, kept so that users whose histories change are counted anew alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec import _core
from diffrec.data import Csr, csr_arrays, empty_matrix, unit_rows, with_values
from diffrec.ranking import SparseScores, top_k

# Histories that changed are counted on their own where that takes less than this share of counting all of them, and
# sums are gone through where that takes less than this share of making them.
_CHANGED, _WORTH = 0.25, 0.02
# Items up to which sums are kept: a GB where all pairs occur.
_MOST = 10_000
# Share of a sum, below which what is left of it is rounding.
_CANCELLED = 1e-6


class Sides(NamedTuple):
    """Two matrices of one pattern, users x items: L is ``left``, R has its pattern and the values ``right``."""

    left: Csr
    right: NDArray[np.float32]


@dataclass(frozen=True)
class ItemSums:
    """The matrix ``L.T @ R``, items x items.

    Attributes
    ----------
    matrix : scipy.sparse CSR
        float64.

    Examples
    --------
    >>> taken = sparse.csr_array(np.array([[1, 1], [0, 1]], dtype=np.float32))
    >>> ItemSums.of(Sides(taken, taken.data)).matrix.toarray()
    array([[1., 1.],
           [1., 2.]])
    """

    matrix: Csr

    @classmethod
    def of(cls, sides: Sides, *, exact: bool = True) -> "ItemSums":
        """Count all users; in a fraction of the time where the digits of float32 are enough."""
        if exact:
            return cls(_product(sides))
        items = sides.left.shape[1]
        starts, columns, values = _core.nearest_items(csr_arrays(sides.left), sides.right, items, items, itself=True)
        return cls(sparse.csr_array((values.astype(np.float64), columns, starts), shape=(items, items)))

    def changed(self, before: Sides, after: Sides) -> "ItemSums":
        """Take away what some users counted before, and add what they count now: over as many items, or more."""
        items = after.left.shape[1]
        held: Any = self.matrix.copy()
        held.resize((items, items))
        total = sparse.csr_array(held + (_product(after) - _product(before)))
        # What cancels out leaves what rounding makes of what it was.
        total = sparse.csr_array(total.multiply(abs(total) > _CANCELLED * abs(held)))
        total.sort_indices()
        return ItemSums(total)


def pays(changed: Iterable[Csr], everyone: Csr) -> bool:
    """Whether counting the changed histories, as they were and as they are, is less work than counting everyone's."""
    return sum(map(_work, changed)) < _CHANGED * _work(everyone)


def pays_to_keep(everyone: Csr) -> bool:
    """Whether there are so many users for the items that going through the sums is less work than counting them."""
    items = everyone.shape[1]
    return items <= _MOST and items**2 < _WORTH * _work(everyone)


def largest(matrix: Csr, keep: int, *, itself: bool) -> Csr:
    """The greatest entries of each row, float32; with ``itself`` the diagonal takes a place among them.

    Examples
    --------
    >>> largest(sparse.csr_array(np.array([[3.0, 1.0, 2.0], [0, 0, 0], [5.0, 5.0, 4.0]])), 2, itself=True).toarray()
    array([[3., 0., 2.],
           [0., 0., 0.],
           [5., 5., 0.]], dtype=float32)
    """
    items = matrix.shape[0]
    held: Csr = with_values(matrix, matrix.data.astype(np.float32))
    rows = unit_rows(np.arange(items), items)
    left_out = empty_matrix(items, items) if itself else rows
    best, values = top_k(SparseScores(rows, held, missing=-np.inf), min(keep, items), left_out)
    there = np.isfinite(values)
    columns = np.where(there, best, items)
    order = np.argsort(columns, axis=1)
    columns, values = (np.take_along_axis(part, order, axis=1) for part in (columns, values))
    kept = columns < items
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    made: Csr = sparse.csr_array((values[kept], columns[kept], starts), shape=(items, items))
    return made


def _product(sides: Sides) -> Csr:
    left = sides.left.astype(np.float64)
    right = with_values(left, sides.right.astype(np.float64))
    product = sparse.csr_array(sparse.csr_array(left.T) @ right)
    product.sort_indices()
    return with_values(product, product.data)


def _work(matrix: Csr) -> int:
    return int(np.square(np.diff(matrix.indptr).astype(np.int64)).sum())
