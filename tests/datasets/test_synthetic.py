"""The generated world must be what it says, and rank recommenders as the real one does."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffrec.data import Interactions, time_weights
from diffrec.datasets import synthetic

Scores = NDArray[np.floating[Any]]


def test_the_world_is_as_ordered() -> None:
    world = synthetic(users=300, items=200, interactions_per_user=20, seed=4)
    assert world.shape == (300, 200)
    lengths = np.diff(world.matrix.indptr)
    assert abs(lengths.mean() - 20) < 2
    assert lengths.min() >= 3
    assert set(world.matrix.data) == {1.0}
    assert world.timestamps is not None
    assert world.timestamps.min() >= 1_640_995_200
    assert np.ptp(world.timestamps) > 600 * 86_400
    assert set(world.item_info) == {"title", "genre"}
    for title, genre in zip(world.items, world.item_info["genre"], strict=True):
        assert str(title).startswith("The ")
        assert str(title).endswith(f" ({genre})")
    assert world.item_info["title"].tolist() == list(world.items)
    assert len(set(world.item_info["genre"])) == 12


def test_popularity_has_a_long_tail() -> None:
    counts = np.sort(np.asarray(synthetic().matrix.sum(axis=0)))[::-1]
    assert counts[:200].sum() > 0.4 * counts.sum()
    assert counts[500:].sum() > 0.1 * counts.sum()


def test_the_seed_decides() -> None:
    one, same, other = (synthetic(users=50, items=60, interactions_per_user=8, seed=seed) for seed in (0, 0, 1))
    assert (one.matrix != same.matrix).nnz == 0
    np.testing.assert_array_equal(one.timestamps, same.timestamps)
    assert one.items == same.items
    assert one.users == same.users
    assert one.items != other.items


@pytest.mark.parametrize("users", [1, 7, 2500])
@pytest.mark.parametrize("items", [2, 3, 37])
def test_any_size_is_a_world(users: int, items: int) -> None:
    world = synthetic(users, items, 1, genres=["Mystery", "Opera", "Mystery"])
    assert world.shape == (users, items)
    assert set(world.item_info["genre"]) <= {"Mystery", "Opera"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"users": 0}, ValueError, "users must be at least 1, got 0"),
        ({"items": 1.5}, TypeError, "items must be a whole number, got 1.5"),
        ({"users": True}, TypeError, "users must be a whole number, got True"),
        (
            {"items": 10, "interactions_per_user": 6},
            ValueError,
            "interactions_per_user must be at least 1 and at most 5",
        ),
        ({"drift": 1.5}, ValueError, "drift must be at least 0 and at most 1, got 1.5"),
        ({"drift": "yes"}, TypeError, "drift must be a number"),
        ({"genres": "Opera"}, TypeError, "genres must be a sequence of names, not 'Opera'"),
        ({"genres": [1]}, TypeError, "genres must be a sequence of names"),
        ({"genres": []}, ValueError, "genres must name at least one"),
    ],
)
def test_bad_orders_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        synthetic(**arguments)


# Recommenders in a few lines each


def popularity(train: Interactions) -> Scores:
    return np.tile(np.asarray(train.matrix.sum(axis=0)), (train.shape[0], 1))


def neighbours(train: Interactions, k: int = 50) -> Scores:
    together: Scores = (train.matrix.T @ train.matrix).toarray()
    norms = np.sqrt(np.diag(together)).clip(1)
    likeness = together / np.outer(norms, norms)
    np.fill_diagonal(likeness, 0)
    likeness[likeness < -np.sort(-likeness, axis=0)[k - 1]] = 0
    return train.matrix @ likeness


def ridge(train: Interactions, history: Any, l2: float = 100.0) -> Scores:
    """Score with EASE, learnt from the plain matrix and applied to the given histories."""
    inverse = np.linalg.inv((train.matrix.T @ train.matrix).toarray() + l2 * np.eye(train.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return history @ weights


def ndcg(scores: Scores, train: Interactions, test: Interactions, k: int = 20) -> float:
    scores = scores.copy()
    scores[train.matrix.nonzero()] = -np.inf
    best = np.argsort(-scores, axis=1)[:, :k]
    relevant = test.matrix.toarray() > 0
    counts = relevant.sum(axis=1)
    gains = 1 / np.log2(np.arange(2, k + 2))
    found = (np.take_along_axis(relevant, best, axis=1) * gains).sum(axis=1)
    asked = counts > 0
    return float((found[asked] / np.cumsum(gains)[np.minimum(counts[asked], k) - 1]).mean())


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("drift", [True, False])
def test_recommenders_rank_as_they_should(drift: bool, seed: int) -> None:
    train, valid, test = synthetic(drift=drift, seed=seed).split("time")
    train = train.merge(valid)
    recent = time_weights(train, "exponential", w_min=0.05, half_life=5)
    popular, near, blind, aware = (
        ndcg(scores, train, test)
        for scores in (popularity(train), neighbours(train), ridge(train, train.matrix), ridge(train, recent))
    )
    assert popular * 1.2 < near
    assert near * 1.05 < blind
    if drift:
        assert blind * 1.2 < aware
    else:
        assert aware < blind
