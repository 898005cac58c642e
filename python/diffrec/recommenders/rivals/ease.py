"""EASE: the linear map from histories to themselves that may not use an item for itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from diffrec.checks import age, flag, optional, real
from diffrec.data import Csr
from diffrec.recommenders.histories import Ageing, Reading
from diffrec.recommenders.rivals.item_sums import Sides
from diffrec.recommenders.rivals.item_to_item import ItemToItem
from diffrec.recommenders.settings import Settings, setting
from diffrec.training import require_memory

# Rows of the items x items matrix handled at once.
ITEM_BLOCK = 512
# Items up to which LAPACK inverts in less than half a second, and those that are swept at once beyond.
AT_ONCE, _SWEPT = 2_000, 256


@dataclass(frozen=True, kw_only=True)
class EASESettings(Settings):
    """Settings of EASE; symbols are those of the paper."""

    l2: float = setting(
        500.0,
        real(0, open_low=True),
        "weight of the squared entries of the item-to-item matrix B in the loss; higher values shrink them",
        symbol="lambda",
    )
    binarize: bool = setting(True, flag, "count every interaction as 1, whatever its value")
    half_life: float | timedelta | None = setting(
        None,
        optional(age),
        "age, as a number of the user's newer baskets or a timedelta, at which an interaction's weight is half way "
        "down from 1 to `w_min`; None for even weights",
    )
    w_min: float = setting(0.05, real(0, 1), "weight of the oldest interactions; read where `half_life` is set")


class EASE(ItemToItem):
    """Embarrassingly shallow autoencoder (Steck, WWW 2019, arXiv 1905.03375).

    Scores are X B, where B minimises ``|X - X B|^2 + lambda |B|^2`` with a diagonal of 0. In closed form, with
    ``P = (X'X + lambda I)^-1``, ``B_ij = -P_ij / P_jj`` (eq. 8).

    With ``half_life`` recent interactions weigh more, in X as it learns and as it ranks:
    ``w_min + (1 - w_min) 2^(-age / half_life)``. What comes next often follows from what came last.

    The inverse is computed in double precision by Cholesky factorisation and in place: fitting takes 8 bytes per pair
    of items, half of which the model keeps, and work in proportion to the third power of the number of items.

    Raises
    ------
    MemoryError
        By ``fit``, before any work, when there are too many items for the memory there is.

    Examples
    --------
    >>> model = EASE(l2=1.0).fit(np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]]))
    >>> model.recommend([3], k=1).items
    array([[1]])
    """

    variant: ClassVar[str] = "ease"
    settings_type = EASESettings
    settings: EASESettings

    def _reading(self) -> Reading:
        s = self.settings
        ageing = (
            None
            if s.half_life is None
            else Ageing("exponential", s.w_min, 1.0, s.half_life, f"half_life={s.half_life!r}")
        )
        return Reading.of(values=not s.binarize, ageing=ageing)

    _needs_exact_sums: ClassVar[bool] = True

    def _similarity(self, matrix: Csr) -> NDArray[np.float32]:
        self._require_memory(matrix.shape[1])
        return zero_diagonal_ridge(matrix, self.settings.l2)

    def _sides(self, matrix: Csr) -> Sides:
        return Sides(matrix, matrix.data)

    def _from_sums(self, sums: Csr, matrix: Csr) -> NDArray[np.float32]:  # noqa: ARG002 - the sums say it all
        self._require_memory(sums.shape[0])
        return ridge_of_gram(sums.shape[0], lambda rows: sums[rows], self.settings.l2)

    @staticmethod
    def _require_memory(items: int) -> None:
        blocks = 3 * 8 * items * min(items, ITEM_BLOCK)
        require_memory(
            8 * items**2 + blocks,
            f"EASE inverts a dense matrix of {items:,} x {items:,} items, which",
            "'rp3beta', 'itemknn' and 'diffrec' need no such matrix",
        )


def _invert(p: NDArray[np.float64]) -> bool:
    """Invert a symmetric matrix in place, in its lower triangle; whether it could be, which a definite one can."""
    # LAPACK takes rows for columns; of a symmetric matrix that swaps the triangles only: its upper one is p's lower.
    _, failed = lapack.dpotrf(p.T, lower=0, clean=0, overwrite_a=1)
    if not failed:
        _, failed = lapack.dpotri(p.T, lower=0, overwrite_c=1)
    return not failed


def invert_in_steps(p: NDArray[np.float64]) -> bool:
    """Invert as ``_invert`` does, but up to the sign, in steps of a fraction of a second: a signal is heard in between.

    By sweeping a block of the diagonal after the other (Goodnight, The American Statistician 1979): of the block D, its
    columns W and the rest R, ``R - W D^-1 W'``, ``W D^-1`` and ``-D^-1`` take the place. About a quarter more time than
    LAPACK's way.
    """
    n = len(p)
    for start in range(0, n, _SWEPT):
        stop = min(start + _SWEPT, n)
        pivot = np.tril(p[start:stop, start:stop])
        pivot += np.tril(pivot, -1).T
        try:
            np.linalg.cholesky(pivot)
            inverse = np.linalg.inv(pivot)
        except np.linalg.LinAlgError:
            return False
        columns = np.concatenate([p[start:stop, :start].T, pivot, p[stop:, start:stop]])
        swept = columns @ inverse
        for first in range(0, n, _SWEPT):
            last = min(first + _SWEPT, n)
            if first != start:
                p[first:last, :last] -= swept[first:last] @ columns[:last].T
        p[start:stop, :start], p[stop:, start:stop] = swept[:start].T, swept[stop:]
        p[start:stop, start:stop] = -inverse
    return True


def zero_diagonal_ridge(matrix: Csr, l2: float) -> NDArray[np.float32]:
    """B of EASE, (items, items), for users x items."""
    by_item, by_user = sparse.csr_array(matrix.T), matrix.astype(np.float64)
    return ridge_of_gram(matrix.shape[1], lambda rows: sparse.csr_array(by_item[rows] @ by_user), l2)


def ridge_of_gram(items: int, gram: Callable[[slice], Csr], l2: float) -> NDArray[np.float32]:
    """B of EASE, (items, items), by rows of X'X: ``gram`` gives those of a slice, float64 (rows, items)."""
    memory = np.empty(items * items)
    p = memory.reshape(items, items)
    for start in range(0, items, ITEM_BLOCK):
        p[start : start + ITEM_BLOCK] = gram(slice(start, start + ITEM_BLOCK)).toarray()
    p[np.diag_indices(items)] += l2
    if not (_invert if items <= AT_ONCE else invert_in_steps)(p):
        raise ValueError(f"l2={l2:g} is too small for these values: X'X + l2 I has no inverse in double precision")
    # Its sign, which the steps turn, falls out of the quotients.
    diagonal = np.diagonal(p).copy()
    # B takes the place of P: its rows, in single precision, never reach the rows of P that are still to be read.
    b = memory.view(np.float32)[: items * items].reshape(items, items)
    for start in range(0, items, ITEM_BLOCK):
        stop = min(start + ITEM_BLOCK, items)
        rows = np.concatenate([p[start:stop, :stop], p[stop:, start:stop].T], axis=1)
        lower = np.tril(rows[:, start:stop])
        rows[:, start:stop] = lower + np.tril(lower, -1).T
        rows /= -diagonal
        rows[np.arange(stop - start), np.arange(start, stop)] = 0
        b[start:stop] = rows
    del p, b
    memory.resize((items * items + 1) // 2, refcheck=False)
    return memory.view(np.float32)[: items * items].reshape(items, items)
