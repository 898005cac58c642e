"""LightGCN against dense NumPy."""

from typing import Any

import numpy as np
import pytest
import torch

import diffrec
from diffrec import Interactions, LightGCN
from diffrec.recommenders.rivals.lightgcn import GraphEmbeddings, bipartite, drawn_pairs

LAYERS, FACTORS = 3, 4
CPU = torch.device("cpu")


def some_data(users: int = 9, items: int = 7) -> Interactions:
    """Random histories; the last user has none, the last item no user, and user 0 has every other item."""
    rng = np.random.default_rng(3)
    matrix = rng.random((users, items)) < 0.4
    matrix[0, :-1], matrix[1, :2] = True, True
    matrix[-1], matrix[:, -1] = False, False
    return Interactions.from_csr(matrix.astype(np.float32))


DATA = some_data()
SEEN = DATA.matrix.toarray() > 0
USERS, ITEMS = SEEN.shape


def dense_graph(seen: np.ndarray) -> np.ndarray:
    """D^-1/2 A D^-1/2 of the bipartite graph, zero where a node has no edge."""
    adjacency = np.block(
        [[np.zeros((len(seen), len(seen))), seen], [seen.T, np.zeros((seen.shape[1], seen.shape[1]))]]
    ).astype(np.float64)
    degrees = adjacency.sum(axis=1)
    scale = np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1)), 0)
    return scale[:, None] * adjacency * scale


def dense_layers(start: np.ndarray, seen: np.ndarray, steps: int = LAYERS) -> list[np.ndarray]:
    layers = [start.astype(np.float64)]
    for _ in range(steps):
        layers.append(dense_graph(seen) @ layers[-1])
    return layers


@pytest.fixture(scope="module")
def model() -> LightGCN:
    return LightGCN(factors=FACTORS, layers=LAYERS, epochs=3, holdout=0, progress=False, batch_size=8).fit(DATA)


def start_of(model: LightGCN) -> np.ndarray:
    return model._state()["start"].numpy()


def test_graph_is_the_normalised_adjacency() -> None:
    graph = bipartite(DATA.matrix, CPU).to_dense(USERS + ITEMS).numpy()
    np.testing.assert_allclose(graph, dense_graph(SEEN), rtol=1e-6)
    np.testing.assert_array_equal(graph, graph.T)


def test_layers_are_powers_of_the_graph() -> None:
    embeddings = GraphEmbeddings(USERS + ITEMS, FACTORS, LAYERS, l2=0.0)
    layers = list(embeddings.layers_over(bipartite(DATA.matrix, CPU)))
    for layer, expected in zip(layers, dense_layers(embeddings.start.detach().numpy(), SEEN), strict=True):
        np.testing.assert_allclose(layer, expected, rtol=1e-5, atol=1e-7)


def test_loss_and_gradient_are_those_of_dense_products() -> None:
    l2 = 0.3
    embeddings = GraphEmbeddings(USERS + ITEMS, FACTORS, LAYERS, l2)
    batch = (torch.tensor([0, 1, 1]), torch.tensor([USERS, USERS + 1, USERS]), torch.tensor([USERS + 6] * 3))
    loss = embeddings.loss(bipartite(DATA.matrix, CPU), batch)
    loss.backward()

    start = embeddings.start.detach().double().requires_grad_()
    graph = torch.from_numpy(dense_graph(SEEN))
    vectors = sum(torch.linalg.matrix_power(graph, step) @ start for step in range(LAYERS + 1)) / (LAYERS + 1)
    users, positives, negatives = batch
    margins = (vectors[users] * vectors[positives]).sum(1) - (vectors[users] * vectors[negatives]).sum(1)
    squares = sum((start[nodes] ** 2).sum() for nodes in batch)
    expected = -torch.log(torch.sigmoid(margins)).mean() + l2 * 0.5 * squares / 3
    expected.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(embeddings.start.grad, start.grad, rtol=1e-4, atol=1e-6)


def test_known_users_are_scored_by_the_mean_of_their_layers(model: LightGCN) -> None:
    vectors = sum(dense_layers(start_of(model), SEEN)) / (LAYERS + 1)
    users, items = vectors[:USERS], vectors[USERS:]
    users[-1] = users[:-1].mean(axis=0)  # who has no history
    np.testing.assert_allclose(model.score(), users @ items.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model._item_vectors(), items, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.score([5, 2, 8]), (users @ items.T)[[5, 2, 8]], rtol=1e-4, atol=1e-5)


def test_strangers_have_all_layers_but_the_first(model: LightGCN) -> None:
    layers = dense_layers(start_of(model), SEEN)
    vectors = sum(layers) / (LAYERS + 1)
    expected = (vectors - layers[0] / (LAYERS + 1))[:USERS] @ vectors[USERS:].T
    strangers = model.score(DATA.matrix[:-1])
    np.testing.assert_allclose(strangers, expected[:-1], rtol=1e-4, atol=1e-5)
    nobody = Interactions(DATA.matrix[[8]], None, diffrec.Ids(np.array([0]), "user"), DATA.items)
    np.testing.assert_allclose(model.score(nobody), model.score([8]), rtol=1e-6)


def test_values_do_not_matter(model: LightGCN) -> None:
    np.testing.assert_array_equal(model.score(3 * DATA.matrix[:-1]), model.score(DATA.matrix[:-1]))


def test_what_was_held_out_belongs_to_the_graph_afterwards() -> None:
    model = LightGCN(factors=FACTORS, epochs=2, validate_every=1, holdout=0.3, progress=False).fit(DATA)
    vectors = sum(dense_layers(start_of(model), SEEN)) / (LAYERS + 1)
    np.testing.assert_allclose(model._item_vectors(), vectors[USERS:], rtol=1e-4, atol=1e-6)


def test_an_epoch_takes_every_interaction_once() -> None:
    pairs = list(drawn_pairs(DATA.matrix, 5, CPU, np.random.default_rng(0), seed=0, epoch=1))
    assert {len(users) for users, _, _ in pairs[:-1]} == {5}
    users, positives, negatives = (torch.cat(parts).numpy() for parts in zip(*pairs, strict=True))
    taken = np.zeros_like(SEEN, dtype=int)
    np.add.at(taken, (users, positives - USERS), 1)
    np.testing.assert_array_equal(taken, SEEN)
    assert not SEEN[users, negatives - USERS].any()


def test_who_has_everything_has_nothing_to_be_ranked() -> None:
    matrix = Interactions.from_csr(np.array([[1.0, 1.0], [1.0, 0.0]])).matrix
    pairs = list(drawn_pairs(matrix, 9, CPU, np.random.default_rng(0), seed=0, epoch=1))
    assert [[part.tolist() for part in batch] for batch in pairs] == [[[1], [2], [3]]]
    with pytest.raises(ValueError, match="every user has every item"):
        LightGCN(progress=False, holdout=0).fit(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"factors": 0}, "factors must be at least 1"), ({"layers": 0}, "layers must be"), ({"l2": -1}, "l2 must be")],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LightGCN(**settings)
