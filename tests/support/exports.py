"""A small model of every form that can be exported, and the data they learnt from."""

from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
from scipy import sparse

import diffrec
from diffrec import Interactions, Recommender
from diffrec.recommenders import make

USERS, ITEMS = 50, 30
#: Took nothing; took two items whose histories are the same as each other's; took all but one item.
EMPTY_USER, TWINS, GREEDY_USER = 49, (4, 9), 48


def ratings() -> Interactions:
    """Ratings with times, string ids, two items that nothing tells apart, and histories of 0 to 29 items."""
    rng = np.random.default_rng(0)
    taken = rng.random((USERS, ITEMS)) < 0.1 + 0.3 * rng.random((1, ITEMS))
    taken[GREEDY_USER], taken[EMPTY_USER] = True, False
    taken[GREEDY_USER, 17] = False
    taken[:, TWINS[1]] = taken[:, TWINS[0]]
    user, item = np.nonzero(taken)
    value = rng.integers(1, 6, size=(USERS, ITEMS)).astype(float)
    value[:, TWINS[1]] = value[:, TWINS[0]]
    times = 1e9 + 86400.0 * rng.permutation(len(user))
    names = [f"i{number:02d}" for number in range(ITEMS)]
    return Interactions.from_arrays(
        user, np.array(names)[item], timestamp=times, value=value[user, item], users=np.arange(USERS), items=names
    )


DATA = ratings()

_QUICK: dict[str, Any] = {"epochs": 3, "progress": False, "holdout": 0, "batch_size": 16, "lr": 0.01}
_DENOISER = _QUICK | {"dims": (8,)}
_SEQUENCE = _QUICK | {"denoiser": "sequence", "sequence_width": 8, "sequence_length": 4}
_LATENT = _DENOISER | {"latent_dims": (8,), "groups": 2, "autoencoder_lr": 0.01}
_APPROXIMATE = {"anchor_exact": 0, "anchor_rank": 4, "anchor_neighbors": 5}
_WIDE = {"latent_dims": (8, 12), "decoder_dims": (8,)}

#: Variant and settings by name.
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "x0": ("diffrec", _DENOISER | {"dims": (8, 6), "steps": 4}),
    "x0, values, normalized": ("diffrec", _DENOISER | {"binarize": False, "normalize": True}),
    "eps, normalized": ("diffrec", _DENOISER | {"predict": "eps", "normalize": True}),
    "eps, values": ("diffrec", _DENOISER | {"predict": "eps", "binarize": False, "steps": 3}),
    "no noise": ("diffrec", _DENOISER | {"noise_scale": 0.0, "forward_steps": 0}),
    "anchor and denoiser": ("diffrec", _DENOISER | {"anchor": True, "anchor_scale": 2.0}),
    "approximate anchor and denoiser": ("diffrec", _DENOISER | _APPROXIMATE | {"anchor": True, "anchor_scale": 2.0}),
    "time weights": ("t-diffrec", _DENOISER | {"time_weights": "linear"}),
    "clock time weights": (
        "t-diffrec",
        _DENOISER | {"time_weights": "exponential", "half_life": timedelta(days=90), "binarize": False},
    ),
    "forecast": ("t-diffrec", _DENOISER | {"time_scales": (1.0, timedelta(days=90), None)}),
    "forecast, approximate anchor": ("t-diffrec", _DENOISER | _APPROXIMATE),
    "forecast of repeats": (
        "t-diffrec",
        _DENOISER | {"repeats": "include", "time_scales": (2.0,), "own_views": ("had", "due", "usual", 3.0)},
    ),
    "sequence": ("t-diffrec", _SEQUENCE),
    "sequence by the clock, anchor": (
        "t-diffrec",
        _SEQUENCE | {"sequence_length": 40, "sequence_clock": True, "anchor": True, "anchor_scale": 2.0},
    ),
    "latent": ("l-diffrec", _LATENT),
    "latent, decoders, eps": ("l-diffrec", _LATENT | _WIDE | {"predict": "eps", "normalize": True}),
    "latent forecast, anchor": ("lt-diffrec", _LATENT | {"anchor": True, "anchor_damping": 0.0}),
    "latent, time weights": ("lt-diffrec", _LATENT | {"time_weights": "power"}),
    "anchor": ("anchor", {}),
    "anchor of a forecast": ("anchor", {"objective": "forecast"} | _APPROXIMATE),
    "popularity": ("popularity", {}),
    "topfreq": ("topfreq", {"half_life": 2.0, "popularity": 0.5}),
    "itemknn": ("itemknn", {"neighbors": 5}),
    "itemknn, bm25, dense": ("itemknn", {"weighting": "bm25", "neighbors": 30}),
    "rp3beta": ("rp3beta", {"neighbors": 5, "alpha": 0.7}),
    "rp3beta, values": ("rp3beta", {"neighbors": 5, "binarize": False}),
    "ease": ("ease", {"l2": 10.0}),
    "ease, values": ("ease", {"l2": 10.0, "binarize": False}),
    "stack": (
        "stack",
        {"parts": [("ease", {"l2": 10.0}), ("itemknn", {"neighbors": 5}), "popularity"], "weights": [3, 2, 1]},
    ),
    "stack with a forecast": (
        "stack",
        {"parts": [("t-diffrec", _DENOISER | {"time_scales": (1.0, None)}), ("ease", {"half_life": 4.0})]},
    ),
    "ials": ("ials", {"factors": 8, "alpha": 0.4, "l2": 1.0, "progress": False}),
    "ials, no values": ("ials", {"factors": 8, "alpha": 0.4, "l2": 1.0, "binarize": True, "progress": False}),
    "multivae": ("multivae", _QUICK | {"dims": (8,), "latent": 4}),
    "multidae": ("multidae", _QUICK | {"dims": (8,), "latent": 4}),
    "sasrec": ("sasrec", _QUICK | {"width": 8, "length": 6, "clock": True}),
    "cfgan": ("cfgan", _QUICK | {"dims": (8,), "discriminator_dims": (8,)}),
}


