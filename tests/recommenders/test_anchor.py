"""The anchor as a recommender of its own: what it is asked and cannot answer it refuses by name."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import DiffRec, Interactions
from diffrec.anchors import Ridge
from diffrec.data import Timeline
from diffrec.explore import Explorer
from diffrec.tradeoff import tradeoff

DATA = diffrec.datasets.synthetic(users=40, items=25, seed=1)
ONCE = Interactions.from_arrays([0, 1, 2, 3], [0, 1, 2, 0], timestamp=[1, 2, 3, 4])


@pytest.mark.parametrize("asked", [{"steer": {DATA.items[3]: 1.0}}, {"novelty": 0.5}, {"diversity": 1.0}])
def test_it_has_no_chain_to_guide(asked: dict[str, Any]) -> None:
    model = diffrec.fit(DATA, variant="anchor")
    with pytest.raises(TypeError, match="Anchor cannot be guided"):
        model.recommend(k=3, **asked)


def test_what_only_a_chain_can_say_is_not_asked_of_it() -> None:
    model = diffrec.fit(DATA, variant="anchor")
    assert not isinstance(model, DiffRec)
    assert not any(hasattr(model, name) for name in ("uncertainty", "reverse_steps", "step_scores", "item_groups_"))
    with pytest.raises(TypeError, match="Anchor"):
        tradeoff(model, DATA)  # type: ignore[arg-type]


def test_the_page_offers_no_sliders_for_it() -> None:
    explorer = Explorer(diffrec.fit(DATA, variant="anchor"))
    assert explorer.about()["guided"] is False
    answer = explorer.recommend({"user": 0, "k": 3})
    assert len(answer["top"]) == 3
    assert answer["steps"] == []


@pytest.mark.parametrize("variant", ["anchor", "t-diffrec", "lt-diffrec"])
def test_a_forecast_of_histories_that_cannot_be_cut(variant: str) -> None:
    with pytest.raises(ValueError, match="objective='forecast' needs a history with at least 2 interactions"):
        diffrec.fit(ONCE, variant=variant, objective="forecast", progress=False)


def test_such_histories_are_reconstructed_where_the_form_is_free() -> None:
    model = diffrec.fit(ONCE, variant="anchor")
    assert model.settings.objective == "reconstruct"
    assert model.recommend(0, k=3).item_rows.shape == (1, 3)
    assert diffrec.fit(ONCE, progress=False, budget="1s").recommend(k=1).items.shape == (4, 1)


def test_what_followed_of_late_counts_more() -> None:
    """The map is that of NumPy's normal equations, with what followed each cut weighed by its age."""
    rng = np.random.default_rng(0)
    user, item, day = rng.integers(0, 40, 400), rng.integers(0, 12, 400), rng.integers(0, 100, 400)
    data = diffrec.Interactions.from_arrays(user, item, timestamp=86400.0 * day)
    half_life = timedelta(days=20)
    settings: dict[str, Any] = {"objective": "forecast", "anchor_damping": 0.0, "horizon": 3, "time_scales": (5.0,)}
    model = diffrec.Anchor(**settings, anchor_half_life=half_life, anchor_l2=2.0).fit(data)

    timeline = Timeline(data)
    rows, places = timeline.cuts_of_all(20)
    cuts = timeline.draw_cuts(rows, places, 20, 0, 1 << 32)
    a = timeline.before(rows, cuts, (5.0,)).toarray().astype(np.float64)
    y = timeline.after(rows, cuts, 3).toarray().astype(np.float64)
    events = data.events
    follows = events.times[events.indptr[rows] + cuts]  # type: ignore[index]
    y *= 2.0 ** ((follows - data.timestamps.max()) / half_life.total_seconds())[:, None]  # type: ignore[union-attr]
    expected = np.linalg.solve(a.T @ a + 2.0 * (a**2).sum(axis=0).mean() * np.eye(a.shape[1]), a.T @ y)
    views = timeline.before(np.arange(40), timeline.lengths, (5.0,)).toarray()
    np.testing.assert_allclose(model.score(np.arange(40)), views @ expected, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"anchor_half_life": timedelta(days=1)}, ValueError, "anchor_half_life needs objective='forecast', got"),
        ({"anchor_half_life": timedelta()}, ValueError, "anchor_half_life must be above 0"),
        (
            {"anchor_half_life": 5.0, "objective": "forecast"},
            TypeError,
            "anchor_half_life must be a timedelta, or a text .* got 5.0",
        ),
    ],
)
def test_a_half_life_that_cannot_be(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diffrec.Anchor(**settings)


def test_equations_are_let_go() -> None:
    data = diffrec.datasets.synthetic(users=60, items=30, seed=0)
    assert not any(isinstance(value, Ridge) for value in vars(diffrec.Anchor().fit(data)).values())
    for strength, model in zip((2.0, 9.0), diffrec.Anchor().at_strengths(data, (2.0, 9.0)), strict=True):
        assert model.get_params()["anchor_l2"] == strength
        np.testing.assert_array_equal(model.score(), diffrec.Anchor(anchor_l2=strength).fit(data).score())
