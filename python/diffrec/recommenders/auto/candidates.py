"""The candidates of the automatic choice: which variants and settings are worth their time on data of a given shape."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from diffrec.data import Interactions, has_order

# Items up to which a dense map over them is quick to solve, or users with as little work; items from which an
# approximate one is worth it; entries that it keeps: the more the better, within some hundred MB.
_FEW, _MANY, _KEPT = 6_000, 2_000, 40_000_000
# Ages, in baskets, at which interactions count about half where the order says what comes next.
_HALF_LIVES = (2.0, 4.0, 14.0)
# Parts of all the time there is after which what is popular counts half.
_SPANS = (6, 30)
_STRENGTHS = (3.0, 6.0, 10.0, 20.0, 40.0)
# Cuts a forecast is trained on in all: more hardly make it better.
_ENOUGH_CUTS = 500_000
# A denoiser beside an anchor that reconstructs has little left to say: a small one is enough.
_SMALL: Mapping[str, Any] = {"dims": (200,), "noise_scale": 0.005, "epochs": 60, "patience": 10}


@dataclass(frozen=True)
class Candidate:
    """A variant and what it sets otherwise.

    Attributes
    ----------
    variant : str
        Its name.
    settings : dict
        By name.
    strengths : tuple of float
        Of an anchor: values of ``anchor_l2`` to try in turn, since the equations are the same; else empty.
    """

    variant: str
    settings: Mapping[str, Any]
    strengths: tuple[float, ...] = ()

    def __str__(self) -> str:
        named = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"{self.variant}({named})"


def quick(train: Interactions, *, repeats: bool) -> Iterator[Candidate]:
    """Name rivals that are fitted in seconds, the quickest first; with ``repeats`` those of the next basket, too."""
    ordered = has_order(train)
    yield Candidate("popularity", {})
    if ordered and train.timestamps is not None:
        span = float(np.ptp(train.timestamps))
        for parts in _SPANS:
            yield Candidate("popularity", {"half_life": timedelta(seconds=max(span / parts, 1.0))})
    if repeats and ordered:
        yield Candidate("topfreq", {})
        yield Candidate("tifuknn", {})
    yield Candidate("itemknn", {"weighting": "bm25", "neighbors": 200})
    yield Candidate("itemknn", {"weighting": "cosine", "neighbors": 400})
    yield Candidate("rp3beta", {})
    yield Candidate("ials", {})
    if train.shape[1] <= _FEW:
        yield Candidate("ease", {})
        if ordered:
            for half_life in _HALF_LIVES:
                yield Candidate("ease", {"half_life": half_life})


def closed_form(train: Interactions) -> Iterator[Candidate]:
    """Name the anchors that are worth trying on their own, forecasts first."""
    users, items = train.shape
    ordered = has_order(train)
    if ordered:
        for horizon in (5, 20):
            forecast = {"objective": "forecast", "anchor_damping": 0.0, "horizon": horizon}
            yield Candidate("anchor", forecast, (10.0, 40.0))
    if items <= _FEW or users * items <= _FEW**2:
        for damping in (0.15, 0.25):
            yield Candidate("anchor", {"anchor_damping": damping}, _STRENGTHS)
    if items >= _MANY:
        neighbors = min(max(_KEPT // items, 50), 1000)
        approximate = {"anchor_exact": 0, "anchor_neighbors": neighbors}
        damped = {"anchor_damping": 0.35, "anchor_row_damping": 0.25}
        yield Candidate("anchor", {**damped, **approximate}, _STRENGTHS)
        yield Candidate("anchor", {**damped, "anchor_rank": 64, **approximate}, _STRENGTHS)
        if ordered:
            for half_life in _HALF_LIVES[1:]:
                ageing = {"time_weights": "exponential", "half_life": half_life}
                yield Candidate("anchor", {**damped, **approximate, **ageing}, (10.0, 30.0))


def denoisers(train: Interactions, anchors: Mapping[str, Mapping[str, Any]]) -> Iterator[Candidate]:
    """Name the denoisers to train.

    Parameters
    ----------
    train : Interactions
        What they learn from.
    anchors : mapping
        By objective, the settings of the best anchor found.
    """
    items = train.shape[1]
    if "forecast" in anchors:
        cuts = (np.diff(train.matrix.indptr) - 1).clip(0, 4).sum()
        epochs = int(np.clip(_ENOUGH_CUTS // max(cuts, 1), 5, 20))
        yield Candidate("t-diffrec", {**anchors["forecast"], "dims": _width(items), "epochs": epochs})
    if "reconstruct" in anchors:
        yield Candidate("diffrec", {**_SMALL, "anchor": True, **anchors["reconstruct"]})


def _width(items: int) -> tuple[int]:
    """Hidden width of a forecast: an epoch's time grows with items times width."""
    return (600,) if items <= 5_000 else (300,) if items <= 20_000 else (200,)
