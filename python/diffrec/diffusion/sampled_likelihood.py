"""Losses over the items that followed and a sample of the others: for catalogues too large to score whole."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion.item_likelihood import largest_scores
from diffrec.diffusion.part import Part, Whole, handed_out, summed


def sampled_softmax_loss(
    h: Tensor,
    items_out: Tensor,
    bias_out: Tensor,
    targets: SparseRows,
    negatives: Tensor,
    part: Part | None = None,
    total: int | None = None,
) -> Tensor:
    """Mean negative log-likelihood under a softmax whose sum over the items is estimated from some of them.

    What a sampled item adds is divided by the chance that it was drawn (the logQ correction: Bengio & Senecal 2008), so
    that the estimate of the sum is right in the mean.

    Parameters
    ----------
    h : Tensor
        (n, width), states.
    items_out, bias_out : Tensor
        (items, width) and (items,).
    targets : SparseRows
        n rows over the items that followed, by weight.
    negatives : Tensor
        int64 (k,), distinct items, drawn evenly; those that are a row's targets do not count in it.
    part : Part, optional
        The items that layer and targets are of; all by default. The negatives are of all items.
    total : int, optional
        Of how many rows the mean is, where these are some of them.

    Examples
    --------
    >>> one = SparseRows.from_dense(torch.tensor([[0.0, 1.0, 0.0]]))
    >>> sampled_softmax_loss(torch.zeros(1, 1), torch.zeros(3, 1), torch.zeros(3), one, torch.tensor([0]))
    tensor(1.3863)
    """
    part = part or Whole(len(items_out))
    own = negatives[(negatives >= part.first) & (negatives < part.first + part.size)] - part.first
    positive, others = _scores(handed_out(part, h), items_out, bias_out, targets, own)
    top = largest_scores(others.detach(), part)
    # All negatives may be targets.
    top = torch.where(top.isfinite(), top, 0.0)
    sampled = summed(part, (others - top).exp().sum(dim=1))
    rest = handed_out(part, sampled.log() + top[:, 0]) + math.log(part.items / len(negatives))
    losses = functional.softplus(rest[targets.row_of_entry()] - positive)
    return summed(part, torch.vdot(losses, targets.values.to(losses.dtype))) / (total or len(h))


def gbce_loss(
    h: Tensor, items_out: Tensor, bias_out: Tensor, targets: SparseRows, negatives: Tensor, calibration: float
) -> Tensor:
    """Mean generalised binary cross-entropy (Petrov & Macdonald 2023, arXiv 2308.07192, eq. 14 and 17).

    Each row is asked whether its targets followed, and k sampled items not. Since few of all items are sampled, the
    probability of what followed is raised to the power beta < 1, or the model would be too sure.

    Parameters
    ----------
    h, items_out, bias_out, targets, negatives
        As for ``sampled_softmax_loss``.
    calibration : float
        t in [0, 1]: 0 is the plain binary cross-entropy, 1 makes the probabilities those of the data.

    Examples
    --------
    >>> one = SparseRows.from_dense(torch.tensor([[0.0, 1.0, 0.0]]))
    >>> gbce_loss(torch.zeros(1, 1), torch.zeros(3, 1), torch.zeros(3), one, torch.tensor([0]), calibration=0.0)
    tensor(0.6931)
    """
    share = len(negatives) / max(len(items_out) - 1, 1)
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    positive, others = _scores(h, items_out, bias_out, targets, negatives)
    kept = torch.vdot(beta * functional.softplus(-positive), targets.values)
    return (kept + functional.softplus(others).sum()) / ((1 + len(negatives)) * len(h))


def _scores(
    h: Tensor, items_out: Tensor, bias_out: Tensor, targets: SparseRows, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    """Scores of the targets, (nnz,), and of the negatives, (n, k), with minus infinity for what is a target."""
    row = targets.row_of_entry()
    positive = (h[row] * functional.embedding(targets.indices, items_out)).sum(dim=1) + bias_out[targets.indices]
    others = _wide(functional.linear(h, functional.embedding(negatives, items_out), bias_out[negatives]))
    place = negatives.new_full((len(items_out),), len(negatives))
    place[negatives] = torch.arange(len(negatives), device=negatives.device)
    # An item that was not drawn is marked by a column beyond those of the drawn ones.
    is_target = torch.zeros(len(h), len(negatives) + 1, dtype=torch.bool, device=h.device)
    is_target[row, place[targets.indices]] = True
    return _wide(positive), others.masked_fill(is_target[:, :-1], -math.inf)


def _wide(scores: Tensor) -> Tensor:
    """Scores in float32 at least: sums of their exponentials are no matter of bfloat16."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
