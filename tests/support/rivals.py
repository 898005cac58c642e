"""What the tests of rivals share."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from diffrec import Recommender

Weights = dict[str, NDArray[np.float64]]


def counts(users: int = 60, items: int = 40, density: float = 0.15, seed: int = 0) -> sparse.csr_array:
    """Interactions with values from 1 to 9 that are no whole numbers, so that scores hardly ever tie."""
    rng = np.random.default_rng(seed)
    popularity = 0.3 + rng.random(items) ** 2
    taken = rng.random((users, items)) < density * popularity / popularity.mean()
    taken[0], taken[1] = True, False
    taken[1, :3] = True
    values = np.where(taken, rng.uniform(1, 9, (users, items)), 0)
    return sparse.csr_array(values.astype(np.float32))


@contextmanager
def implicit_library() -> Iterator[ModuleType]:
    """The `implicit` library with the one BLAS thread it asks for, and without its warnings about its own matrices."""
    why = "compares with the implicit library, which is not installed"
    implicit = pytest.importorskip("implicit", reason=why)
    for module in ("als", "nearest_neighbours", "utils"):
        pytest.importorskip(f"implicit.{module}", reason=why)
    limits = pytest.importorskip("threadpoolctl").threadpool_limits

    with limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", implicit.utils.ParameterWarning)
        yield implicit


def weights_of(module: nn.Module) -> Weights:
    """A network's weights in double precision, by name."""
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def recommended_scores(rival, matrix: sparse.csr_array) -> NDArray[np.float64]:
    """Scores (users, items) that a model of the `implicit` library recommends with; NaN where it recommends none."""
    user_items = sparse.csr_matrix(matrix)
    scores = np.full(matrix.shape, np.nan)
    for u in range(matrix.shape[0]):
        ids, values = rival.recommend(u, user_items[u], N=matrix.shape[1], filter_already_liked_items=True)
        scores[u, ids] = values
    return scores


def assert_same_scores(model: Recommender, expected: NDArray[np.floating], atol: float = 1e-4) -> None:
    """Scores agree wherever an item is unseen and has an expected score; where it has none it scores 0."""
    unseen = model.train_.matrix.toarray() == 0
    scores, known = model.score(), ~np.isnan(expected)
    assert (known & unseen).sum() > 100
    np.testing.assert_allclose(scores[known & unseen], expected[known & unseen], atol=atol, rtol=atol)
    np.testing.assert_allclose(scores[~known & unseen], 0, atol=atol)
