"""Cells of sparse matrices, against sets of pairs."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from diffrec.data import union, without

SHAPE = (4, 5)
CELLS = st.sets(st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1)))


def of(cells: set[tuple[int, int]]) -> Any:
    rows, columns = np.array(sorted(cells), dtype=np.int64).reshape(-1, 2).T
    return sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=SHAPE)


def cells_of(matrix: Any) -> set[tuple[int, int]]:
    return set(zip(*(part.tolist() for part in matrix.nonzero()), strict=True))


@given(CELLS, CELLS, st.booleans())
def test_cells_of_both_and_of_one_alone(
    one: set[tuple[int, int]], other: set[tuple[int, int]], backwards: bool
) -> None:
    left, right = of(one), of(other)
    if backwards:
        # Rows whose columns fall.
        order = np.concatenate([np.arange(*ends)[::-1] for ends in zip(right.indptr, right.indptr[1:], strict=False)])
        right = sparse.csr_array((right.data, right.indices[order.astype(int)], right.indptr), shape=SHAPE)
    assert cells_of(without(left, right)) == one - other
    assert cells_of(union(left, of(other))) == one | other
