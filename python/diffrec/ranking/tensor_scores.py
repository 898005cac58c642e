"""Scores that torch computes: those of networks, on the processor or a GPU, and sums of any scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec import _core
from diffrec.data import Csr, csr_arrays
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import ItemNoise, linear
from diffrec.ranking.scores import Factors, Scores


@dataclass(frozen=True)
class LinearScores:
    """``users @ items.T + bias + scale * rows``: a vector per user, one per item, a bias, a sparse correction.

    Parameters
    ----------
    users : Tensor
        float32 (n, width).
    items : Tensor
        float32 (items, width).
    bias : Tensor, optional
        float32 (items,).
    rows : SparseRows, optional
        n rows over the items, added ``scale`` times.
    scale : float
        Weight of ``rows``.
    """

    users: Tensor
    items: Tensor
    bias: Tensor | None = None
    rows: SparseRows | None = None
    scale: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return len(self.users), len(self.items)

    def block(self, first: int, stop: int) -> Tensor:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        bias = None if self.bias is None else self.bias[first:stop]
        block = linear(self.users, self.items[first:stop], bias)
        if self.rows is not None and self.scale != 0:
            self.rows.add_to(block, first, self.scale)
        return block

    def factors(self) -> Factors:
        """The vectors themselves and a column for the bias; without the sparse correction."""
        return Factors.of(self.users, self.items, self.bias)

    def of_each(self, items: Tensor) -> Tensor:
        """The score of one item for each user, int64 (n,) -> (n,); gradients flow where they are recorded."""
        scores = (self.users * self.items[items]).sum(dim=1)
        if self.bias is not None:
            scores = scores + self.bias[items]
        if self.rows is not None and self.scale != 0:
            row = self.rows.row_of_entry()
            own = self.rows.values * (self.rows.indices == items[row])
            scores = scores + self.scale * torch.zeros_like(scores).index_add(0, row, own)
        return scores


@dataclass(frozen=True)
class SparseItemScores:
    """``users @ items.T``: a dense vector per user, a sparse one per item.

    Parameters
    ----------
    users : ndarray
        float32 (n, width).
    items : scipy.sparse CSR
        float32 (items, width).

    Examples
    --------
    >>> from scipy import sparse
    >>> items = sparse.csr_array(np.array([[2, 0], [0, 3]], dtype=np.float32))
    >>> SparseItemScores(np.array([[1, 10]], dtype=np.float32), items).block(0, 2)
    tensor([[ 2., 30.]])
    """

    users: NDArray[np.float32]
    items: Csr

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return len(self.users), int(self.items.shape[0])

    def block(self, first: int, stop: int) -> Tensor:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        # An item's row adds vectors over the users: these lie in a row, too.
        by_item = torch.empty(stop - first, len(self.users), dtype=torch.float32)
        rows = csr_arrays(self.items[first:stop])
        _core.sparse_dense_product(rows, np.ascontiguousarray(self.users.T), 0, by_item.numpy())
        return by_item.T.contiguous()

    def factors(self) -> None:
        """None: the items' vectors are as many as they are wide."""


@dataclass(frozen=True)
class NoisyScores:
    """Scores and the noise that a chain with noise ends with.

    Parameters
    ----------
    scores : Scores
        Without the noise.
    noise : ItemNoise
        Of the same n users.
    """

    scores: Scores
    noise: ItemNoise

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return self.scores.shape

    def block(self, first: int, stop: int) -> Tensor:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        block = torch.as_tensor(self.scores.block(first, stop))
        self.noise.add_to(block, first)
        return block

    def factors(self) -> None:
        """None: noise is of every user and item."""


@dataclass(frozen=True)
class AddedScores:
    """``scores + scale * more``.

    Parameters
    ----------
    scores, more : Scores
        Of the same n users and items; on whatever devices, the sum is on that of ``scores``.
    scale : float
        Weight of ``more``.
    """

    scores: Scores
    more: Scores
    scale: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return self.scores.shape

    def block(self, first: int, stop: int) -> Tensor:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        block = torch.as_tensor(self.scores.block(first, stop))
        return block.add_(torch.as_tensor(self.more.block(first, stop), device=block.device), alpha=self.scale)

    def factors(self) -> Factors | None:
        """Vectors of both scores, one behind the other."""
        more = self.more.factors()
        scaled = None if more is None else Factors(np.float32(self.scale) * more.users, more.items)
        return Factors.beside([self.scores.factors(), scaled])


@dataclass(frozen=True)
class WeightedScores:
    """A weighted sum of several scores of the same users and items, each user with weights of their own.

    Parameters
    ----------
    parts : sequence of Scores
        At least one; on whatever devices, the sum is on that of the first.
    weights : Tensor
        float32 (parts, n): of each part for each user.

    Examples
    --------
    >>> one = LinearScores(torch.tensor([[1.0]]), torch.tensor([[1.0], [3.0]]))
    >>> WeightedScores([one, LinearScores(torch.tensor([[3.0]]), one.items)], torch.tensor([[1.0], [2.0]])).block(0, 2)
    tensor([[ 7., 21.]])
    """

    parts: Sequence[Scores]
    weights: Tensor

    @classmethod
    def mean(cls, parts: Sequence[Scores]) -> "WeightedScores":
        """Return the mean of the parts."""
        return cls(parts, torch.full((len(parts), parts[0].shape[0]), 1 / len(parts)))

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return self.parts[0].shape

    def block(self, first: int, stop: int) -> Tensor:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        block = torch.as_tensor(self.parts[0].block(first, stop))
        weights = self.weights.to(block.device)[:, :, None]
        block *= weights[0]
        for part, weight in zip(self.parts[1:], weights[1:], strict=True):
            block.addcmul_(torch.as_tensor(part.block(first, stop), device=block.device), weight)
        return block

    def factors(self) -> Factors | None:
        """Return the parts' vectors one behind the other, the users' times their weights."""
        weighted: list[Factors | None] = []
        for part, weight in zip(self.parts, self.weights.cpu().numpy(), strict=True):
            own = part.factors()
            weighted.append(None if own is None else Factors(weight[:, None] * own.users, own.items))
        return Factors.beside(weighted)


@dataclass(frozen=True)
class DenseScores:
    """Scores that are written out already.

    Parameters
    ----------
    values : Tensor
        float32 (n, items).
    form : Scores, optional
        What they were written out from.
    """

    values: Tensor
    form: Scores | None = None

    @classmethod
    def of(cls, scores: Scores) -> "DenseScores":
        """Write out scores that are to be read several times."""
        return cls(torch.as_tensor(scores.block(0, scores.shape[1])), scores)

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return len(self.values), int(self.values.shape[1])

    def block(self, first: int, stop: int) -> Tensor:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        return self.values[:, first:stop].clone()

    def factors(self) -> Factors | None:
        """Vectors of the scores that were written out."""
        return None if self.form is None else self.form.factors()
