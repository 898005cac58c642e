"""EASE against its closed form and its definition, its figures on real data, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from diffrec import EASE, Interactions, Split
from diffrec.recommenders.rivals import ease
from support.rivals import counts

MATRIX = counts()
ITEMS = MATRIX.shape[1]


def closed_form(x: np.ndarray, l2: float) -> np.ndarray:
    p = np.linalg.inv(x.T @ x + l2 * np.eye(x.shape[1]))
    return np.eye(x.shape[1]) - p / np.diag(p)


@pytest.mark.parametrize("block", [1, 7, 512])
@pytest.mark.parametrize("binarize", [True, False])
@pytest.mark.parametrize("l2", [1e-3, 30.0])
def test_is_its_closed_form(monkeypatch: pytest.MonkeyPatch, block: int, binarize: bool, l2: float) -> None:
    monkeypatch.setattr(ease, "ITEM_BLOCK", block)
    model = EASE(l2=l2, binarize=binarize).fit(MATRIX)
    x = MATRIX.toarray().astype(np.float64)
    x = (x > 0).astype(np.float64) if binarize else x
    expected = closed_form(x, l2)
    assert model.similarity_.dtype == np.float32
    assert np.all(np.diag(model.similarity_) == 0)
    np.testing.assert_allclose(model.similarity_, expected, atol=1e-5)
    np.testing.assert_allclose(model.score(), x @ expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("block", [1, 7, 512])
@pytest.mark.parametrize("swept", [1, 5, 1000])
def test_an_inverse_in_steps_is_the_same(monkeypatch: pytest.MonkeyPatch, block: int, swept: int) -> None:
    expected = EASE(l2=2.0).fit(MATRIX).similarity_
    monkeypatch.setattr(ease, "ITEM_BLOCK", block)
    monkeypatch.setattr(ease, "AT_ONCE", 0)
    monkeypatch.setattr(ease, "_SWEPT", swept)
    np.testing.assert_allclose(EASE(l2=2.0).fit(MATRIX).similarity_, expected, atol=1e-7)
    with pytest.raises(ValueError, match="l2=1e-300 is too small for these values"):
        EASE(l2=1e-300).fit(np.ones((3, 4)))


def test_an_item_is_the_ridge_regression_on_the_others() -> None:
    x, l2, item = (MATRIX.toarray() > 0).astype(np.float64), 5.0, 8
    others = np.delete(np.arange(ITEMS), item)
    a = x[:, others]
    weights = np.linalg.solve(a.T @ a + l2 * np.eye(ITEMS - 1), a.T @ x[:, item])
    np.testing.assert_allclose(EASE(l2=l2).fit(MATRIX).similarity_[others, item], weights, atol=1e-6)


def test_too_little_regularisation() -> None:
    with pytest.raises(ValueError, match="l2=1e-17 is too small"):
        EASE(l2=1e-17).fit(np.ones((1, 2)))


def test_a_million_items_are_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    items = 1_000_000
    data = Interactions.from_csr(sparse.csr_array(([1.0, 1.0], [0, items - 1], [0, 2]), shape=(1, items)))
    model = EASE().fit(MATRIX)
    before = model.similarity_

    def never(*_: object) -> None:
        raise AssertionError("this is work")

    monkeypatch.setattr(ease, "zero_diagonal_ridge", never)
    with pytest.raises(MemoryError, match=r"1,000,000 x 1,000,000 items.* needs about 8,0\S+ GB .* 'rp3beta'"):
        model.fit(data)
    assert model.similarity_ is before


def test_similar_items_are_those_it_speaks_for() -> None:
    model = EASE(l2=10).fit(MATRIX)
    row = model.similarity_[4].copy()
    row[4] = -np.inf
    np.testing.assert_array_equal(model.similar_items(4, k=5).items[0], np.argsort(-row)[:5])


@pytest.mark.long
def test_figures_on_ml_1m(shared_data: Path) -> None:
    split = Split.read(shared_data / "ml-1m_clean.npz")
    report = EASE(l2=1000).fit(split.train).evaluate(split.test, seen=split.valid)
    assert report["recall@20"] == pytest.approx(0.1816, abs=2e-4)
    assert report["ndcg@20"] == pytest.approx(0.1165, abs=2e-4)
