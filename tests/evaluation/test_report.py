"""Reports; the metrics themselves are checked beside their kernel."""

import numpy as np
import pytest
from scipy import sparse

from diffrec.evaluation import METRICS, measure, parse_metric


def test_a_report_reads_as_a_mapping_and_a_table() -> None:
    relevant = sparse.csr_array(np.array([[1, 0, 1, 0], [0, 1, 0, 0]], dtype=np.float32))
    ranked = np.array([[0, 1], [2, 3]], dtype=np.int32)
    report = measure(ranked, relevant, np.array(["a", "b"]), [1, 2], users_without_relevant=3, interactions_left_out=4)
    assert report["recall@1"] == pytest.approx((0.5 + 0) / 2)
    assert report["recall_truncated@1"] == pytest.approx((1 + 0) / 2)
    assert report["coverage@2"] == 1
    np.testing.assert_allclose(report.per_user["hit_rate@2"], [1, 0])
    assert set(report) == {f"{metric}@{k}" for metric in METRICS for k in (1, 2)}
    assert len(report) == len(dict(report))
    np.testing.assert_array_equal(report.ranked, ranked)
    text = str(report)
    assert all(metric in text for metric in METRICS)
    assert "mean over 2 users; 3 without relevant items left out" in text
    assert "4 interactions" in text
    with pytest.raises(KeyError, match="ndcg@7.*was not measured"):
        report["ndcg@7"]


@pytest.mark.parametrize("name", ["ndcg", "ndcg@", "ndcg@0", "ndgc@5", "ndcg@-1", "ndcg@1.5", "@5"])
def test_a_metric_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="metric must be one of"):
        parse_metric(name)
