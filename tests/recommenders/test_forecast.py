"""Forecasting: denoiser and anchor over cut histories."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import diffrec
from diffrec import DiffRec, Interactions
from diffrec.data import Timeline
from diffrec.recommenders.diffrec.forecast import Forecast
from diffrec.recommenders.diffrec.objective import objective_of
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.recommenders.registry import make
from diffrec.training import CutBatches
from support.walks import ITEMS, share_of_next, walks

DATA, CPU = walks(), torch.device("cpu")
SMALL: dict[str, Any] = {
    "dims": (16,),
    "epochs": 60,
    "batch_size": 64,
    "lr": 1e-2,
    "dropout": 0.0,
    "hidden_dropout": 0.0,
    "horizon": 1,
    "holdout": 0.0,
    "progress": False,
}


@pytest.mark.parametrize(
    "settings",
    [
        {"anchor": False},
        {"anchor": True},
        {"anchor": False, "likelihood": "squared"},
        {"likelihood": "squared"},
        {"time_scales": (timedelta(minutes=1),)},
        {"noise_scale": 0.0, "lr_schedule": "constant"},
        {"anchor_exact": 0, "anchor_rank": 20},
    ],
    ids=str,
)
def test_it_learns_the_order(settings: dict[str, Any]) -> None:
    model = diffrec.fit(DATA, variant="t-diffrec", **(SMALL | settings))
    assert share_of_next(model, DATA) > 0.9


def test_even_weights_alone_cannot_tell_the_order() -> None:
    settings: dict[str, Any] = SMALL | {"time_scales": (None,), "anchor": False}
    reversed_walk = Interactions.from_arrays([0] * 8, range(8), timestamp=range(8, 0, -1), items=np.arange(ITEMS))
    forward = Interactions.from_arrays([0] * 8, range(8), timestamp=range(8), items=np.arange(ITEMS))
    model = diffrec.fit(DATA, variant="t-diffrec", **settings)
    assert np.array_equal(model.recommend(forward, k=3).items, model.recommend(reversed_walk, k=3).items)
    model = diffrec.fit(DATA, variant="t-diffrec", **(settings | {"time_scales": (1.0,)}))
    assert not np.array_equal(model.recommend(forward, k=3).items, model.recommend(reversed_walk, k=3).items)


def test_the_latent_form_forecasts_too(tmp_path: Path) -> None:
    settings = SMALL | {"latent_dims": (16,), "autoencoder_lr": 1e-2, "kl_weight": 0.0, "encoder_dropout": 0.0}
    model = diffrec.fit(DATA, variant="lt-diffrec", anchor=True, anchor_damping=0.0, **settings)
    assert share_of_next(model, DATA) > 0.5
    assert model.training_.facts["anchor_scale"] == 4.0
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(diffrec.load(tmp_path / "model").score(), model.score())


@pytest.mark.parametrize("settings", [{}, {"anchor_exact": 0, "anchor_rank": 5}], ids=str)
def test_it_survives_its_file(settings: dict[str, Any], tmp_path: Path) -> None:
    model = diffrec.fit(DATA, variant="t-diffrec", **(SMALL | {"epochs": 2} | settings))
    model.save(tmp_path / "model")
    again = diffrec.load(tmp_path / "model")
    np.testing.assert_array_equal(again.score(), model.score())
    assert again.training_.facts["anchor_scale"] == model.training_.facts["anchor_scale"]


def test_the_weight_of_the_anchor_is_learnt_or_given() -> None:
    learnt = diffrec.fit(DATA, variant="t-diffrec", **(SMALL | {"epochs": 3}))
    given = diffrec.fit(DATA, variant="t-diffrec", anchor_scale=7.0, **(SMALL | {"epochs": 3}))
    assert learnt.training_.facts["anchor_scale"] not in (20.0, 7.0)
    assert given.training_.facts["anchor_scale"] == pytest.approx(7.0)
    alone = diffrec.fit(DATA, variant="anchor", objective="forecast", anchor_damping=0.0, horizon=1)
    added = 7.0 * alone.score()
    assert isinstance(given, DiffRec)
    plain = given.score() - added
    given._anchor = None
    np.testing.assert_allclose(given.score(), plain, atol=1e-4)


def test_reconstruction_takes_an_anchor_whose_weight_validation_learns() -> None:
    data = diffrec.datasets.synthetic(users=200, items=60, seed=0)
    model = DiffRec(dims=(8,), epochs=5, anchor=True, anchor_l2=5.0, progress=False).fit(data)
    assert model.training_.facts["anchor_scale"] in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
    fixed = DiffRec(dims=(8,), epochs=5, anchor=True, anchor_scale=0.5, progress=False).fit(data)
    assert fixed.training_.facts["anchor_scale"] == 0.5


def test_noise_is_the_features_noise_as_the_first_layer_sees_it() -> None:
    model = diffrec.fit(DATA, variant="t-diffrec", **(SMALL | {"epochs": 1}))
    network = model._network  # type: ignore[attr-defined]
    assert isinstance(network, Forecast)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = torch.cat([network._noise(50) for _ in range(400)])
        weight = network.denoiser.items_in
        torch.testing.assert_close(drawn.T @ drawn / len(drawn), weight.T @ weight, atol=0.05, rtol=0.1)


def test_a_plan_is_near_the_parameters_of_the_fit() -> None:
    model = diffrec.fit(DATA, variant="t-diffrec", **(SMALL | {"epochs": 1}))
    assert isinstance(model, DiffRec)
    assert model.plan(DATA).parameters == model.training_.facts["parameters"] - 1  # the anchor's weight


def test_batches_hold_no_more_cuts_than_a_history_has() -> None:
    timeline = Timeline(Interactions.from_arrays([0, 0, 1, 2, 2, 2], [0, 1, 0, 0, 1, 2], timestamp=range(6)))
    batches = CutBatches(timeline, [None], horizon=9, cuts=2, batch_size=100, device="cpu", seed=0)
    (batch,) = batches
    assert len(batch) == 1 + 0 + 2
    torch.testing.assert_close(batch.after.to_dense(3).sum(dim=1), torch.ones(3))


def test_no_cut_is_made_twice_in_an_epoch() -> None:
    users, items = np.repeat(np.arange(30), 7), np.tile(np.arange(7), 30)
    timeline = Timeline(Interactions.from_arrays(users, items, timestamp=items))
    settings: dict[str, Any] = {"horizon": 9, "batch_size": 11, "device": "cpu", "seed": 0}
    whole = CutBatches(timeline, [None], cuts=9, **settings)
    for _ in range(2):
        followed = np.concatenate([batch.after.to_dense(7).numpy() > 0 for batch in whole]).sum(axis=1)
        assert np.bincount(followed).tolist() == [0, *[30] * 6]
    some = CutBatches(timeline, [None], cuts=3, **settings)
    epochs = [sum((batch.after.to_dense(7) > 0).sum(dim=0) for batch in some).tolist() for _ in range(5)]
    # The last item follows every one of the 90 cuts; of how many cuts the others do changes.
    assert {epoch[6] for epoch in epochs} == {90}
    assert len({tuple(epoch) for epoch in epochs}) > 1


@pytest.mark.parametrize("denoiser", ["mlp", "sequence"])
def test_what_is_forecast_counts_by_how_long_ago_it_was(denoiser: str) -> None:
    user, item = np.divmod(np.arange(40), 4)
    moment = user + 10 * item
    data = Interactions.from_arrays(user, item, timestamp=moment)
    settings = DiffRecSettings(
        objective="forecast", denoiser=denoiser, horizon=1, forecast_half_life=timedelta(seconds=10)
    )
    objective = objective_of(settings)
    sums = torch.cat([batch.after.to_dense(4).sum(1) for batch in objective.batches(objective.inputs(data), CPU)])
    # Of every user items 1, 2 and 3 are forecast once.
    expected = 2.0 ** ((moment[item > 0] - moment.max()) / 10)
    np.testing.assert_allclose(np.sort(sums), np.sort(expected), rtol=1e-6)


@pytest.mark.parametrize("repeats", ["exclude", "include"])
def test_what_is_to_be_discovered_was_not_in_the_visible_history(repeats: str) -> None:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20, 600), rng.integers(0, 15, 600)
    data = Interactions.from_arrays(users, items, timestamp=rng.integers(0, 40, 600))
    objective = objective_of(DiffRecSettings(objective="forecast", repeats=repeats, cuts=4, horizon=6))
    known, targets = 0, 0
    for batch in objective.batches(objective.inputs(data), CPU):
        before = batch.before[:, : data.shape[1]].toarray() > 0
        after = batch.after.to_dense(data.shape[1]).numpy()
        known, targets = known + int((before & (after > 0)).sum()), targets + int((after > 0).sum())
        assert np.isin(after.sum(axis=1).round(5), [0, 1]).all()
    assert targets > 0
    assert (known == 0) == (repeats == "exclude")


def test_the_next_basket_is_forecast_without_an_anchor_unless_it_is_asked_for() -> None:
    again = {"repeats": "include"}
    assert make("t-diffrec").settings.anchor
    assert not make("t-diffrec", **again).settings.anchor
    assert make("t-diffrec", anchor=True, **again).settings.anchor
    assert make("t-diffrec", denoiser="sequence", **again).settings.anchor
    assert not make("t-diffrec", time_weights="linear", **again).settings.anchor


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (
            {"time_scales": ()},
            ValueError,
            "time_scales must be a sequence of numbers, timedeltas and None with at least 1 of them",
        ),
        ({"time_scales": 5.0}, TypeError, "time_scales must be a sequence"),
        ({"time_scales": (0.0,)}, ValueError, "time_scales must be above 0"),
        ({"horizon": 0}, ValueError, "horizon must be at least 1"),
        ({"likelihood": "poisson"}, ValueError, "likelihood must be one of 'softmax', 'squared'"),
        (
            {"forecast_half_life": timedelta(days=1), "likelihood": "squared"},
            ValueError,
            "likelihood must be 'softmax' with forecast_half_life, got 'squared'",
        ),
        ({"objective": "guess"}, ValueError, "objective must be one of 'reconstruct', 'forecast'"),
        ({"anchor_l2": 0.0}, ValueError, "anchor_l2 must be above 0"),
        (
            {"objective": "forecast", "time_weights": "linear"},
            ValueError,
            "time_weights must be None with objective='forecast', got 'linear'",
        ),
        ({"predict": "eps"}, ValueError, "predict must be 'x0' with objective='forecast', got 'eps'"),
        ({"sampling_noise": True}, ValueError, "sampling_noise must be False with objective='forecast', got True"),
    ],
)
def test_impossible_settings(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diffrec.fit(DATA, variant="t-diffrec", **settings)


def shoppers(users: int = 60, visits: int = 10, seed: int = 0) -> Interactions:
    """People who take one of their own three items at every visit, besides one that is anybody's."""
    rng = np.random.default_rng(seed)
    habits = rng.integers(ITEMS, size=(users, 3))
    user, visit = np.divmod(np.arange(users * visits), visits)
    own = habits[user, rng.integers(3, size=len(user))]
    item = np.concatenate([own, rng.integers(ITEMS, size=len(user))])
    return Interactions.from_arrays(
        np.tile(user, 2), item, timestamp=np.tile(86400.0 * visit, 2), items=np.arange(ITEMS)
    )


