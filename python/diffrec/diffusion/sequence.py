"""A causal transformer over histories: at every place it has seen the past and none of what followed."""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion.item_likelihood import forecast_loss
from diffrec.diffusion.item_products import BLOCK_CELLS
from diffrec.diffusion.part import Part, Whole, summed

# Distances between places that have a weight of their own; beyond, a power of two is parted so many times.
_NEAR, _PER_OCTAVE, _RANK_BUCKETS = 8, 2.5, 24
# Distances that are told apart; what is farther counts as this far.
_FARTHEST = 1024
# Powers of two of clock time that are told apart: in seconds, from one to centuries.
_TIME_BUCKETS = 34
# Stands for minus infinity among attention's logits: a row of nothing else has no softmax.
_NEVER = -1e9
# Places whose states are made at once where histories are scored.
_PLACES_AT_ONCE = 8192


@dataclass(frozen=True)
class Sequences:
    """The last events of n histories, oldest first.

    Parameters
    ----------
    items : Tensor
        int64 (n, length), -1 before the first.
    ages : Tensor
        int64 (n, length), how many baskets came after that of each event. What shares an age has no inner order.
    elapsed : Tensor or None
        float32 (n, length), time between each event and the newest; None where the clock is not read.
    """

    items: Tensor
    ages: Tensor
    elapsed: Tensor | None

    def __len__(self) -> int:
        return len(self.items)

    def to(self, device: torch.device) -> Self:
        """Return a copy on a device."""
        elapsed = None if self.elapsed is None else self.elapsed.to(device)
        return replace(self, items=self.items.to(device), ages=self.ages.to(device), elapsed=elapsed)

    def of(self, rows: Tensor, length: int) -> Self:
        """The last ``length`` events of some rows."""
        elapsed = None if self.elapsed is None else self.elapsed[rows, -length:]
        return replace(self, items=self.items[rows, -length:], ages=self.ages[rows, -length:], elapsed=elapsed)

    def repeated(self, n: int) -> Self:
        """One history, ``n`` times."""
        elapsed = None if self.elapsed is None else self.elapsed.expand(n, -1)
        return replace(self, items=self.items.expand(n, -1), ages=self.ages.expand(n, -1), elapsed=elapsed)


