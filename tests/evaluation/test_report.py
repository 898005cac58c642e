"""Reports; the metrics themselves are checked beside their kernel."""

import numpy as np
import pytest
from scipy import sparse

from diffrec.evaluation import METRICS, Catalogue, intra_list_diversity, measure, novelty, parse_metric


def test_a_report_reads_as_a_mapping_and_a_table() -> None:
    relevant = sparse.csr_array(np.array([[1, 0, 1, 0], [0, 1, 0, 0]], dtype=np.float32))
    ranked = np.array([[0, 1], [2, 3]], dtype=np.int32)
    report = measure(ranked, relevant, np.array(["a", "b"]), [1, 2], users_without_relevant=3, interactions_left_out=4)
    assert report["recall@1"] == pytest.approx((0.5 + 0) / 2)
    assert report["recall_truncated@1"] == pytest.approx((1 + 0) / 2)
    assert report["coverage@2"] == 1
    np.testing.assert_allclose(report.per_user["hit_rate@2"], [1, 0])
    of_items = {"novelty", "serendipity", "diversity"}  # which need to know of the items
    assert set(report) == {f"{metric}@{k}" for metric in METRICS if metric not in of_items for k in (1, 2)}
    assert len(report) == len(dict(report))
    np.testing.assert_array_equal(report.ranked, ranked)
    text = str(report)
    assert all(metric in text for metric in METRICS if metric not in of_items)
    assert "mean over 2 users; 3 without relevant items left out" in text
    assert "4 interactions" in text
    with pytest.raises(KeyError, match="ndcg@7.*was not measured"):
        report["ndcg@7"]


@pytest.mark.parametrize("name", ["ndcg", "ndcg@", "ndcg@0", "ndgc@5", "ndcg@-1", "ndcg@1.5", "@5"])
def test_a_metric_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="metric must be one of"):
        parse_metric(name)


def test_what_is_known_of_the_items_is_measured() -> None:
    """Against one list after the other."""
    rng = np.random.default_rng(0)
    ranked = np.array([rng.permutation(9)[:4] for _ in range(6)], dtype=np.int32)
    ranked[2, 2:], ranked[5] = -1, -1
    relevant = rng.random((6, 9)) < 0.4
    relevant[:, 0] = True
    had = (rng.random((20, 9)) < rng.random(9)).astype(np.float32)
    had[:, 8] = 0
    owners = had.sum(axis=0)
    catalogue = Catalogue(sparse.csr_array(had))
    report = measure(ranked, sparse.csr_array(relevant), np.arange(6), [2, 4], catalogue=catalogue)
    assert set(report) == {f"{metric}@{k}" for metric in METRICS for k in (2, 4)}
    for k in (2, 4):
        lists = [[item for item in row[:k].tolist() if item >= 0] for row in ranked]
        for user, row in enumerate(lists):
            hits = [relevant[user, item] for item in row]
            precisions = [sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]
            expected = sum(precisions) / min(k, relevant[user].sum())
            assert report.per_user[f"map@{k}"][user] == pytest.approx(expected)
            weights = [np.mean(owners > owners[item]) for item, hit in zip(row, hits, strict=True) if hit]
            assert report.per_user[f"serendipity@{k}"][user] == pytest.approx(sum(weights) / k)
            if row:
                bits = -np.log2((owners[row] + 1) / 22)
                assert report.per_user[f"novelty@{k}"][user] == pytest.approx(bits.mean())
        counts = np.bincount([item for row in lists for item in row], minlength=9)
        differences = np.abs(counts[:, None] - counts[None, :]).sum()
        assert report[f"gini@{k}"] == pytest.approx(differences / (2 * 9 * counts.sum()))
        assert report[f"diversity@{k}"] == pytest.approx(intra_list_diversity(ranked[:, :k], had.T))
        assert report[f"novelty@{k}"] == pytest.approx(novelty(ranked[:, :k], -np.log2((owners + 1) / 22)))