@cache
def fitted(form: str) -> Recommender:
    """The model of a form."""
    variant, settings = FORMS[form]
    return make(variant, device="cpu", **settings).fit(DATA)


def strangers() -> Interactions:
    """Histories no model has seen: one item, the two that are alike, none, and more than anybody else has."""
    rng = np.random.default_rng(1)
    rows = [[3], list(TWINS), [], sorted(rng.choice(ITEMS, 25, replace=False).tolist())]
    lengths = [len(row) for row in rows]
    items = np.concatenate(rows).astype(np.int32)
    matrix = sparse.csr_array(
        (rng.integers(1, 6, len(items)).astype(np.float32), items, np.cumsum([0, *lengths])), shape=(4, ITEMS)
    )
    names = diffrec.Ids(["w", "x", "y", "z"], "user")
    return Interactions(matrix, 1e9 + 86400.0 * rng.permutation(len(items)), names, DATA.items)


def assert_same_lists(items: np.ndarray, scores: np.ndarray, top: diffrec.Top) -> None:
    """Scores to 1e-4, the same items, and the total order.

    Items may change places only where rounding does, in next to equal scores.
    """
    assert items.shape == scores.shape == top.scores.shape
    np.testing.assert_allclose(scores, top.scores, rtol=1e-4, atol=1e-4)
    there = np.isfinite(top.scores)
    np.testing.assert_array_equal(items >= 0, there)
    falling, equal = scores[:, :-1] > scores[:, 1:], scores[:, :-1] == scores[:, 1:]
    assert np.all(falling | (equal & (items[:, :-1] < items[:, 1:])) | ~there[:, 1:])
    filled = np.where(there, top.scores, -1e9 * np.arange(2, 2 + scores.shape[1]))
    clear = np.abs(np.diff(filled, axis=1, prepend=1e9, append=-1e12)) > 1e-5 * max(1, top.scores.max())
    clear = clear[:, :-1] & clear[:, 1:]
    np.testing.assert_array_equal(items[clear], top.item_rows[clear])
    if not clear.mean() > 0.5:  # most scores are equal: those of a few neighbours, or of no one
        assert (items == top.item_rows).mean() > 0.9
