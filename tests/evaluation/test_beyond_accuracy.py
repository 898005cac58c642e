"""Novelty, diversity, coverage and shares, pair by pair and item by item."""

import itertools
import math

import numpy as np
import pytest
from scipy import sparse

from diffrec.evaluation import coverage, intra_list_diversity, novelty, self_information, share

RANKED = np.array([[0, 3, 2], [1, 4, -1], [2, -1, -1], [-1, -1, -1]], dtype=np.int32)


def test_self_information_is_minus_the_logarithm_of_popularity() -> None:
    matrix = sparse.csr_array(np.array([[1, 5, 0], [0, 2, 0], [0, 0.5, 0]]))
    np.testing.assert_allclose(self_information(matrix), [-math.log2(2 / 5), -math.log2(4 / 5), -math.log2(1 / 5)])


def test_lists_are_averaged_before_users() -> None:
    bits = np.array([1.0, 2, 4, 8, 16])
    assert novelty(RANKED, bits) == pytest.approx(((1 + 8 + 4) / 3 + (2 + 16) / 2 + 4) / 3)
    assert share(RANKED, np.array([1, 0, 1, 0, 1], dtype=bool)) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert coverage(RANKED, 10) == 0.5


def test_diversity_is_the_mean_over_pairs() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    vectors[4] = 0  # unlike everything

    def unlike(one: int, other: int) -> float:
        lengths = np.linalg.norm(vectors[one]) * np.linalg.norm(vectors[other])
        return 1 - float(vectors[one] @ vectors[other]) / lengths if lengths else 1.0

    lists = [[item for item in row if item >= 0] for row in RANKED.tolist()]
    means = [np.mean([unlike(*pair) for pair in itertools.combinations(row, 2)]) for row in lists if len(row) > 1]
    assert intra_list_diversity(RANKED, vectors) == pytest.approx(np.mean(means))
    many = np.tile(RANKED, (50, 1))
    assert intra_list_diversity(many, vectors) == pytest.approx(np.mean(means))
    assert math.isnan(intra_list_diversity(RANKED[2:], vectors))
    assert math.isnan(novelty(RANKED[3:], np.ones(5)))
