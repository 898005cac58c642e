"""Extreme numbers and smallest data: every score is finite, or the fit is refused with a reason."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import Interactions
from diffrec.recommenders import VARIANTS
from support.model_fuzz import FORMS

RNG = np.random.default_rng(0)
PAIRS = np.unique(np.stack([RNG.integers(0, 12, 60), RNG.integers(0, 9, 60)]), axis=1)
N = PAIRS.shape[1]


def events(user: Any, item: Any, value: Any = None, **named: Any) -> Interactions:
    times = np.arange(len(user), dtype=np.float64)
    return Interactions.from_arrays(np.asarray(user), np.asarray(item), times, value, **named)


WORLDS = {
    "values of 1e30": events(*PAIRS, np.full(N, 1e30)),
    "values of 1e-30": events(*PAIRS, np.full(N, 1e-30)),
    "values of both": events(*PAIRS, np.where(RNG.random(N) < 0.5, 1e30, 1e-30)),
    "one user": events([0] * 5, range(5)),
    "one item": events(range(5), [0] * 5),
    "one interaction": events([0], [0]),
    "one interaction of many": events([0], [0], users=np.arange(4), items=np.arange(4)),
    "a user with everything": events([0] * 9 + [1, 2, 3], [*range(9), 1, 2, 3]),
    "everyone with everything": events(np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)),
}
# alpha_bar near 0 after the last step, and near 1 after all.
NOISE = {"noise_schedule": "linear", "noise_scale": 1.0, "noise_min": 0.5, "noise_max": 0.999, "steps": 50}
CHAINS: dict[str, dict[str, Any]] = {
    "one step": {"steps": 1},
    "1,000 steps": {"steps": 1000},
    "no noise": {"noise_scale": 1e-12},
    "no noise, predicted": {"noise_scale": 1e-12, "predict": "eps"},
    "noise alone": NOISE,
    "noise alone, predicted": NOISE | {"predict": "eps"},
    "noise at inference": {"steps": 5, "forward_steps": 5, "sampling_noise": True},
}
CASES = dict(FORMS)
for name, (variant, settings) in FORMS.items():
    kind = VARIANTS[variant].kind.settings_type
    if "binarize" in kind.__dataclass_fields__:
        other = not kind().binarize  # type: ignore[attr-defined]
        CASES[f"{name}, {'no ' * other}values"] = (variant, settings | {"binarize": other})
CASES |= {f"diffrec, {name}": ("diffrec", FORMS["diffrec"][1] | chain) for name, chain in CHAINS.items()}
CASES |= {
    f"l-diffrec, {name}": ("l-diffrec", FORMS["l-diffrec"][1] | CHAINS[name]) for name in ("one step", "noise alone")
}
# What is refused, and why; anything else has to be fitted.
REFUSED = {
    "every user has every item": ("lightgcn",),
    "different times": ("t-diffrec", "sasrec", "lt-diffrec"),
    "groups must be at most the number of items": ("l-diffrec", "lt-diffrec"),
    "l2=500 is too small for these values": ("ease",),
    "`matrix` leads to a singular system: it holds huge values": ("ials",),
}


@pytest.mark.parametrize("case", CASES)
def test_scores_are_finite_or_refused(case: str, tmp_path: Path) -> None:
    variant, settings = CASES[case]
    chosen = list(WORLDS)[::4] if settings.get("steps", 0) > 100 else list(WORLDS)
    for name, data in ((name, WORLDS[name]) for name in chosen):
        try:
            model = diffrec.fit(data, variant=variant, **settings)
        except ValueError as error:
            why = [words for words, variants in REFUSED.items() if words in str(error) and variant in variants]
            if not why:
                raise AssertionError(f"{name}: refused without one of the known reasons") from error
            continue
        top = model.recommend(k=3)
        assert np.isfinite(model.score()).all(), name
        assert np.isfinite(top.scores[top.items >= 0]).all(), name
        assert (top.scores[top.items < 0] == -np.inf).all(), name
        if name.startswith("values"):  # and a file holds what was learnt of them
            model.save(tmp_path / "model")
            np.testing.assert_array_equal(diffrec.load(tmp_path / "model", device="cpu").score(), model.score())
