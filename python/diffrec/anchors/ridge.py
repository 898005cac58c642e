"""Ridge regression from features of a history to items, exact where that fits and close to it where it does not."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from diffrec import _core
from diffrec.anchors import in_steps
from diffrec.anchors.linear_map import LinearMap
from diffrec.data import Csr, columns_of, csr_arrays, owners_of, rows_times
from diffrec.diffusion import Part, Whole
from diffrec.training import require_memory

# Up to so many features the equations are solved exactly: a few GB, and minutes on a few cores.
EXACT = 20_000
# Steps of the randomized SVD's power iteration, and the vectors it carries beyond the rank.
_POWER_STEPS, _OVERSAMPLING = 3, 32
# Of the largest squared length what counts as none.
_NOTHING = 1e-13
# Rows of a tall matrix that are multiplied in float64 at once.
_ROWS = 4096
# Entries of the approximation's sparse part that are made at once.
_AT_ONCE = 1 << 27
# Rows of a sparse product that are held beside the whole at once.
_BLOCK = 1024
# Multiplications between two moments at which a signal is heard.
_MULTIPLICATIONS = 1 << 28


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
        part: Part | None = None,
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
        part : Part, optional
            The items whose columns of B are wanted here; by default all. The features are then views of the items side
            by side. Other parts are handed the same pairs and solve for the other items: Gram matrices are made in
            parts and added up.

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
        own = _Columns(part, features, items)
        pairs = [_weighted(before, after, row_damping) for before, after in pairs]
        energy = np.zeros(features)
        for before, _ in pairs:
            energy += np.bincount(before.indices, weights=before.data.astype(np.float64) ** 2, minlength=features)
        mean = energy.mean() if energy.any() else 1.0
        scale = (np.maximum(energy, energy[energy > 0].min(initial=mean)) / mean) ** -damping
        mean_energy = float((energy * scale**2).mean()) or 1.0
        scale = scale.astype(pairs[0][0].dtype)
        by_rows = _by_rows(rows, features, exact)
        low_rank = not by_rows and features > exact
        require_memory(
            memory_of(rows, features, own.size, rank=rank, neighbors=neighbors, exact=exact),
            f"an {'approximate' if low_rank else 'exact'} anchor from {features:,} features to {own.size:,} items",
            "a smaller anchor_rank or anchor_neighbors takes less"
            if low_rank
            else "a smaller anchor_exact approximates it",
        )
        if low_rank:
            return _LowRank(*_stacked(pairs), scale, mean_energy, own, rank, neighbors, seed)
        return _Dual(*_stacked(pairs), scale, mean_energy, own) if by_rows else _Primal(pairs, scale, mean_energy, own)

    @abstractmethod
    def solve(self, strength: float) -> LinearMap:
        """B for lambda = ``strength`` times the mean energy of a feature.

        Raises
        ------
        ValueError
            When lambda is so small that the equations cannot be solved in single precision.
        """


def memory_of(rows: int, features: int, items: int, *, rank: int, neighbors: int, exact: int) -> int:
    """Bytes of a map and of what it is solved from, alive for a moment, by the way that ``Ridge.of`` goes."""
    if _by_rows(rows, features, exact):
        return 4 * rows * (3 * rows + 2 * features)
    if features <= exact:
        return 4 * features * (2 * features + 2 * items)
    # Measured with 100,000 features: bases before and after a step, and copies of the rest; with more rows, theirs.
    bases = max(4 * features + items, 3 * rows + 2 * features)
    return 4 * ((rank + _OVERSAMPLING) * bases + 5 * neighbors * features)


def _by_rows(rows: int, features: int, exact: int) -> bool:
    """Whether a map from the features to the rows is the smaller one, and no larger than one that is solved exactly."""
    return rows < features and rows * features <= exact**2


class _Columns:
    """Columns of A and of Y that a part of the items has, and how sums over them become sums over all."""

    def __init__(self, part: Part | None, features: int, items: int) -> None:
        self.spread = part if part is not None and part.spread else None
        self.part: Part = part or Whole(items)
        self.size = self.part.size
        self.views = features // max(items, 1)
        # Which features are here, where some are not.
        self.features: Any = slice(None)
        if part is not None and part.spread:
            one = np.arange(part.first, part.first + part.size)
            self.features = np.concatenate([view * items + one for view in range(self.views)])

    def of(self, matrix: Csr) -> Csr:
        """The columns of a matrix over features or items that are here."""
        part = self.spread
        return matrix if part is None else columns_of(matrix, part.items, part.first, part.size)

    def diagonal(self, features: int) -> tuple[Tensor, Tensor]:
        """Rows and columns of the diagonal's cells among the columns (features, ...) that are here."""
        rows = torch.arange(features)[self.features]
        return rows, torch.arange(len(rows))

    def map(self, direct: Any = None, left: Any = None, right: Any = None) -> LinearMap:
        """The part's map."""
        return LinearMap(direct, left, right, self.spread, 1 if self.spread is None else self.views)


