"""Scorers of each kind of recommender, in tensor operations that a graph can hold."""

from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch

import torch
from torch import Tensor
from torch.nn import functional

from diffrec.anchors import LinearMap
from diffrec.diffusion import PaddedRows, Sequences
from diffrec.export.maps import GraphMap
from diffrec.ranking import LinearScores
from diffrec.recommenders import (
    CFGAN,
    IALS,
    Anchor,
    DiffRec,
    MultiDAE,
    Popularity,
    Recommender,
    RP3beta,
    SASRec,
    Stack,
    TopFreq,
)
from diffrec.recommenders.rivals.item_to_item import ItemToItem

# Newton's steps: the first ones as many as the condition number has bits, then the correct digits double.
_INVERSION_STEPS = 30

# Histories, and their items (n, length), oldest first -> scores (n, items).
GraphScores = Callable[[PaddedRows, Tensor], Tensor]


@singledispatch
def scorer_of(model: Recommender) -> GraphScores:
    """Say how a fitted recommender, whose tensors are on the processor, scores histories.

    Raises
    ------
    TypeError
        When it cannot be exported.
    """
    raise TypeError(f"{type(model).__name__} cannot be exported: its scores are no function of a history alone")


@scorer_of.register
def _(model: Popularity) -> GraphScores:
    counts = torch.from_numpy(model._counts)
    return lambda rows, _: counts.expand(rows.rows, -1)


@scorer_of.register
def _(model: TopFreq) -> GraphScores:
    shares, weight = torch.from_numpy(model._shares), model.settings.popularity

    def scores(rows: PaddedRows, _: Tensor) -> Tensor:
        # The score of an item of the history beyond its share of users; items outside the history have weight 0.
        beyond = torch.where(rows.values > 0, rows.values + (weight - 1) * shares[rows.indices], 0.0)
        out = shares.expand(rows.rows, -1).clone()
        replace(rows, values=beyond).add_to(out, 0, 1.0)
        return out

    return scores


@scorer_of.register
def _(model: ItemToItem) -> GraphScores:
    similarity = GraphMap(LinearMap(model.similarity_))
    return lambda rows, _: similarity(rows)


@scorer_of.register
def _(model: RP3beta) -> GraphScores:
    similarity, alpha = GraphMap(LinearMap(model.similarity_)), model.settings.alpha

    def scores(rows: PaddedRows, _: Tensor) -> Tensor:
        # The walk's first step: to an item with probability in proportion to its value.
        steps = rows.scaled(1 / rows.padded_values.sum(dim=1).clamp(min=1e-30))
        return similarity(replace(steps, values=steps.values**alpha))

    return scores


@scorer_of.register
def _(model: MultiDAE) -> GraphScores:
    network, n_items = model._network, model._n_items
    return lambda rows, _: network.scores(rows).block(0, n_items)


@scorer_of.register
def _(model: CFGAN) -> GraphScores:
    generator = model._network
    return lambda rows, _: generator(rows)


@scorer_of.register
def _(model: IALS) -> GraphScores:
    items, alpha = torch.from_numpy(model._whitened[0]), model.settings.alpha
    identity = torch.eye(items.shape[1])

    def scores(rows: PaddedRows, _: Tensor) -> Tensor:
        # In the coordinates of `items` Y'Y + lambda I is the identity: (I + sum (c - 1) y y') x = sum c y (eq. 4).
        own = functional.embedding(rows.padded_indices, items)
        confidence = alpha * rows.padded_values
        beyond = torch.where(confidence > 0, confidence - 1, 0.0)
        equations = identity + own.mT @ (beyond.unsqueeze(2) * own)
        wanted = own.mT @ confidence.unsqueeze(2)
        inverse = _inverse(equations, identity)
        users = inverse @ wanted
        # One step of refinement: solve again for the residual that rounding left.
        users = users + inverse @ (wanted - equations @ users)
        return functional.linear(users.squeeze(2), items)

    return scores


@scorer_of.register
def _(model: Anchor) -> GraphScores:
    anchor = GraphMap(model.map_)
    return lambda rows, _: anchor(rows)


@scorer_of.register
def _(model: SASRec) -> GraphScores:
    s, network, n_items = model.settings, model._network, model._n_items

    def scores(rows: PaddedRows, items: Tensor) -> Tensor:
        last = _last(rows, items, 0, n_items, s.length, clock=s.clock)
        return LinearScores(network.newest(last), network.items, network.bias).block(0, n_items)

    return scores


