"""Noise over the items, drawn in the few coordinates in which the reverse chain looks at it.

A chain with noise holds ``x_t = a * x_0 + W_out g + k * b_out + N`` with a Gaussian N over the items. What it asks of
N are inner products with some fixed directions over the items (the columns of W_in and, where lengths matter, of W_out,
b_out and the row's own x_0) and its length. The normal distribution looks the same in every orthonormal basis: N can be
drawn as independent coordinates along a basis of those directions, and as the length of the rest, which needs one
normal and one chi-square number whatever the number of items. Everything drawn this way has exactly the joint
distribution it has in the chain over dense rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion.linear import linear
from diffrec.diffusion.row_noise import RowNoise

# Items multiplied at once where all are visited.
ITEM_BLOCK = 4096


class NoiseBasis:
    """An orthonormal basis of the directions over the items that a chain looks along.

    Parameters
    ----------
    directions : sequence of Tensor
        float32 (items, m) each: columns over the items.

    Attributes
    ----------
    rank : int
        Number of basis vectors.
    images : list of Tensor
        For each of ``directions``, float32 (rank, m): its columns in the basis.

    Examples
    --------
    >>> basis = NoiseBasis([torch.tensor([[3.0], [4.0]])])
    >>> basis.rank, basis.images[0].abs()
    (1, tensor([[5.]]))
    """

    def __init__(self, directions: Sequence[Tensor]) -> None:
        self.directions = tuple(directions)
        self.items = len(directions[0])
        widths = [d.shape[1] for d in directions]
        gram = torch.zeros(sum(widths), sum(widths), dtype=torch.float64, device=directions[0].device)
        for start in range(0, self.items, ITEM_BLOCK):
            block = torch.cat([d[start : start + ITEM_BLOCK] for d in directions], dim=1).double()
            gram += block.T @ block
        values, vectors = torch.linalg.eigh(gram)
        # Directions that hardly differ from combinations of the others are those combinations.
        kept = values > values[-1] * 1e-12 * len(values)
        values, vectors = values[kept], vectors[:, kept]
        self.rank = len(values)
        self.images = list((values.sqrt()[:, None] * vectors.T).float().split(widths, dim=1))
        self._to_coordinates: Tensor = (vectors / values.sqrt()).float()

    def coordinates(self, products: Tensor) -> Tensor:
        """Coordinates (n, rank) of vectors from their ``products`` (n, sum of m) with the directions."""
        return linear(products, self._to_coordinates.T)

    def combination(self, coordinates: Tensor) -> Tensor:
        """Weights (n, sum of m) of the directions that sum to the vectors with these ``coordinates`` (n, rank)."""
        return linear(coordinates, self._to_coordinates)


@dataclass(frozen=True)
class ItemNoise:
    """Noise of n rows that can be written out over the items: sums of directions, of x_0 and of fresh normals.

    Attributes
    ----------
    directions : sequence of Tensor
        float32 (items, m) each: columns over the items.
    weights : Tensor
        float32 (n, sum of m), of those columns.
    x0 : SparseRows
        The n rows x_0.
    own : Tensor
        float32 (n,), of x_0.
    white : Tensor
        float32 (n,), of the fresh normals.
    fresh : RowNoise
        Draws them.

    Examples
    --------
    >>> x0 = SparseRows.from_dense(torch.tensor([[0.0, 5.0]]))
    >>> direction, one = torch.tensor([[1.0], [2.0]]), torch.ones(1)
    >>> noise = ItemNoise([direction], torch.tensor([[3.0]]), x0, one, 0 * one, RowNoise.numbered(1))
    >>> scores = torch.zeros(1, 2)
    >>> noise.add_to(scores, first=0)
    >>> scores
    tensor([[ 3., 11.]])
    """

    directions: Sequence[Tensor]
    weights: Tensor
    x0: SparseRows
    own: Tensor
    white: Tensor
    fresh: RowNoise

    def add_to(self, block: Tensor, first: int) -> None:
        """Add the noise of items ``first : first + m`` to ``block`` (n, m) in place."""
        normals = torch.empty_like(block)
        self.fresh.over_columns(first, normals)
        block += normals.mul_(self.white[:, None])
        widths = [direction.shape[1] for direction in self.directions]
        for direction, weights in zip(self.directions, self.weights.split(widths, dim=1), strict=True):
            block += linear(weights, direction[first : first + block.shape[1]])
        self.x0.scaled(self.own).add_to(block, first, 1.0)


class HiddenNoise:
    """The noise N of n rows: coordinates along a basis, a component along the rest of x_0, and the length of the rest.

    Parameters
    ----------
    basis : NoiseBasis
        What the chain looks along.
    rows : SparseRows
        The rows x_0.
    products : Tensor or None
        Products (n, sum of m) of x_0 with the basis's directions, where the chain looks along x_0, too.
    fresh : RowNoise
        Draws the noise.
    """

    def __init__(self, basis: NoiseBasis, rows: SparseRows, products: Tensor | None, fresh: RowNoise) -> None:
        self.basis = basis
        self._rows = rows
        self._fresh = fresh
        n, device = len(rows), basis.images[0].device
        self._free = basis.items - basis.rank
        self._x0_along: Tensor | None = None
        self._x0_across = torch.zeros(n, device=device)
        if products is not None:
            self._x0_along = basis.coordinates(products)
            self._x0_across = (rows.squared_norms() - self._x0_along.square().sum(dim=1)).clamp(min=0).sqrt()
        self.along = torch.zeros(n, basis.rank, device=device)
        self.across = torch.zeros(n, device=device)
        self.rest = torch.zeros(n, device=device)

    def add(self, kept: float, spread: float) -> None:
        """Replace N by ``kept * N + spread * eps`` with fresh standard normal eps."""
        if spread == 0:
            self.along, self.across, self.rest = kept * self.along, kept * self.across, abs(kept) * self.rest
            return
        free = self._free
        self.along = kept * self.along + spread * self._fresh.normal(self.along)
        if self._x0_along is not None and free > 0:
            self.across = kept * self.across + spread * self._fresh.normal(self.across)
            free -= 1
        if free > 0:
            # Along the old rest one more coordinate; across it the fresh noise alone, free - 1 of them.
            square = (kept * self.rest + spread * self._fresh.normal(self.rest)).square()
            if free > 1:
                square = square + spread**2 * 2 * self._fresh.gamma((free - 1) / 2, self.rest)
            self.rest = square.sqrt()

    def image(self, direction: int) -> Tensor:
        """Products (n, m) with the columns of one of the basis's directions."""
        return linear(self.along, self.basis.images[direction].T)

    def dot_x0(self) -> Tensor:
        """Product (n,) with each row's x_0."""
        assert self._x0_along is not None
        return (self.along * self._x0_along).sum(dim=1) + self.across * self._x0_across

    def square(self) -> Tensor:
        """Squared length (n,)."""
        return self.along.square().sum(dim=1) + self.across.square() + self.rest.square()

    def over_items(self) -> ItemNoise:
        """Write N out over the items: the rest takes a uniformly random direction across all that is known.

        Fresh normals are visited twice, here to take out what lies along the known directions, and again where the
        scores are written; they are made anew each time, never kept.
        """
        n = len(self.rest)
        products = self.along.new_zeros(n, sum(d.shape[1] for d in self.basis.directions))
        square, dot_x0 = self.rest.new_zeros(n), self.rest.new_zeros(n)
        for first in range(0, self.basis.items, ITEM_BLOCK):
            block = torch.cat([d[first : first + ITEM_BLOCK] for d in self.basis.directions], dim=1)
            normals = self.along.new_empty(n, len(block))
            self._fresh.over_columns(first, normals)
            products += normals @ block
            square += normals.square().sum(dim=1)
            part = self._rows.columns(first, first + len(block))
            row = part.row_of_entry()
            dot_x0.index_add_(0, row, normals[row, part.indices] * part.values)
        along = self.basis.coordinates(products)
        square = square - along.square().sum(dim=1)
        x0_along = self.along.new_zeros(self.along.shape)
        across, inverse = torch.zeros_like(square), torch.zeros_like(square)
        if self._x0_along is not None:
            x0_along = self._x0_along
            # A history within the span of the directions has no component of its own.
            outside = self._x0_across > 1e-4 * self._rows.squared_norms().sqrt()
            inverse = torch.where(outside, 1 / self._x0_across, 0.0)
            across = (dot_x0 - (along * x0_along).sum(dim=1)) * inverse
            square = square - across.square()
        white = torch.where(square > 1e-6 * self.basis.items, self.rest * square.clamp(min=1e-12).rsqrt(), 0.0)
        own = (self.across - white * across) * inverse
        coordinates = self.along - white[:, None] * along - own[:, None] * x0_along
        weights = self.basis.combination(coordinates)
        return ItemNoise(self.basis.directions, weights, self._rows, own, white, self._fresh)
