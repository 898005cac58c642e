"""Explanations: their parts sum to the score, and say what the history really does to it."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import diffrec
from diffrec import Explanation, Interactions, Recommender
from diffrec.recommenders import VARIANTS
from diffrec.recommenders.histories import Reading

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
TRAINED = {"dims": (8,), "epochs": 8, "batch_size": 30, "holdout": 0, "lr": 0.01, "progress": False}
LATENT = TRAINED | {"latent_dims": (8,)}
SEQUENTIAL = {"width": 8, "length": 5, "epochs": 8, "lr": 0.01, "progress": False}

# A name, its variant, and settings; the first ones are linear in the history.
EXACT: dict[str, tuple[str, dict[str, Any]]] = {
    "popularity": ("popularity", {}),
    "topfreq": ("topfreq", {"half_life": 3.0}),
    "itemknn": ("itemknn", {"neighbors": 10}),
    "itemknn by bm25": ("itemknn", {"weighting": "bm25"}),
    "rp3beta": ("rp3beta", {"alpha": 0.7, "beta": 0.3}),
    "ease": ("ease", {"l2": 5.0}),
    "ials": ("ials", {"factors": 4, "iterations": 3, "progress": False}),
    "anchor": ("anchor", {}),
    "anchor of forecasts": ("anchor", {"objective": "forecast"}),
    "anchor of low rank": ("anchor", {"anchor_exact": 0, "anchor_rank": 6, "anchor_neighbors": 5}),
    "stack": ("stack", {"parts": ["popularity", ("ease", {"l2": 5.0})], "weights": [1, 2]}),
}
BENT: dict[str, tuple[str, dict[str, Any]]] = {
    "diffrec": ("diffrec", TRAINED),
    "diffrec that predicts noise": ("diffrec", TRAINED | {"predict": "eps", "noise_scale": 1.0}),
    "diffrec with an anchor": ("diffrec", TRAINED | {"anchor": True, "anchor_scale": 3.0}),
    "diffrec by the paper": ("t-diffrec", TRAINED | {"objective": "reconstruct"}),
    "forecast": ("t-diffrec", TRAINED),
    "sequence": ("t-diffrec", TRAINED | {"denoiser": "sequence", "sequence_width": 8, "sequence_length": 5}),
    "l-diffrec": ("l-diffrec", LATENT),
    "lt-diffrec": ("lt-diffrec", LATENT),
    "multivae": ("multivae", TRAINED | {"latent": 4}),
    "multidae": ("multidae", TRAINED | {"latent": 4}),
    "cfgan": ("cfgan", TRAINED),
    "sasrec": ("sasrec", SEQUENTIAL),
    "tifuknn": ("tifuknn", {"neighbors": 10}),
    "stack with a forecast": ("stack", {"parts": ["itemknn", ("t-diffrec", TRAINED)]}),
}


def fitted(named: tuple[str, dict[str, Any]]) -> Recommender:
    return diffrec.fit(DATA, variant=named[0], **named[1])


def total(why: Explanation) -> float:
    return float(why.contributions.sum() + why.others + why.baseline + why.remainder)


def past(user: int) -> list[Any]:
    return DATA.items.ids[DATA.matrix[user : user + 1].indices].tolist()


@pytest.fixture(scope="module", params=EXACT)
def linear(request: pytest.FixtureRequest) -> Recommender:
    return fitted(EXACT[request.param])


@pytest.fixture(scope="module", params=BENT)
def bent(request: pytest.FixtureRequest) -> Recommender:
    return fitted(BENT[request.param])


def test_every_variant_is_here_or_has_no_rule() -> None:
    assert {variant for variant, _ in (EXACT | BENT).values()} == set(VARIANTS) - {"lightgcn"}


def test_linear_parts_are_the_whole_score(linear: Recommender) -> None:
    scores = linear.score([3])[0]
    for row in (0, 7, 21):
        why = linear.explain(3, DATA.items[row])
        assert why.exact
        assert why.score == pytest.approx(scores[row], abs=1e-6)
        assert sorted(why.items.tolist()) == sorted(past(3))
        # Nothing of a score is left over but what float32 rounds.
        assert why.contributions.sum() + why.baseline == pytest.approx(scores[row], rel=1e-4, abs=1e-5)
        assert total(why) == pytest.approx(why.score, rel=1e-12)


def test_parts_of_what_bends_sum_to_the_score(bent: Recommender) -> None:
    scores = bent.score([3])[0]
    for row in (0, 7, 21):
        why = bent.explain(3, DATA.items[row])
        assert not why.exact
        assert why.score == pytest.approx(scores[row], rel=1e-5, abs=1e-6)
        assert total(why) == pytest.approx(why.score, rel=1e-9, abs=1e-9)
        assert np.abs(why.contributions).max() > 0
        assert sorted(why.items.tolist()) == sorted(past(3))


def test_more_points_leave_nothing_out(bent: Recommender) -> None:
    """What baseline and contributions sum to, without the remainder, becomes the score."""
    scores = bent.score([3])[0]
    spread = float(np.std(scores))
    for row in (0, 7, 21):
        why = bent.explain(3, DATA.items[row], points=64)
        assert why.contributions.sum() + why.baseline == pytest.approx(scores[row], abs=0.02 * spread + 1e-5)


@pytest.mark.parametrize("name", ["diffrec", "diffrec that predicts noise", "l-diffrec", "diffrec with an anchor"])
def test_contributions_are_slopes_of_the_score(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient agrees with what a small change of an entry of the history does to the score."""
    variant, settings = BENT[name]
    monkeypatch.setattr(Reading, "weights", lambda _, block: block.matrix)
    model = diffrec.fit(DATA, variant=variant, **settings)
    history = DATA.matrix[[3]].astype(np.float32)
    why = model.explain(history, DATA.items[7])
    part_of = dict(zip(why.items.tolist(), why.contributions.tolist(), strict=True))
    step = 0.05
    for place, column in enumerate(history.indices[:4]):
        scores = []
        for sign in (1, -1):
            moved = history.copy()
            moved.data[place] += sign * step
            scores.append(model.score(sparse.csr_array(moved))[0, 7])
        slope = (scores[0] - scores[1]) / (2 * step)
        assert part_of[DATA.items[column]] == pytest.approx(slope * history.data[place], rel=0.05, abs=2e-4)


