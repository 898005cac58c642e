"""Linear maps from histories to items, in operations that a graph has."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diffrec.anchors import LinearMap
from diffrec.data import Csr, owners_of
from diffrec.diffusion import PaddedRows


class GraphMap:
    """``rows @ B`` for a ``LinearMap`` B.

    Parameters
    ----------
    linear : LinearMap
        B, (features, items).

    Examples
    --------
    >>> one_to_one = GraphMap(LinearMap(direct=np.eye(2, dtype=np.float32)))
    >>> one_to_one(PaddedRows.of(torch.tensor([[1, -1]]), torch.tensor([[3.0, 0.0]])))
    tensor([[0., 3.]])
    """

    def __init__(self, linear: LinearMap) -> None:
        self._n_items = linear.n_items
        self._low_rank = None
        if linear.left is not None and linear.right is not None:
            right = linear.right if isinstance(linear.right, np.ndarray) else linear.right.toarray()
            self._low_rank = torch.from_numpy(linear.left), torch.from_numpy(right)
        self._dense, self._neighbors = None, None
        if isinstance(linear.direct, np.ndarray):
            self._dense = torch.from_numpy(linear.direct)
        elif linear.direct is not None:
            most = int(np.diff(linear.direct.indptr).max(initial=0))
            # A neighbour takes twice what an entry of a dense matrix does.
            if 2 * most >= self._n_items:
                self._dense = torch.from_numpy(linear.direct.toarray())
            else:
                self._neighbors = tuple(map(torch.from_numpy, _side_by_side(linear.direct, most)))

    def __call__(self, rows: PaddedRows) -> Tensor:
        """Multiply n rows over the features; returns (n, items)."""
        parts = []
        if self._low_rank is not None:
            left, right = self._low_rank
            parts.append(functional.linear(rows @ left, right))
        if self._dense is not None:
            parts.append(rows @ self._dense)
        if self._neighbors is not None:
            columns, weights = (functional.embedding(rows.padded_indices, part) for part in self._neighbors)
            added = rows.padded_values.unsqueeze(2) * weights
            out = added.new_zeros(rows.rows, self._n_items)
            parts.append(out.scatter_add(1, columns.flatten(1).long(), added.flatten(1)))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _side_by_side(matrix: Csr, most: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Columns and values of each row's entries, (rows, most), filled up with weights of 0 for the first column."""
    row = owners_of(matrix)
    place = np.arange(matrix.nnz) - matrix.indptr[row]
    columns = np.zeros((matrix.shape[0], most), dtype=np.int32)
    values = np.zeros(columns.shape, dtype=np.float32)
    columns[row, place], values[row, place] = matrix.indices, matrix.data
    return columns, values
