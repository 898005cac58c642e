"""Blockwise top-K: torch multiplies a block, Rust scans it."""

import numpy as np
import torch
from numpy.typing import NDArray

from diffrec import _core
from diffrec.data import Csr, csr_arrays
from diffrec.ranking.scores import Scores

# Stands in a ranked list where there are fewer candidates than asked for; its score is -inf.
NO_ITEM = -1
# Scores held at once: 4 MB, small enough to stay in a cache between the product and the scan.
BLOCK_ENTRIES = 1 << 20


@torch.no_grad()
def top_k(
    scores: Scores,
    k: int,
    seen: Csr,
    denied: NDArray[np.bool_] | None = None,
    *,
    block_entries: int = BLOCK_ENTRIES,
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
    block_entries : int
        Scores held at once.

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
    >>> from diffrec.ranking import LinearScores
    >>> from scipy import sparse
    >>> nothing = sparse.csr_array((1, 3), dtype=np.float32)
    >>> top_k(LinearScores(torch.tensor([[1.0]]), torch.tensor([[1.0], [3.0], [2.0]])), 2, nothing)[0]
    array([[1, 2]], dtype=int32)
    """
    n, n_items = scores.n_users, scores.n_items
    items = np.full((n, k), NO_ITEM, dtype=np.int32)
    values = np.full((n, k), -np.inf, dtype=np.float32)
    left_out, rows = csr_arrays(seen), np.arange(n, dtype=np.int64)
    width = max(1, min(n_items, block_entries // max(n, 1)))
    for first in range(0, n_items, width):
        block = scores.block(first, min(first + width, n_items))
        _core.top_k(block.cpu().numpy(), first, left_out, rows, denied, items, values)
    return items, values
