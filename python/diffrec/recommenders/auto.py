"""Automatic choice: a short search on validation that it makes itself, then a fit on everything.

The search has two rounds. Linear maps in closed form cost seconds and already tell which view of the data predicts it:
whether the order of interactions matters, how far ahead to look, how strongly to regularise. The best of them becomes
the anchor of a denoiser, and the second round measures what that adds, beside the rivals that are quick to fit.
"""

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffrec.data import Interactions, has_order, hold_out
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.diffrec.anchor import Anchor
from diffrec.recommenders.diffrec.model import DiffRec
from diffrec.recommenders.histories import align, as_interactions
from diffrec.recommenders.registry import make

_LOG = logging.getLogger("diffrec")

# What the candidates are judged by.
METRIC = "recall@20"
# Share of each history that is held out while searching, and how many of its users are judged.
_HOLDOUT, _JUDGED = 0.1, 5_000
# A search on fewer held-out interactions would choose by luck.
_FEWEST = 30
# A rival's lead that is smaller may be luck: a diffusion form is handed out then.
_LEAD = 0.02

_FORECASTS: tuple[Mapping[str, Any], ...] = ({"horizon": 5}, {"horizon": 20})
_EXACT: tuple[Mapping[str, Any], ...] = ({"anchor_damping": 0.15}, {"anchor_damping": 0.25})
_APPROXIMATE: tuple[Mapping[str, Any], ...] = (
    {"anchor_damping": 0.25},
    {"anchor_damping": 0.35, "anchor_row_damping": 0.25},
    {"anchor_damping": 0.35, "anchor_row_damping": 0.25, "anchor_rank": 64},
)
_STRENGTHS = (3.0, 6.0, 10.0, 20.0, 40.0)
# Items up to which exact anchors are quick to try, or users with as little work; items from which approximate ones are
# worth it.
_FEW, _MANY = 6_000, 2_000
# Entries of an approximate anchor, and cuts a forecast is trained on: more hardly make it better.
_KEPT, _ENOUGH_CUTS = 40_000_000, 500_000
_RIVALS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("itemknn", {"weighting": "bm25", "neighbors": 200}),
    ("rp3beta", {}),
    ("ials", {}),
)
# A denoiser beside an anchor that reconstructs has little left to say: a small one is enough.
_SMALL: Mapping[str, Any] = {"dims": (200,), "noise_scale": 0.005, "epochs": 60, "patience": 10}


@dataclass(frozen=True)
class Trial:
    """A candidate and how it did.

    Attributes
    ----------
    variant : str
        Its variant.
    settings : dict
        What it sets otherwise than the variant.
    value : float
        The validation metric.
    seconds : float
        Time to fit and judge it.
    """

    variant: str
    settings: Mapping[str, Any]
    value: float
    seconds: float

    def __str__(self) -> str:
        named = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"{self.variant}({named})"


class _Search:
    """Candidates, judged on the same validation, while the time lasts."""

    def __init__(self, learn: Interactions, valid: Interactions, named: Mapping[str, Any]) -> None:
        self.learn = learn
        self.valid = _some_users(valid, int(named["seed"]))
        self.named = {**named, "progress": False, "callbacks": ()}
        self.trials: list[Trial] = []

    def judge(self, variant: str, settings: Mapping[str, Any], model: Recommender, started: float) -> Trial:
        """Note how a fitted candidate does."""
        value = model._validation(self.learn, self.valid, METRIC)
        trial = Trial(variant, dict(settings), value, time.perf_counter() - started)
        self.trials.append(trial)
        _LOG.info("tried %s: %s %.4f in %.0f s", trial, METRIC, value, trial.seconds)
        return trial

    def fit(
        self, variant: str, settings: Mapping[str, Any], valid: Interactions | None = None
    ) -> tuple[Recommender, Trial]:
        """Fit a candidate and judge it."""
        started = time.perf_counter()
        model = make(variant, **settings, **self.named).fit(self.learn, valid)
        return model, self.judge(variant, settings, model, started)

    def anchors(self, settings: Mapping[str, Any], strengths: tuple[float, ...]) -> None:
        """Judge anchors that differ in their strength only: up to the first that is worse than the one before."""
        started = time.perf_counter()
        model = Anchor(**settings, anchor_l2=strengths[0], **self.named).fit(self.learn)
        before = -np.inf
        for strength in strengths:
            solved = model.resolved(strength)
            trial = self.judge("anchor", {**settings, "anchor_l2": strength}, solved, started)
            if trial.value < before:
                break
            before, started = trial.value, time.perf_counter()

    def best(self, *variants: str) -> Trial | None:
        """The best trial so far among some variants, the first of equal ones."""
        return max((t for t in self.trials if t.variant in variants), key=lambda t: t.value, default=None)


