"""Automatic choice: a search on validation that it makes itself, then a fit of the winner on everything.

The newest baskets of every history are held out, never a part of one. Linear maps in closed form, rivals that are quick
to fit and the denoisers compete on one table, and the best of it is handed out: a diffusion form has to earn its place.
"""

import logging
import math
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

# The metric that candidates are judged by.
METRIC = "ndcg@20"
# Share of each history that is held out while searching, and how many of its users are judged.
_HOLDOUT, _JUDGED = 0.1, 5_000
# A search on fewer held-out interactions would choose by luck.
_FEWEST = 30
# A fit on everything takes longer than one without the held-out tenth, and its time is not known exactly.
_REFIT = 1.3

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
    ("popularity", {}),
    ("itemknn", {"weighting": "bm25", "neighbors": 200}),
    ("rp3beta", {}),
    ("ials", {}),
)
# Ages, in baskets, at which interactions count about half where the order says what comes next.
_HALF_LIVES = (4.0, 14.0)
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

    def __init__(
        self, learn: Interactions, valid: Interactions, named: Mapping[str, Any], deadline: float = math.inf
    ) -> None:
        self.learn = learn
        self.valid = _some_users(valid, int(named["seed"]))
        self.named = {**named, "progress": False, "callbacks": ()}
        self.deadline = deadline
        self.trials: list[Trial] = []
        self.skipped: list[str] = []
        self._watched = bool(named["progress"]) and sys.stderr.isatty()

    @property
    def left(self) -> float:
        """Seconds until the search and the fit on everything are to be over."""
        return self.deadline - time.perf_counter()

    def has_time_for(self, name: str, seconds: float) -> bool:
        """Whether a candidate and a fit of it on everything fit into the time left; else note that it was skipped."""
        spared = max([_REFIT * seconds, *(_REFIT * trial.seconds for trial in [self.best()] if trial)], default=0.0)
        if self.left >= seconds + spared:
            return True
        self.skipped.append(name)
        return False

    def judge(self, variant: str, settings: Mapping[str, Any], model: Recommender, started: float) -> Trial:
        """Note how a fitted candidate does."""
        value = model._validation(self.learn, self.valid, METRIC)
        trial = Trial(variant, dict(settings), value, time.perf_counter() - started)
        self.trials.append(trial)
        _LOG.info("tried %s: %s %.4f in %.0f s", trial, METRIC, value, trial.seconds)
        if self._watched:
            left = "" if self.deadline == math.inf else f", {max(self.left, 0):.0f} s left"
            print(f"diffrec tried {trial}: {METRIC} {value:.4f} in {trial.seconds:.0f} s{left}", file=sys.stderr)
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
        before, prepared = -np.inf, time.perf_counter() - started
        for strength in strengths:
            solved = model.resolved(strength)
            # The equations are prepared once here, and again in a fit on everything.
            trial = self.judge("anchor", {**settings, "anchor_l2": strength}, solved, started)
            if trial.value < before or not self.has_time_for("stronger anchors", prepared + trial.seconds):
                break
            before, started = trial.value, time.perf_counter() - prepared

    def best(self, *variants: str) -> Trial | None:
        """The best trial so far, among some variants if any are named; the first of equal ones."""
        chosen = (trial for trial in self.trials if not variants or trial.variant in variants)
        return max(chosen, key=lambda trial: trial.value, default=None)


def choose_and_fit(data: Any, valid: Any, budget: float, named: Mapping[str, Any]) -> Recommender:
    """Choose a recommender for the data and fit it.

    Parameters
    ----------
    data, valid
        As for ``fit``.
    budget : float
        Seconds; infinite for a list of candidates that does not depend on the machine.
    named : dict
        ``seed``, ``device``, ``progress``, ``callbacks`` and ``repeats``.

    Returns
    -------
    Recommender
        Fitted on all of ``data``; in ``training_.facts`` ``"chosen"`` says what was chosen and why, ``"candidates"``
        how every candidate did, and ``"skipped"`` what there was no time for.
    """
    deadline = time.perf_counter() + budget
    train = as_interactions(data, "data")
    ordered = has_order(train)
    if valid is None:
        learn, held = hold_out(train, _HOLDOUT, named["seed"])
        ordered = ordered and has_order(learn)
    else:
        learn, held = train, align(valid, train, "valid")[0]
    if len(held) < _FEWEST:
        model = make("t-diffrec" if ordered else "diffrec", **named).fit(data, valid)
        return _told(model, f"{len(held)} interactions to judge by are too few: the default form", named)
    search = _Search(learn, held, named, deadline)
    for variant, settings in _rivals(ordered, train.shape):
        guess = 0.0 if len(search.trials) < 2 else max(trial.seconds for trial in search.trials)
        if search.has_time_for(variant, guess):
            search.fit(variant, settings)
    slowest = 0.0
    for settings, strengths in _anchors(ordered, train.shape):
        began, half = time.perf_counter(), search.left > budget / 2 or budget == math.inf
        # Half of the time is for the denoisers.
        if search.best("anchor") is None or (half and search.has_time_for("anchor", slowest)):
            search.anchors(settings, strengths)
            slowest = max(slowest, time.perf_counter() - began)
    final = _denoise(search)
    best = search.best()
    assert best is not None
    chosen = _within(final.get(id(best), best.settings), best, search)
    model = make(best.variant, **chosen, **named).fit(train)
    model.training_.facts["candidates"] = "\n".join(
        f"{trial}: {METRIC} {trial.value:.4f}, {trial.seconds:.1f} s"
        for trial in sorted(search.trials, key=lambda trial: -trial.value)
    )
    if search.skipped:
        model.training_.facts["skipped"] = ", ".join(dict.fromkeys(search.skipped))
    others = [search.best(*variants) for variants in (("diffrec", "t-diffrec"), ("anchor",), _names(_RIVALS))]
    against = ", ".join(f"{one} {one.value:.4f}" for one in others if one is not None and one is not best)
    density = len(train) / (train.shape[0] * train.shape[1])
    return _told(
        model,
        f"{best}: {METRIC} {best.value:.4f}" + (f"; the best others: {against}" if against else "") + ". "
        f"{train.shape[0]:,} users x {train.shape[1]:,} items, density {density:.2g}; "
        f"{'the order is used' if _uses_order(best) else 'the order is not used'}; "
        f"{len(search.trials)} candidates tried on {len(search.valid):,} held-out interactions",
        named,
    )


