"""A stack: the sum of its parts, each on its own scale."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import Interactions, Stack

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
FORECAST: dict[str, Any] = {"dims": (8,), "epochs": 3, "holdout": 0, "batch_size": 30}
PARTS: list[Any] = ["popularity", ("ease", {"l2": 5.0}), ("t-diffrec", FORECAST)]
WEIGHTS = (1.0, 3.0, 2.0)


@pytest.fixture(scope="module")
def stack() -> Stack:
    return Stack(parts=PARTS, weights=WEIGHTS, progress=False, seed=4).fit(DATA)


def test_its_scores_are_the_weighted_sum_of_standardised_ones(stack: Stack) -> None:
    seen = DATA.matrix.toarray() > 0
    expected = np.zeros(seen.shape)
    for (variant, settings), weight in zip([("popularity", {}), *PARTS[1:]], WEIGHTS, strict=True):
        scores = diffrec.fit(DATA, variant=variant, progress=False, seed=4, **settings).score().astype(np.float64)
        for user in range(len(scores)):
            expected[user] += weight / sum(WEIGHTS) * scores[user] / scores[user][~seen[user]].std()
    np.testing.assert_allclose(stack.score(), expected, rtol=2e-4, atol=2e-4)


def test_one_part_ranks_as_it_does_alone() -> None:
    alone = diffrec.fit(DATA, variant="ease", l2=5.0)
    stacked = Stack(parts=[("ease", {"l2": 5.0})]).fit(DATA)
    np.testing.assert_array_equal(stacked.recommend(k=10).items, alone.recommend(k=10).items)


def test_large_blocks_are_scored_piece_by_piece_alike(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stack.recommend(k=10)
    monkeypatch.setattr("diffrec.recommenders.stack._WRITTEN_OUT", 0)
    pieces = stack.recommend(k=10)
    np.testing.assert_array_equal(pieces.items, whole.items)
    np.testing.assert_allclose(pieces.scores, whole.scores, rtol=1e-5)


def test_a_file_gives_it_back(stack: Stack, tmp_path: Path) -> None:
    stack.save(tmp_path / "stack.diffrec")
    loaded = diffrec.load(tmp_path / "stack.diffrec")
    assert isinstance(loaded, Stack)
    assert loaded.settings == stack.settings
    assert [part.variant for part in loaded.parts_] == ["popularity", "ease", "t-diffrec"]
    np.testing.assert_array_equal(loaded.score(), stack.score())


def test_people_without_a_history_get_what_is_popular() -> None:
    stack = Stack(parts=[("ease", {"l2": 5.0}), "popularity"]).fit(DATA)
    nobody = Interactions.from_csr(np.zeros((1, 40)), allow_empty=True)
    found = stack.recommend(nobody, k=3)
    np.testing.assert_array_equal(found.items, diffrec.fit(DATA, variant="popularity").recommend(nobody, k=3).items)
    assert np.isfinite(found.scores).all()


def test_dislikes_have_their_say_in_explanations() -> None:
    user, item = np.repeat(np.arange(20), 3), np.tile(np.arange(3), 20) + np.repeat(np.arange(20) % 5, 3)
    value = np.where(np.arange(60) == 2, -1.0, 1.0)
    rated = diffrec.Interactions.from_arrays(user, item, np.arange(60.0), value, negatives="dislike")
    # The anchor knows of dislikes, and ease does not.
    explained = Stack(parts=["ease", "anchor"], progress=False).fit(rated).explain(0, 4)
    assert sorted(explained.items) == [0, 1, 2]
    assert explained.score == pytest.approx(explained.baseline + explained.contributions.sum(), rel=1e-4)


def test_steering_adds_in_standard_deviations(stack: Stack) -> None:
    seen = DATA.matrix[[3]].toarray()[0] > 0
    plain = stack.score([3])[0]
    expected = plain.copy()
    expected[7] += 2 * plain[~seen].std()
    steered = stack.recommend([3], k=40, exclude_seen=False, steer={DATA.items[7]: 2})
    order = np.argsort(-expected, kind="stable")
    np.testing.assert_array_equal(steered.item_rows[0], order)
    np.testing.assert_allclose(steered.scores[0], expected[order], rtol=1e-4, atol=1e-5)


def test_similar_items_are_those_of_the_heaviest_part_that_tells(stack: Stack) -> None:
    ease = diffrec.fit(DATA, variant="ease", l2=5.0)
    np.testing.assert_array_equal(
        stack.similar_items([DATA.items[3]], k=5).items, ease.similar_items([DATA.items[3]], k=5).items
    )
    plain = Stack(parts=["popularity"]).fit(DATA)
    with pytest.raises(TypeError, match="Stack has no item vectors"):
        plain.similar_items([DATA.items[3]])
    # Guidance goes by them, too.
    assert (stack.can_be_guided, plain.can_be_guided, ease.can_be_guided) == (True, False, False)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"parts": []}, ValueError, "parts must be a sequence of variants with at least 1 of them, got"),
        ({"parts": "ease"}, TypeError, "parts must be a sequence of variants, got 'ease'"),
        ({"parts": ["eas"]}, ValueError, "variant must be one of .* did you mean 'ease'"),
        ({"parts": [("ease", {"l3": 1.0})]}, TypeError, "'l3' is not a setting; did you mean 'l2'"),
        ({"parts": [("ease", {"l2": -1.0})]}, ValueError, "l2 must be above 0"),
        ({"parts": ["stack"]}, ValueError, "parts must not hold another stack"),
        ({"parts": ["ease"], "weights": (1.0, 2.0)}, ValueError, "weights must be as many as parts, 1, got"),
        ({"parts": ["ease"], "weights": (0.0,)}, ValueError, "weights must hold a number above 0"),
        ({"parts": ["ease"], "weights": (-1.0,)}, ValueError, "weights must be at least 0, got -1.0"),
    ],
)
def test_impossible_settings(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Stack(**settings)


@pytest.mark.parametrize("part", [("ease",), 5, ("ease", 3), ("ease", "l2")])
def test_what_is_no_part_is_named(part: Any) -> None:
    with pytest.raises(TypeError, match="parts must hold variants, or pairs of one and its settings"):
        diffrec.Stack(parts=[part])
