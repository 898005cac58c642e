"""A batch of sparse vectors, multiplied without ever being made dense."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diffrec.data._csr import Csr

#: Entries whose products are held at once.
ENTRIES = 8192


@dataclass(frozen=True)
class SparseRows:
    """Rows of a sparse matrix as tensors on one device.

    Parameters
    ----------
    offsets : Tensor
        int64 (n + 1,), where each row starts in the other two.
    indices : Tensor
        int64 (nnz,), the column of each entry.
    values : Tensor
        float32 (nnz,), its value.
    confidence : Tensor, optional
        float32 (nnz,), the weight of each entry's part of a loss where the rows are to be produced; that of a cell
        without an entry is 1, and None gives every entry the same. Rows made of these have none.

    Examples
    --------
    >>> rows = SparseRows.from_dense(torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    >>> rows @ torch.tensor([[1.0, 1.0], [3.0, 5.0]])
    tensor([[ 6., 10.],
            [ 0.,  0.]])
    """

    offsets: Tensor
    indices: Tensor
    values: Tensor
    confidence: Tensor | None = field(default=None, kw_only=True)

    @classmethod
    def from_csr(
        cls,
        indptr: NDArray[np.integer],
        indices: NDArray[np.integer],
        data: NDArray[np.floating],
        start: int,
        stop: int,
        device: torch.device | str = "cpu",
    ) -> "SparseRows":
        """Take rows ``start:stop`` of the CSR matrix with these arrays."""
        first, last = int(indptr[start]), int(indptr[stop])
        return cls(
            _moved(torch.as_tensor(indptr[start : stop + 1] - first, dtype=torch.int64), device),
            _moved(torch.as_tensor(indices[first:last], dtype=torch.int64), device),
            _moved(torch.as_tensor(data[first:last], dtype=torch.float32), device),
        )

    @classmethod
    def from_matrix(cls, matrix: Csr, device: torch.device | str = "cpu") -> "SparseRows":
        """Take all rows of a CSR matrix."""
        return cls.from_csr(matrix.indptr, matrix.indices, matrix.data, 0, matrix.shape[0], device)

    @classmethod
    def from_dense(cls, rows: Tensor) -> "SparseRows":
        """Take the non-zero entries of ``rows`` (n, columns)."""
        where = rows.nonzero()
        counts = (rows != 0).sum(dim=1)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return cls(offsets, where[:, 1], rows[where[:, 0], where[:, 1]])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __matmul__(self, weight: Tensor) -> Tensor:
        """Multiply by ``weight`` (columns, width); returns (n, width)."""
        if self.values.requires_grad and not weight.requires_grad:
            # torch before 2.6 fails at the slope of the values alone.
            weight = weight.detach().requires_grad_()
        return functional.embedding_bag(
            self.indices,
            weight,
            self.offsets,
            mode="sum",
            per_sample_weights=self.values.to(weight.dtype),
            include_last_offset=True,
        )

    def of_type(self, dtype: torch.dtype) -> "SparseRows":
        """The rows in the number format of what they are to be summed with."""
        if self.values.dtype == dtype:
            return self
        confidence = None if self.confidence is None else self.confidence.to(dtype)
        return SparseRows(self.offsets, self.indices, self.values.to(dtype), confidence=confidence)

    def columns(self, first: int, stop: int) -> "SparseRows":
        """Columns ``first:stop`` of the rows, numbered from 0."""
        inside = (self.indices >= first) & (self.indices < stop)
        before = torch.cat([inside.new_zeros(1, dtype=torch.int64), inside.cumsum(0)])
        return SparseRows(before[self.offsets], self.indices[inside] - first, self.values[inside])

    def squared_norms(self) -> Tensor:
        """Squared length of each row, (n,)."""
        total = self.values.new_zeros(len(self))
        return total.index_add_(0, self.row_of_entry(), self.values.square())

    def add_to(self, out: Tensor, first: int, scale: float) -> None:
        """Add ``scale`` times columns ``first : first + out.shape[1]`` of the rows to ``out`` (n, m) in place."""
        column = self.indices - first
        inside = (column >= 0) & (column < out.shape[1])
        # What lies outside adds 0 somewhere: picking out the rest would have a GPU tell its number to the host.
        at = (self.row_of_entry(), column.clamp(0, out.shape[1] - 1))
        out.index_put_(at, (scale * self.values * inside).to(out.dtype), accumulate=True)

    def excess(self) -> "SparseRows | None":
        """Return how much more than 1 each entry weighs in a loss; None where all weigh 1."""
        return None if self.confidence is None else SparseRows(self.offsets, self.indices, self.confidence - 1)

    def weigh_errors(self, block: Tensor, first: int) -> Tensor:
        """Multiply the entries' cells in columns ``first : first + m`` of ``block`` (n, m) by 1 + value, in place.

        Returns float32 (n,): what that adds to the sums of squares, each square weighed once.
        """
        column = self.indices - first
        inside = (column >= 0) & (column < block.shape[1])
        at = (self.row_of_entry(), column.clamp(0, block.shape[1] - 1))
        errors = block[at]
        added = self.values * inside * errors
        block.index_put_(at, added.to(block.dtype), accumulate=True)
        return self.values.new_zeros(len(self)).index_add_(0, at[0], added * errors)

    def transposed_product(self, weight: Tensor, out: Tensor) -> None:
        """Add the product of the transposed rows and ``weight`` (n, width) to ``out`` (columns, width) in place."""
        row = self.row_of_entry()
        for start in range(0, len(row), ENTRIES):
            part = slice(start, start + ENTRIES)
            out.index_add_(0, self.indices[part], self.values[part, None] * weight[row[part]])

    def scaled(self, factors: Tensor) -> "SparseRows":
        """Each row times its factor, (n,)."""
        return SparseRows(self.offsets, self.indices, self.values * factors[self.row_of_entry()])

    def to_dense(self, columns: int) -> Tensor:
        """The rows as float32 (n, columns)."""
        out = self.values.new_zeros(len(self), columns)
        self.add_to(out, 0, 1.0)
        return out

    def row_of_entry(self) -> Tensor:
        """The row of each entry, int64 (nnz,)."""
        rows = torch.arange(len(self), device=self.offsets.device)
        return rows.repeat_interleave(self.offsets.diff(), output_size=len(self.indices))


def _moved(values: Tensor, device: torch.device | str) -> Tensor:
    """The values on the device; a GPU fetches them from pinned memory while the host goes on."""
    if torch.device(device).type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
