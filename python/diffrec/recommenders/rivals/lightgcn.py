"""LightGCN: embeddings of users and items, averaged over the graph of who has what."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from diffrec import _core
from diffrec.checks import layers, real, whole, width
from diffrec.data import Csr, Interactions, csr_arrays, owners_of, users_per_item, with_values
from diffrec.data.sparse_rows import SparseRows
from diffrec.data.stored import Stored
from diffrec.diffusion import Part, Whole, summed
from diffrec.ranking import LinearScores, Scores
from diffrec.recommenders.settings import changed, setting
from diffrec.recommenders.trained import Trainable, TrainedRecommender, TrainedSettings
from diffrec.recommenders.updating import Start
from diffrec.recommenders.warm import carried
from diffrec.training import Attributes, Stateful, run_batches

# A batch of users, items they have and items they have not, as rows of the graph.
Pairs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class LightGCNSettings(TrainedSettings):
    """Settings of LightGCN; symbols are those of the paper."""

    factors: int = setting(64, width, "length of the users' and items' embeddings")
    layers: int = setting(3, layers, "number of steps by which embeddings spread over the graph", symbol="K")
    l2: float = setting(
        1e-4,
        real(0),
        "weight, in a batch's loss, of the squared length of its embeddings; higher values shrink the embeddings",
        symbol="lambda",
    )
    lr: float = changed(TrainedSettings, "lr", 5e-3)
    batch_size: int = setting(
        2048,
        whole(1),
        "number of interactions in a training batch, each paired with an item that its user does not have",
    )
    epochs: int = setting(1000, whole(1), "largest number of passes over the interactions")


class LightGCN(TrainedRecommender):
    """Light graph convolution network (He et al., SIGIR 2020, arXiv 2002.02126).

    Every user and item has an embedding e^(0). A propagation step gives each the sum of its neighbours' embeddings in
    the graph of who has what, weighted by ``1 / sqrt(|N_u| |N_i|)`` (eq. 3); the mean of e^(0) ... e^(K) is its vector
    (eq. 4), and users score items by the inner product (eq. 5). Training ranks an item each user has above one drawn
    from those it has not: ``-ln sigmoid(score difference) + lambda |e^(0)|^2`` over the embeddings in a batch (eq. 15).

    People the model never saw have no e^(0): their vector is the same mean without it, one propagation step from the
    embeddings of their items. Who has no history at all gets the mean of all users' vectors. All training data are the
    graph in the end, whatever was held out in training.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=100, seed=1)
    >>> model = LightGCN(factors=8, epochs=5, progress=False).fit(data)
    >>> model.recommend(k=3).items.shape
    (60, 3)
    """

    variant: ClassVar[str] = "lightgcn"
    _spreads: ClassVar[bool] = True
    settings_type = LightGCNSettings
    settings: LightGCNSettings
    _network: "GraphEmbeddings"
    # Whose histories are the graph, and the vectors that result; None where the weights have changed since.
    _graph: Interactions
    _vectors: "Vectors | None" = None

    def _fit(self, data: Interactions, valid: Interactions | None) -> None:
        try:
            super()._fit(data, valid)
        finally:
            # Also of what is offered when the fit is interrupted.
            self._use_graph(data)

    def _prepare(self, learn: Interactions, device: torch.device) -> Trainable:
        s = self.settings
        self._network = self._new_network().to(device)
        self._use_graph(learn)
        optimizer = torch.optim.Adam(self._network.parameters(), lr=s.lr, fused=True)
        generator = np.random.default_rng(s.seed)
        graph = bipartite(learn.matrix, device)

        def run_epoch(epoch: int) -> float:
            pairs = self._network.own(drawn_pairs(learn.matrix, s.batch_size, device, generator, s.seed, epoch))
            return run_batches(lambda batch: self._network.loss(graph, batch), pairs, optimizer, pace=self._pace)

        changing: dict[str, Stateful] = {"optimizer": optimizer, "order": Attributes(generator.bit_generator, "state")}
        return Trainable(self._network, run_epoch, changing)

    def _new_network(self) -> "GraphEmbeddings":
        s = self.settings
        return GraphEmbeddings(sum(self.train_.shape), s.factors, s.layers, s.l2, self._share.part(s.factors))

    @torch.no_grad()
    def _begin_at(self, start: Start, network: nn.Module) -> None:  # noqa: ARG002 - the embeddings are all of it
        other = cast(LightGCN, start.model)
        held, known = other._network.start.cpu().numpy(), other._n_items
        if held.shape[1] != self.settings.factors:
            raise ValueError(f"init has {held.shape[1]} factors, and this fit {self.settings.factors}")
        items = carried(held[-known:], np.arange(known), np.arange(self._n_items), start)
        # Whoever is new begins where one propagation step would lead.
        matrix = self.train_.matrix
        weights = edge_weights(matrix, users_per_item(matrix))
        own = np.asarray(with_values(matrix, weights) @ items)
        users = np.where(start.users[:, None] >= 0, held[:-known][start.users], own)
        self._network.start.copy_(torch.from_numpy(np.concatenate([users, items])))

    def _use_graph(self, histories: Interactions) -> None:
        self._graph, self._vectors = histories, None

    def _weights_changed(self) -> None:
        self._vectors = None

    @torch.no_grad()
    def _current(self) -> "Vectors":
        if self._vectors is None:
            matrix = self._graph.matrix
            layers = list(self._network.layers_over(bipartite(matrix, self._network.device)))
            own = (torch.stack(part).sum(dim=0) / len(layers) for part in (layers, layers[:-1]))
            vectors, without_last = map(self._network.of_all_factors, own)
            users, items = vectors.split(matrix.shape)
            idle = torch.from_numpy(np.diff(matrix.indptr) == 0).to(users.device)
            average = users[~idle].mean(dim=0)
            users[idle] = average
            self._vectors = Vectors(users, items, without_last[len(users) :], average, users_per_item(matrix))
        return self._vectors

    def _scores_of(self, histories: Interactions, rows: NDArray[np.int64]) -> Scores:
        # Known users have vectors of their own; strangers with the same ids are other Interactions.
        if histories is not self._graph:
            return super()._scores_of(histories, rows)
        vectors = self._current()
        return LinearScores(vectors.users[torch.from_numpy(rows).to(vectors.users.device)], self._ranked(vectors))

    def _ranked(self, vectors: "Vectors") -> Tensor:
        """The vectors of the items that are ranked here."""
        return self._share.rows(vectors.items)

    @torch.no_grad()
    def _scores(self, block: Interactions) -> Scores:
        vectors = self._current()
        m = block.matrix
        weights = edge_weights(m, vectors.item_degrees)
        rows = SparseRows.from_csr(m.indptr, m.indices, weights, 0, m.shape[0], vectors.items.device)
        users = rows @ vectors.from_items
        users[rows.offsets.diff() == 0] = vectors.average
        return LinearScores(users, self._ranked(vectors))

    def _item_vectors(self) -> Tensor:
        return self._current().items

    def _restore(self, state: Stored) -> None:
        super()._restore(state)
        self._use_graph(self.train_)


@dataclass(frozen=True)
class Vectors:
    """Propagated embeddings in the form that ranking needs.

    Parameters
    ----------
    users, items : Tensor
        float32 (users, factors) and (items, factors), whose inner products are the scores.
    from_items : Tensor
        float32 (items, factors): the weighted sum of its items' rows is a user's vector but for the part of e^(0).
    average : Tensor
        (factors,), the mean vector of users with a history.
    item_degrees : int64 (items,)
        Users of each item in the graph.
    """

    users: Tensor
    items: Tensor
    from_items: Tensor
    average: Tensor
    item_degrees: NDArray[np.int64]


class GraphEmbeddings(nn.Module):
    """Embeddings e^(0) of a graph's nodes and the loss they are trained by.

    Parameters
    ----------
    nodes : int
        Users, then items.
    factors : int
        Length of an embedding.
    layers : int
        Propagation steps.
    l2 : float
        Weight of the squared lengths in the loss.
    part : Part, optional
        The factors that are here, where other processes hold others; by default all. Each factor propagates by itself,
        so that of a batch only its inner products and lengths are sums over all of them.
    """

    def __init__(self, nodes: int, factors: int, layers: int, l2: float, part: Part | None = None) -> None:
        super().__init__()
        self.part = part or Whole(factors)
        drawn = nn.init.normal_(torch.empty(nodes, factors), std=0.1)
        own = drawn[:, self.part.first : self.part.first + self.part.size]
        self.start = nn.Parameter(own.clone() if self.part.spread else own)
        self.part.hold(self.start, axis=1)
        self.layers = layers
        self.l2 = l2

    @property
    def device(self) -> torch.device:
        """Device that holds the embeddings."""
        return self.start.device

    def layers_over(self, graph: SparseRows) -> Iterator[Tensor]:
        """The embeddings after 0, 1, ... propagation steps, (nodes, factors) each; no gradients."""
        return _layers(self.start.detach(), graph, self.layers)

    def loss(self, graph: SparseRows, batch: Pairs) -> Tensor:
        """Mean loss of a batch of pairs (eq. 15), or a part's share of it; ``graph`` must be symmetric."""
        vectors = cast(Tensor, _LayerMean.apply(self.start, graph, self.layers))
        users, positives, negatives = (functional.embedding(nodes, vectors) for nodes in batch)
        margins = summed(self.part, (users * (positives - negatives)).sum(dim=1))
        lengths = torch.stack([functional.embedding(nodes, self.start).square().sum() for nodes in batch]).sum()
        n, _ = self.part.rows(len(margins))
        return (functional.softplus(-margins).sum() + self.l2 / 2 * summed(self.part, lengths)) / n

    def own(self, batches: Iterator[Pairs]) -> Iterator[Pairs]:
        """Yield of each batch the pairs that are this part's."""
        for users, positives, negatives in batches:
            own = self.part.begin(len(users))
            yield users[own], positives[own], negatives[own]

    def of_all_factors(self, columns: Tensor) -> Tensor:
        """Put columns (nodes, size) of this part's factors beside those of the others."""
        if not self.part.spread:
            return columns
        first = self.part.first
        whole = columns.new_zeros(len(columns), self.part.items)
        whole[:, first : first + self.part.size] = columns
        self.part.add(whole)
        return whole