def choose_and_fit(data: Any, valid: Any, budget: float, named: Mapping[str, Any]) -> Recommender:
    """Choose a recommender for the data and fit it.

    Parameters
    ----------
    data, valid
        As for ``fit``.
    budget : float
        Seconds.
    named : dict
        ``seed``, ``device``, ``progress`` and ``callbacks``.

    Returns
    -------
    Recommender
        Fitted on all of ``data``; ``training_.facts["chosen"]`` says what was chosen and why.
    """
    deadline = time.perf_counter() + budget
    train = as_interactions(data, "data")
    ordered = has_order(train)
    if valid is None:
        learn, held = newest_held_out(train, _HOLDOUT, named["seed"])
    else:
        learn, held = train, align(valid, train, "valid")[0]
    if len(held) < _FEWEST:
        model = make("t-diffrec" if ordered else "diffrec", **named).fit(data, valid)
        return _told(model, f"{len(held)} interactions to judge by are too few: the default form", named)
    search = _Search(learn, held, named)
    for settings, strengths in _anchors(ordered, train.shape):
        # Half of the time is for the denoiser.
        if not search.trials or _time_left(deadline) > budget / 2:
            search.anchors(settings, strengths)
    anchor = search.best("anchor")
    assert anchor is not None
    fitted, diffusion, final = _denoise(search, anchor, deadline)
    for variant, rival_settings in _RIVALS:
        if _time_left(deadline) > 2 * anchor.seconds + diffusion.seconds:
            search.fit(variant, rival_settings)
    rival = search.best(*(variant for variant, _ in _RIVALS))
    if rival is not None and rival.value > (1 + _LEAD) * diffusion.value:
        model = make(rival.variant, **rival.settings, **named).fit(train)
        reason = f"{rival} ranks better than {diffusion}: {METRIC} {rival.value:.4f} against {diffusion.value:.4f}"
    else:
        model = fitted if valid is not None else make(diffusion.variant, **final, **named).fit(train)
        model = model.set_params(progress=named["progress"], callbacks=named["callbacks"])
        reason = f"{diffusion}: {METRIC} {diffusion.value:.4f}, its anchor alone {anchor.value:.4f}"
        if rival is not None:
            reason += f", the best rival, {rival}, {rival.value:.4f}"
    order = "the order is used" if diffusion.variant == "t-diffrec" else "the order is not used"
    density = len(train) / (train.shape[0] * train.shape[1])
    return _told(
        model,
        f"{reason}. {train.shape[0]:,} users x {train.shape[1]:,} items, density {density:.2g}; {order}; "
        f"{len(search.trials)} candidates tried on {len(search.valid):,} held-out interactions",
        named,
    )


def _anchors(ordered: bool, shape: tuple[int, int]) -> Iterator[tuple[dict[str, Any], tuple[float, ...]]]:
    """Settings of the anchors to be tried, and the strengths of each."""
    users, items = shape
    if ordered:
        for settings in _FORECASTS:
            yield {"objective": "forecast", "anchor_damping": 0.0, **settings}, (10.0,)
    if items <= _FEW or users * items <= _FEW**2:
        for settings in _EXACT:
            yield dict(settings), _STRENGTHS
    if items >= _MANY:
        # What is pruned away is missed: as much is kept as takes some hundred MB.
        neighbors = min(max(_KEPT // items, 50), 1000)
        for settings in _APPROXIMATE:
            yield {**settings, "anchor_exact": 0, "anchor_neighbors": neighbors}, _STRENGTHS


def _denoise(search: _Search, anchor: Trial, deadline: float) -> tuple[Recommender, Trial, dict[str, Any]]:
    """Fit a denoiser to the best anchor: the model, how it did, and the settings of a fit on everything."""
    if anchor.settings.get("objective") == "forecast":
        settings = {**anchor.settings, "dims": _width(search.learn.shape[1])}
        cuts = (np.diff(search.learn.matrix.indptr) - 1).clip(0, make("t-diffrec").get_params()["cuts"]).sum()
        settings["epochs"] = int(np.clip(_ENOUGH_CUTS // max(cuts, 1), 5, 20))
        settings["epochs"] = _epochs("t-diffrec", settings, search.learn, deadline)
        model, trial = search.fit("t-diffrec", settings)
        if _time_left(deadline) > 5 * trial.seconds:
            encoded = settings | {"encoder_length": 20}
            other, judged = search.fit("t-diffrec", encoded)
            if judged.value > trial.value:
                return other, judged, encoded
        return model, trial, settings
    settings = {**_SMALL, "anchor": True, **anchor.settings}
    settings["epochs"] = _epochs("diffrec", settings, search.learn, deadline)
    model, trial = search.fit("diffrec", settings, search.valid)
    report = model.training_
    epochs, scale = max(report.best_epoch, 1), report.facts["anchor_scale"]
    return model, trial, settings | {"epochs": epochs, "anchor_scale": scale, "holdout": 0.0}


def _width(items: int) -> tuple[int]:
    """Hidden width of a forecast: an epoch's time grows with items times width."""
    return (600,) if items <= 5_000 else (300,) if items <= 20_000 else (200,)


def _epochs(variant: str, settings: Mapping[str, Any], learn: Interactions, deadline: float) -> int:
    """As many epochs as the variant takes, or as a search and a fit on everything leave time for."""
    model = make(variant, **settings)
    assert isinstance(model, DiffRec)
    seconds = model.plan(learn).seconds_per_epoch
    assert seconds is not None
    return max(1, min(model.settings.epochs, int(_time_left(deadline) / (2.2 * seconds))))


def _time_left(deadline: float) -> float:
    return deadline - time.perf_counter()


def newest_held_out(data: Interactions, share: float, seed: int) -> tuple[Interactions, Interactions]:
    """Part each history into its older and its newest baskets; without an order at random."""
    return hold_out(data, share, seed)


def _some_users(valid: Interactions, seed: int) -> Interactions:
    """The interactions of at most so many users as are judged."""
    owners = np.flatnonzero(np.diff(valid.matrix.indptr))
    if len(owners) <= _JUDGED:
        return valid
    kept = np.zeros(valid.shape[0], dtype=np.bool_)
    kept[np.random.default_rng(seed).choice(owners, _JUDGED, replace=False)] = True
    return valid.where(np.repeat(kept, np.diff(valid.matrix.indptr)))


def _told(model: Recommender, text: str, named: Mapping[str, Any]) -> Recommender:
    """Note in the model what was chosen, and say so where someone is watching."""
    model.training_.facts["chosen"] = text
    _LOG.info("chose %s", text)
    if named["progress"] and sys.stderr.isatty():
        print(f"diffrec chose {text}", file=sys.stderr)
    return model
