"""Spreads over noisy chains: grow with the noise, follow the seed, and are those of the chains themselves."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import diffrec
from diffrec import DiffRec, Uncertainty
from diffrec.recommenders.diffrec.chain_views import noisy_scores

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
QUICK: dict[str, Any] = {"dims": (16,), "epochs": 8, "batch_size": 20, "holdout": 0, "lr": 0.01, "progress": False}
NOISY: dict[str, Any] = QUICK | {"noise_scale": 1.0, "noise_max": 0.5, "steps": 5}
FORMS: dict[str, dict[str, Any]] = {
    "items": {"variant": "diffrec"},
    "items, noise predicted": {"variant": "diffrec", "predict": "eps"},
    "items and an anchor": {"variant": "diffrec", "anchor": True, "anchor_scale": 2.0},
    "forecast": {"variant": "t-diffrec"},
    "latents": {"variant": "l-diffrec", "latent_dims": (16,)},
    "latents, forecast": {"variant": "lt-diffrec", "latent_dims": (16,)},
}


@pytest.fixture(scope="module", params=FORMS)
def model(request: pytest.FixtureRequest) -> DiffRec:
    fitted = diffrec.fit(DATA, **NOISY | FORMS[request.param])
    assert isinstance(fitted, DiffRec)
    return fitted


def test_more_noise_gives_more_spread(model: DiffRec) -> None:
    items = DATA.items.ids[:20]
    found = [
        float(model.uncertainty(range(20), items=items, forward_steps=steps).score_stds.mean()) for steps in (1, 3, 5)
    ]
    assert 0 < found[0] < found[1] < found[2], found


def test_the_seed_decides(model: DiffRec) -> None:
    one, same, other = (model.uncertainty([3, 1], k=5, forward_steps=3, seed=seed) for seed in (4, 4, 5))
    for name in ("item_rows", "scores", "score_stds", "ranks", "rank_stds"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.score_stds, other.score_stds)
    default = model.uncertainty([3, 1], k=5, forward_steps=3)
    np.testing.assert_array_equal(default.scores, model.uncertainty([3, 1], k=5, forward_steps=3, seed=0).scores)


def test_it_reads_the_best_by_mean(model: DiffRec) -> None:
    sure = model.uncertainty(k=6, forward_steps=2, chains=5)
    assert sure.items.shape == sure.rank_stds.shape == (60, 6)
    assert sure.chains == 5
    assert np.all(np.diff(sure.scores, axis=1) <= 0)
    assert (DATA.matrix.toarray()[np.arange(60)[:, None], sure.item_rows] == 0).all()
    assert (sure.ranks >= 1).all()
    assert (sure.ranks[:, 0] <= sure.ranks[:, -1]).mean() > 0.9
    # Chains with little noise are about the one without.
    near = model.uncertainty(k=6, forward_steps=1, chains=64, exclude_seen=False)
    plain = np.take_along_axis(model.score(), near.item_rows.astype(np.int64), axis=1)
    assert np.corrcoef(near.scores.ravel(), plain.ravel())[0, 1] > 0.9


def test_means_and_spreads_are_those_of_the_chains() -> None:
    """Against one score matrix a chain."""
    model = diffrec.fit(DATA, **NOISY, variant="diffrec")
    assert isinstance(model, DiffRec)
    denied = DATA.items.ids[[4, 9]]
    sure = model.uncertainty([7, 2, 7], items=DATA.items.ids[[8, 30]], chains=6, sampling_noise=True, deny=denied)
    run = model._network.noisy(0, sampling_noise=True)
    views = model._objective.views(DATA.take(np.array([2, 7])))
    chains = [part.block(0, 40).numpy() for part in noisy_scores(model._chain, views, run, 6, seed=0)]
    scores = np.array(chains, dtype=np.float64)
    seen = DATA.matrix[[2, 7]].toarray() > 0
    seen[:, [4, 9]] = True
    for row, user in ((0, 1), (1, 0), (2, 1)):
        for place, item in enumerate((8, 30)):
            own = scores[:, user, item]
            ranks = [1 + np.sum(one[user][~seen[user]] > one[user, item]) for one in scores]
            assert sure.scores[row, place] == pytest.approx(own.mean(), rel=1e-5)
            assert sure.score_stds[row, place] == pytest.approx(own.std(ddof=1), rel=1e-4)
            assert sure.ranks[row, place] == pytest.approx(np.mean(ranks))
            assert sure.rank_stds[row, place] == pytest.approx(np.std(ranks, ddof=1), rel=1e-5, abs=1e-6)
    assert sure.users.tolist() == DATA.users.ids[[7, 2, 7]].tolist()


def test_the_settings_noise_is_the_default() -> None:
    model = diffrec.fit(DATA, **NOISY, variant="diffrec", forward_steps=2, sampling_noise=True)
    assert isinstance(model, DiffRec)
    named = model.uncertainty(3, k=4, forward_steps=2, sampling_noise=True)
    np.testing.assert_array_equal(model.uncertainty(3, k=4).scores, named.scores)
    assert not np.array_equal(model.uncertainty(3, k=4, forward_steps=5).scores, named.scores)


def test_frame_and_gaps() -> None:
    model = diffrec.fit(DATA, **NOISY, variant="diffrec")
    assert isinstance(model, DiffRec)
    sure = model.uncertainty([1, 2], k=4, forward_steps=3, allow=DATA.items.ids[:3])
    assert isinstance(sure, Uncertainty)
    gaps = sure.item_rows < 0
    assert gaps.any()
    for numbers in (sure.scores, sure.score_stds, sure.ranks, sure.rank_stds):
        assert np.isnan(numbers[gaps]).all()
        assert np.isfinite(numbers[~gaps]).all()
    frame = sure.to_frame()
    assert list(frame.columns) == ["user", "item", "score", "score_std", "rank", "rank_std"]
    assert len(frame) == (~gaps).sum()
    assert type(sure.to_frame(like=pd.DataFrame())) is pd.DataFrame
    assert sure.to_frame("polars").height == len(frame)


def test_where_no_noise_is_asked_for_chains_begin_at_the_last_step() -> None:
    model = diffrec.fit(DATA, **{"variant": "diffrec"} | NOISY | {"epochs": 1, "forward_steps": 0})
    assert isinstance(model, DiffRec)
    usual, named = model.uncertainty(3), model.uncertainty(3, forward_steps=model.settings.steps)
    np.testing.assert_array_equal(usual.score_stds, named.score_stds)
    assert (usual.score_stds[usual.item_rows >= 0] > 0).all()


@pytest.mark.parametrize(
    ("settings", "asked", "said"),
    [
        (
            {},
            {"forward_steps": 0},
            r"without it all chains are one: give forward_steps \(1 to 5\) or sampling_noise=True",
        ),
        ({"steps": 1}, {"sampling_noise": True}, r"give forward_steps \(1 to 1\)$"),
        ({"noise_scale": 0}, {"forward_steps": 2}, "noise_scale=0 leaves none"),
        ({}, {"forward_steps": 6}, "forward_steps must be from 0 to 5, got 6"),
        ({}, {"forward_steps": 2, "chains": 1}, "chains must be at least 2, got 1"),
        ({}, {"forward_steps": 2, "items": ["nothing"]}, "unknown item id 'nothing'"),
        ({"variant": "t-diffrec"}, {"forward_steps": 0}, r"give forward_steps \(1 to 5\)$"),
        ({"variant": "t-diffrec"}, {"sampling_noise": True}, "sampling_noise must be False for a forecast"),
    ],
)
def test_without_noise_there_is_nothing_to_say(settings: dict[str, Any], asked: dict[str, Any], said: str) -> None:
    model = diffrec.fit(DATA, **{"variant": "diffrec"} | NOISY | {"epochs": 1} | settings)
    assert isinstance(model, DiffRec)
    with pytest.raises(ValueError, match=said):
        model.uncertainty(3, **asked)


def test_nobody_has_no_uncertainty() -> None:
    model = diffrec.fit(DATA, **NOISY, variant="diffrec")
    assert isinstance(model, DiffRec)
    assert model.uncertainty([], k=4).scores.shape == (0, 4)


def test_a_user_is_as_sure_whoever_else_is_asked(model: DiffRec) -> None:
    together = model.uncertainty([3, 9, 17], k=5, forward_steps=3)
    alone = model.uncertainty(9, k=5, forward_steps=3)
    np.testing.assert_array_equal(alone.items[0], together.items[1])
    np.testing.assert_allclose(alone.score_stds[0], together.score_stds[1], rtol=1e-3)


def test_limits_of_each_user_are_refused() -> None:
    data = diffrec.datasets.synthetic(users=30, items=20, seed=1)
    model = diffrec.DiffRec(dims=(8,), epochs=1, noise_scale=1.0, progress=False).fit(data)
    with pytest.raises(TypeError, match="deny must be item ids, the same for all users"):
        model.uncertainty([data.users[0]], k=2, deny={data.users[0]: [data.items[0]]})
