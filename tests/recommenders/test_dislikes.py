"""What users dislike is never recommended, and pushes down what is like it in iALS and the anchor."""

from pathlib import Path

import numpy as np
import pytest

import diffrec
from diffrec import Interactions
from support.commands import succeed

TINY = {"dims": (8,), "epochs": 2, "holdout": 0.0, "progress": False}
FORECAST = {"objective": "forecast", "time_scales": (1.0, None), "anchor_cuts": 4}
PUSHED = {
    "ials": ("ials", {"factors": 4, "l2": 0.5, "alpha": 5.0, "progress": False}),
    "anchor": ("anchor", {"anchor_l2": 0.5}),
    "anchor, timed": ("anchor", {"anchor_l2": 0.5, "time_weights": "linear"}),
    "anchor, forecast": ("anchor", {"anchor_l2": 0.5} | FORECAST),
    "diffrec": ("diffrec", TINY | {"anchor": True, "anchor_scale": 50.0}),
    "t-diffrec": ("t-diffrec", TINY | FORECAST | {"anchor": True, "anchor_scale": 50.0}),
}
MASKED = PUSHED | {
    "popularity": ("popularity", {}),
    "ease": ("ease", {}),
    "l-diffrec": ("l-diffrec", TINY | {"latent_dims": (6,)}),
    "multivae": ("multivae", TINY | {"latent": 4}),
}


def two_tastes(dislikes: dict[int, int]) -> Interactions:
    """Forty users take items 0 to 5 or items 6 to 11, one after the other; some of them dislike an item."""
    rng = np.random.default_rng(2)
    user, item = np.repeat(np.arange(40), 4), np.concatenate([rng.permutation(6)[:4] + 6 * (u % 2) for u in range(40)])
    disliking = np.array(list(dislikes.items()), dtype=np.int64).reshape(-1, 2)
    return Interactions.from_arrays(
        np.append(user, disliking[:, 0]),
        np.append(item, disliking[:, 1]),
        timestamp=np.append(np.tile(np.arange(4), 40), np.full(len(dislikes), 9)),
        value=np.append(np.ones(160), np.full(len(dislikes), -1)),
        users=range(40),
        items=range(12),
        negatives="dislike",
    )


# Users of the one taste who say something of an item of the other.
DISLIKES = {0: 7, 1: 2, 4: 9}
DATA = two_tastes(DISLIKES)


@pytest.mark.parametrize("case", MASKED)
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_they_are_never_recommended(case: str, exclude_seen: bool) -> None:
    variant, settings = MASKED[case]
    model = diffrec.fit(DATA, variant=variant, **settings)
    top = model.recommend(k=12, exclude_seen=exclude_seen)
    for user, item in DISLIKES.items():
        assert item not in top.items[user]
        assert (top.items[user] >= 0).sum() == (7 if exclude_seen else 11)
    again = model.recommend([0], k=12, candidates={0: [7, 8, 9]}).items[0]
    assert set(again.tolist()) == {8, 9, -1}
    # Strangers' dislikes count, too.
    assert 7 not in model.recommend(DATA.take([0]), k=12, exclude_seen=False).items


@pytest.mark.parametrize("case", PUSHED)
def test_they_push_down_what_is_like_them(case: str) -> None:
    variant, settings = PUSHED[case]
    model = diffrec.fit(two_tastes({}), variant=variant, **settings)
    # Someone of both tastes, who dislikes an item of the second.
    mixed = Interactions.from_arrays(
        [0] * 5, [0, 1, 6, 8, 7], [1, 2, 3, 4, 5], [1, 1, 1, 1, -1], items=range(12), negatives="dislike"
    )
    plain, pushed = model.score(mixed.with_dislikes(None))[0], model.score(mixed)[0]
    change = pushed - plain
    assert change[9:].mean() < -1e-3
    assert change[2:6].mean() > change[9:].mean()


@pytest.mark.parametrize("case", PUSHED)
def test_a_saved_model_keeps_them_and_an_explanation_sums_to_the_score(case: str, tmp_path: Path) -> None:
    variant, settings = PUSHED[case]
    model = diffrec.fit(DATA, variant=variant, **settings)
    model.save(tmp_path / "m.diffrec")
    loaded = diffrec.load(tmp_path / "m.diffrec")
    assert loaded.train_.n_dislikes == len(DISLIKES)
    np.testing.assert_array_equal(loaded.score(), model.score())
    why = loaded.explain(0, 8)
    assert why.score == pytest.approx(why.contributions.sum() + why.others + why.baseline + why.remainder, abs=1e-5)
    assert 7 in why.items
    if why.exact:
        assert why.remainder == pytest.approx(0, abs=1e-4)
    if "anchor" in case:
        assert why.contributions[why.items == 7] < 0


def test_chains_and_uncertainty_leave_them_out() -> None:
    model = diffrec.fit(DATA, variant="diffrec", **TINY)
    assert 7 not in model.reverse_steps(0, k=12, exclude_seen=False).items
    assert 7 not in model.uncertainty([0], k=12, exclude_seen=False, forward_steps=2, chains=2).items
    assert 7 not in model.recommend([0], k=12, novelty=0.5).items


def test_what_was_disliked_before_is_not_relevant() -> None:
    model = diffrec.fit(DATA, variant="popularity")
    test = Interactions.from_arrays([0, 0, 2], [7, 8, 9], users=range(40), items=range(12))
    for exclude_seen in (True, False):
        report = model.evaluate(test, exclude_seen=exclude_seen)
        assert report.dislikes_left_out == 1
        assert len(report.users) == 2
        assert "1 interactions with items that the users disliked before" in str(report)


def test_dislikes_with_confidence_are_trusted_more() -> None:
    model = diffrec.fit(two_tastes({}), variant="ials", factors=4, l2=0.5, alpha=5.0, progress=False)
    once, often = (
        Interactions.from_csr(np.array([[1.0, 1, 0, 0, 0, 0, 0, -size, 0, 0, 0, 0]]), negatives="dislike")
        for size in (1, 20)
    )
    assert model.score(often)[0, 7] < model.score(once)[0, 7]


def test_the_command_line_takes_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DATA.write("votes.csv")
    succeed("fit", "votes.csv", "--value", "value", "--negatives", "dislike", "--variant", "ease", "--out", "m.diffrec")
    assert diffrec.load("m.diffrec").train_.n_dislikes == len(DISLIKES)
    succeed("split", "votes.csv", "--value", "value", "--negatives", "dislike", "--out", "parts")
    assert "-1" in (tmp_path / "parts" / "train.csv").read_text() + (tmp_path / "parts" / "test.csv").read_text()
