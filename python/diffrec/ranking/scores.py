"""Scores of a batch of users over all items, computed one block of items at a time, by NumPy and the kernels.

Every recommender hands one of these, or one of ``diffrec.ranking.tensor_scores``, to the ranking step, which is
therefore written once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffrec import _core
from diffrec._tensors import Array, on_host
from diffrec.data import Csr, csr_arrays, owners_of

# Items that users are multiplied with at once: NumPy's BLAS is fastest with pieces that stay in a near cache.
_PIECE = 512


class Factors(NamedTuple):
    """Vectors whose inner products are scores.

    Attributes
    ----------
    users : ndarray
        float32 (n, width).
    items : ndarray
        float32 (items, width).
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]

    @classmethod
    def beside(cls, parts: "Sequence[Factors | None]") -> "Factors | None":
        """Return vectors of the sum of several scores: one behind the other; None where one of them has none.

        Examples
        --------
        >>> one = Factors(np.ones((1, 1), dtype=np.float32), np.ones((2, 1), dtype=np.float32))
        >>> Factors.beside([one, one]).items.tolist(), Factors.beside([one, None])
        ([[1.0, 1.0], [1.0, 1.0]], None)
        """
        some = [part for part in parts if part is not None]
        if len(some) < len(parts):
            return None
        users, items = (np.concatenate(vectors, axis=1) for vectors in zip(*some, strict=True))
        return cls(users, items)

    @classmethod
    def of(cls, users: Array, items: Array, bias: "Array | None" = None) -> "Factors":
        """Return vectors of ``users @ items.T + bias``: a bias takes a column, of ones in the users' vectors."""
        users, items = (on_host(vectors).astype(np.float32, copy=False) for vectors in (users, items))
        if bias is None:
            return cls(users, items)
        ones = np.ones((len(users), 1), dtype=np.float32)
        return cls(np.concatenate([users, ones], axis=1), np.concatenate([items, on_host(bias)[:, None]], axis=1))


class Scores(Protocol):
    """Protocol of the scores of some users over all items."""

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        ...

    def block(self, first: int, stop: int) -> Array:
        """Scores of the items ``first:stop``, float32 (n, stop - first), for the caller to keep or overwrite."""
        ...

    def factors(self) -> Factors | None:
        """Vectors whose inner products are these scores, but for what a user's history adds to its own items.

        None where there are none: scores of items by other items, and scores with noise.
        """
        ...


@runtime_checkable
class ByUser(Protocol):
    """Scores of which some items cost as much as all, so that they are better computed for some users at a time."""

    def of_users(self, most: int) -> "Iterator[tuple[slice, Scores]]":
        """Yield users, one after the other, and their scores: ``most`` scores at once, or a user for each thread."""
        ...


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
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return int(self.histories.shape[0]), int(self.similarity.shape[1])

    def block(self, first: int, stop: int) -> NDArray[np.float32]:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        histories = csr_arrays(self.histories)
        block = np.empty((self.histories.shape[0], stop - first), dtype=np.float32)
        if isinstance(self.similarity, np.ndarray):
            _core.sparse_dense_product(histories, self.similarity, first, block)
        else:
            _core.sparse_product(histories, csr_arrays(self.similarity), first, block)
        if self.missing != 0:
            block[block == 0] = self.missing
        return block

    def of_users(self, most: int) -> Iterator[tuple[slice, "SparseScores"]]:
        """Yield some users and their scores: in a sparse similarity, every row is searched for each block of items."""
        n, n_items = self.shape
        few = n if isinstance(self.similarity, np.ndarray) else max(most // max(n_items, 1), _core.threads())
        for first in range(0, n, max(few, 1)):
            places = slice(first, min(first + few, n))
            yield places, self if few >= n else replace(self, histories=self.histories[places])

    def factors(self) -> None:
        """None: an item is scored by its likeness to other items."""


@dataclass(frozen=True)
class FactorScores:
    """``users @ items.T``: a vector per user and one per item.

    Parameters
    ----------
    users : ndarray
        float32 (n, width).
    items : ndarray
        float32 (items, width).

    Examples
    --------
    >>> items = np.array([[2, 0], [0, 3]], dtype=np.float32)
    >>> FactorScores(np.array([[1, 10]], dtype=np.float32), items).block(0, 2)
    array([[ 2., 30.]], dtype=float32)
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return len(self.users), len(self.items)

    def block(self, first: int, stop: int) -> NDArray[np.float32]:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        block = np.empty((len(self.users), stop - first), dtype=np.float32)
        for start in range(0, stop - first, _PIECE):
            piece = block[:, start : start + _PIECE]
            np.matmul(self.users, self.items[first + start : first + start + piece.shape[1]].T, out=piece)
        return block

    def factors(self) -> Factors:
        """The vectors themselves."""
        return Factors(self.users, self.items)


@dataclass(frozen=True)
class SharedScores:
    """``row + own``: the same score of an item for everyone, and what some users have beyond it.

    Parameters
    ----------
    n_users : int
        Number of users in the batch.
    row : ndarray
        float32 (items,).
    own : scipy.sparse CSR, optional
        float32 (n, items), without two entries of one cell.

    Examples
    --------
    >>> from scipy import sparse
    >>> own = sparse.csr_array(np.array([[0, 0, 5], [0, 0, 0]], dtype=np.float32))
    >>> SharedScores(2, np.array([1, 2, 3], dtype=np.float32), own).block(1, 3)
    array([[2., 8.],
           [2., 3.]], dtype=float32)
    """

    n_users: int
    row: NDArray[np.float32]
    own: "Csr | None" = None

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return self.n_users, len(self.row)

    def block(self, first: int, stop: int) -> NDArray[np.float32]:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        block = np.tile(self.row[first:stop], (self.n_users, 1))
        if self.own is not None:
            row = owners_of(self.own)
            inside = (self.own.indices >= first) & (self.own.indices < stop)
            block[row[inside], self.own.indices[inside] - first] += self.own.data[inside]
        return block

    def factors(self) -> Factors:
        """A number for each item, and 1 for every user; without what users have beyond it."""
        return Factors(np.ones((self.n_users, 1), dtype=np.float32), self.row[:, None])


@dataclass(frozen=True)
class SumScores:
    """The sum of several scores of the same users and items.

    Parameters
    ----------
    parts : sequence of Scores
        At least one, none of them torch's.

    Examples
    --------
    >>> row = np.array([1, 2, 3], dtype=np.float32)
    >>> SumScores([SharedScores(1, row), SharedScores(1, 10 * row)]).block(1, 3)
    array([[22., 33.]], dtype=float32)
    """

    parts: "Sequence[FactorScores | SharedScores | SparseScores]"

    @property
    def shape(self) -> tuple[int, int]:
        """Users in the batch, and items that are scored."""
        return self.parts[0].shape

    def block(self, first: int, stop: int) -> NDArray[np.float32]:
        """Scores of the items ``first:stop``, (n, stop - first)."""
        block = self.parts[0].block(first, stop)
        for part in self.parts[1:]:
            block += part.block(first, stop)
        return block

    def factors(self) -> Factors | None:
        """Return the parts' vectors, one behind the other."""
        return Factors.beside([part.factors() for part in self.parts])