SHOP = shoppers()
FEW: dict[str, Any] = SMALL | {"epochs": 20, "anchor": False, "repeats": "include"}


def test_what_was_taken_before_counts_where_it_may_be_taken_again() -> None:
    train, _, test = SHOP.split(by="leave-last", valid=0)
    without = diffrec.fit(train, variant="t-diffrec", **FEW, own_views=())
    model = diffrec.fit(train, variant="t-diffrec", **FEW)
    assert isinstance(model, DiffRec)
    assert len(model.settings.own_terms) == 6
    found, before = (one.evaluate(test, exclude_seen=False, k=3)["recall@3"] for one in (model, without))
    assert found > 0.35
    assert found > before
    # Asked for what is new, nothing is learnt of what is old.
    assert diffrec.DiffRec(objective="forecast").settings.own_terms == ()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"anchor": True},
        {"own_views": ("due", 2.0, timedelta(days=3), None)},
        {"own_views": ("usual", "had"), "anchor": True},
        {"likelihood": "squared"},
    ],
)
def test_own_views_survive_a_file_and_are_explained(settings: dict[str, Any], tmp_path: Path) -> None:
    model = diffrec.fit(SHOP, variant="t-diffrec", **(FEW | {"epochs": 3} | settings))
    model.save(tmp_path / "model")
    again = diffrec.load(tmp_path / "model")
    assert again.settings.values(saved_only=True) == model.settings.values(saved_only=True)
    np.testing.assert_array_equal(again.score(), model.score())
    own = int(SHOP.matrix[[4]].indices[0])
    why = model.explain(4, own, points=32)
    total = why.contributions.sum() + why.baseline
    assert total == pytest.approx(why.score, abs=0.02 * float(model.score([4]).std()) + 1e-4)