def _layers(start: Tensor, graph: SparseRows, steps: int) -> Iterator[Tensor]:
    yield start
    for _ in range(steps):
        start = graph @ start
        yield start


class _LayerMean(torch.autograd.Function):
    """Mean over the layers, a symmetric map: the gradient goes through the same map, and no layer is kept for it."""

    @staticmethod
    def forward(ctx: Any, start: Tensor, graph: SparseRows, steps: int) -> Tensor:
        ctx.graph, ctx.steps = graph, steps
        layers = _layers(start, graph, steps)
        total = next(layers).clone()
        for layer in layers:
            total += layer
        return total.div_(steps + 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _LayerMean.forward(ctx, gradients[0], ctx.graph, ctx.steps), None, None


def edge_weights(matrix: Csr, item_degrees: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weights 1 / sqrt(|N_u| |N_i|) of the stored entries; an item without a user counts as having one.

    Examples
    --------
    >>> edge_weights(sparse.csr_array([[1.0, 1.0], [1.0, 0.0]]), np.array([2, 1])).round(3)
    array([0.5  , 0.707, 0.707], dtype=float32)
    """
    user_degrees = np.diff(matrix.indptr)
    squares = np.repeat(user_degrees, user_degrees) * np.maximum(item_degrees, 1)[matrix.indices].astype(np.float64)
    return np.asarray(1.0 / np.sqrt(squares), dtype=np.float32)


def bipartite(matrix: Csr, device: torch.device) -> SparseRows:
    """The graph of a user x item matrix as its symmetric normalised adjacency: users' rows, then items'."""
    weights = edge_weights(matrix, users_per_item(matrix))
    half = with_values(matrix, weights)
    whole_graph = cast(Csr, sparse.csr_array(sparse.block_array([[None, half], [half.T, None]], format="csr")))
    return SparseRows.from_csr(
        whole_graph.indptr, whole_graph.indices, whole_graph.data, 0, whole_graph.shape[0], device
    )


def drawn_pairs(
    matrix: Csr, batch_size: int, device: torch.device, generator: np.random.Generator, seed: int, epoch: int
) -> Iterator[Pairs]:
    """Batches that take every interaction once, in random order, beside an item drawn from those the user has not.

    Users who have every item are left out: there is nothing to rank below what they have.

    Raises
    ------
    ValueError
        When that leaves no one.
    """
    n_users, n_items = matrix.shape
    degrees = np.diff(matrix.indptr)
    owners = owners_of(matrix)
    entries = generator.permutation(np.flatnonzero((degrees < n_items)[owners]))
    if len(entries) == 0:
        raise ValueError("every user has every item: there is nothing to learn to rank")
    users, positives = owners[entries], matrix.indices[entries].astype(np.int64)
    negatives = _core.negative_items(csr_arrays(matrix), n_items, users, seed, epoch)
    nodes = (users, positives + n_users, negatives + n_users)
    parts = [torch.from_numpy(part).to(device).split(batch_size) for part in nodes]
    return zip(*parts, strict=True)
