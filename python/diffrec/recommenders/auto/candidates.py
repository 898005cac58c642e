"""The candidates of the automatic choice: which variants and settings are worth their time on data of a given shape."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any

import numpy as np

from diffrec.anchors.ridge import EXACT
from diffrec.data import Interactions, has_clock, has_order
from diffrec.recommenders.diffrec.settings import DiffRecSettings

# Items up to which a dense map over them is quick to solve, or users with as little work; items from which an
# approximate one is worth it; entries that it keeps: the more the better, within some hundred MB.
_FEW, _MANY, _KEPT = 6_000, 2_000, 40_000_000
# Ages, in baskets, at which interactions count about half where the order says what comes next.
_HALF_LIVES = (2.0, 4.0, 14.0)
# Parts of all the time there is, of a clock that users share, after which what is popular counts half.
_SPANS = (4, 10, 25, 60, 150)
# Strengths of exact maps, of approximate ones by their rank, and of forecasts: the fewer vectors, the less.
_EXACT, _BY_RANK, _FORECASTS = (
    (3.0, 6.0, 12.0, 25.0, 50.0),
    {16: (6.0, 12.0, 30.0), 64: (6.0, 12.0, 25.0)},
    (10.0, 40.0),
)
# Users up to which each may be compared with all others when lists are made.
_MOST_NEIGHBORS = 200_000
# Views of a history that a forecast has.
VIEWS = DiffRecSettings(objective="forecast").n_seen
# Cuts a forecast is trained on in all: more hardly make it better.
_ENOUGH_CUTS = 500_000
# Settings of an anchor but for those that are named after it.
_OF_ANCHORS = frozenset({"objective", "horizon", "time_weights", "half_life"})
_FORECAST: Mapping[str, Any] = {"objective": "forecast", "anchor_damping": 0.0}
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
        named = ", ".join(f"{name}={_as_written(value)}" for name, value in self.settings.items())
        return f"{self.variant}({named})"

    @property
    def family(self) -> str:
        """The kind of candidate: variants with the same objective, and ageing or not, err alike."""
        ageing = bool({"half_life", "time_weights"} & self.settings.keys())
        return f"{self.variant} {self.settings.get('objective')} {self.settings.get('denoiser')} {ageing}"

    @property
    def anchor(self) -> dict[str, Any]:
        """The settings of its anchor, if it has one: those that say what the map is, not what stands beside it."""
        return {
            name: value
            for name, value in sorted(self.settings.items())
            if name in _OF_ANCHORS or (name.startswith("anchor_") and name != "anchor_scale")
        }


def _as_written(value: Any) -> str:
    """Write a setting as people would: a time to four digits, in the largest unit that it is a whole one of.

    Examples
    --------
    >>> _as_written(timedelta(seconds=305_166.2)), _as_written(timedelta(minutes=90)), _as_written("cosine")
    ('timedelta(days=3.532)', 'timedelta(hours=1.5)', "'cosine'")
    """
    if not isinstance(value, timedelta):
        return repr(value)
    unit = next((name for name in ("days", "hours", "minutes") if value >= timedelta(**{name: 1})), "seconds")
    return f"timedelta({unit}={value / timedelta(**{unit: 1}):.4g})"


def quick(train: Interactions, *, repeats: bool) -> Iterator[Candidate]:
    """Name rivals that are fitted in seconds, the quickest first; with ``repeats`` those of the next basket, too."""
    ordered = has_order(train)
    yield Candidate("popularity", {})
    # Of a short time two parts may be the shortest time there is.
    for span in dict.fromkeys(_part_of_all_time(train, parts) for parts in _SPANS) if has_clock(train) else ():
        yield Candidate("popularity", {"half_life": span})
    if repeats and ordered:
        yield Candidate("topfreq", {})
        yield Candidate("topfreq", {"half_life": 5.0})
        if train.shape[0] <= _MOST_NEIGHBORS:
            yield Candidate("tifuknn", {})
            yield Candidate("tifuknn", {"alpha": 0.2})
    yield Candidate("itemknn", {"weighting": "bm25", "neighbors": 200})
    yield Candidate("itemknn", {"weighting": "cosine", "neighbors": 400})
    yield Candidate("rp3beta", {})
    yield Candidate("ials", {})
    yield Candidate("ials", {"factors": 128, "alpha": 1.0})
    if train.shape[1] <= _FEW:
        yield Candidate("ease", {})
        if ordered:
            # What fades leaves less in the equations: the same strength holds more of it back.
            for half_life, l2 in product(_HALF_LIVES, (500.0, 50.0)):
                yield Candidate("ease", {"half_life": half_life, "l2": l2})


def closed_form(train: Interactions) -> Iterator[Candidate]:
    """Name the anchors that are worth trying on their own, what tells most for its time first."""
    users, items = train.shape
    ordered = has_order(train)
    approximate = {"anchor_exact": 0, "anchor_neighbors": min(max(_KEPT // items, 50), 1000)}
    damped = {"anchor_damping": 0.35, "anchor_row_damping": 0.25, **approximate}
    ranks = [Candidate("anchor", {**damped, "anchor_rank": rank}, of_rank) for rank, of_rank in _BY_RANK.items()]
    if VIEWS * items > EXACT:
        # A forecast takes several times as long as the first of these, which is as good where there are many items.
        yield ranks.pop(0)
    if ordered:
        yield Candidate("anchor", {**_FORECAST, "horizon": 5}, _FORECASTS)
    if items <= _FEW or users * items <= _FEW**2:
        yield Candidate("anchor", {"anchor_damping": 0.25}, _EXACT)
    if items >= _MANY:
        yield from ranks
        if ordered:
            for age in _HALF_LIVES[1:]:
                ageing = {"time_weights": "exponential", "half_life": age}
                yield Candidate("anchor", {**damped, **ageing}, (10.0, 30.0))
    if ordered:
        yield Candidate("anchor", {**_FORECAST, "horizon": 20}, _FORECASTS)
    if ordered and has_clock(train):
        half_life = _part_of_all_time(train, 2)
        yield Candidate("anchor", {**_FORECAST, "horizon": 20, "anchor_half_life": half_life}, _FORECASTS[1:])


def denoisers(
    train: Interactions, anchors: Mapping[str, Mapping[str, Any]], *, repeats: bool, anywhere: bool = False
) -> Iterator[Candidate]:
    """Name the denoisers to train, the most promising first.

    Parameters
    ----------
    train : Interactions
        What they learn from.
    anchors : mapping
        By objective, the settings of the best anchor found, for those objectives that are worth it.
    repeats : bool
        Whether what a user had before is to be found again. A map of items to items says little of that; what a
        forecast knows of an item if a history has it, much.
    anywhere : bool
        Whether they are to be the same on any processor: products are of single precision then, not of the format that
        it multiplies fastest.
    """
    exactly = {"precision": "float32"} if anywhere else {}
    for candidate in _denoisers(train, anchors, repeats=repeats):
        yield replace(candidate, settings={**candidate.settings, **exactly})


def _denoisers(train: Interactions, anchors: Mapping[str, Mapping[str, Any]], *, repeats: bool) -> Iterator[Candidate]:
    items = train.shape[1]
    if has_order(train):
        if repeats:
            yield Candidate("t-diffrec", {"anchor": False, "dims": (200,), "epochs": _epochs(train)})
        # What a linear map finds in the order says little of what a transformer will: it may do without the map.
        beside = {"anchor": True, **anchors["forecast"]} if "forecast" in anchors else {"anchor": False}
        yield Candidate("t-diffrec", {**beside, "denoiser": "sequence", "epochs": 20})
    layers = [
        Candidate("t-diffrec", {"anchor": True, **anchors[objective], "dims": _width(items), "epochs": _epochs(train)})
        if objective == "forecast"
        else Candidate("diffrec", {**_SMALL, "anchor": True, **anchors[objective]})
        for objective in ("forecast", "reconstruct")
        if objective in anchors
    ]
    # Of many items the small one gets further in the same time.
    yield from layers if items <= _FEW else reversed(layers)


def _epochs(train: Interactions) -> int:
    """Epochs of a forecast over cuts of histories."""
    cuts = (np.diff(train.matrix.indptr) - 1).clip(0, 4).sum()
    return int(np.clip(_ENOUGH_CUTS // max(cuts, 1), 5, 20))


def _part_of_all_time(train: Interactions, parts: int) -> timedelta:
    """Return a part of the time from the first event to the last, whatever its unit: a millionth of one at least."""
    assert train.timestamps is not None
    return max(timedelta(seconds=float(np.ptp(train.timestamps)) / parts), timedelta.resolution)


def _width(items: int) -> tuple[int]:
    """Hidden width of a forecast: an epoch's time grows with items times width."""
    return (600,) if items <= 5_000 else (300,) if items <= 20_000 else (200,)
