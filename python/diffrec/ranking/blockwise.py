"""Blockwise top-K: a block of scores is computed, and Rust scans it."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from diffrec import _core
from diffrec._tensors import Array, on_host, without_gradients
from diffrec.data import Csr, csr_arrays, owners_of
from diffrec.ranking.scores import ByUser, Scores

# Stands in a ranked list where there are fewer candidates than asked for; its score is -inf.
NO_ITEM = -1
# Scores held at once: 4 MB, small enough to stay in a cache between the product and the scan.
BLOCK_ENTRIES = 1 << 20


def top_k(
    scores: Scores, k: int, seen: Csr, denied: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Best ``k`` items of each user: score descending, then item ascending.

    Parameters
    ----------
    scores : Scores
        Scores of n users.
    k : int
        Length of the lists.
    seen : scipy.sparse CSR
        (n, items), items not to recommend to each of the users, with sorted indices.
    denied : bool (items,), optional
        Items nobody is to be recommended.

    Returns
    -------
    items : int32 (n, k)
        ``NO_ITEM`` where there are fewer candidates.
    values : float32 (n, k)
        Their scores, -inf where there is no item.

    Raises
    ------
    ValueError
        When a score is NaN.

    Examples
    --------
    >>> from diffrec.ranking import SharedScores
    >>> from scipy import sparse
    >>> nothing = sparse.csr_array((1, 3), dtype=np.float32)
    >>> top_k(SharedScores(1, np.array([1, 3, 2], dtype=np.float32)), 2, nothing)[0]
    array([[1, 2]], dtype=int32)
    """
    n = scores.shape[0]
    items = np.full((n, k), NO_ITEM, dtype=np.int32)
    values = np.full((n, k), -np.inf, dtype=np.float32)
    left_out, rows = csr_arrays(seen), np.arange(n, dtype=np.int64)
    parts: Iterable[tuple[slice, Scores]] = [(slice(0, n), scores)]
    if isinstance(scores, ByUser):
        parts = scores.of_users(BLOCK_ENTRIES)
    for users, part in parts:
        # Few users were taken so that they are computed over all items at once.
        blocks = blocks_of(part) if part is scores else iter([(0, part.block(0, part.shape[1]))])
        for first, block in blocks:
            _core.top_k(on_host(block), first, left_out, rows[users], denied, items[users], values[users])
    return items, values


def top_k_among(
    scores: Scores, k: int, chosen: Csr, seen: Csr, denied: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Best ``k`` of each user's own candidates: score descending, then item ascending.

    Parameters
    ----------
    scores : Scores
        Of n users.
    k : int
        Length of the lists.
    chosen : scipy.sparse CSR
        (n, items), with sorted indices: the candidates.
    seen, denied
        What is not ranked; see ``top_k``.

    Returns
    -------
    items : int32 (n, k)
        ``NO_ITEM`` where there are fewer candidates.
    values : float32 (n, k)
        Their scores, -inf where there is no item.

    Examples
    --------
    >>> from diffrec.ranking import SharedScores
    >>> from scipy import sparse
    >>> three = SharedScores(1, np.array([1, 3, 2], dtype=np.float32))
    >>> chosen = sparse.csr_array(np.array([[1, 0, 1]], dtype=np.float32))
    >>> top_k_among(three, 3, chosen, sparse.csr_array((1, 3), dtype=np.float32))[0]
    array([[ 2,  0, -1]], dtype=int32)
    """
    n, n_items = chosen.shape
    counts, row = np.diff(chosen.indptr), owners_of(chosen)
    candidates = np.full((n, int(counts.max(initial=0))), NO_ITEM, dtype=np.int32)
    candidates[row, np.arange(chosen.nnz) - chosen.indptr[row]] = chosen.indices
    values = scores_at(scores, candidates)
    unranked = candidates < 0
    if denied is not None:
        unranked |= denied[candidates]
    cells = owners_of(seen) * n_items + seen.indices
    unranked |= np.isin(np.arange(n)[:, None] * n_items + candidates, cells)
    candidates[unranked], values[unranked] = NO_ITEM, -np.inf
    if np.isnan(values).any():
        raise ValueError("scores hold NaN")
    # An item that is not ranked has the least score, and so comes last.
    order = np.lexsort((candidates, -values, unranked), axis=1)[:, :k]
    items, best = np.full((n, k), NO_ITEM, dtype=np.int32), np.full((n, k), -np.inf, dtype=np.float32)
    width = order.shape[1]
    items[:, :width], best[:, :width] = (np.take_along_axis(part, order, axis=1) for part in (candidates, values))
    return items, best


def scores_at(scores: Scores, items: NDArray[np.integer]) -> NDArray[np.float32]:
    """Scores (n, k) of some items of each user; -inf where ``items`` (n, k) is negative.

    Examples
    --------
    >>> from diffrec.ranking import SharedScores
    >>> scores_at(SharedScores(1, np.array([2, 6], dtype=np.float32)), np.array([[1, -1]]))
    array([[  6., -inf]], dtype=float32)
    """
    out = np.full(items.shape, -np.inf, dtype=np.float32)
    for first, block in blocks_of(scores):
        row, place = np.nonzero((items >= first) & (items < first + block.shape[1]))
        # Picked out where the block is: what leaves a GPU is no more than that.
        out[row, place] = on_host(block[row, items[row, place].astype(np.int64) - first])
    return out


def blocks_of(scores: Scores) -> Iterator[tuple[int, Array]]:
    """Yield the first item of each block of items and its scores: ``BLOCK_ENTRIES``, or those of one item."""
    n, n_items = scores.shape
    width = max(1, min(n_items, BLOCK_ENTRIES // max(n, 1)))
    for first in range(0, n_items, width):
        with without_gradients():
            block = scores.block(first, min(first + width, n_items))
        yield first, block
