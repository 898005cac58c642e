"""Statistics of a batch of scores beside its best items, in torch: spreads and ranks, block by block."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec.data import Csr
from diffrec.data.sparse_rows import SparseRows
from diffrec.ranking.blockwise import blocks_of, scores_at
from diffrec.ranking.scores import Scores

# A spread of scores up to which they are as good as equal: its inverse is no number of single precision any more.
_NONE = 1e-30


@torch.no_grad()
def deviations(scores: Scores, seen: Csr) -> Tensor:
    """Standard deviation of each user's scores over the items that are not ``seen``, float32 (n,).

    Parameters
    ----------
    scores : Scores
        Of n users.
    seen : scipy.sparse CSR
        (n, items): what to leave out, as it would outweigh all others where histories are reconstructed.

    Returns
    -------
    Tensor
        0 also where scores differ by less than 1e-30: divided by that they would be beyond single precision.

    Examples
    --------
    >>> from diffrec.ranking import LinearScores
    >>> from scipy import sparse
    >>> three = LinearScores(torch.tensor([[2.0]]), torch.tensor([[1.0], [3.0], [90.0]]))
    >>> deviations(three, sparse.csr_array(np.array([[0, 0, 1]])))
    tensor([2.])
    """
    hidden = SparseRows.from_matrix(seen)
    count = (scores.shape[1] - hidden.offsets.diff()).clamp(min=1).double()
    first_mean, total, square = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for first, scored in blocks_of(scores):
        block = torch.as_tensor(scored)
        if first == 0:
            # Sums of squares about a number near the mean: little is lost in their difference.
            first_mean = block.mean(dim=1, keepdim=True)
        block -= first_mean
        masked = hidden.columns(first, first + block.shape[1])
        block[masked.row_of_entry().to(block.device), masked.indices.to(block.device)] = 0
        total = total + block.sum(dim=1, dtype=torch.float64).cpu()
        square = square + block.double().square().sum(dim=1).cpu()
    found = (square / count - (total / count).square()).clamp(min=0).sqrt().float()
    return torch.where(found > _NONE, found, 0.0)


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
    own, wanted = torch.from_numpy(scores_at(scores, items)), torch.from_numpy(items.astype(np.int64))
    hidden = SparseRows.from_matrix(seen)
    places = torch.ones_like(wanted)
    for first, scored in blocks_of(scores):
        block = torch.as_tensor(scored)
        if first == 0:
            own, wanted, places = (part.to(block.device) for part in (own, wanted, places))
        stop = first + block.shape[1]
        masked = hidden.columns(first, stop)
        block[masked.row_of_entry().to(block.device), masked.indices.to(block.device)] = -torch.inf
        if denied is not None:
            block[:, torch.from_numpy(denied[first:stop]).to(block.device)] = -torch.inf
        item = torch.arange(first, stop, device=block.device)
        for place in range(items.shape[1]):
            score, row = own[:, place, None], wanted[:, place, None]
            places[:, place] += ((block > score) | ((block == score) & (item < row))).sum(dim=1)
    return places