class SequenceEncoder(nn.Module):
    """States of a history at every place, each made of that place's basket and those before it.

    A causal transformer with its norms first, as SASRec (Kang & McAuley 2018, arXiv 1808.09781), but that places are
    told apart by their distance: attention's logits get a learnt weight per head for the number of baskets between two
    events and, where the clock is read, one for the logarithm of the time between them (as HSTU, Zhai et al. 2024,
    arXiv 2402.17152). Events of one basket see each other and are the same distance from all others, so that a basket
    is a set.

    Parameters
    ----------
    items : int
        How many there are.
    width : int
        Of embeddings and states; a multiple of ``heads``.
    layers, heads : int
        Of the transformer.
    dropout : float
        In training.
    clock : bool
        Whether ``Sequences.elapsed`` is read.
    part : Part, optional
        The items whose embeddings it holds, where it is spread over processes; by default all.

    Examples
    --------
    >>> encoder = SequenceEncoder(items=5, width=4, layers=1, heads=2, dropout=0.2, clock=False)
    >>> history = Sequences(torch.tensor([[-1, 2, 4]]), torch.tensor([[1, 1, 0]]), None)
    >>> encoder(history).shape, encoder.newest(history).shape
    (torch.Size([1, 3, 4]), torch.Size([1, 4]))
    """

    def __init__(
        self, items: int, width: int, layers: int, heads: int, dropout: float, *, clock: bool, part: Part | None = None
    ) -> None:
        super().__init__()
        self.part: Part = part or Whole(items)
        self.items = nn.Parameter(torch.empty(self.part.size, width))
        self.bias = nn.Parameter(torch.zeros(self.part.size))
        self.part.hold(self.bias)
        self.dropout = dropout
        self.clock = clock
        self.layers = nn.ModuleList(_Layer(width, heads, dropout, self.part, clock=clock) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.register_buffer("_rank_bucket", _rank_buckets(), persistent=False)
        self.part.draw(self.items, 0.5 / math.sqrt(width))

    @property
    def width(self) -> int:
        """Width of the embeddings and states."""
        return self.items.shape[1]

    def forward(self, history: Sequences, presence: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        """Encode n histories; returns (n, length, width).

        Parameters
        ----------
        history : Sequences
            n histories.
        presence : Tensor, optional
            (n, length), how much each event is there, 1 by default: what an explanation differentiates by.
        noise : Tensor, optional
            (n, length, width), added to the embeddings.
        """
        missing, own = history.items < 0, history.items - self.part.first
        here = (own >= 0) & (own < self.part.size)
        # A row for a part that has none.
        table = self.items if self.part.size else self.items.new_zeros(1, self.width) + self.items.sum()
        x = functional.embedding(torch.where(here, own, 0), table) * math.sqrt(self.width)
        if presence is not None:
            # An item that is not there is an average one: a norm would make as much of a little of it as of all.
            average = self.items.mean(dim=0) * math.sqrt(self.width)
            x = average + presence.unsqueeze(2) * (x - average)
        x = summed(self.part, torch.where(here.unsqueeze(2), x, 0.0))
        if noise is not None:
            x = x + noise
        x = self.part.dropout(x, self.dropout, training=self.training)
        between = history.ages.unsqueeze(1) - history.ages.unsqueeze(2)
        itself = torch.eye(between.shape[1], dtype=torch.bool, device=x.device)
        seen = ((between >= 0) & ~missing.unsqueeze(1)) | itself
        mask = torch.where(seen, 0.0, _NEVER).to(x.dtype).unsqueeze(1)
        ranks = self._rank_bucket[between.clamp(0, _FARTHEST)]  # type: ignore[index]
        times = None
        if self.clock:
            assert history.elapsed is not None
            gap = (history.elapsed.unsqueeze(1) - history.elapsed.unsqueeze(2)).clamp(min=0)
            times = torch.log2(1 + gap).long().clamp(max=_TIME_BUCKETS - 1)
        for layer in self.layers:
            x = layer(x, mask, ranks, times)
        state: Tensor = self.norm(x)
        return state

    def newest(self, history: Sequences, presence: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        """The states of whole histories, (n, width): the mean over the newest basket's places."""
        states = self(history, presence, noise)
        own = ((history.ages == 0) & (history.items >= 0)).to(states.dtype)
        # Nothing before has a basket: the last place stands for it.
        last = torch.zeros_like(own)
        last[:, -1] = 1.0
        own = torch.where(own.sum(dim=1, keepdim=True) > 0, own, last)
        state: Tensor = (own.unsqueeze(1) @ states).squeeze(1) / own.sum(dim=1, keepdim=True)
        return state


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float, part: Part, *, clock: bool) -> None:
        super().__init__()
        self.heads, self.dropout, self.part = heads, dropout, part
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projections, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_in, self.feed_out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.by_rank = nn.Parameter(torch.zeros(_RANK_BUCKETS, heads))
        self.by_time = nn.Parameter(torch.zeros(_TIME_BUCKETS, heads)) if clock else None

    def forward(self, x: Tensor, mask: Tensor, ranks: Tensor, times: Tensor | None) -> Tensor:
        n, length, width = x.shape
        parts = self.projections(self.before_attention(x)).view(n, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        logits = _looked_up(self.by_rank, ranks) + mask
        if times is not None and self.by_time is not None:
            logits = logits + _looked_up(self.by_time, times)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=logits.to(query.dtype))
        mixed = self.out(mixed.transpose(1, 2).reshape(n, length, width))
        x = x + self.part.dropout(mixed, self.dropout, training=self.training)
        fed = self.feed_out(functional.gelu(self.feed_in(self.before_feed(x))))
        return x + self.part.dropout(fed, self.dropout, training=self.training)


def _looked_up(table: Tensor, buckets: Tensor) -> Tensor:
    """The weights (n, heads, length, length) that int64 buckets (n, length, length) have in (buckets, heads)."""
    if torch.is_grad_enabled() and table.requires_grad:
        found: Tensor = _LookUp.apply(table, buckets)
        return found
    return functional.embedding(buckets, table).permute(0, 3, 1, 2)


class _LookUp(torch.autograd.Function):
    """Look up bucket weights, with a gradient by counting: that of ``embedding`` took a fifth of training."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, buckets: Tensor) -> Tensor:
        ctx.save_for_backward(buckets)
        ctx.size = len(table)
        return table.T.contiguous().index_select(1, buckets.flatten()).view(-1, *buckets.shape).transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (buckets,) = ctx.saved_tensors
        heads = grad.to(torch.promote_types(grad.dtype, torch.float32)).unbind(dim=1)
        flat = buckets.flatten()
        if torch.are_deterministic_algorithms_enabled():
            # A GPU has no such way to count with weights.
            weights = torch.stack([part.reshape(-1) for part in heads], dim=1)
            return weights.new_zeros(ctx.size, len(heads)).index_add_(0, flat, weights).to(grad.dtype), None
        of_heads = [torch.bincount(flat, weights=part.reshape(-1), minlength=ctx.size) for part in heads]
        return torch.stack(of_heads, dim=1).to(grad.dtype), None


def _rank_buckets() -> Tensor:
    """Return the number of the weight that each distance in baskets has, int64 (_FARTHEST + 1,)."""
    distance = torch.arange(_FARTHEST + 1)
    far = _NEAR + (_PER_OCTAVE * torch.log2((distance / _NEAR).clamp(min=1))).long()
    return torch.where(distance < _NEAR, distance, far).clamp(max=_RANK_BUCKETS - 1)


def newest_in_blocks(encoder: SequenceEncoder, history: Sequences, noise: Tensor | None = None) -> Tensor:
    """``encoder.newest`` of many histories, some of about the same length at a time, (n, width)."""
    lengths = (history.items >= 0).sum(dim=1).clamp(min=1)
    rising, order = torch.sort(lengths, stable=True)
    longest, states, stop = rising.tolist(), encoder.items.new_empty(len(history), encoder.width), len(history)
    while stop > 0:
        length = longest[stop - 1]
        first = max(0, stop - max(1, _PLACES_AT_ONCE // length))
        block = order[first:stop]
        states[block] = encoder.newest(
            history.of(block, length), noise=None if noise is None else noise[block, -length:]
        )
        stop = first
    return states


def states_of_baskets(states: Tensor, places: Tensor, basket: Tensor, m: int) -> Tensor:
    """The mean state over each basket's places, (m, width).

    Parameters
    ----------
    states : Tensor
        (n, length, width), as ``SequenceEncoder`` gives them.
    places, basket : Tensor
        int64 (events,): places among the n * length, and which of the m baskets each belongs to, rising.
    """
    own = states.reshape(-1, states.shape[-1])[places]
    if len(own) == m:
        return own
    counts = torch.bincount(basket, minlength=m).to(own.dtype)
    return own.new_zeros(m, own.shape[1]).index_add(0, basket, own) / counts[:, None]


def softmax_loss_in_blocks(
    h: Tensor,
    items_out: Tensor,
    bias_out: Tensor,
    targets: SparseRows,
    part: Part | None = None,
    total: int | None = None,
) -> Tensor:
    """``forecast_loss`` under a softmax, a block of rows at a time: no array of all rows x items is made.

    Of a batch whose rows are shared out ``total`` is how many there are of it; a part gets its share of their mean.

    Examples
    --------
    >>> both = SparseRows.from_dense(torch.tensor([[0.0, 1.0], [0.5, 0.5]]))
    >>> softmax_loss_in_blocks(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2), both)
    tensor(0.6931)
    """
    n, part = len(h), part or Whole(len(items_out))
    # Of one size in all parts: what is said in between has to be of the same rows.
    step = max(1, BLOCK_CELLS // max(part.most, 1))
    ends = targets.offsets.tolist()
    losses: list[Tensor] = []
    # The gradients of the layer are as large as it is: all blocks have one of each. The last block begins, as it would
    # were they summed on the way back.
    sums: list[Tensor] = []
    for first in reversed(range(0, max(n, 1), step)):
        stop = min(first + step, n)
        entries = slice(ends[first], ends[stop])
        block = SparseRows(
            targets.offsets[first : stop + 1] - targets.offsets[first],
            targets.indices[entries],
            targets.values[entries],
        )
        loss = forecast_loss(h[first:stop], items_out, bias_out, block, part=part, total=total or n, sums=sums)
        losses.append(loss)
    return torch.stack(losses[::-1]).sum()
