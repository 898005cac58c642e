"""Item nearest neighbours against NumPy and against the implicit library."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diffrec import ItemKNN
from support.rivals import assert_same_scores, counts, implicit_library, recommended_scores

MATRIX = counts()
USERS, ITEMS = MATRIX.shape


def similarities(x: NDArray[np.float64], neighbors: int, weighting: str, k1: float = 1.2, b: float = 0.75):
    """Item x item by the formulas, each row cut to its greatest, the item itself counted and then left out."""
    if weighting == "cosine":
        x = x / np.maximum(np.linalg.norm(x, axis=0), 1e-12)
    else:
        length, per_user = x.sum(axis=0), (x > 0).sum(axis=1, keepdims=True)
        x = x * (k1 + 1) / (x + k1 * (1 - b + b * length / length.mean())) * np.log(x.shape[1] / (1 + per_user))
    product = x.T @ x
    for row in product:
        row[np.argsort(-row, kind="stable")[neighbors:]] = 0
    np.fill_diagonal(product, 0)
    return product


@pytest.mark.parametrize("weighting", ["cosine", "bm25"])
@pytest.mark.parametrize("neighbors", [1, 5, 20, ITEMS, 1000])
def test_is_its_formula(weighting: str, neighbors: int) -> None:
    model = ItemKNN(neighbors=neighbors, weighting=weighting, bm25_k1=1.5, bm25_b=0.6).fit(MATRIX)
    dense = MATRIX.toarray().astype(np.float64)
    expected = similarities(dense, neighbors, weighting, 1.5, 0.6)
    np.testing.assert_allclose(model.similarity_.toarray(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.score(), dense @ expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weighting", ["cosine", "bm25"])
def test_values_are_let_go_of_where_that_is_asked(weighting: str) -> None:
    ones = MATRIX.copy()
    ones.data[:] = 1
    plain, binary = ItemKNN(weighting=weighting).fit(ones), ItemKNN(weighting=weighting, binarize=True).fit(MATRIX)
    np.testing.assert_array_equal(binary.score(), plain.score())
    np.testing.assert_array_equal(binary.score(MATRIX[:9]), plain.score(ones[:9]))


@pytest.mark.parametrize("neighbors", [2, 10, 20, ITEMS])
def test_scores_as_the_implicit_library_does(neighbors: int) -> None:
    with implicit_library() as implicit:
        rivals = {
            "cosine": implicit.nearest_neighbours.CosineRecommender(K=neighbors),
            "bm25": implicit.nearest_neighbours.BM25Recommender(K=neighbors),
        }
        for weighting, rival in rivals.items():
            rival.fit(MATRIX.astype(np.float64).tocoo().tocsr(), show_progress=False)
            model = ItemKNN(neighbors=neighbors, weighting=weighting).fit(MATRIX)
            assert_same_scores(model, recommended_scores(rival, MATRIX))


def test_similar_items_are_the_neighbours() -> None:
    model = ItemKNN(neighbors=6).fit(MATRIX)
    top = model.similar_items([3, 7], k=10)
    rows = model.similarity_[[3, 7]].toarray()
    assert np.all(top.items[:, 5:] == -1)
    for row, items, values in zip(rows, top.items, top.scores, strict=True):
        np.testing.assert_array_equal(items[:5], np.argsort(-row, kind="stable")[:5])
        np.testing.assert_allclose(values[:5], row[items[:5]])


def test_its_matrix_is_sparse() -> None:
    model = ItemKNN(neighbors=4).fit(MATRIX)
    assert model.similarity_.nnz <= 4 * ITEMS
    assert model.similarity_.has_sorted_indices
