"""The two products of training that touch every item, a block of items at a time.

A batch costs ``n * items`` cells at each end of the denoiser. Here no such array is made besides the batch itself: the
first layer's gradient and all of the last layer's work, its gradient included, are done block by block, in bfloat16
where autocast asks for it, into gradients of the weights' own format. Each product can be given a part of the items:
sums over the items are completed by the other parts, and what crosses over to them does not grow with the items.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from diffrec.data.sparse_rows import ENTRIES, SparseRows
from diffrec.diffusion.linear import linear
from diffrec.diffusion.part import Part, Whole

# Cells of a block: large enough for efficient products, small enough for a last-level cache.
BLOCK_CELLS = 1 << 22
# first, block (n, m) -> None: subtracts columns first : first + m of the target from the block.
SubtractTarget = Callable[[int, Tensor], None]


def compute_dtype(weight: Tensor) -> torch.dtype:
    """The number format that products with a weight are to be computed in: autocast's where it is on, else its own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def project(x_t: Tensor, items_in: Tensor, part: Part | None = None) -> Tensor:
    """``x_t @ items_in`` (n, width) of a batch that needs no gradient.

    Parameters
    ----------
    x_t : Tensor
        (n, items), float32 or bfloat16; the products are computed in its type.
    items_in : Tensor
        float32 (items, width).
    part : Part, optional
        The items that ``x_t`` and ``items_in`` are of; all by default.

    Examples
    --------
    >>> project(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0], [3.0]]))
    tensor([[7.]])
    """
    projected: Tensor = _Project.apply(x_t, items_in, part or Whole(len(items_in)))
    return projected