def test_a_taken_item_carries_itself_through_the_sparse_correction() -> None:
    """Predicting noise leaves a multiple of the history in the scores: exact, and the item's own."""
    model = fitted(BENT["diffrec that predicts noise"])
    own = past(3)[0]
    assert model.explain(3, own).items[0] == own


def test_a_history_of_nothing_is_all_baseline(bent: Recommender) -> None:
    nobody = Interactions.from_csr(sparse.csr_array((1, 40), dtype=np.float32), allow_empty=True)
    nobody = Interactions(nobody.matrix, np.empty(0), nobody.users, DATA.items)
    why = bent.explain(nobody, DATA.items[2])
    assert len(why.items) == 0
    assert why.baseline == pytest.approx(bent.score(nobody)[0, 2], rel=1e-4, abs=1e-5)


def test_noise_at_inference_is_left_to_the_remainder() -> None:
    quiet = fitted(("diffrec", TRAINED | {"noise_scale": 5.0}))
    loud = fitted(("diffrec", TRAINED | {"noise_scale": 5.0, "forward_steps": 3, "sampling_noise": True}))
    one, other = quiet.explain(3, DATA.items[7]), loud.explain(3, DATA.items[7])
    np.testing.assert_allclose(other.contributions, one.contributions, rtol=1e-4, atol=1e-6)
    assert other.score == pytest.approx(float(loud.score([3])[0, 7]))
    assert other.remainder != pytest.approx(one.remainder, abs=1e-5)


def test_k_names_those_that_count_most() -> None:
    model = fitted(EXACT["ease"])
    whole, short = model.explain(3, DATA.items[7]), model.explain(3, DATA.items[7], 2)
    assert short.items.tolist() == whole.items[:2].tolist()
    assert np.all(np.diff(np.abs(whole.contributions)) <= 0)
    assert short.others == pytest.approx(whole.contributions[2:].sum())
    assert whole.others == 0
    assert total(short) == pytest.approx(whole.score, rel=1e-9)


def test_frame_and_text() -> None:
    why = fitted(BENT["diffrec"]).explain(DATA.users[3], DATA.items[7], k=3)
    frame = why.to_frame("polars")
    assert frame.columns == ["item", "contribution"]
    assert frame["item"].to_list() == why.items.tolist()
    text = str(why)
    assert text.startswith(f"{why.item!r} for {why.user!r} scores {why.score:.4f}, by gradient x input:\n")
    assert "baseline: with nothing in the history" in text
    assert "all other past items" in text
    assert "remainder: what gradient x input leaves out" in text
    assert len(text.splitlines()) == 1 + 3 + 3


def test_what_cannot_be_explained_is_refused() -> None:
    model = fitted(EXACT["ease"])
    item = DATA.items[0]
    with pytest.raises(ValueError, match="user must be one user, got 2"):
        model.explain([1, 2], item)
    with pytest.raises(ValueError, match="item must be one item, got 2"):
        model.explain(1, DATA.items.ids[:2])
    with pytest.raises(ValueError, match="unknown item id 'nothing'"):
        model.explain(1, "nothing")
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        model.explain(1, item, 0)
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        model.explain(1, item, points=0)
    with pytest.raises(TypeError, match="LightGCN cannot explain its scores"):
        diffrec.fit(DATA, variant="lightgcn", factors=4, epochs=1, progress=False).explain(1, item)
    with pytest.raises(RuntimeError, match="not fitted"):
        diffrec.EASE().explain(1, item)
