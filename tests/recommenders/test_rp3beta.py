"""RP3beta against walks counted out in NumPy, and its figures on real data."""

from pathlib import Path

import numpy as np
import pytest

from diffrec import RP3beta, Split
from support.rivals import counts

MATRIX = counts()
ITEMS = MATRIX.shape[1]


def walked(x: np.ndarray, alpha: float, beta: float, neighbors: int, binarize: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores and similarities by the definition, with dense transition matrices."""
    x = (x > 0).astype(np.float64) if binarize else x
    popularity = np.maximum(x.sum(axis=0), 1e-12)
    to_item = (x / x.sum(axis=1, keepdims=True)) ** alpha
    to_user = (x / popularity).T ** alpha
    similarity = to_user @ to_item
    np.fill_diagonal(similarity, 0)
    for row in similarity:
        row[np.argsort(-row, kind="stable")[neighbors:]] = 0
    similarity /= popularity**beta
    return to_item @ similarity, similarity


@pytest.mark.parametrize("alpha", [1.0, 0.6])
@pytest.mark.parametrize("beta", [0.0, 0.4])
@pytest.mark.parametrize("binarize", [True, False])
@pytest.mark.parametrize("neighbors", [5, ITEMS])
def test_is_its_definition(alpha: float, beta: float, binarize: bool, neighbors: int) -> None:
    # Values that are no whole numbers: with counts alone, which neighbours are kept would hang on ties.
    model = RP3beta(alpha=alpha, beta=beta, neighbors=neighbors, binarize=binarize).fit(MATRIX)
    scores, similarity = walked(MATRIX.toarray().astype(np.float64), alpha, beta, neighbors, binarize)
    if not binarize or neighbors == ITEMS:
        np.testing.assert_allclose(model.similarity_.toarray(), similarity, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(model.score(), scores, rtol=1e-5, atol=1e-7)
    else:
        np.testing.assert_allclose(model.similarity_.sum(axis=1), similarity.sum(axis=1), rtol=0.05)


def test_a_walk_without_penalty_ends_somewhere() -> None:
    model = RP3beta(beta=0, neighbors=ITEMS).fit(MATRIX)
    # Two steps from an item lead to the items in similarity_, or back.
    assert np.all(model.similarity_.sum(axis=1) < 1 + 1e-6)


def test_beta_holds_popular_items_back() -> None:
    popularity = (MATRIX > 0).sum(axis=0)
    mean = [popularity[RP3beta(beta=beta).fit(MATRIX).recommend(k=5).items].mean() for beta in (0.0, 0.5, 1.0)]
    assert mean[0] > mean[1] > mean[2]


@pytest.mark.long
def test_figures_on_lastfm(shared_data: Path) -> None:
    split = Split.read(shared_data / "lastfm.npz")
    report = RP3beta(beta=0.2, neighbors=1000).fit(split.train).evaluate(split.test, seen=split.valid)
    assert report["ndcg@20"] == pytest.approx(0.2506, abs=5e-4)
    assert report["recall@20"] == pytest.approx(0.2488, abs=5e-4)