class _Primal(Ridge):
    """Exact, by the Gram matrix of the features: ``B = S (S A'A S + lambda I)^-1 S A'Y`` with S = D^-b."""

    def __init__(
        self, pairs: Sequence[tuple[Csr, Csr]], scale: NDArray[np.floating], mean_energy: float, own: _Columns
    ) -> None:
        self._scale, self._mean_energy, self._own = torch.from_numpy(scale), mean_energy, own
        self._itself = all(before is after for before, after in pairs)
        features = len(scale)
        self._gram = self._scale.new_zeros(features, features)
        # Each part makes its own features' columns.
        columns = self._gram if own.spread is None else self._gram.new_zeros(features, len(own.features))
        self._cross = None if self._itself else self._gram.new_zeros(features, own.size)
        for before, after in pairs:
            by_feature = sparse.csr_array(before.T)
            _add_product(by_feature, own.of(before), columns)
            if self._cross is not None:
                _add_product(by_feature, own.of(after), self._cross)
        if own.spread is not None:
            self._gram[:, own.features] = columns
        own.part.add(self._gram)
        self._gram *= self._scale[:, None] * self._scale

    def solve(self, strength: float) -> LinearMap:
        weight = strength * self._mean_energy
        factor = self._gram.clone()
        factor.diagonal().add_(weight)
        _factor(factor, strength)
        if self._cross is None:
            # (G + lambda I)^-1 G = I - lambda (G + lambda I)^-1: an inverse is a third of the work of solving.
            b = self._inverse(factor).mul_(-weight)
            b[self._own.diagonal(len(factor))] += 1.0
            b /= self._scale[self._own.features]
        else:
            b = self._scale[:, None] * self._cross
            in_steps.solve(factor, b)
        b *= self._scale[:, None]
        return self._own.map(direct=np.ascontiguousarray(b.numpy()))

    def _inverse(self, factor: Tensor) -> Tensor:
        """The columns of the inverse that are here."""
        own = self._own
        if own.spread is None:
            return in_steps.inverse(factor)
        columns = factor.new_zeros(len(factor), len(own.features))
        columns[own.diagonal(len(factor))] = 1.0
        in_steps.solve(factor, columns)
        return columns


