"""The anchor as a recommender of its own: what it is asked and cannot answer it refuses by name."""

from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import DiffRec, Interactions
from diffrec.explore import Explorer
from diffrec.tradeoff import tradeoff

DATA = diffrec.datasets.synthetic(users=40, items=25, seed=1)
ONCE = Interactions.from_arrays([0, 1, 2, 3], [0, 1, 2, 0], timestamp=[1, 2, 3, 4])


@pytest.mark.parametrize("asked", [{"steer": {DATA.items[3]: 1.0}}, {"novelty": 0.5}, {"diversity": 1.0}])
def test_it_has_no_chain_to_guide(asked: dict[str, Any]) -> None:
    model = diffrec.fit(DATA, variant="anchor")
    with pytest.raises(TypeError, match="Anchor has no reverse chain to guide"):
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
    model = diffrec.fit(ONCE, progress=False)
    assert model.recommend(k=1).items.shape == (4, 1)
    np.testing.assert_array_equal(diffrec.fit(ONCE, variant="anchor").recommend(0, k=3).item_rows.shape, (1, 3))
