"""A matrix from features to items, kept as what it is cheapest to multiply by."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from diffrec.data import Csr, csr_arrays
from diffrec.ranking import AddedScores, LinearScores, Scores, SparseScores

_PARTS = ("indptr", "indices", "data")


@dataclass(frozen=True)
class LinearMap:
    """B = ``direct + left @ right.T``; a part may be absent.

    Parameters
    ----------
    direct : scipy.sparse CSR or ndarray, optional
        float32 (features, items), with sorted indices if sparse.
    left : ndarray, optional
        float32 (features, rank).
    right : ndarray, optional
        float32 (items, rank).

    Examples
    --------
    >>> one = np.ones((2, 1), dtype=np.float32)
    >>> rows = sparse.csr_array(np.array([[1, 2]], dtype=np.float32))
    >>> LinearMap(direct=np.eye(2, dtype=np.float32), left=one, right=one).scores(rows).block(0, 2)
    tensor([[4., 5.]])
    """

    direct: "Csr | NDArray[np.float32] | None" = None
    left: NDArray[np.float32] | None = None
    right: NDArray[np.float32] | None = None

    def scores(self, rows: Csr) -> Scores:
        """``rows @ B`` for float32 (n, features) rows, a block of items at a time."""
        direct = None if self.direct is None else SparseScores(rows, self.direct)
        if self.left is None or self.right is None:
            assert direct is not None
            return direct
        low_rank = LinearScores(torch.from_numpy(rows @ self.left), torch.from_numpy(self.right))
        return low_rank if direct is None else AddedScores(low_rank, direct)

    @property
    def n_items(self) -> int:
        """Number of items it maps to."""
        part = self.direct if self.right is None else self.right.T
        assert part is not None
        return int(part.shape[1])

    def between(self, features: NDArray[np.integer], items: NDArray[np.integer]) -> NDArray[np.float32]:
        """The weights from some features to some items, (features, items)."""
        weights = np.zeros((len(features), len(items)), dtype=np.float32)
        if self.direct is not None:
            direct = self.direct[features][:, items]
            weights += direct if isinstance(direct, np.ndarray) else direct.toarray()
        if self.left is not None and self.right is not None:
            weights += self.left[features] @ self.right[items].T
        return weights

    def state(self) -> dict[str, Tensor]:
        """The matrix as named tensors, for a file."""
        state = {name: torch.from_numpy(a) for name, a in (("left", self.left), ("right", self.right)) if a is not None}
        if isinstance(self.direct, np.ndarray):
            state["direct"] = torch.from_numpy(self.direct)
        elif self.direct is not None:
            arrays = zip(_PARTS, csr_arrays(self.direct), strict=True)
            state |= {f"direct.{name}": torch.from_numpy(array) for name, array in arrays}
            state["direct.shape"] = torch.tensor(self.direct.shape)
        return state

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "LinearMap":
        """Read back what ``state`` gave."""
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        direct: Csr | NDArray[np.float32] | None = arrays.get("direct")
        if "direct.data" in arrays:
            indptr, indices, data = (arrays[f"direct.{name}"] for name in _PARTS)
            direct = sparse.csr_array((data, indices, indptr), shape=tuple(arrays["direct.shape"].tolist()))
        return cls(direct, arrays.get("left"), arrays.get("right"))