@scorer_of.register
def _(model: Stack) -> GraphScores:
    n_items, shares, parts, first = model._n_items, model._shares.tolist(), [], 0
    for part in model.parts_:
        stop = first + (part._reading().views or 1) * n_items
        parts.append((scorer_of(part), first, stop))
        first = stop

    def scores(rows: PaddedRows, items: Tensor) -> Tensor:
        unseen = torch.ones(rows.rows, n_items + 1, device=items.device)
        unseen = unseen.scatter(1, torch.where(items < 0, n_items, items), 0.0)[:, :n_items]
        count = unseen.sum(dim=1, keepdim=True).clamp(min=1)
        total = torch.zeros_like(unseen)
        for (own, first, stop), share in zip(parts, shares, strict=True):
            scored = own(rows.columns(first, stop), items)
            mean = (scored * unseen).sum(dim=1, keepdim=True) / count
            spread = (((scored - mean) * unseen).square().sum(dim=1, keepdim=True) / count).sqrt()
            total = total + torch.where(spread > 0, share / spread, 0.0) * scored
        return total

    return scores


@scorer_of.register
def _(model: DiffRec) -> GraphScores:
    s, network, held, n_items = model.settings, model._network, model._anchor, model._n_items
    if s.forward_steps or s.sampling_noise:
        raise TypeError(
            "DiffRec with noise at inference cannot be exported: a graph gives the same scores every time; "
            "fit it with forward_steps=0 and sampling_noise=False"
        )
    anchor = None if held is None or held.scale == 0 else GraphMap(held.map)

    def scores(rows: PaddedRows, items: Tensor) -> Tensor:
        last = None
        if s.denoiser == "sequence":
            # An anchor reads the views before those that say where in its history an item stands.
            last = _last(rows, items, s.n_seen if s.anchor else 0, n_items, s.sequence_length, clock=s.sequence_clock)
        elif s.encoder_length:
            last = last_events(items, torch.zeros(items.shape, device=items.device), None, s.encoder_length)
        own = network.noiseless_scores(rows, last).block(0, n_items)
        if held is None or anchor is None:
            return own
        # The columns beyond the anchor's features are for the network.
        return own + held.scale * anchor(rows.columns(0, held.map.n_features))

    return scores


def _last(rows: PaddedRows, items: Tensor, first: int, n_items: int, length: int, *, clock: bool) -> Sequences:
    """The last events of histories, from the views ``first`` and after it that say where each item stands."""

    def standing(view: int) -> Tensor:
        # Every item has one entry in a view; those of others, and of other models beside this one, become 0. They are
        # looked up among all items: how many views stand side by side is not to be told from histories without items.
        own = rows.columns(view * n_items, (view + 1) * n_items)
        of_all = own.values.new_zeros(own.rows, n_items).scatter_add(1, own.padded_indices, own.padded_values)
        return of_all.gather(1, items.clamp(min=0)) - 1

    return last_events(items, standing(first), standing(first + 1) if clock else None, length)


def last_events(items: Tensor, ages: Tensor, elapsed: Tensor | None, length: int) -> Sequences:
    """The last events of histories, as ``Timeline.sequences`` gives them.

    Parameters
    ----------
    items : Tensor
        int64 (n, any), oldest first, with -1 anywhere between.
    ages, elapsed : Tensor
        float32 of the same shape: how many baskets came after each, and how much time; elapsed may be None.
    length : int
        How many; what would part the oldest basket is left out, unless that is the newest, too.

    Examples
    --------
    >>> history = torch.tensor([[5, 6, 7, -1], [-1, 8, -1, -1]])
    >>> last_events(history, torch.tensor([[2.0, 1.0, 0.0, 0.0], [0.0] * 4]), None, 2).items
    tensor([[ 6,  7],
            [-1,  8]])
    """
    there = (items >= 0).long()
    newer = there.sum(dim=1, keepdim=True) - there.cumsum(dim=1)
    # The age of what just did not fit, beyond all ages where everything did.
    parted = torch.where((there > 0) & (newer == length), ages, -1.0).amax(dim=1, keepdim=True)
    kept = (there > 0) & (newer < length) & ((ages != parted) | (ages == 0))
    # The rest goes to a place beyond the end.
    place = torch.where(kept, length - 1 - newer, length)

    def gathered(values: Tensor, nothing: int) -> Tensor:
        out = torch.full((items.shape[0], length + 1), nothing, dtype=values.dtype, device=values.device)
        return out.scatter(1, place, values)[:, :length]

    return Sequences(
        gathered(items, -1), gathered(ages.round().long(), 0), None if elapsed is None else gathered(elapsed, 0)
    )


def _inverse(matrices: Tensor, identity: Tensor) -> Tensor:
    """Inverses of symmetric positive definite matrices (n, width, width), by products alone.

    Newton's iteration ``X <- X (2 I - A X)`` (Schulz 1933): ONNX has no operator that solves equations.
    """
    # No eigenvalue exceeds the largest sum of a row's absolute values: A X starts between 0 and the identity.
    inverse = identity / matrices.abs().sum(dim=2).amax(dim=1)[:, None, None]
    for _ in range(_INVERSION_STEPS):
        inverse = inverse @ (2 * identity - matrices @ inverse)
    return inverse
