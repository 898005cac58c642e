from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec import _core
from support import twins
from support.sparse import csr_arrays, csr_of, row_sets

PRECISION, RECALL, RECALL_TRUNCATED, NDCG, MRR, HIT_RATE = range(6)


def ranked_lists(users: int, length: int, items: int) -> st.SearchStrategy[np.ndarray]:
    row = st.lists(st.integers(-1, items - 1), min_size=length, max_size=length)
    rows = st.lists(row, min_size=users, max_size=users)
    return rows.map(lambda rows: np.array(rows, np.int32).reshape(users, length))


@given(st.data(), st.integers(0, 6), st.integers(1, 8), st.integers(1, 12))
def test_same_as_the_twins(data: st.DataObject, users: int, length: int, items: int) -> None:
    ranked = data.draw(ranked_lists(users, length, items))
    relevant = data.draw(csr_arrays(items, min_rows=users, max_rows=users))
    k = data.draw(st.lists(st.integers(1, length), max_size=4))
    metrics = _core.ranking_metrics(ranked, relevant, k)
    assert metrics.shape == (6, len(k), users)
    np.testing.assert_allclose(metrics, twins.ranking_metrics(ranked, row_sets(relevant), k), rtol=1e-12)
    np.testing.assert_array_equal(_core.coverage(ranked, items, k), twins.coverage(ranked, items, k))


@pytest.mark.parametrize("n_relevant", [1, 3, 30])
def test_an_ideal_list_scores_one_and_a_list_of_misses_zero(n_relevant: int) -> None:
    wanted = dict.fromkeys(range(n_relevant), 1.0)
    ranked = np.arange(20, dtype=np.int32)[None]
    for lists, expected in [(ranked, 1), (ranked + 100, 0)]:
        metrics = _core.ranking_metrics(lists, csr_of([wanted]), [1, 10, 20])
        np.testing.assert_allclose(metrics[[RECALL_TRUNCATED, NDCG, MRR, HIT_RATE]], expected, rtol=1e-12)


def test_one_list_worked_out_by_hand() -> None:
    ranked = np.array([[7, 1, 8, 3, -1]], np.int32)
    metrics = _core.ranking_metrics(ranked, csr_of([{1: 1.0, 3: 1.0, 9: 1.0}]), [2, 5])[:, :, 0]
    np.testing.assert_allclose(metrics[PRECISION], [1 / 2, 2 / 5])
    np.testing.assert_allclose(metrics[RECALL], [1 / 3, 2 / 3])
    np.testing.assert_allclose(metrics[RECALL_TRUNCATED], [1 / 2, 2 / 3])
    second, fourth = 1 / np.log2(3), 1 / np.log2(5)
    np.testing.assert_allclose(metrics[NDCG], [second / (1 + second), (second + fourth) / (1.5 + second)])
    np.testing.assert_allclose(metrics[MRR], [0.5, 0.5])
    np.testing.assert_array_equal(metrics[HIT_RATE], 1)


def test_empty_places_hit_nothing() -> None:
    ranked = np.full((1, 3), -1, np.int32)
    indptr, values = np.array([0, 2]), np.ones(2, np.float32)
    metrics = _core.ranking_metrics(ranked, (indptr, np.array([0, 1], np.int32), values), [3])
    np.testing.assert_array_equal(metrics, 0)
    with pytest.raises(ValueError, match=r"`relevant.indices\[0\]` is -1"):
        _core.ranking_metrics(ranked, (indptr, np.array([-1, 0], np.int32), values), [3])
    assert _core.coverage(ranked, 5, [3]) == 0


def test_authors_numbers(golden: Path) -> None:
    arrays = np.load(golden / "metrics.npz")
    indptr, items = arrays["relevant_indptr"], arrays["relevant_items"].astype(np.int32)
    users = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    items = items[np.lexsort((items, users))]
    relevant = indptr, items, np.ones(len(items), np.float32)
    metrics = _core.ranking_metrics(arrays["predicted"].astype(np.int32), relevant, [1, 5, 10, 20])
    # There the mean runs over all users, and one with nothing relevant counts 0.
    means = np.nan_to_num(metrics).mean(axis=2)
    for which, name in [(PRECISION, "precision"), (RECALL, "recall"), (NDCG, "ndcg"), (MRR, "mrr")]:
        np.testing.assert_allclose(means[which], arrays[name], atol=1e-5, err_msg=name)


RANKED = np.array([[0, 1], [2, 3]], np.int32)


@pytest.mark.parametrize(
    ("indptr", "indices", "k", "message"),
    [
        ([0, 1, 2], [0, 1], [1, 3], r"`k\[1\]` is 3, expected a value in \[1, 3\)"),
        ([0, 1, 2], [0, 1], [0], r"`k\[0\]` is 0"),
        ([0, 1, 2], [0, 1], [-1], r"`k\[0\]` is -1"),
        ([0, 1], [0], [1], "`relevant.indptr` has 2 entries, expected 3"),
        ([0, 1, 5], [0, 1], [1], "`relevant.indptr` gives row 1 the entries 1..5"),
        ([0, 0, 2], [3, 1], [1], "`relevant.indices` has 1 after 3 in row 1"),
        ([0, 0, 2], [3, 3], [1], "`relevant.indices` has 3 after 3 in row 1, expected ascending columns without"),
    ],
)
def test_each_broken_promise_is_named(indptr, indices, k, message) -> None:
    relevant = np.array(indptr), np.array(indices, np.int32), np.ones(len(indices), np.float32)
    with pytest.raises(ValueError, match=message):
        _core.ranking_metrics(RANKED, relevant, k)


def test_coverage_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"`ranked\[3\]` is 3, expected a value in \[-1, 3\)"):
        _core.coverage(RANKED, 3, [1])
    with pytest.raises(ValueError, match="`n_items` is 0"):
        _core.coverage(RANKED, 0, [1])
    with pytest.raises(ValueError, match=r"`k\[0\]` is 3"):
        _core.coverage(RANKED, 4, [3])
