"""fit without a variant: what it chooses, says and leaves alone."""

import datetime
import logging
import re
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import DiffRec, Interactions


def walks(users: int = 150, length: int = 12, items: int = 40, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    user, step = np.divmod(np.arange(users * length), length)
    item = (rng.integers(items, size=users)[user] + step) % items
    return Interactions.from_arrays(user, item, timestamp=step, items=np.arange(items))


def test_it_uses_the_order_where_that_ranks_better(caplog: pytest.LogCaptureFixture) -> None:
    data = walks()
    with caplog.at_level(logging.INFO, "diffrec"):
        model = diffrec.fit(data, progress=False, budget="20s")
    assert model.train_ is data
    chosen = str(model.training_.facts["chosen"])
    assert "ndcg@20" in chosen
    assert "the order is used" in chosen
    assert chosen in caplog.text


def test_it_does_without_an_order() -> None:
    data = diffrec.datasets.synthetic(users=200, items=50, seed=0)
    data = Interactions(data.matrix, None, data.users, data.items)
    model = diffrec.fit(data, progress=False)
    assert "the order is not used" in str(model.training_.facts["chosen"])


def test_nothing_is_handed_out_that_validated_worse_than_another() -> None:
    model = diffrec.fit(walks(), progress=False, budget="20s")
    best, *others = str(model.training_.facts["candidates"]).splitlines()
    values = [float(re.search(r"ndcg@20 (\S+),", line)[1]) for line in (best, *others)]  # type: ignore[index]
    assert values == sorted(values, reverse=True)
    assert best.split(":")[0] in str(model.training_.facts["chosen"])


def test_given_validation_is_what_it_chooses_on() -> None:
    train, valid, _ = walks().split(by="time", valid=0.2, test=0.0)
    model = diffrec.fit(train, valid=valid, progress=False, budget="20s")
    assert model.train_ is train
    assert f"on {len(valid):,} held-out" in str(model.training_.facts["chosen"])


def test_too_little_to_choose_by() -> None:
    model = diffrec.fit(np.eye(5, dtype=np.float32) + np.eye(5, k=1, dtype=np.float32), progress=False)
    assert isinstance(model, DiffRec)
    assert "too few" in str(model.training_.facts["chosen"])


def test_a_seed_decides_the_choice() -> None:
    data = diffrec.datasets.synthetic(users=200, items=50, seed=0)
    one, other = (diffrec.fit(data, seed=3, progress=False) for _ in range(2))
    np.testing.assert_array_equal(one.score(), other.score())


def test_named_settings_leave_nothing_to_choose() -> None:
    model = diffrec.fit(walks(), dims=(4,), epochs=1, progress=False)
    assert isinstance(model, DiffRec)
    assert model.settings.dims == (4,)
    assert "chosen" not in model.training_.facts


@pytest.mark.parametrize(
    ("budget", "error", "words"),
    [
        ("soon", ValueError, "budget must be a time such as '90s', '5min' or '1h', got 'soon'"),
        (0, ValueError, "budget must be above 0"),
    ],
)
def test_impossible_budgets(budget: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diffrec.fit(walks(), budget=budget)  # type: ignore[arg-type]


@pytest.mark.parametrize("named", [{"variant": "ease"}, {"dims": (4,)}, {"preset": "paper/ml-1m_clean"}])
def test_a_budget_is_refused_where_there_is_nothing_to_choose(named: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="budget is the time for choosing a variant, got '5s' where a variant"):
        diffrec.fit(walks(), budget="5s", **named)


@pytest.mark.parametrize("budget", ["10min", 600, 600.0, datetime.timedelta(minutes=10)])
def test_the_usual_budget_may_be_said_in_any_way(budget: Any) -> None:
    assert diffrec.fit(walks(), variant="popularity", budget=budget).variant == "popularity"
