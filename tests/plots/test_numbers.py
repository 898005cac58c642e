"""The numbers behind the pictures, against plain computations."""

import itertools

import numpy as np
import pytest
from scipy import sparse

import diffrec
from diffrec.evaluation import measure
from diffrec.evaluation.beyond_accuracy import hits_of
from diffrec.evaluation.groups import half_width, quantile_parts, recall_of_items
from diffrec.plots.numbers import by_k, principal_plane, step_ranks

RNG = np.random.default_rng(0)


def some_report(users: int = 40, items: int = 25, length: int = 6) -> tuple[diffrec.Report, sparse.csr_array]:
    """A report of lists drawn at random, some short, and what was relevant."""
    relevant = RNG.random((users, items)) < 0.2
    relevant[np.arange(users), RNG.integers(items, size=users)] = True
    ranked = np.argsort(RNG.random((users, items)), axis=1)[:, :length].astype(np.int32)
    ranked[::7, -2:] = -1
    matrix = sparse.csr_array(relevant.astype(np.float32))
    return measure(ranked, matrix, np.arange(users), [3, length]), matrix


@pytest.mark.parametrize("bins", [1, 2, 3, 7, 100])
def test_parts_rise_hold_everything_and_keep_equals_together(bins: int) -> None:
    values = RNG.integers(0, 12, size=200)
    parts = [values[part] for part in quantile_parts(values, bins)]
    assert sum(map(len, parts)) == len(values)
    assert 1 <= len(parts) <= bins
    for one, other in itertools.pairwise(parts):
        assert one.max() < other.min()


def test_parts_of_distinct_values_are_as_large_as_each_other() -> None:
    parts = list(quantile_parts(RNG.permutation(100), 4))
    assert [len(part) for part in parts] == [25] * 4


def test_the_interval_of_items_is_that_of_resampled_users() -> None:
    report, relevant = some_report(users=600)
    hits = hits_of(report.ranked, relevant)
    _, _, error = recall_of_items(report.ranked, hits, relevant, np.arange(25))
    listed = np.zeros(relevant.shape)
    for user, items in enumerate(report.ranked):
        listed[user, items[items >= 0]] = 1
    wanted = (relevant.toarray() > 0).sum(axis=1)
    found = ((relevant.toarray() > 0) * listed).sum(axis=1)
    drawn = RNG.integers(600, size=(3000, 600))
    spread = (found[drawn].sum(axis=1) / wanted[drawn].sum(axis=1)).std()
    assert error == pytest.approx(1.96 * spread, rel=0.1)


def test_one_user_alone_has_no_interval() -> None:
    assert np.isnan(half_width(np.array([0.7])))
    one = sparse.csr_array(np.array([[1, 1, 0]], dtype=np.float32))
    total, recall, error = recall_of_items(np.array([[0]], dtype=np.int32), np.array([[True]]), one, np.array([0, 1]))
    assert (total, recall) == (2, 0.5)
    assert np.isnan(error)


def test_by_k_is_what_the_report_says() -> None:
    report, _ = some_report()
    means, errors = by_k(report, "ndcg", [3, 6])
    assert errors is not None
    assert means.tolist() == [report["ndcg@3"], report["ndcg@6"]]
    spread = report.per_user["ndcg@6"].std(ddof=1) / np.sqrt(40)
    assert errors[1] == pytest.approx(1.96 * spread)
    assert by_k(report, "coverage", [3])[1] is None


def test_step_ranks_count_who_is_better() -> None:
    scores = RNG.integers(0, 6, size=(4, 15)).astype(np.float32)  # with ties
    candidates = RNG.random(15) < 0.7
    items = RNG.permutation(np.flatnonzero(candidates))[:5]
    ranks = step_ranks(scores, items, candidates)
    for step in range(4):
        for place, item in enumerate(items):
            better = sum(
                candidates[other]
                and (
                    scores[step, other] > scores[step, item]
                    or (scores[step, other] == scores[step, item] and other < item)
                )
                for other in range(15)
            )
            assert ranks[step, place] == better + 1


def test_the_plane_is_that_of_the_singular_vectors() -> None:
    points = RNG.normal(size=(30, 6)) * [5, 3, 1, 1, 1, 1]
    plane, shares = principal_plane(points)
    left, singular, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(plane), np.abs(left[:, :2] * singular[:2]), atol=1e-9)
    np.testing.assert_allclose(shares, singular[:2] ** 2 / (singular**2).sum())
    assert principal_plane(np.ones((4, 1)))[0].tolist() == [[0.0, 0.0]] * 4
