"""Statistics of a batch of scores beside its best items: spreads, single scores and ranks, block by block."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec.data import Csr
from diffrec.data.sparse_rows import SparseRows
from diffrec.ranking.blockwise import BLOCK_ENTRIES, NO_ITEM
from diffrec.ranking.scores import Scores


@torch.no_grad()
def deviations(scores: Scores, seen: Csr) -> Tensor:
    """Standard deviation of each user's scores over the items that are not ``seen``, float32 (n,).

    Parameters
    ----------
    scores : Scores
        Of n users.
    seen : scipy.sparse CSR
        (n, items): what to leave out, as it would outweigh all others where histories are reconstructed.

    Examples
    --------
    >>> from diffrec.ranking import LinearScores
    >>> from scipy import sparse
    >>> three = LinearScores(torch.tensor([[2.0]]), torch.tensor([[1.0], [3.0], [90.0]]))
    >>> deviations(three, sparse.csr_array(np.array([[0, 0, 1]])))
    tensor([2.])
    """
    hidden = SparseRows.from_matrix(seen)
    count = (scores.n_items - hidden.offsets.diff()).clamp(min=1).double()
    first_mean, total, square = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for first, block in _blocks(scores):
        if first == 0:
            # Sums of squares about a number near the mean: little is lost in their difference.
            first_mean = block.mean(dim=1, keepdim=True)
        block -= first_mean
        masked = hidden.columns(first, first + block.shape[1])
        block[masked.row_of_entry().to(block.device), masked.indices.to(block.device)] = 0
        total = total + block.sum(dim=1, dtype=torch.float64).cpu()
        square = square + block.double().square().sum(dim=1).cpu()
    return (square / count - (total / count).square()).clamp(min=0).sqrt().float()


@torch.no_grad()
def scores_at(scores: Scores, items: NDArray[np.integer]) -> Tensor:
    """Scores (n, k) of some items of each user; -inf where ``items`` (n, k) is negative.

    Examples
    --------
    >>> from diffrec.ranking import LinearScores
    >>> scores_at(LinearScores(torch.tensor([[2.0]]), torch.tensor([[1.0], [3.0]])), np.array([[1, -1]]))
    tensor([[6., -inf]])
    """
    out = torch.full(items.shape, -torch.inf)
    for first, block in _blocks(scores):
        wanted = torch.from_numpy(items.astype(np.int64)).to(block.device) - first
        inside = (wanted >= 0) & (wanted < block.shape[1])
        if first == 0:
            out = out.to(block)
        out = torch.where(inside, block.gather(1, wanted.clamp(0, block.shape[1] - 1)), out)
    return out


@torch.no_grad()
def ranks_at(
    scores: Scores,
    items: NDArray[np.integer],
    seen: Csr,
    denied: NDArray[np.bool_] | None = None,
) -> Tensor:
    """Places, from 1, of some items in each user's whole ranking: int64 (n, k), in the order that ``top_k`` has.

    Parameters
    ----------
    scores : Scores
        Of n users.
    items : ndarray (n, k)
        Item rows; what stands at a negative one means nothing.
    seen, denied
        What is not ranked; see ``top_k``. An item that is not ranked itself gets the place it would have.

    Examples
    --------
    >>> from diffrec.ranking import LinearScores
    >>> from scipy import sparse
    >>> three = LinearScores(torch.tensor([[1.0]]), torch.tensor([[1.0], [3.0], [2.0]]))
    >>> ranks_at(three, np.array([[0, 1]]), sparse.csr_array((1, 3), dtype=np.float32))
    tensor([[3, 1]])
    """
    own = scores_at(scores, items)
    wanted = torch.from_numpy(items.astype(np.int64)).to(own.device)
    hidden = SparseRows.from_matrix(seen, own.device)
    places = torch.ones_like(wanted)
    for first, block in _blocks(scores):
        stop = first + block.shape[1]
        masked = hidden.columns(first, stop)
        block[masked.row_of_entry(), masked.indices] = -torch.inf
        if denied is not None:
            block[:, torch.from_numpy(denied[first:stop]).to(block.device)] = -torch.inf
        item = torch.arange(first, stop, device=block.device)
        for place in range(items.shape[1]):
            score, row = own[:, place, None], wanted[:, place, None]
            places[:, place] += ((block > score) | ((block == score) & (item < row))).sum(dim=1)
    return places


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
    >>> from diffrec.ranking import LinearScores
    >>> from scipy import sparse
    >>> three = LinearScores(torch.tensor([[1.0]]), torch.tensor([[1.0], [3.0], [2.0]]))
    >>> chosen = sparse.csr_array(np.array([[1, 0, 1]], dtype=np.float32))
    >>> top_k_among(three, 3, chosen, sparse.csr_array((1, 3), dtype=np.float32))[0]
    array([[ 2,  0, -1]], dtype=int32)
    """
    n, n_items = chosen.shape
    counts = np.diff(chosen.indptr)
    row = np.repeat(np.arange(n), counts)
    candidates = np.full((n, int(counts.max(initial=0))), NO_ITEM, dtype=np.int32)
    candidates[row, np.arange(chosen.nnz) - chosen.indptr[row]] = chosen.indices
    values = scores_at(scores, candidates).cpu().numpy().astype(np.float32)
    unranked = candidates < 0
    if denied is not None:
        unranked |= denied[candidates]
    cells = np.repeat(np.arange(n), np.diff(seen.indptr)) * n_items + seen.indices
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


def _blocks(scores: Scores) -> Iterator[tuple[int, Tensor]]:
    """Yield the first item of each block of items, and the block's scores."""
    width = max(1, BLOCK_ENTRIES // max(scores.n_users, 1))
    for first in range(0, scores.n_items, width):
        yield first, scores.block(first, min(first + width, scores.n_items))