class _Dual(Ridge):
    """Exact, by the products of the rows: ``B = S (A S)' (A S S A' + lambda I)^-1 Y``, of rank at most the rows."""

    def __init__(self, before: Csr, after: Csr, scale: NDArray[np.floating], mean_energy: float, own: _Columns) -> None:
        self._scale, self._mean_energy, self._own = scale[own.features], mean_energy, own
        self._scaled = _columns_times(own.of(before), self._scale)
        self._by_item = sparse.csr_array(own.of(after).T)
        rows = before.shape[0]
        self._products = torch.from_numpy(scale).new_zeros(rows, rows)
        _add_product(self._scaled, sparse.csr_array(self._scaled.T), self._products)
        own.part.add(self._products)

    def solve(self, strength: float) -> LinearMap:
        factor = self._products.clone()
        factor.diagonal().add_(strength * self._mean_energy)
        _factor(factor, strength)
        left = self._scale[:, None] * _times(sparse.csr_array(self._scaled.T), in_steps.inverse(factor).numpy())
        # The factor of the items stays as sparse as Y is, which costs a fraction of a dense one to keep and to rank by.
        return self._own.map(left=np.ascontiguousarray(left), right=self._by_item)


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
        scale: NDArray[np.floating],
        mean_energy: float,
        own: _Columns,
        rank: int,
        neighbors: int,
        seed: int,
    ) -> None:
        self._scale, self._mean_energy, self._own = scale[own.features], mean_energy, own
        all_scaled, after = _columns_times(before, scale), own.of(after)
        scaled = own.of(all_scaled)
        self._vectors, singular = _leading(scaled, min(rank, *before.shape), own, len(scale), seed)
        self._squares = singular.astype(np.float64) ** 2
        self._right = _times(sparse.csr_array(after.T), _summed(_times(scaled, self._vectors), own).numpy())
        largest = _largest_products(all_scaled, after, neighbors, own)
        largest.data *= np.repeat(scale, np.diff(largest.indptr)).astype(np.float32)
        self._largest = largest

    def solve(self, strength: float) -> LinearMap:
        weight = strength * self._mean_energy
        tail = weight + self._squares[-1] / 2
        gain = (1 / (self._squares + weight) - 1 / tail).astype(self._vectors.dtype)
        direct = self._largest.copy()
        direct.data *= np.float32(1 / tail)
        return self._own.map(direct, self._scale[:, None] * self._vectors * gain, self._right)


def _weighted(before: Csr, after: Csr, row_damping: float) -> tuple[Csr, Csr]:
    if row_damping == 0:
        return before, after
    lengths = np.maximum(np.diff(before.indptr), 1)
    weights = lengths.astype(before.dtype) ** -row_damping
    weighted = rows_times(before, weights)
    return weighted, weighted if before is after else rows_times(after, weights)


def _columns_times(matrix: Csr, factors: NDArray[np.floating]) -> Csr:
    return sparse.csr_array((matrix.data * factors[matrix.indices], matrix.indices, matrix.indptr), shape=matrix.shape)


def _stacked(pairs: Sequence[tuple[Csr, Csr]]) -> tuple[Csr, Csr]:
    if len(pairs) == 1:
        return pairs[0]
    befores, afters = zip(*pairs, strict=True)
    return sparse.csr_array(sparse.vstack(befores)), sparse.csr_array(sparse.vstack(afters))


def _add_product(left: Csr, right: Csr, out: Tensor) -> None:
    """Add ``left @ right`` to ``out`` in place, never holding more of it than a few rows besides."""
    for start in range(0, left.shape[0], _BLOCK):
        out[start : start + _BLOCK] += torch.from_numpy((left[start : start + _BLOCK] @ right).toarray())


def _factor(matrix: Tensor, strength: float) -> None:
    if not in_steps.factor(matrix):
        raise ValueError(f"anchor_l2={strength:g} is too small: the anchor's equations are singular in float32")


