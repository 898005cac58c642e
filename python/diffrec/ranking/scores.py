"""Scores of a batch of users over all items, written one block of items at a time.

Every recommender hands one of these to the ranking step, which is therefore written once.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec import _core
from diffrec.data import Csr, csr_arrays
from diffrec.diffusion import SparseRows


class Scores(Protocol):
    """Scores of ``n_users`` users over ``n_items`` items."""

    @property
    def n_users(self) -> int:
        """Number of users in the batch."""
        ...

    @property
    def n_items(self) -> int:
        """Number of items that are scored."""
        ...

    @property
    def device(self) -> torch.device:
        """Where blocks are computed."""
        ...

    def write(self, first: int, out: Tensor) -> None:
        """Write the scores of items ``first : first + m`` into ``out``, float32 (n_users, m)."""
        ...


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
    def n_users(self) -> int:
        """Number of users in the batch."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items that are scored."""
        return len(self.items)

    @property
    def device(self) -> torch.device:
        """Where blocks are computed."""
        return self.users.device

    def write(self, first: int, out: Tensor) -> None:
        """Write the scores of items ``first : first + m`` into ``out`` (n, m)."""
        block = slice(first, first + out.shape[1])
        if self.bias is None:
            torch.mm(self.users, self.items[block].T, out=out)
        else:
            torch.addmm(self.bias[block], self.users, self.items[block].T, out=out)
        if self.rows is not None and self.scale != 0:
            self.rows.add_to(out, first, self.scale)


@dataclass(frozen=True)
class SparseScores:
    """``histories @ similarity``: sparse rows times an item x item matrix, sparse or dense.

    Parameters
    ----------
    histories : scipy.sparse CSR
        float32 (n, items).
    similarity : scipy.sparse CSR or ndarray
        float32 (items, items), with sorted indices if sparse: how much having the row's item speaks for the column's.
    missing : float
        Stands where the product is exactly 0, such as -inf where only what is connected at all is to be ranked.
    """

    histories: Csr
    similarity: "Csr | NDArray[np.float32]"
    missing: float = 0.0

    @property
    def n_users(self) -> int:
        """Number of users in the batch."""
        return int(self.histories.shape[0])

    @property
    def n_items(self) -> int:
        """Number of items that are scored."""
        return int(self.similarity.shape[1])

    @property
    def device(self) -> torch.device:
        """Where blocks are computed."""
        return torch.device("cpu")

    def write(self, first: int, out: Tensor) -> None:
        """Write the scores of items ``first : first + m`` into ``out`` (n, m)."""
        histories = csr_arrays(self.histories)
        if isinstance(self.similarity, np.ndarray):
            _core.sparse_dense_product(*histories, self.similarity, first, out.numpy())
        else:
            _core.sparse_product(*histories, *csr_arrays(self.similarity), first, out.numpy())
        if self.missing != 0:
            out[out == 0] = self.missing


@dataclass(frozen=True)
class DenseScores:
    """Scores that exist already, as a tensor (n, items): for chains that must be run over dense rows."""

    values: Tensor

    @property
    def n_users(self) -> int:
        """Number of users in the batch."""
        return int(self.values.shape[0])

    @property
    def n_items(self) -> int:
        """Number of items that are scored."""
        return int(self.values.shape[1])

    @property
    def device(self) -> torch.device:
        """Where blocks are computed."""
        return self.values.device

    def write(self, first: int, out: Tensor) -> None:
        """Write the scores of items ``first : first + m`` into ``out`` (n, m)."""
        out.copy_(self.values[:, first : first + out.shape[1]])
