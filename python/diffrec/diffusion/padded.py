"""Sparse vectors side by side in one array: what a traced graph can hold."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffrec.data.sparse_rows import SparseRows


@dataclass(frozen=True)
class PaddedRows(SparseRows):
    """Sparse rows of the same number of entries, the shorter ones filled up with zeros.

    They multiply as ``SparseRows`` do. Every shape follows from those of the arrays they are made of, never from their
    content, so that a graph traced with one batch holds for all others. An entry's row of weights is looked up before
    the sum: a product takes memory in proportion to rows x length x width.

    Parameters
    ----------
    rows, length : int
        How many there are, and how many entries each has.

    Examples
    --------
    >>> rows = PaddedRows.of(torch.tensor([[1, 0], [-1, -1]]), torch.tensor([[2.0, 3.0], [9.0, 9.0]]))
    >>> rows @ torch.tensor([[1.0, 0.0], [3.0, 5.0]])
    tensor([[ 9., 10.],
            [ 0.,  0.]])
    """

    rows: int
    length: int

    @classmethod
    def of(cls, columns: Tensor, values: Tensor) -> "PaddedRows":
        """Take int64 columns and float32 values, (n, length) each; where a column is below 0 there is nothing.

        A row has each column once.
        """
        n, length = columns.shape
        nothing = columns < 0
        return cls(
            torch.arange(n + 1, device=columns.device) * length,
            columns.clamp(min=0).reshape(-1),
            torch.where(nothing, 0.0, values).reshape(-1),
            n,
            length,
        )

    @property
    def padded_indices(self) -> Tensor:
        """The column of each entry, int64 (n, length)."""
        return self.indices.view(self.rows, self.length)

    @property
    def padded_values(self) -> Tensor:
        """The value of each entry, float32 (n, length)."""
        return self.values.view(self.rows, self.length)

    def __matmul__(self, weight: Tensor) -> Tensor:
        """Multiply by ``weight`` (columns, width); returns (n, width)."""
        looked_up = torch.nn.functional.embedding(self.padded_indices, weight)
        return (self.padded_values.unsqueeze(1) @ looked_up).squeeze(1)

    def columns(self, first: int, stop: int) -> "PaddedRows":
        """Columns ``first:stop`` of the rows, numbered from 0; what lies outside stays as a zero."""
        inside = (self.indices >= first) & (self.indices < stop)
        column = (self.indices - first).clamp(0, stop - first - 1)
        return replace(self, indices=column, values=self.values * inside)

    def squared_norms(self) -> Tensor:
        """Squared length of each row, (n,)."""
        return self.padded_values.square().sum(dim=1)

    def add_to(self, out: Tensor, first: int, scale: float) -> None:
        """Add ``scale`` times columns ``first : first + out.shape[1]`` of the rows to ``out`` (n, m) in place."""
        part = self.columns(first, first + out.shape[1])
        out.scatter_add_(1, part.padded_indices, (scale * part.padded_values).to(out.dtype))

    def scaled(self, factors: Tensor) -> "PaddedRows":
        """Each row times its factor, (n,)."""
        return replace(self, values=(self.padded_values * factors.unsqueeze(1)).reshape(-1))

    def row_of_entry(self) -> Tensor:
        """The row of each entry, int64 (n * length,)."""
        rows = torch.arange(self.rows, device=self.indices.device)
        return rows.unsqueeze(1).expand(self.rows, self.length).reshape(-1)
