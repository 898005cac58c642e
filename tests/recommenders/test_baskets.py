"""Events at one time have no order: permuting them changes no bit of a model, its lists or a split."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import diffrec
from diffrec import Interactions
from diffrec._tensors import on_host
from diffrec.recommenders import VARIANTS

TINY: dict[str, Any] = {
    "dims": (4,),
    "epochs": 2,
    "batch_size": 8,
    "holdout": 0.2,
    "validate_every": 1,
    "progress": False,
}
SECONDS = timedelta(seconds=2)
# Every variant that looks at time, and each way to an age.
TIMED: dict[str, tuple[str, dict[str, Any]]] = {
    "forecast": ("t-diffrec", TINY | {"time_scales": (1.0, SECONDS, None), "anchor_cuts": 3}),
    "sequence": ("t-diffrec", TINY | {"denoiser": "sequence", "sequence_length": 3, "sequence_width": 4}),
    "forecast over latents": ("lt-diffrec", TINY | {"latent_dims": (4,)}),
    "by value": ("t-diffrec", TINY | {"binarize": False}),
    "linear": ("t-diffrec", TINY | {"time_weights": "linear"}),
    "power by the clock": ("t-diffrec", TINY | {"time_weights": "power", "half_life": SECONDS}),
    "anchor": ("anchor", {"time_weights": "exponential"}),
    "anchor, forecast": ("anchor", {"objective": "forecast", "anchor_cuts": 3}),
    "ease": ("ease", {"half_life": 2.0}),
    "ease by the clock": ("ease", {"half_life": SECONDS}),
    "popularity": ("popularity", {"half_life": 2.0}),
    "popularity by the clock": ("popularity", {"half_life": SECONDS}),
    "topfreq": ("topfreq", {"half_life": 2.0}),
    "tifuknn": ("tifuknn", {}),
    "next baskets": (
        "t-diffrec",
        TINY | {"repeats": "include", "own_views": ("had", "often", "ago", "due", "usual", 3.0, SECONDS)},
    ),
    "next baskets in a row": (
        "t-diffrec",
        TINY | {"repeats": "include", "denoiser": "sequence", "sequence_length": 3, "sequence_width": 4},
    ),
    "sasrec": ("sasrec", {"width": 4, "length": 3, "epochs": 2, "progress": False}),
}
# The others, which see sums and the newest times alone.
UNTIMED: dict[str, dict[str, Any]] = {
    "diffrec": TINY,
    "l-diffrec": TINY | {"latent_dims": (4,), "groups": 2},
    "itemknn": {},
    "rp3beta": {},
    "ials": {"factors": 4, "iterations": 2},
    "lightgcn": {"factors": 4, "epochs": 2, "progress": False},
    "multivae": {"dims": (4,), "latent": 2, "epochs": 2, "progress": False},
    "multidae": {"dims": (4,), "latent": 2, "epochs": 2, "progress": False},
    "cfgan": {"dims": (4,), "discriminator_dims": (4,), "epochs": 2, "progress": False},
    "stack": {"parts": ["popularity", "itemknn"]},
}
TIMED |= {variant: (variant, chosen) for variant, chosen in UNTIMED.items()}


def test_every_variant_is_tried() -> None:
    assert {variant for variant, _ in TIMED.values()} == set(VARIANTS)


def bought(order: np.ndarray) -> Interactions:
    """Twelve users, eight items, four moments: most rows share their time with others."""
    rng = np.random.default_rng(4)
    columns = (rng.integers(high, size=120)[order] for high in (12, 8, 4, 3))
    user, item, time, value = columns
    return Interactions.from_arrays(user, item, time.astype(float), value + 0.1)


@pytest.mark.parametrize("case", TIMED)
@given(seed=st.integers(0, 1000))
@settings(max_examples=3)
def test_permuting_tied_rows_changes_no_bit_of_a_model(case: str, seed: int) -> None:
    variant, chosen = TIMED[case]
    orders = (np.arange(120), np.random.default_rng(seed).permutation(120))
    models = [diffrec.fit(bought(order), variant=variant, **chosen) for order in orders]
    one, other = models
    for (name, a), (also, b) in zip(one._state().items(), other._state().items(), strict=True):
        assert name == also
        assert on_host(a).tobytes() == on_host(b).tobytes()
    for exclude_seen in (True, False):
        a, b = (model.recommend(k=8, exclude_seen=exclude_seen) for model in models)
        assert a.item_rows.tobytes() == b.item_rows.tobytes()
        assert a.scores.tobytes() == b.scores.tobytes()


@pytest.mark.parametrize("variant", ["popularity", "ease", "topfreq"])
def test_judging_on_what_was_learnt_says_that_it_is_no_question(variant: str) -> None:
    train = bought(np.arange(120))
    model = diffrec.fit(train, variant=variant)
    with pytest.raises(ValueError, match="items that the user had before.*exclude_seen=False"):
        model.evaluate(train)
    assert model.evaluate(train, exclude_seen=False, k=5)["recall@5"] > 0.3


def test_a_scorer_asks_both_questions() -> None:
    train = bought(np.arange(120))
    model = diffrec.fit(train, variant="topfreq")
    discover, again = (
        diffrec.Scorer("recall@3", by="leave-last", exclude_seen=exclude)(model, train) for exclude in (True, False)
    )
    assert discover != again
