"""Where scores of a network come from, by their gradient."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec.data import Csr
from diffrec.data.sparse_rows import SparseRows
from diffrec.ranking import LinearScores
from diffrec.recommenders.explanation import Reasons, folded

# Rows of histories, and how much each of their last items is there (rows, length) where an encoder reads them.
PathScores = Callable[[SparseRows, Tensor | None], LinearScores]


def gradient_reasons(
    scores: PathScores,
    x: Csr,
    past: NDArray[np.integer],
    items: NDArray[np.int64],
    *,
    points: int,
    device: torch.device,
    last: NDArray[np.int64] | None = None,
) -> Reasons:
    """Reasons of scores that bend: the gradient times the input, averaged over points on the way from nothing to it.

    With one point the gradient is that at the history itself. With more it is averaged over the middles of as many
    pieces of the straight way from a history of weight 0, so that what is not accounted for vanishes as they grow:
    integrated gradients (Sundararajan, Taly & Yan 2017, arXiv 1703.01365).

    Parameters
    ----------
    scores : callable
        Scores of rows, through which gradients flow.
    x, past
        As for ``linear_reasons``.
    items : int64 (m,)
        The items whose scores are to be explained.
    points : int
        How many points.
    device : torch.device
        Where to compute.
    last : int64 (length,), optional
        What an encoder reads: the last items, -1 before the first. How much each is there is an input, too.
    """
    ways = [1.0] if points == 1 else [(point + 0.5) / points for point in range(points)]
    # For each item a row at every point, and one of weight 0.
    share = torch.tensor([*ways, 0.0], device=device).repeat(len(items))
    chosen = torch.from_numpy(np.repeat(items, len(ways) + 1)).to(device)
    values = torch.as_tensor(x.data, dtype=torch.float32, device=device)
    with torch.enable_grad():
        entries = (share[:, None] * values).requires_grad_()
        presence = None if last is None else share[:, None].repeat(1, len(last)).requires_grad_()
        rows = SparseRows(
            torch.arange(len(share) + 1, device=device) * x.nnz,
            torch.as_tensor(x.indices, dtype=torch.int64, device=device).repeat(len(share)),
            entries.reshape(-1),
        )
        scored = scores(rows, presence)
        found, n_items = scored.of_each(chosen), scored.shape[1]
    inputs = [entries] if presence is None else [entries, presence]
    slopes = torch.autograd.grad(found.sum(), inputs, allow_unused=True) if found.requires_grad else (None, None)

    def mean(slope: Tensor | None, like: Tensor) -> NDArray[np.float64]:
        slope = torch.zeros_like(like) if slope is None else slope
        at_points = slope.reshape(len(items), len(ways) + 1, -1)[:, :-1].double()
        averaged: NDArray[np.float64] = at_points.mean(dim=1).cpu().numpy()
        return averaged

    contributions = folded(mean(slopes[0], entries) * x.data, x.indices % n_items, past)
    if last is not None and presence is not None:
        real = last >= 0
        contributions += folded(mean(slopes[1], presence)[:, real], last[real], past)
    baseline = found.detach().reshape(len(items), -1)[:, -1].double().cpu().numpy()
    return Reasons(contributions, baseline, exact=False, past=past)
