"""Sums over the users for each pair of items, kept so that users whose histories change are counted anew alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec import _core
from diffrec.data import Csr, csr_arrays

# Histories that changed are counted on their own where that takes less than this share of counting all of them.
_WORTH = 0.5
# Items up to which sums are kept: a GB where all pairs occur.
_MOST = 10_000


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
        # What cancels out leaves what rounding makes of it.
        total.data[np.abs(total.data) < 1e-9] = 0.0
        total.eliminate_zeros()
        total.sort_indices()
        return ItemSums(total)


def pays(changed: Iterable[Csr], everyone: Csr) -> bool:
    """Whether counting the changed histories, as they were and as they are, is less work than counting everyone's."""
    return sum(map(_work, changed)) < _WORTH * _work(everyone)


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
    # Row i is item i, at 1, beside its entries, in columns of their own: their products are the entries.
    starts = np.arange(items + 1) + matrix.indptr
    first = np.zeros(items + matrix.nnz, dtype=np.bool_)
    first[starts[:-1]] = True
    columns = np.empty(len(first), dtype=np.int32)
    columns[first], columns[~first] = np.arange(items), matrix.indices + items
    right = np.zeros(len(first), dtype=np.float32)
    right[~first] = matrix.data
    if not itself:
        owners = np.repeat(np.arange(items), np.diff(matrix.indptr))
        right[np.flatnonzero(~first)[owners == matrix.indices]] = 0.0
    left = (starts.astype(np.int64), columns, first.astype(np.float32))
    starts, columns, values = _core.nearest_items(left, right, 2 * items, keep, itself=True)
    end = starts[items]
    kept: Csr = sparse.csr_array((values[:end], columns[:end] - items, starts[: items + 1]), shape=(items, items))
    return kept


def _product(sides: Sides) -> Csr:
    left = sides.left.astype(np.float64)
    right = sparse.csr_array((sides.right.astype(np.float64), left.indices, left.indptr), shape=left.shape)
    product = sparse.csr_array(sparse.csr_array(left.T) @ right)
    product.sort_indices()
    made: Csr = sparse.csr_array((product.data, product.indices, product.indptr), shape=product.shape)
    return made


def _work(matrix: Csr) -> int:
    return int(np.square(np.diff(matrix.indptr).astype(np.int64)).sum())