@given(seed=st.integers(0, 999), items=st.integers(1, 6))
def test_usual_intervals_are_means_over_all_users(seed: int, items: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers((4, items, 9), size=(rng.integers(1, 40), 3))
    data = Interactions.from_arrays(*rows[:, :2].T, timestamp=rows[:, 2] * 10.0, items=np.arange(items))
    gaps: dict[int, list[float]] = {item: [] for item in range(items)}
    for user, item in set(map(tuple, rows[:, :2].tolist())):
        taken = sorted({10.0 * when for who, what, when in rows.tolist() if (who, what) == (user, item)})
        gaps[item] += [later - earlier for earlier, later in pairwise(taken)]
    every = [gap for own in gaps.values() for gap in own]
    usual = np.mean(every) if every else np.ptp(10.0 * rows[:, 2])
    expected = [(sum(own) + usual) / (1 + len(own)) for own in gaps.values()]
    np.testing.assert_allclose(Timeline(data).usual_intervals(), expected, rtol=1e-6, atol=1e-30)


def test_strangers_are_compared_with_what_was_usual_in_the_fit(tmp_path: Path) -> None:
    """Item 0 comes back after a day, item 1 after ten: five days later one is long overdue, and the other is not."""
    often = [(user, 0, day) for user in range(30) for day in range(0, 30, 1 + user % 2)]
    seldom = [(user, 1, day) for user in range(30) for day in range(user % 5, 30, 10)]
    user, item, day = np.array(often + seldom).T
    data = Interactions.from_arrays(user, item, timestamp=day * 86400.0, items=np.arange(3))
    model = diffrec.fit(data, variant="t-diffrec", **(FEW | {"epochs": 2, "own_views": ("usual",)}))
    assert isinstance(model, DiffRec)
    assert model._intervals is not None
    days = model._intervals / 86400
    assert days[0] < 2 < 9 < days[1]
    model.save(tmp_path / "model")
    again = diffrec.load(tmp_path / "model")
    assert isinstance(again, DiffRec)
    stranger = Interactions.from_arrays(["new"] * 3, [0, 1, 2], timestamp=np.array([0, 0, 5]) * 86400.0)
    for one in (model, again):
        seen = one._objective.read(stranger.align(items=data.items)[0]).toarray().reshape(-1, 3)[-1]
        np.testing.assert_allclose(seen, [5 / (5 + days[0]), 5 / (5 + days[1]), 0], rtol=1e-5)
        np.testing.assert_array_equal(one.score(stranger), model.score(stranger))
    # Another fit learns them anew.
    model.fit(Interactions.from_arrays(user, item, timestamp=day * 3600.0, items=np.arange(3)))
    np.testing.assert_allclose(model._intervals * 24, days * 86400, rtol=1e-5)


def test_an_anchor_alone_reads_none_of_them(tmp_path: Path) -> None:
    model = diffrec.fit(SHOP, variant="anchor", objective="forecast", repeats="include")
    plain = diffrec.fit(SHOP, variant="anchor", objective="forecast", repeats="include", own_views=())
    np.testing.assert_array_equal(model.score(), plain.score())
    np.testing.assert_array_equal(model.similar_items([3], k=4).items, plain.similar_items([3], k=4).items)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(diffrec.load(tmp_path / "model").score(), plain.score())


def test_own_views_are_a_diagonal_besides_the_denoiser() -> None:
    """Scores are the denoiser's of its own views, and for each item the weighted views of that item."""
    model = diffrec.fit(SHOP, variant="t-diffrec", **(FEW | {"epochs": 3, "own_views": ("had", "often", 2.0)}))
    assert isinstance(model, DiffRec)
    network = model._network
    assert isinstance(network, Forecast)
    assert network.own is not None
    weights = network.own.detach().numpy().copy()
    assert np.all(weights != 0)
    timeline = Timeline(SHOP)
    rows = np.arange(60)
    views = timeline.before(rows, timeline.lengths, ("had", "often", 2.0)).toarray().reshape(60, 3, ITEMS)
    with_own = model.score()
    with torch.no_grad():
        network.own.zero_()
    np.testing.assert_allclose(with_own - model.score(), np.einsum("v,uvi->ui", weights, views), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"own_views": ("had", "oftn")}, ValueError, "own_views must be one of .*did you mean 'often'"),
        ({"own_views": "had"}, TypeError, "own_views must be a sequence of"),
        ({"own_views": (0,)}, ValueError, "own_views must be above 0"),
        ({"own_views": ("had",), "objective": "reconstruct"}, ValueError, "own_views is for objective='forecast'"),
        ({"own_views": ("had",), "groups": 2}, ValueError, "own_views is for .* without groups"),
    ],
)
def test_impossible_own_views(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        DiffRec(**({"objective": "forecast"} | settings))


@pytest.mark.parametrize("denoiser", ["mlp", "sequence"])
def test_steps_are_drawn_where_the_weights_are(denoiser: str) -> None:
    # What is built on a processor moves as a whole: any other device shows what does not.
    settings = diffrec.DiffRec(objective="forecast", denoiser=denoiser, dims=(8,)).settings
    network = diffrec.DiffRec(**settings.values())._fresh_network(10, None, torch.device("meta"))
    assert torch.device(network.sampler.device) == network.device == torch.device("meta")
