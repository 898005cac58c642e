"""The last layer and the loss of a forecast in one step, with the gradients made on the way."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion.item_products import compute_dtype
from diffrec.diffusion.linear import linear
from diffrec.diffusion.part import Part, Whole

LIKELIHOODS = ("softmax", "squared")


def forecast_loss(
    h: Tensor,
    items_out: Tensor,
    bias_out: Tensor,
    targets: SparseRows,
    likelihood: str = "softmax",
    added: Tensor | None = None,
    log_scale: Tensor | None = None,
    own: SparseRows | None = None,
    part: Part | None = None,
    total: int | None = None,
    sums: list[Tensor] | None = None,
) -> Tensor:
    """Mean loss of scores ``h @ items_out.T + bias_out + exp(log_scale) * added + own``.

    One array of n x items is made, and overwritten by its own gradient.

    Parameters
    ----------
    h : Tensor
        (n, width), the last hidden layer.
    items_out, bias_out : Tensor
        float32 (items, width) and (items,).
    targets : SparseRows
        n rows over the items.
    likelihood : str
        ``"softmax"``: the negative multinomial log-likelihood of the targets (Liang et al. 2018, eq. 2).
        ``"squared"``: the squared error over all items.
    added : Tensor, optional
        float32 (n, items), scores from elsewhere; no gradient flows to them.
    log_scale : Tensor, optional
        Scalar, the logarithm of their weight.
    own : SparseRows, optional
        n rows over the items; gradients flow to its values.
    part : Part, optional
        The items that layer, targets, ``added`` and ``own`` are of; all by default. Of a batch that is shared out
        this gives a part's share of the mean.
    total : int, optional
        Of how many rows the mean is, where these are some of them; by default those of the part's batch.
    sums : list of Tensor, optional
        Where rows come in blocks, the same list for all of them, empty for the first, which then has the layer's
        gradients of all on the way back; so the gradients of the blocks' losses must be the same.

    Returns
    -------
    Tensor
        Scalar, the mean over the rows.

    Examples
    --------
    >>> one = SparseRows.from_dense(torch.tensor([[0.0, 1.0]]))
    >>> forecast_loss(torch.zeros(1, 1), torch.zeros(2, 1), torch.zeros(2), one)
    tensor(0.6931)
    """
    dtype = compute_dtype(items_out)
    if added is None or log_scale is None:
        added, log_scale = None, h.new_zeros(())
    values = None if own is None else own.values
    part = part or Whole(len(items_out))
    n = part.rows(len(h))[0] if total is None else total
    loss: Tensor = _ForecastLoss.apply(
        h, items_out, bias_out, log_scale, values, targets, likelihood, added, own, dtype, part, n, sums
    )
    return loss


class _ForecastLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        items_out: Tensor,
        bias_out: Tensor,
        log_scale: Tensor,
        values: Tensor | None,
        targets: SparseRows,
        likelihood: str,
        added: Tensor | None,
        own: SparseRows | None,
        dtype: torch.dtype,
        part: Part,
        n: int,
        sums: list[Tensor] | None,
    ) -> Tensor:
        narrow, layer, wide = h.to(dtype), items_out.to(dtype), items_out.dtype
        targets = targets.of_type(wide)
        with torch.autocast(h.device.type, enabled=False):
            z = linear(narrow, layer).to(wide)
            z += bias_out
            if added is not None:
                z.addcmul_(added, log_scale.exp())
            if own is not None and values is not None:
                replace(own, values=values).add_to(z, 0, 1.0)
            loss = (_softmax if likelihood == "softmax" else _squared)(z, targets, n, part)
            # From here on z is the loss's gradient by the scores.
            grad_bias = z.sum(dim=0)
            ctx.grad_own = None if own is None else z[own.row_of_entry(), own.indices]
            ctx.grad_log_scale = None if added is None else torch.vdot(z.flatten(), added.flatten()) * log_scale.exp()
            z = z.to(dtype)
            ctx.grad_items, ctx.grad_bias = _summed(linear(z.T, narrow.T).to(wide), grad_bias, sums)
            grad_h = linear(z, layer.T).to(wide)
            # What all parts have alike gets its gradient from all of them.
            alike = [grad for grad in (ctx.grad_log_scale,) if grad is not None]
            part.add(loss, grad_h, *alike)
            ctx.grad_h = grad_h.to(h.dtype)
        return loss / n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kept = (ctx.grad_h, ctx.grad_items, ctx.grad_bias, ctx.grad_log_scale, ctx.grad_own)
        ctx.grad_h = ctx.grad_items = ctx.grad_bias = ctx.grad_log_scale = ctx.grad_own = None
        return *(None if gradient is None else gradient.mul_(grad) for gradient in kept), *[None] * 8


def _summed(items: Tensor, bias: Tensor, sums: list[Tensor] | None) -> tuple[Tensor | None, Tensor | None]:
    """The layer's gradients that a block hands back: those of all blocks where it is the first, else none."""
    if sums:
        for total, gradient in zip(sums, (items, bias), strict=True):
            total += gradient
        return None, None
    if sums is not None:
        sums += [items, bias]
    return items, bias


def _softmax(z: Tensor, targets: SparseRows, n: int, part: Part) -> Tensor:
    """The part's share of the summed negative log-likelihood; turns the scores into the gradient of the mean of n."""
    row = targets.row_of_entry()
    chosen = (z[row, targets.indices] * targets.values).sum()
    mass = z.new_zeros(len(z)).index_add_(0, row, targets.values)
    own_mass = mass.clone()
    top = largest_scores(z, part)
    total = z.sub_(top).exp_().sum(dim=1)
    part.add(total, mass)
    z *= (mass / total / n)[:, None]
    targets.add_to(z, 0, -1 / n)
    # Every part has its own targets' share of log(total).
    return (own_mass * (total.log() + top[:, 0])).sum() - chosen


def _squared(z: Tensor, targets: SparseRows, n: int, part: Part) -> Tensor:  # noqa: ARG001 - a sum like any other
    """The part's share of the summed squared error; turns the scores into the gradient of the mean of n."""
    targets.add_to(z, 0, -1.0)
    loss = torch.vdot(z.flatten(), z.flatten())
    z *= 2 / n
    return loss


def largest_scores(z: Tensor, part: Part) -> Tensor:
    """The largest score of each row over all items, (n, 1)."""
    # A part may have no items at all.
    top = z.amax(dim=1, keepdim=True) if z.shape[1] else z.new_full((len(z), 1), -torch.inf)
    part.largest(top)
    return top