def squared_error(
    h: Tensor,
    items_out: Tensor,
    bias_out: Tensor,
    subtract: SubtractTarget,
    weights: Tensor,
    excess: SparseRows | None = None,
    part: Part | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean squared error over the items of ``h @ items_out.T + bias_out``, summed over the rows by weight.

    Parameters
    ----------
    h : Tensor
        (n, width), the last hidden layer.
    items_out, bias_out : Tensor
        float32 (items, width) and (items,).
    subtract : callable
        Subtracts a block of the target.
    weights : Tensor
        (n,), of each row in the sum; no gradient flows to them.
    excess : SparseRows, optional
        n rows over the items: how much more than 1 the squared error of a cell weighs.
    part : Part, optional
        The items that layer, target and ``excess`` are of; all by default.

    Returns
    -------
    loss : Tensor
        Scalar, the weighted sum.
    errors : Tensor
        (n,), each row's mean squared error, without gradient.

    Examples
    --------
    >>> target = torch.tensor([[1.0, 0.0]])
    >>> loss, errors = squared_error(
    ...     torch.ones(1, 1), torch.tensor([[3.0], [0.0]]), torch.zeros(2),
    ...     lambda first, block: block.sub_(target[:, first : first + block.shape[1]]), torch.tensor([0.5]))
    >>> loss, errors
    (tensor(1.), tensor([2.]))
    """
    dtype, part = compute_dtype(items_out), part or Whole(len(items_out))
    loss, errors = _SquaredError.apply(h, items_out, bias_out, subtract, weights, dtype, excess, part)
    return loss, errors


def gram_squared_error(
    h: Tensor, items_out: Tensor, bias_out: Tensor, rows: SparseRows, weights: Tensor, part: Part | None = None
) -> tuple[Tensor, Tensor]:
    """Return what ``squared_error`` gives for the target ``rows``, computed from Gram matrices.

    The squared error over all items is a quadratic form in ``h`` with the Gram matrix of ``items_out``, corrected at
    the few entries of the rows; its gradient likewise. So the cost lacks the factor ``n * items`` (Vincent et al. 2015,
    "Efficient exact gradient update for training deep networks with very large sparse targets"). Always in the format
    of the weights, never narrower: the terms cancel.

    Parameters
    ----------
    h, items_out, bias_out, weights
        As for ``squared_error``.
    rows : SparseRows
        The targets, n rows over the items; with ``confidence`` the squared errors at their entries weigh that.
    part : Part, optional
        The items that layer and rows are of; all by default.

    Returns
    -------
    loss, errors
        As from ``squared_error``.

    Examples
    --------
    >>> rows = SparseRows.from_dense(torch.tensor([[1.0, 0.0]]))
    >>> layer = torch.ones(1, 1), torch.tensor([[3.0], [0.0]]), torch.zeros(2)
    >>> gram_squared_error(*layer, rows, torch.tensor([0.5]))
    (tensor(1.), tensor([2.]))
    """
    loss, errors = _GramSquaredError.apply(h, items_out, bias_out, rows, weights, part or Whole(len(items_out)))
    return loss, errors


def gram_pays(n: int, width: int, dtype: torch.dtype) -> bool:
    """Whether the Gram form costs less: two products of ``items * width^2`` against three of ``n * items * width``."""
    return dtype.itemsize >= 4 and 2 * width < 3 * n


def columns_at_once(n: int) -> int:
    """Return how many columns of n rows are worked on at once.

    Examples
    --------
    >>> columns_at_once(1), columns_at_once(1 << 40)
    (4194304, 64)
    """
    return max(64, BLOCK_CELLS // max(n, 1))


def _blocks(items: int, n: int) -> Iterator[slice]:
    size = columns_at_once(n)
    return (slice(first, min(first + size, items)) for first in range(0, items, size))


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_t: Tensor, items_in: Tensor, part: Part) -> Tensor:
        ctx.x_t = x_t
        ctx.like = items_in
        out = items_in.new_zeros(len(x_t), items_in.shape[1])
        with torch.autocast(x_t.device.type, enabled=False):
            for block in _blocks(len(items_in), len(x_t)):
                out += linear(x_t[:, block], items_in[block].to(x_t.dtype).T)
        part.add(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:
        x_t, ctx.x_t = ctx.x_t, None
        grad = grad.to(x_t.dtype)
        out = torch.empty_like(ctx.like)
        with torch.no_grad():
            for block in _blocks(len(out), len(x_t)):
                out[block] = linear(x_t[:, block].T, grad.T)
        return None, out, None


class _SquaredError(torch.autograd.Function):
    """Makes the gradients while it has the errors: they are linear in the weights, which are known beforehand."""

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        items_out: Tensor,
        bias_out: Tensor,
        subtract: SubtractTarget,
        weights: Tensor,
        dtype: torch.dtype,
        excess: SparseRows | None,
        part: Part,
    ) -> tuple[Tensor, Tensor]:
        n, wide = len(h), items_out.dtype
        narrow = h.to(dtype)
        slope = (2.0 / part.items * weights).to(wide).unsqueeze(1)
        squares = items_out.new_zeros(n)
        grad_h = items_out.new_zeros(h.shape)
        excess = None if excess is None else excess.of_type(wide)
        grad_items, grad_bias = torch.empty_like(items_out), torch.empty_like(bias_out)
        with torch.autocast(h.device.type, enabled=False):
            for block in _blocks(len(items_out), n):
                layer = items_out[block].to(dtype)
                error = linear(narrow, layer).to(wide)
                error += bias_out[block]
                subtract(block.start, error)
                squares += error.square().sum(dim=1)
                if excess is not None:
                    squares += excess.weigh_errors(error, block.start)
                error *= slope
                grad_bias[block] = error.sum(dim=0)
                error = error.to(dtype)
                grad_items[block] = linear(error.T, narrow.T)
                grad_h += linear(error, layer.T)
        part.add(squares, grad_h)
        return _kept(ctx, squares / part.items, weights, (grad_h.to(h.dtype), grad_items, grad_bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _errors: Tensor) -> tuple[Tensor | None, ...]:
        return *_scaled(ctx, grad), *[None] * 5


class _GramSquaredError(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, items_out: Tensor, bias_out: Tensor, rows: SparseRows, weights: Tensor, part: Part
    ) -> tuple[Tensor, Tensor]:
        slope = (2.0 / part.items * weights).to(items_out.dtype)
        with torch.autocast(h.device.type, enabled=False):
            wide, rows = h.to(items_out.dtype), rows.of_type(items_out.dtype)
            gram, cross, bias_square = linear(items_out.T, items_out.T), bias_out @ items_out, bias_out @ bias_out
            targets = rows @ items_out
            # What each row's error has besides its part in h.
            alone = rows.squared_norms() - 2 * (rows @ bias_out[:, None]).squeeze(1)
            sums, added = [gram, cross, bias_square, targets, alone], None
            if rows.confidence is not None:
                more, errors_there = _excess_errors(rows, wide, items_out, bias_out)
                added = SparseRows(rows.offsets, rows.indices, more)
                alone.index_add_(0, rows.row_of_entry(), more * errors_there)
                sums.append(added @ items_out)
            part.add(*sums)
            images = linear(wide, gram)
            squares = (wide * (images + 2 * cross - 2 * targets)).sum(dim=1) + bias_square + alone
            weighted = slope[:, None] * wide
            grad_h = slope[:, None] * (images + cross - targets)
            total = weighted.sum(dim=0)
            grad_items = linear(items_out, linear(wide.T, weighted.T))
            grad_items.addr_(bias_out, total)
            grad_bias = items_out @ total + slope.sum() * bias_out
            rows.transposed_product(-weighted, grad_items)
            rows.transposed_product(-slope[:, None], grad_bias[:, None])
            if added is not None:
                grad_h += slope[:, None] * sums[-1]
                added.transposed_product(weighted, grad_items)
                added.transposed_product(slope[:, None], grad_bias[:, None])
        errors = squares.clamp(min=0) / part.items
        return _kept(ctx, errors, weights, (grad_h.to(h.dtype), grad_items, grad_bias))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _errors: Tensor) -> tuple[Tensor | None, ...]:
        return *_scaled(ctx, grad), None, None, None


def _excess_errors(rows: SparseRows, wide: Tensor, items_out: Tensor, bias_out: Tensor) -> tuple[Tensor, Tensor]:
    """The errors at the entries of rows, (nnz,), times what they weigh more than 1, and alone."""
    assert rows.confidence is not None
    row, errors = rows.row_of_entry(), torch.empty_like(rows.values)
    for start in range(0, len(row), ENTRIES):
        part = slice(start, start + ENTRIES)
        column = rows.indices[part]
        errors[part] = (wide[row[part]] * items_out[column]).sum(dim=1) + bias_out[column]
    errors -= rows.values
    return (rows.confidence - 1) * errors, errors


def _kept(ctx: Any, errors: Tensor, weights: Tensor, gradients: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Keep the gradients of the weighted sum for the backward pass; return the sum and the errors."""
    ctx.gradients = gradients
    ctx.mark_non_differentiable(errors)
    return (weights * errors).sum(), errors


def _scaled(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    """The gradients kept from the forward pass times the loss's own; they are let go, being as large as the weights."""
    gradients: tuple[Tensor, ...] = ctx.gradients
    ctx.gradients = None
    # Reading a number is free on the processor; a GPU would be waited for.
    if grad.device.type != "cpu" or float(grad) != 1.0:
        for gradient in gradients:
            gradient *= grad
    return gradients
