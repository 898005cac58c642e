"""Ages by the clock are counted from the moment of serving where one is named."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec.data import Timeline, time_weights

DAY = 86400.0
DAYS = timedelta(days=3)
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
TINY = {"dims": (8,), "epochs": 2, "holdout": 0.0, "progress": False}
FORECAST = TINY | {"objective": "forecast", "time_scales": (2.0, DAYS, None), "anchor": True, "anchor_cuts": 3}
# What counts ages by the clock, each by another way to scores.
BY_CLOCK = {
    "popularity": ("popularity", {"half_life": DAYS}),
    "ease": ("ease", {"l2": 2.0, "half_life": DAYS}),
    "anchor": ("anchor", {"anchor_l2": 1.0, "time_weights": "exponential", "half_life": DAYS}),
    "anchor, forecast": ("anchor", {"anchor_l2": 1.0} | FORECAST),
    "t-diffrec": ("t-diffrec", TINY | {"time_weights": "power", "half_life": DAYS}),
    "t-diffrec, linear": ("t-diffrec", TINY | {"time_weights": "linear", "half_life": DAYS}),
    "lt-diffrec": ("lt-diffrec", TINY | {"time_weights": "exponential", "half_life": DAYS, "latent_dims": (6,)}),
    "t-diffrec, forecast": ("t-diffrec", FORECAST),
}
BY_COUNT = {
    "popularity": ("popularity", {"half_life": 3.0}),
    "itemknn": ("itemknn", {}),
    "ease": ("ease", {"half_life": 3.0}),
    "t-diffrec": ("t-diffrec", TINY),
    "t-diffrec, forecast": ("t-diffrec", FORECAST | {"time_scales": (1.0, None)}),
}


@pytest.fixture(scope="module")
def bought() -> diffrec.Interactions:
    """Ten days of purchases, some of them twice, whose newest differ from user to user."""
    rng = np.random.default_rng(3)
    user, item = rng.integers(30, size=400), rng.integers(15, size=400)
    return diffrec.Interactions.from_arrays(user, item, timestamp=START + rng.integers(10, size=400) * DAY)


def decayed(data: diffrec.Interactions, now: float, tau: float) -> np.ndarray:
    """Sum every event's weight by its age from now: what a view of one time scale holds."""
    dense = np.zeros(data.shape)
    events = data.events
    for owner, item, time in zip(events.owners, events.items, events.times, strict=True):
        dense[owner, item] += np.exp(-(now - time) / tau)
    return dense


def test_weights_are_those_of_a_history_that_ends_now(bought: diffrec.Interactions) -> None:
    now = START + 12 * DAY
    for kind in ("linear", "exponential", "power"):
        aged = time_weights(bought.as_of(now), kind, half_life=DAYS)
        # One more item, which everybody takes at that moment, and which is left out again.
        users, items = bought.events.owners, bought.events.items
        everyone = np.arange(bought.shape[0])
        longer = diffrec.Interactions.from_arrays(
            np.append(users, everyone),
            np.append(items, np.full(len(everyone), 15)),
            timestamp=np.append(bought.events.times, np.full(len(everyone), now)),
        )
        wanted = time_weights(longer, kind, half_life=DAYS).toarray()[:, :15]
        np.testing.assert_array_equal(aged.toarray(), wanted)


def test_views_are_sums_by_age_from_now(bought: diffrec.Interactions) -> None:
    now, tau = START + 11.5 * DAY, 2 * DAY
    timeline, later = Timeline(bought), Timeline(bought.as_of(now))
    everyone = np.arange(bought.shape[0])
    scales = [2.0, timedelta(seconds=tau), None]
    plain, seen = (one.before(everyone, one.lengths, scales).toarray() for one in (timeline, later))
    np.testing.assert_allclose(seen[:, 15:30], decayed(bought, now, tau), rtol=1e-4, atol=3e-4)
    np.testing.assert_array_equal(seen[:, :15], plain[:, :15])
    np.testing.assert_array_equal(seen[:, 30:], plain[:, 30:])


def test_a_user_without_a_history_has_no_age() -> None:
    data = diffrec.Interactions.from_arrays([0], [0], timestamp=[0], users=[0, 1])
    rows = np.arange(2)
    view = Timeline(data.as_of(60)).before(rows, np.array([1, 0]), [timedelta(seconds=60)])
    np.testing.assert_allclose(view.toarray(), [[np.exp(-1)], [0]], rtol=1e-6)


