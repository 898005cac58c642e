"""Padded rows multiply as the sparse rows do whose content they have."""

import numpy as np
import pytest
import torch

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import PaddedRows

COLUMNS = torch.tensor([[1, 5, -1, 0], [-1, -1, -1, -1], [-1, 4, 2, -1]])
VALUES = torch.tensor([[2.0, 0.5, 9.0, 1.0], [9.0, 9.0, 9.0, 9.0], [9.0, 3.0, 0.25, 9.0]])
PADDED = PaddedRows.of(COLUMNS, VALUES)
DENSE = torch.tensor([[1.0, 2, 0, 0, 0, 0.5], [0, 0, 0, 0, 0, 0], [0, 0, 0.25, 0, 3, 0]])
SPARSE = SparseRows.from_dense(DENSE)
WEIGHT = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 3), dtype=np.float32))


def test_products() -> None:
    torch.testing.assert_close(PADDED @ WEIGHT, SPARSE @ WEIGHT)
    torch.testing.assert_close(PADDED @ WEIGHT, DENSE @ WEIGHT)


def test_norms_and_scaling() -> None:
    factors = torch.tensor([2.0, 3.0, -1.0])
    torch.testing.assert_close(PADDED.squared_norms(), DENSE.square().sum(dim=1))
    torch.testing.assert_close(PADDED.scaled(factors).to_dense(6), DENSE * factors[:, None])


@pytest.mark.parametrize(("first", "stop"), [(0, 6), (1, 5), (5, 6)])
def test_columns_and_sums(first: int, stop: int) -> None:
    torch.testing.assert_close(PADDED.columns(first, stop).to_dense(stop - first), DENSE[:, first:stop])
    out, expected = torch.ones(3, stop - first), torch.ones(3, stop - first)
    PADDED.add_to(out, first, -2.0)
    SPARSE.add_to(expected, first, -2.0)
    torch.testing.assert_close(out, expected)


def test_as_rows_of_a_sparse_matrix() -> None:
    plain = SparseRows(PADDED.offsets, PADDED.indices, PADDED.values)
    torch.testing.assert_close(plain @ WEIGHT, DENSE @ WEIGHT)
    assert len(PADDED) == 3
    torch.testing.assert_close(PADDED.row_of_entry(), plain.row_of_entry())
    out = torch.zeros(6, 2)
    PADDED.transposed_product(torch.ones(3, 2), out)
    torch.testing.assert_close(out, DENSE.sum(dim=0)[:, None].expand(6, 2))


def test_no_entries_at_all() -> None:
    nothing = PaddedRows.of(torch.empty(2, 0, dtype=torch.int64), torch.empty(2, 0))
    torch.testing.assert_close(nothing @ WEIGHT, torch.zeros(2, 3))
    torch.testing.assert_close(nothing.squared_norms(), torch.zeros(2))
