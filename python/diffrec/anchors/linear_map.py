"""A matrix from features to items, kept as what it is cheapest to multiply by."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from diffrec.data import Csr, columns_of, csr_arrays
from diffrec.data.stored import Stored
from diffrec.diffusion import Part, Whole
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
    part : Part, optional
        The items that are here, where other processes hold others of the map: their columns of ``direct``, their rows
        of ``right``, and of ``left`` the rows of their features, which are views of all items side by side.
    views : int
        How many of these.

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
    part: Part | None = None
    views: int = 1

    def scores(self, rows: Csr) -> Scores:
        """``rows @ B`` for float32 (n, features) rows, a block of items at a time; of the items that are here.

        What rows have in columns beyond the features is for others.
        """
        if rows.shape[1] > self.n_features:
            rows = rows[:, : self.n_features]
        direct = None if self.direct is None else SparseScores(rows, self.direct)
        if self.left is None or self.right is None:
            assert direct is not None
            return direct
        if self.part is not None:
            rows = columns_of(rows, self.part.items, self.part.first, self.part.size)
        projected = torch.from_numpy(rows @ self.left)
        if self.part is not None:
            self.part.add(projected)
        low_rank: Scores
        if isinstance(self.right, np.ndarray):
            low_rank = LinearScores(projected, torch.from_numpy(self.right))
        else:
            low_rank = SparseItemScores(projected.numpy(), self.right)
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
        if self.part is not None:
            return self.views * self.part.items
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
        """The matrix as named tensors, for a file; of a part of it each says which rows or columns are here."""
        state: dict[str, Tensor] = {}
        part, views = self.part or Whole(self.n_items), {"left": self.views}
        for name in _FACTORS:
            factor = getattr(self, name)
            if isinstance(factor, np.ndarray):
                state[name] = torch.from_numpy(factor)
                part.hold(state[name], views.get(name, 1), axis=int(name == "direct"))
            elif factor is not None:
                factor = self._among_all(name, factor)
                arrays = dict(zip(_PARTS, map(torch.from_numpy, csr_arrays(factor)), strict=True))
                part.hold_entries(*arrays.values())
                state |= {f"{name}.{part}": array for part, array in arrays.items()}
                state[f"{name}.shape"] = torch.tensor(factor.shape)
        return state

    def _among_all(self, name: str, own: Csr) -> Csr:
        """Number the rows or the columns of a sparse part as those of all items."""
        if self.part is None:
            return own
        first, size, items = self.part.first, self.part.size, self.part.items
        if name == "direct":
            return sparse.csr_array((own.data, own.indices + first, own.indptr), shape=(own.shape[0], items))
        ends = np.pad(own.indptr, (first, items - first - size), mode="edge")
        return sparse.csr_array((own.data, own.indices, ends), shape=(items, own.shape[1]))

    @classmethod
    def from_state(cls, state: Stored, features: int, items: int, part: Part | None = None) -> "LinearMap":
        """Read back what ``state`` gave: a map between so many features and items, or what a part holds of it."""

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
        whole = cls(direct, left, right)
        return whole if part is None else whole.of_part(part)

    def of_part(self, part: Part) -> "LinearMap":
        """Return what a part of the items holds of the whole map, or the map where it is a part already."""
        if self.part is not None or not part.spread:
            return self
        own, views = slice(part.first, part.first + part.size), self.n_features // max(part.items, 1)
        direct = self.direct
        if isinstance(direct, np.ndarray):
            direct = np.ascontiguousarray(direct[:, own])
        elif direct is not None:
            direct = columns_of(direct, part.items, part.first, part.size)
        left = None if self.left is None else self.left.reshape(views, part.items, -1)[:, own]
        return LinearMap(
            direct,
            None if left is None else left.reshape(views * part.size, left.shape[2]).copy(),
            None if self.right is None else self.right[own].copy(),
            part,
            views,
        )