@pytest.mark.parametrize("case", BY_CLOCK)
def test_now_at_the_newest_event_changes_nothing_and_later_does(case: str, bought: diffrec.Interactions) -> None:
    variant, settings = BY_CLOCK[case]
    model = diffrec.fit(bought, variant=variant, **settings)
    newest = bought.timestamps.max()
    up_to_date = np.flatnonzero(np.maximum.reduceat(bought.timestamps, bought.matrix.indptr[:-1]) == newest)
    np.testing.assert_allclose(model.score(up_to_date, now=newest), model.score(up_to_date), rtol=1e-5, atol=1e-6)
    later = datetime.fromtimestamp(newest + 2 * DAY, UTC)
    assert not np.allclose(model.score(now=later), model.score(), rtol=1e-4)
    assert not np.allclose(model.recommend(k=5, now=later).scores, model.recommend(k=5).scores, rtol=1e-4)
    # Seconds, datetimes and text say the same moment.
    np.testing.assert_array_equal(model.score(now=later), model.score(now=later.timestamp()))
    np.testing.assert_array_equal(model.score(now=later), model.score(now=later.replace(tzinfo=None).isoformat()))
    # Strangers are looked at from now, too, and an explanation sums to the score then.
    strangers = bought.take([3, 5])
    np.testing.assert_array_equal(model.score(strangers, now=later), model.score([3, 5], now=later))
    why = model.explain(3, 4, now=later)
    assert why.score == pytest.approx(float(model.score([3], [4], now=later)[0, 0]), rel=1e-5)


def test_a_stack_of_popularity_of_late_is_looked_at_from_now(bought: diffrec.Interactions) -> None:
    parts: list[Any] = [("popularity", {"half_life": DAYS}), "itemknn"]
    stack = diffrec.Stack(parts=parts, weights=(1.0, 1.0)).fit(bought)
    later = float(bought.timestamps.max()) + 2 * DAY
    assert stack.recommend(k=3, now=later).items.shape == (bought.shape[0], 3)


@pytest.mark.parametrize("half_lives", [100, 140, 150, 1e4])
def test_long_after_the_newest_event_the_popular_are_still_ranked(
    bought: diffrec.Interactions, half_lives: float
) -> None:
    parts: list[Any] = [("popularity", {"half_life": DAYS}), "itemknn"]
    newest = float(bought.timestamps.max())
    later = newest + half_lives * DAYS.total_seconds()
    nobody = diffrec.Interactions.from_csr(np.zeros((1, 15)), allow_empty=True)
    for model in (diffrec.Stack(parts=parts).fit(bought), diffrec.Popularity(half_life=DAYS).fit(bought)):
        for asked in (None, nobody):
            now, then = (model.recommend(asked, k=3, now=moment) for moment in (newest, later))
            np.testing.assert_array_equal(then.items, now.items)


def test_histories_keep_their_now_on_the_items_of_the_model(bought: diffrec.Interactions) -> None:
    model = diffrec.fit(bought, variant="ease", half_life=DAYS)
    later = float(bought.timestamps.max()) + 2 * DAY
    strangers = bought.take([3, 5])
    others = strangers.with_ids(items=diffrec.Ids(bought.items.ids.copy(), "item")).as_of(later)
    np.testing.assert_array_equal(model.score(others), model.score(strangers.as_of(later)))
    assert not np.allclose(model.score(others), model.score(strangers), rtol=1e-4)


@pytest.mark.parametrize("case", BY_COUNT)
def test_models_without_a_clock_refuse_it_by_name(case: str, bought: diffrec.Interactions) -> None:
    variant, settings = BY_COUNT[case]
    model = diffrec.fit(bought, variant=variant, **settings)
    with pytest.raises(TypeError, match=rf"by the clock.* {type(model).__name__}\("):
        model.recommend(now=START + 20 * DAY)
    with pytest.raises(TypeError, match="by the clock"):
        model.score(now=START + 20 * DAY)


def test_a_moment_before_an_event_is_refused_for_who_is_asked_about(bought: diffrec.Interactions) -> None:
    model = diffrec.fit(bought, variant="ease", half_life=DAYS)
    newest = np.maximum.reduceat(bought.timestamps, bought.matrix.indptr[:-1])
    early, late = int(np.argmin(newest)), int(np.argmax(newest))
    now = float(newest[early])
    assert model.recommend([early], now=now).items.shape == (1, 20)
    with pytest.raises(ValueError, match=rf"now=.* is before the newest event of user np.int64\({late}\)|user {late}"):
        model.recommend([early, late], now=now)


@pytest.mark.parametrize("now", ["yesterday", float("nan"), float("inf"), ""])
def test_what_is_no_moment_is_refused(now: object, bought: diffrec.Interactions) -> None:
    model = diffrec.fit(bought, variant="popularity", half_life=DAYS)
    with pytest.raises(ValueError, match="now must be seconds since the epoch"):
        model.recommend(now=now)


@pytest.mark.parametrize("now", [True, [1.0], b"2026"])
def test_what_cannot_be_a_moment_is_refused(now: object, bought: diffrec.Interactions) -> None:
    model = diffrec.fit(bought, variant="popularity", half_life=DAYS)
    with pytest.raises(TypeError, match="now must be seconds since the epoch"):
        model.recommend(now=now)