def _names(rivals: tuple[tuple[str, Mapping[str, Any]], ...]) -> tuple[str, ...]:
    return (*(variant for variant, _ in rivals), "ease")


def _uses_order(trial: Trial) -> bool:
    ageing = {"half_life", "time_weights"} & trial.settings.keys()
    return trial.variant == "t-diffrec" or trial.settings.get("objective") == "forecast" or bool(ageing)


def _rivals(ordered: bool, shape: tuple[int, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rivals that are quick to fit, the quickest first."""
    for variant, settings in _RIVALS:
        yield variant, dict(settings)
    if shape[1] <= _FEW:
        yield "ease", {}
        if ordered:
            for half_life in _HALF_LIVES:
                yield "ease", {"half_life": half_life}


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
        # The more is kept the better, within some hundred MB.
        neighbors = min(max(_KEPT // items, 50), 1000)
        approximate = {"anchor_exact": 0, "anchor_neighbors": neighbors}
        for settings in _APPROXIMATE:
            yield {**settings, **approximate}, _STRENGTHS
        if ordered:
            for half_life in _HALF_LIVES:
                ageing = {"time_weights": "exponential", "half_life": half_life}
                yield {"anchor_damping": 0.35, "anchor_row_damping": 0.25, **approximate, **ageing}, (10.0, 30.0)


def _denoise(search: _Search) -> dict[int, dict[str, Any]]:
    """Fit denoisers to the best anchors of both objectives: by trial, what a fit on everything sets otherwise."""
    forecasts = [trial for trial in search.trials if trial.settings.get("objective") == "forecast"]
    others = [trial for trial in search.trials if trial.variant == "anchor" and trial not in forecasts]
    final: dict[int, dict[str, Any]] = {}
    plans: list[tuple[float, str, dict[str, Any], Interactions | None]] = []
    if forecasts:
        anchor = max(forecasts, key=lambda trial: trial.value)
        settings = {**anchor.settings, "dims": _width(search.learn.shape[1])}
        cuts = (np.diff(search.learn.matrix.indptr) - 1).clip(0, make("t-diffrec").get_params()["cuts"]).sum()
        settings["epochs"] = int(np.clip(_ENOUGH_CUTS // max(cuts, 1), 5, 20))
        plans.append((anchor.value, "t-diffrec", settings, None))
    if others:
        anchor = max(others, key=lambda trial: trial.value)
        plans.append((anchor.value, "diffrec", {**_SMALL, "anchor": True, **anchor.settings}, search.valid))
    # The more promising one first: it gets the time it can use.
    for _, variant, settings, valid in sorted(plans, key=lambda plan: -plan[0]):
        seconds = _seconds_per_epoch(variant, settings, search)
        epochs = (
            min(settings["epochs"], int(search.left / ((1 + _REFIT) * seconds))) if search.left < math.inf else None
        )
        if epochs is not None and epochs < min(settings["epochs"], 3):
            search.skipped.append(f"{variant} with a denoiser")
            continue
        settings["epochs"] = settings["epochs"] if epochs is None else epochs
        model, trial = search.fit(variant, settings, valid)
        if valid is not None:
            report = model.training_
            stopped = {"epochs": max(report.best_epoch, 1), "anchor_scale": report.facts["anchor_scale"]}
            final[id(trial)] = settings | stopped | {"holdout": 0.0}
    return final


def _within(settings: Mapping[str, Any], trial: Trial, search: _Search) -> dict[str, Any]:
    """Settings of the fit on everything, with fewer epochs where the time left asks for it."""
    if "epochs" not in settings or search.left == math.inf or trial.seconds <= 0:
        return dict(settings)
    affordable = int(settings["epochs"] * max(search.left, 0.0) / (_REFIT * trial.seconds))
    return {**settings, "epochs": max(1, min(settings["epochs"], affordable))}


def _width(items: int) -> tuple[int]:
    """Hidden width of a forecast: an epoch's time grows with items times width."""
    return (600,) if items <= 5_000 else (300,) if items <= 20_000 else (200,)


def _seconds_per_epoch(variant: str, settings: Mapping[str, Any], search: _Search) -> float:
    """Time an epoch of a candidate; nothing where there is no limit to keep."""
    if search.left == math.inf:
        return 0.0
    model = make(variant, **settings)
    assert isinstance(model, DiffRec)
    return model.plan(search.learn).seconds_per_epoch or 0.0


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
