"""Ridge regression from features of a history to items, exact where that fits and close to it where it does not."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from diffrec import _core
from diffrec.anchors import in_steps
from diffrec.anchors.linear_map import LinearMap
from diffrec.data import Csr, csr_arrays, rows_times
from diffrec.training import require_memory

# Up to so many features the equations are solved exactly: a few GB, and minutes on a few cores.
EXACT = 20_000
# Steps of the randomized SVD's power iteration, and the vectors it carries beyond the rank.
_POWER_STEPS, _OVERSAMPLING = 3, 32


class Ridge(ABC):
    """B that minimises ``|W (A B - Y)|^2 + lambda |D^b B|^2``, for one lambda after the other.

    Rows of A (n, features) are what is known of a history, rows of Y (n, items) what is to be predicted; W weighs the
    rows. D holds the energy of each feature, the squared length of its column in W A, as a multiple of the mean: with
    ``damping`` b above 0 features that are rarely seen are held back less, the popular ones more. lambda is a multiple
    of the mean energy, ``strength``, so that the same value suits large and small data.

    With A = Y this is the ridge form of EASE (Steck, WWW 2019, arXiv 1905.03375) with its diagonal: what an item says
    for itself changes nothing where seen items are left out.

    ``Ridge.of`` chooses between three ways to solve it.
    """

    @staticmethod
    def of(
        pairs: Sequence[tuple[Csr, Csr]],
        *,
        damping: float = 0.0,
        row_damping: float = 0.0,
        rank: int = 128,
        neighbors: int = 200,
        exact: int = EXACT,
        seed: int = 0,
    ) -> "Ridge":
        """Prepare the equations.

        Parameters
        ----------
        pairs : sequence of (CSR, CSR)
            float32 A (n, features) and Y (n, items), in pieces that are stacked. They are the same object where a
            history predicts itself.
        damping : float
            b, from 0 (every feature alike) to 0.5 (in proportion to its energy).
        row_damping : float
            A row of n entries weighs ``n ** -row_damping`` in A and Y.
        rank : int
            Singular vectors kept by the approximation.
        neighbors : int
            Entries kept for each feature by the approximation.
        exact : int
            Solve exactly with at most so many features, or with few enough rows that a map from the features to them
            is no larger than one between so many features.
        seed : int
            Of the approximation's random vectors.

        Returns
        -------
        Ridge

        Raises
        ------
        MemoryError
            When the equations do not fit into memory.
        """
        rows = sum(before.shape[0] for before, _ in pairs)
        features, items = pairs[0][0].shape[1], pairs[0][1].shape[1]
        pairs = [_weighted(before, after, row_damping) for before, after in pairs]
        energy = np.zeros(features)
        for before, _ in pairs:
            energy += np.bincount(before.indices, weights=before.data.astype(np.float64) ** 2, minlength=features)
        mean = energy.mean() if energy.any() else 1.0
        scale = (np.maximum(energy, energy[energy > 0].min(initial=mean)) / mean) ** -damping
        mean_energy = float((energy * scale**2).mean()) or 1.0
        scale = scale.astype(np.float32)
        if rows < features and rows * features <= exact**2:
            return _Dual(*_stacked(pairs), scale, mean_energy)
        if features <= exact:
            require_memory(
                4 * features * (2 * features + 2 * items),
                f"an exact anchor from {features:,} features to {items:,} items",
                "a smaller anchor_exact approximates it",
            )
            return _Primal(pairs, scale, mean_energy)
        return _LowRank(*_stacked(pairs), scale, mean_energy, rank, neighbors, seed)

    @abstractmethod
    def solve(self, strength: float) -> LinearMap:
        """B for lambda = ``strength`` times the mean energy of a feature.

        Raises
        ------
        ValueError
            When lambda is so small that the equations cannot be solved in single precision.
        """


class _Primal(Ridge):
    """Exact, by the Gram matrix of the features: ``B = S (S A'A S + lambda I)^-1 S A'Y`` with S = D^-b."""

    def __init__(self, pairs: Sequence[tuple[Csr, Csr]], scale: NDArray[np.float32], mean_energy: float) -> None:
        self._scale, self._mean_energy = torch.from_numpy(scale), mean_energy
        self._itself = all(before is after for before, after in pairs)
        features, items = pairs[0][0].shape[1], pairs[0][1].shape[1]
        self._gram = torch.zeros(features, features)
        self._cross = self._gram if self._itself else torch.zeros(features, items)
        for before, after in pairs:
            by_feature = sparse.csr_array(before.T)
            _add_product(by_feature, before, self._gram)
            if not self._itself:
                _add_product(by_feature, after, self._cross)
        self._gram *= self._scale[:, None] * self._scale

    def solve(self, strength: float) -> LinearMap:
        weight = strength * self._mean_energy
        factor = self._gram.clone()
        factor.diagonal().add_(weight)
        _factor(factor, strength)
        if self._itself:
            # (G + lambda I)^-1 G = I - lambda (G + lambda I)^-1: an inverse is a third of the work of solving.
            b = in_steps.inverse(factor).mul_(-weight)
            b.diagonal().add_(1.0)
            b /= self._scale
        else:
            b = self._scale[:, None] * self._cross
            in_steps.solve(factor, b)
        b *= self._scale[:, None]
        return LinearMap(direct=np.ascontiguousarray(b.numpy()))


class _Dual(Ridge):
    """Exact, by the products of the rows: ``B = S (A S)' (A S S A' + lambda I)^-1 Y``, of rank at most the rows."""

    def __init__(self, before: Csr, after: Csr, scale: NDArray[np.float32], mean_energy: float) -> None:
        self._scale, self._mean_energy = scale, mean_energy
        self._scaled = _columns_times(before, scale)
        self._by_item = sparse.csr_array(after.T)
        rows = before.shape[0]
        self._products = torch.zeros(rows, rows)
        _add_product(self._scaled, sparse.csr_array(self._scaled.T), self._products)

    def solve(self, strength: float) -> LinearMap:
        factor = self._products.clone()
        factor.diagonal().add_(strength * self._mean_energy)
        _factor(factor, strength)
        left = self._scale[:, None] * _times(sparse.csr_array(self._scaled.T), in_steps.inverse(factor).numpy())
        # The factor of the items stays as sparse as Y is, which costs a fraction of a dense one to keep and to rank by.
        return LinearMap(left=np.ascontiguousarray(left), right=self._by_item)


class _LowRank(Ridge):
    """Close to it: exact in the leading singular vectors of A S, to first order in all others.

    With A S = U Sigma V', the inverse of ``S A'A S + lambda I`` is 1 / (sigma^2 + lambda) along V. For the many small
    singular values that is nearly a constant 1 / tau, with tau = lambda + sigma_rank^2 / 2, so that
    ``B = S (V (1 / (Sigma^2 + lambda) - 1 / tau) V' + I / tau) S A'Y``: a matrix of low rank, and the sparse A'Y, of
    which the largest entries of each row are kept. On the sets it was tried on it ranks as well as the exact map.
    """

    def __init__(
        self,
        before: Csr,
        after: Csr,
        scale: NDArray[np.float32],
        mean_energy: float,
        rank: int,
        neighbors: int,
        seed: int,
    ) -> None:
        self._scale, self._mean_energy = scale, mean_energy
        scaled = _columns_times(before, scale)
        self._vectors, singular = _leading(scaled, min(rank, *scaled.shape), seed)
        self._squares = singular.astype(np.float64) ** 2
        self._right = _times(sparse.csr_array(after.T), _times(scaled, self._vectors))
        largest = _largest_products(scaled, after, neighbors)
        largest.data *= np.repeat(scale, np.diff(largest.indptr))
        self._largest = largest

    def solve(self, strength: float) -> LinearMap:
        weight = strength * self._mean_energy
        tail = weight + self._squares[-1] / 2
        gain = (1 / (self._squares + weight) - 1 / tail).astype(np.float32)
        direct = self._largest.copy()
        direct.data *= np.float32(1 / tail)
        return LinearMap(direct, self._scale[:, None] * self._vectors * gain, self._right)


def _weighted(before: Csr, after: Csr, row_damping: float) -> tuple[Csr, Csr]:
    if row_damping == 0:
        return before, after
    lengths = np.maximum(np.diff(before.indptr), 1)
    weights = lengths.astype(np.float32) ** -row_damping
    weighted = rows_times(before, weights)
    return weighted, weighted if before is after else rows_times(after, weights)


def _columns_times(matrix: Csr, factors: NDArray[np.float32]) -> Csr:
    return sparse.csr_array((matrix.data * factors[matrix.indices], matrix.indices, matrix.indptr), shape=matrix.shape)


def _stacked(pairs: Sequence[tuple[Csr, Csr]]) -> tuple[Csr, Csr]:
    if len(pairs) == 1:
        return pairs[0]
    befores, afters = zip(*pairs, strict=True)
    return sparse.csr_array(sparse.vstack(befores)), sparse.csr_array(sparse.vstack(afters))


def _add_product(left: Csr, right: Csr, out: Tensor, block: int = 1024) -> None:
    """Add ``left @ right`` to ``out`` in place, never holding more of it than a few rows besides."""
    for start in range(0, left.shape[0], block):
        out[start : start + block] += torch.from_numpy((left[start : start + block] @ right).toarray())


def _factor(matrix: Tensor, strength: float) -> None:
    if not in_steps.factor(matrix):
        raise ValueError(f"anchor_l2={strength:g} is too small: the anchor's equations are singular in float32")


def _times(matrix: Csr, dense: NDArray[np.float32], multiplications: int = 1 << 28) -> NDArray[np.float32]:
    """``matrix @ dense``, some rows at a time: a signal is heard in between."""
    out = np.empty((matrix.shape[0], dense.shape[1]), dtype=np.float32)
    ends = np.searchsorted(matrix.indptr, np.arange(0, matrix.nnz, max(1, multiplications // max(1, dense.shape[1]))))
    bounds = np.unique([0, *ends, matrix.shape[0]])
    for start, stop in itertools.pairwise(bounds.tolist()):
        out[start:stop] = matrix[start:stop] @ dense
    return out


def _leading(matrix: Csr, rank: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Leading right singular vectors (features, rank) and values (Halko, Martinsson & Tropp 2011, algorithm 4.4)."""
    width = min(rank + _OVERSAMPLING, *matrix.shape)
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], width), dtype=np.float32)
    transposed = sparse.csr_array(matrix.T)
    basis = torch.from_numpy(start)
    for _ in range(_POWER_STEPS):
        rows = torch.linalg.qr(torch.from_numpy(_times(matrix, basis.numpy()))).Q
        image = torch.from_numpy(_times(transposed, rows.numpy()))
        basis = torch.linalg.qr(image).Q
    # The image's left singular vectors: from its small factor, since (features, width) itself is large.
    vectors, singular, _ = torch.linalg.svd(basis.T @ image, full_matrices=False)
    return np.ascontiguousarray((basis @ vectors)[:, :rank].numpy()), singular[:rank].numpy()


def _largest_products(before: Csr, after: Csr, keep: int) -> Csr:
    """The largest entries of each row of ``before.T @ after``, (features, items)."""
    features, items = before.shape[1], after.shape[1]
    # One pattern with the columns of both: the features have only left values, the items only right ones.
    both = sparse.csr_array(sparse.hstack([before, after]))
    is_feature = both.indices < features
    indptr, indices, data = csr_arrays(both)
    matrix, right = (indptr, indices, np.where(is_feature, data, 0)), np.where(is_feature, 0, data)
    starts, columns, values = _core.nearest_items(matrix, right, features + items, keep, itself=True)
    end = starts[features]
    columns = columns[:end] - features
    return sparse.csr_array((values[:end], columns, starts[: features + 1]), shape=(features, items))
