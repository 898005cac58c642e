"""Spreads, single scores, ranks and means against NumPy on whole score matrices."""

import numpy as np
import pytest
import torch
from scipy import sparse

from diffrec.ranking import LinearScores, WeightedScores, blockwise, deviations, ranks_at, scores_at, top_k


@pytest.fixture(params=[7, 10_000])
def scores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LinearScores:
    monkeypatch.setattr(blockwise, "BLOCK_ENTRIES", request.param * 6)  # in several blocks, and in one
    torch.manual_seed(0)
    return LinearScores(torch.randn(6, 3), torch.randn(31, 3), 100 + torch.randn(31))


def taken() -> sparse.csr_array:
    return sparse.csr_array((np.random.default_rng(0).random((6, 31)) < 0.3).astype(np.float32))


def test_deviations_leave_out_what_is_taken(scores: LinearScores) -> None:
    dense, seen = scores.block(0, 31).numpy(), taken()
    expected = [np.std(row[mask == 0], dtype=np.float64) for row, mask in zip(dense, seen.toarray(), strict=True)]
    np.testing.assert_allclose(deviations(scores, seen), expected, rtol=1e-4)
    nothing = sparse.csr_array((6, 31), dtype=np.float32)
    np.testing.assert_allclose(deviations(scores, nothing), np.std(dense, axis=1, dtype=np.float64), rtol=1e-4)
    everything = sparse.csr_array(np.ones((6, 31), dtype=np.float32))
    assert deviations(scores, everything).tolist() == [0] * 6


def test_what_hardly_spreads_does_not_spread() -> None:
    nothing = sparse.csr_array((2, 3))
    faded = LinearScores(torch.tensor([[1e-25], [1e-35]]), torch.tensor([[0.0], [1.0], [2.0]]))
    spread = deviations(faded, nothing)
    assert spread[0] == pytest.approx(1e-25 * np.std([0, 1, 2]))
    assert spread[1] == 0


def test_ranks_are_places_in_the_order_of_top_k(scores: LinearScores) -> None:
    scores = LinearScores(scores.users.round(), scores.items.round())  # with ties
    seen, denied = taken(), np.arange(31) == 4
    ranked, values = top_k(scores, 31, seen, denied)
    places = ranks_at(scores, ranked, seen, denied).numpy()
    for user in range(6):
        filled = ranked[user] >= 0
        assert places[user][filled].tolist() == list(range(1, filled.sum() + 1))
    np.testing.assert_array_equal(scores_at(scores, ranked), values)
    some = np.array([3, 1])
    np.testing.assert_array_equal(
        ranks_at(LinearScores(scores.users[some], scores.items), ranked[some], seen[some], denied), places[some]
    )


def test_means_are_means(scores: LinearScores) -> None:
    other = LinearScores(scores.users * 2, scores.items)
    both = WeightedScores.mean([scores, other])
    torch.testing.assert_close(both.block(3, 20), (scores.block(3, 20) + other.block(3, 20)) / 2)
    assert both.shape == (6, 31)
