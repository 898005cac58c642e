"""A matrix from features to items, kept as what it is cheapest to multiply by."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec.data import Csr, csr_arrays
from diffrec.data.stored import Stored
from diffrec.ranking import AddedScores, LinearScores, Scores, SparseItemScores, SparseScores

_FACTORS, _PARTS = ("direct", "left", "right"), ("indptr", "indices", "data")


@dataclass(frozen=True)
class LinearMap:
    """B = ``direct + left @ right.T``; a part may be absent.

    Parameters
    ----------
    direct : scipy.sparse CSR or ndarray, optional
        float32 (features, items), with sorted indices if sparse.
    left : ndarray, optional
        float32 (features, rank).
    right : scipy.sparse CSR or ndarray, optional
        float32 (items, rank).

    Examples
    --------
    >>> from scipy import sparse
    >>> one = np.ones((2, 1), dtype=np.float32)
    >>> rows = sparse.csr_array(np.array([[1, 2]], dtype=np.float32))
    >>> LinearMap(direct=np.eye(2, dtype=np.float32), left=one, right=one).scores(rows).block(0, 2)
    tensor([[4., 5.]])
    """

    direct: "Csr | NDArray[np.float32] | None" = None
    left: NDArray[np.float32] | None = None
    right: "Csr | NDArray[np.float32] | None" = None

    def scores(self, rows: Csr) -> Scores:
        """``rows @ B`` for float32 (n, features) rows, a block of items at a time.

        What rows have in columns beyond the features is for others.
        """
        if rows.shape[1] > self.n_features:
            rows = rows[:, : self.n_features]
        direct = None if self.direct is None else SparseScores(rows, self.direct)
        if self.left is None or self.right is None:
            assert direct is not None
            return direct
        low_rank: Scores
        if isinstance(self.right, np.ndarray):
            low_rank = LinearScores(torch.from_numpy(rows @ self.left), torch.from_numpy(self.right))
        else:
            low_rank = SparseItemScores(rows @ self.left, self.right)
        return low_rank if direct is None else AddedScores(low_rank, direct)

    @property
    def n_items(self) -> int:
        """Number of items it maps to."""
        part = self.direct if self.right is None else self.right.T
        assert part is not None
        return int(part.shape[1])

    @property
    def n_features(self) -> int:
        """Number of features it maps from."""
        part = self.direct if self.left is None else self.left
        assert part is not None
        return int(part.shape[0])

    def between(self, features: NDArray[np.integer], items: NDArray[np.integer]) -> NDArray[np.float32]:
        """The weights from some features to some items, (features, items); 0 from columns beyond the features."""
        weights = np.zeros((len(features), len(items)), dtype=np.float32)
        own = features < self.n_features
        if self.direct is not None:
            direct = self.direct[features[own]][:, items]
            weights[own] += direct if isinstance(direct, np.ndarray) else direct.toarray()
        if self.left is not None and self.right is not None:
            weights[own] += (self.right[items] @ self.left[features[own]].T).T
        return weights

    def state(self) -> dict[str, Tensor]:
        """The matrix as named tensors, for a file."""
        state: dict[str, Tensor] = {}
        for name in _FACTORS:
            factor = getattr(self, name)
            if isinstance(factor, np.ndarray):
                state[name] = torch.from_numpy(factor)
            elif factor is not None:
                arrays = zip(_PARTS, csr_arrays(factor), strict=True)
                state |= {f"{name}.{part}": torch.from_numpy(array) for part, array in arrays}
                state[f"{name}.shape"] = torch.tensor(factor.shape)
        return state

    @classmethod
    def from_state(cls, state: Stored, features: int, items: int) -> "LinearMap":
        """Read back what ``state`` gave: a map between so many features and items."""

        def factor(name: str, rows: int, columns: int | None) -> "Csr | NDArray[np.float32] | None":
            if f"{name}.shape" not in state:
                return state.weights(name, (rows, columns)) if name in state else None
            shape: tuple[int, int] = tuple(state.take(f"{name}.shape", (2,), np.int64, low=0).tolist())
            if shape[0] != rows or columns not in (None, shape[1]):
                raise ValueError(f"'{name}.shape' is {shape}, expected {(rows, columns)}")
            return state.within(name).csr(shape)

        left = state.weights("left", (features, None)) if "left" in state else None
        right = None if left is None else factor("right", items, left.shape[1])
        direct = factor("direct", features, items)
        if direct is None and right is None:
            raise ValueError("lacks 'direct', or 'left' and 'right'")
        return cls(direct, left, right)