def _times(matrix: Csr, dense: NDArray[np.floating]) -> NDArray[np.floating]:
    """``matrix @ dense``, some rows at a time: a signal is heard in between."""
    out = np.empty((matrix.shape[0], dense.shape[1]), dtype=dense.dtype)
    ends = np.searchsorted(matrix.indptr, np.arange(0, matrix.nnz, max(1, _MULTIPLICATIONS // max(1, dense.shape[1]))))
    bounds = np.unique([0, *ends, matrix.shape[0]])
    for start, stop in itertools.pairwise(bounds.tolist()):
        out[start:stop] = matrix[start:stop] @ dense
    return out


def _summed(products: NDArray[np.floating], own: _Columns) -> Tensor:
    """Products over the features that are here, completed by those of the others."""
    total = torch.from_numpy(products)
    own.part.add(total)
    return total


def _leading(
    matrix: Csr, rank: int, own: _Columns, features: int, seed: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Leading right singular vectors (features, rank) and values (Halko, Martinsson & Tropp 2011, algorithm 4.4).

    ``matrix`` has the columns that are here, and so the vectors their rows; what is as long as the rows of the matrix
    is the same everywhere.
    """
    width = min(rank + _OVERSAMPLING, matrix.shape[0], features)
    start = np.random.default_rng(seed).standard_normal((features, width), dtype=np.float32)[own.features]
    transposed = sparse.csr_array(matrix.T)
    basis = torch.from_numpy(start.astype(matrix.dtype, copy=False))
    del start
    for _ in range(_POWER_STEPS):
        rows = torch.linalg.qr(_summed(_times(matrix, basis.numpy()), own)).Q
        image = torch.from_numpy(_times(transposed, rows.numpy()))
        basis = _orthonormal(image, own)
    # The image's left singular vectors: from its small factor, since (features, width) itself is large.
    small = basis.T @ image
    own.part.add(small)
    vectors, singular, _ = torch.linalg.svd(small, full_matrices=False)
    return np.ascontiguousarray((basis @ vectors)[:, :rank].numpy()), singular[:rank].numpy()


def _orthonormal(image: Tensor, own: _Columns) -> Tensor:
    """Columns of length 1 that span those of the image, all at right angles; 0 for those that it lacks."""
    gram = torch.zeros(image.shape[1], image.shape[1], dtype=torch.float64)
    for rows in image.split(_ROWS):
        wide = rows.double()
        gram.addmm_(wide.T, wide)
    own.part.add(gram)
    squares, directions = torch.linalg.eigh(gram)
    there = squares > _NOTHING * squares[-1]
    turned, columns = directions * torch.where(there, squares, torch.inf).rsqrt(), torch.empty_like(image)
    for rows, place in zip(image.split(_ROWS), columns.split(_ROWS), strict=True):
        place.copy_(rows.double() @ turned)
    return columns


def _largest_products(before: Csr, after: Csr, keep: int, own: _Columns) -> Csr:
    """The largest entries of each row of ``before.T @ after``, (features, items); of the items that are here.

    They are the largest among those of all parts, some features at a time.
    """
    found, step = [], max(1, _AT_ONCE // max(keep, 1))
    features = before.shape[1]
    for first in range(0, features, step):
        stop = min(first + step, features)
        some = before if stop - first == features else before[:, first:stop]
        block = _largest_here(some, after, keep)
        found.append(block if own.spread is None else _largest_of_all(block, keep, own.part))
    return found[0] if len(found) == 1 else sparse.csr_array(sparse.vstack(found))


def _largest_here(before: Csr, after: Csr, keep: int) -> Csr:
    features, items = before.shape[1], after.shape[1]
    # One pattern with the columns of both: the features have only left values, the items only right ones.
    both = sparse.csr_array(sparse.hstack([before, after])).astype(np.float32)
    is_feature = both.indices < features
    indptr, indices, data = csr_arrays(both)
    matrix, right = (indptr, indices, np.where(is_feature, data, 0)), np.where(is_feature, 0, data)
    starts, columns, values = _core.nearest_items(matrix, right, features + items, keep, itself=True)
    end = starts[features]
    columns = columns[:end] - features
    return sparse.csr_array((values[:end], columns, starts[: features + 1]), shape=(features, items))


def _largest_of_all(block: Csr, keep: int, part: Part) -> Csr:
    """Of each row's entries here those that are among the ``keep`` largest of all parts; of equal ones the first.

    The bits of the smallest entry to keep are found one by one, by how many entries are at least as large: what crosses
    over is a number a row and bit, however many parts there are.
    """
    rows = owners_of(block)
    bits = block.data.view(np.uint32)
    # In the order of the numbers that they are bits of, and behind that of the items.
    order = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint64)
    keys = order << np.uint64(32) | (np.uint64(0xFFFFFFFF) - (block.indices + part.first).astype(np.uint64))
    least = np.zeros(block.shape[0], dtype=np.uint64)
    for bit in reversed(range(64)):
        tried = least | np.uint64(1 << bit)
        counts = torch.from_numpy(np.bincount(rows[keys >= tried[rows]], minlength=block.shape[0]))
        part.add(counts)
        least = np.where(counts.numpy() >= keep, tried, least)
    kept = keys >= least[rows]
    starts = np.concatenate([[0], np.cumsum(kept)])[block.indptr]
    return sparse.csr_array((block.data[kept], block.indices[kept], starts), shape=block.shape)
