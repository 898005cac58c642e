"""The choice itself: hold out, judge, blend what ranks best together, and fit that on everything."""

import copy
import logging
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from diffrec.checks import unfit
from diffrec.data import Interactions, has_clock, union
from diffrec.data.stored import Stored
from diffrec.recommenders.auto.blend import Blend
from diffrec.recommenders.auto.candidates import Candidate, closed_form, denoisers, quick
from diffrec.recommenders.auto.done import Done
from diffrec.recommenders.auto.judged import newcomers, parted
from diffrec.recommenders.auto.search import METRIC, NO_TIME, Search, Trial
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.diffrec.anchor import Anchor
from diffrec.recommenders.diffrec.model import DiffRec
from diffrec.recommenders.histories import as_interactions, validation_part
from diffrec.recommenders.registry import make
from diffrec.recommenders.stack import Stack, StackSettings
from diffrec.training import CheckpointError, resolve_device
from diffrec.training.checkpoint import EPOCH

_LOG = logging.getLogger("diffrec")

# A search on fewer held-out interactions would choose by luck. What is handed out instead goes by what is alike where
# somebody had two things, and by what is popular where nobody did; a network would learn such data by heart.
_FEWEST = 30
_UNJUDGED = ("rp3beta", "popularity")
# Share of the events that repeat an earlier one of their user, from which on it is said that they are left out.
_OFTEN = 0.25
# A denoiser beside an anchor that validated worse than this share of the best has too far to go.
_WORTH = 0.85
# Share of the time that is kept for denoisers and the fit on everything.
_TRAINING = 0.65
# Share of the time for denoisers that the next one gets, where others wait, and seconds too few to train one.
_FIRST, _SHORTEST = 0.6, 5.0
# How often a denoiser ranks for the users who are judged, at least: to validate, to weigh its anchor, whose rankings by
# each weight are of scores made once, and to be judged.
_RANKINGS = 5
# Of the epochs of a denoiser, those that it goes on for on everything where there is no time to begin anew.
_FEW = 0.2
# Share of what ranks for users without a history, where nothing else does: it moves others' items only where they tie.
_LEAST = 1e-7
# Of the time left, what is not planned with: scoring and judging take some, too.
_SLACK = 0.9


def choose_and_fit(
    data: Any,
    valid: Any,
    budget: float,
    named: Mapping[str, Any],
    checkpoint: Any = None,
    every: Any = EPOCH,
    *,
    started: float | None = None,
) -> Recommender:
    """Choose a recommender for the data and fit it.

    The newest baskets of the histories are held out. Quick rivals, maps in closed form and denoisers are judged on
    them, those of the users who came last where there is a clock, and what is handed out is the best of the table, or
    the stack of up to four of them that ranks better than it by more than luck; with popularity beside it for users who
    have no history, where nothing else has anything to say of them.

    Parameters
    ----------
    data, valid
        As for ``fit``.
    budget : float
        Seconds for all of it; infinite for a list of candidates that does not depend on the machine.
    named : mapping
        ``seed``, ``device``, ``progress``, ``callbacks`` and ``repeats``.
    checkpoint, every
        As for ``fit``: candidates that were tried are not tried again.
    started : float, optional
        When the budget began to run, by ``time.perf_counter``; now by default.

    Returns
    -------
    Recommender
        Fitted on all of ``data``; in ``training_.facts`` ``"chosen"`` says what was chosen and why, ``"candidates"``
        how every candidate did, and ``"skipped"`` what was left out, and why.
    """
    resolve_device(named["device"])  # heard of now, not by every denoiser in turn
    deadline = (time.perf_counter() if started is None else started) + budget
    train = as_interactions(data, "data")
    held = None if valid is None else validation_part(valid, train)
    done = Done.of(checkpoint, every, named, budget, train, held)
    # Of this run the budget counts all from its start on: what others took is asked for before time passes.
    deadline -= done.spent
    model = done.chosen(train, named)
    if model is not None:
        return model
    search = begun(train, held, deadline, named)
    if search.judged < _FEWEST:
        model = make("stack", parts=_UNJUDGED, **named).fit(train)
        _noted(
            model,
            f"stack of {' and '.join(_UNJUDGED)}: {search.judged} held-out interactions are too few to choose by",
            search,
            named,
        )
    else:
        try:
            table(search, done)
            model = handed_out(search, train, named, done)
        except KeyboardInterrupt as interruption:
            best = None if search.leader is None else knowing(search.leader[1], train)
            interruption.partial = best  # type: ignore[attr-defined]
            raise
    return done.handed_out(model)


def begun(train: Interactions, valid: Interactions | None, deadline: float, named: Mapping[str, Any]) -> Search:
    """Hold out the newest baskets, unless a validation part is enough, and begin a search that is over in time."""
    few = None
    if valid is not None:
        search = Search(train, valid, named, deadline, final=True)
        if search.judged >= _FEWEST:
            return search
        few = f"{search.judged} interactions to find in it are too few to choose by; newest ones of train were held out"
    learn, held = parted(train, named["seed"])
    search = Search(learn, held, named, deadline)
    if train.timestamps is not None and learn.timestamps is None:
        search.skipped["times"] = "too few users came twice to learn from what they took next"
    if few is not None:
        search.skipped["valid"] = few
    return search


def handed_out(search: Search, train: Interactions, named: Mapping[str, Any], done: Done | None = None) -> Recommender:
    """Fit the best of the table, or the best stack, to everything, and note in it what was chosen and why.

    What cannot be fitted to everything is handed out as the search fitted it, or left out and chosen without.
    """
    done = done or Done()
    # What an earlier run fitted to everything takes no time any more.
    held = {trial: done.held(trial.candidate, search, train) for trial in search.trials}
    search.whole |= {trial: model for trial, model in held.items() if model is not None}
    while True:
        chosen, blend = search.blend()
        found = _fitted(search, chosen, blend.weights, train, done)
        models = [model for model in found if model is not None]
        if len(models) == len(chosen):
            break
    text = _reason(search, chosen, blend, train)
    popular = _popular_with_newcomers(search, train) if _leave_somebody_out(models, train) else None
    (last,) = (None,) if popular is None else _fitted(search, [popular], [1.0], train, done)
    if popular is not None and last is not None:
        shares = [*(weight * (1 - _LEAST) for weight in blend.weights), _LEAST]
        models, chosen, blend = [*models, last], [*chosen, popular], replace(blend, weights=shares)
        text = f"{text}. Users without a history get {popular.candidate}"
    for model in models:
        model.set_params(progress=named["progress"], callbacks=named["callbacks"])
    model = models[0] if len(models) == 1 else _stacked(chosen, blend, models, named)
    model.training_.facts["candidates"] = "\n".join(
        f"{trial.candidate}: {METRIC} {trial.value:.4f}, {trial.seconds:.1f} s"
        for trial in sorted(search.trials, key=lambda trial: -trial.value)
    )
    return _noted(model, text, search, named)


def _leave_somebody_out(models: list[Recommender], train: Interactions) -> bool:
    """Whether some users have no history, and all items are alike to these models then."""
    known = train.matrix if train.dislike_parts is None else union(train.matrix, train.dislikes)
    without = np.flatnonzero(np.diff(known.indptr) == 0)[:1]
    return len(without) > 0 and all(np.ptp(model._written(train, without)) == 0 for model in models)


def _popular_with_newcomers(search: Search, train: Interactions) -> Trial | None:
    """The popularity that ranks best for users who come: by the last who came where a clock tells, else as for all."""
    trials = [trial for trial in search.trials if trial.candidate.variant == "popularity"]
    if trials and has_clock(train) and _SLACK * search.left > sum(trial.seconds for trial in trials):
        among = Search(*newcomers(train), search.named, final=True)
        if among.judged >= _FEWEST:
            for trial in trials:
                among.try_out(trial.candidate)
            return next((trial for trial in trials if among.trials and trial.candidate is among.best.candidate), None)
    return max(trials, key=lambda trial: trial.value, default=None)


def table(search: Search, done: Done | None = None) -> None:
    """Judge every candidate that there is time for: the quick ones, maps in closed form, then denoisers beside them."""
    done = done or Done()
    for candidate in quick(search.learn, repeats=search.named["repeats"] == "include"):
        done.tried(search, candidate, partial(search.try_out, candidate))
    # Most of the time is for the denoisers, once there is an anchor for one to stand beside.
    rest = _TRAINING * search.left
    maps = list(closed_form(search.learn))
    for candidate in maps:
        if search.left == math.inf or search.left > rest or not _worth_a_denoiser(search):
            done.tried(search, candidate, partial(search.try_out, candidate))
        else:
            search.skipped[str(candidate)] = NO_TIME
    _train_denoisers(search, done)
    # Denoisers may have left some of theirs.
    for candidate in maps:
        if search.skipped.get(str(candidate)) == NO_TIME:
            del search.skipped[str(candidate)]
            done.tried(search, candidate, partial(search.try_out, candidate))


def _train_denoisers(search: Search, done: Done) -> None:
    """Train denoisers beside the best anchors, each for its share of the time left."""
    repeats, anywhere = search.named["repeats"] == "include", search.left == math.inf
    candidates = list(denoisers(search.learn, _worth_a_denoiser(search), repeats=repeats, anywhere=anywhere))
    cut_short = False
    for place, candidate in enumerate(candidates):
        if search.left == math.inf:
            done.tried(search, candidate, partial(search.train, candidate, None, done.within(candidate)))
        elif cut_short:
            search.skipped[str(candidate)] = "the time is for the denoiser before it, which had too little"
        else:
            share = 1.0 if place == len(candidates) - 1 else _FIRST
            cut_short = done.tried(search, candidate, partial(_train_in_time, search, candidate, share))


def _train_in_time(search: Search, candidate: Candidate, share: float) -> bool:
    """Train a denoiser in a share of the time left, once its anchor is there; say whether all of it was too short.

    Where the share is too short it goes on from there with all the time left.
    """

    def seconds() -> float:
        kept = search.reserve_with(candidate) + search.unsolved(candidate) + _RANKINGS * search.ranking
        # Each may be handed out, and is then trained on everything for as long again, unless it was before.
        return share * (_SLACK * search.left - kept) / (1 if search.final else 2)

    # Where an earlier run judged the anchor it is solved for again, which takes as long as it takes.
    if seconds() >= _SHORTEST and not search.prepare(candidate):
        return False
    kept = search.reserve + _RANKINGS * search.ranking
    if seconds() < _SHORTEST:
        search.skipped[str(candidate)] = NO_TIME
        return False
    trained = search.train(candidate, seconds())
    if trained is None:
        return False
    # What is not trained to its end in half of the time would not be so on everything, either.
    left = _SLACK * search.left - kept
    return left < _SHORTEST or search.train(candidate, left, after=trained) is not None


def _worth_a_denoiser(search: Search) -> dict[str, Mapping[str, Any]]:
    """By objective, the settings of the best anchors, where they rank nearly as well as the best of all."""
    return {
        objective: trial.candidate.settings
        for objective, trial in search.anchors.items()
        if trial.value >= _WORTH * search.best.value
    }


def _fitted(
    search: Search, chosen: list[Trial], weights: list[float], train: Interactions, done: Done
) -> list[Recommender | None]:
    """Fit what was chosen, with these weights, on everything, where the search has not done so already.

    What there is no time for, or cannot be fitted, is handed out as the search fitted it: it scores whole histories all
    the same. None for what can be neither.
    """
    anchors: dict[str, Anchor] = {}
    search.release_anchors()
    # What was trained by the clock comes last, and of that what has the most to say first: it takes what it needs.
    for place in sorted(range(len(chosen)), key=lambda place: (chosen[place].model is not None, -weights[place])):
        trial = chosen[place]
        if trial not in search.whole:
            search.say(f"fits {trial.candidate} on everything")
            try:
                search.whole[trial] = _on_everything(search, trial, train, anchors, done)
            except CheckpointError:
                raise
            except unfit() as error:
                fitted = search.without_refit(trial, error)
                if fitted is None:
                    continue
                search.whole[trial] = knowing(fitted, train)
        model = search.whole[trial]
        if isinstance(model, Anchor):
            anchors[repr(trial.candidate.anchor)] = model
        if trial.model is not None:
            # How long this fit might take, and what it was held against, is of it alone.
            usual = make(trial.candidate.variant, **trial.candidate.settings).get_params()
            usual = {name: usual[name] for name in ("epochs", "time_limit", "holdout", "validate_every")}
            model.settings = model.settings.replaced(usual)
            model.set_params(**usual)
    return [search.whole.get(trial) for trial in chosen]


def _on_everything(
    search: Search, trial: Trial, train: Interactions, anchors: dict[str, Anchor], done: Done
) -> Recommender:
    """Fit one candidate on everything, or return it as the search fitted it where there is too little time for more.

    A denoiser that there is too little time to train again goes on from its weights for a few epochs.
    """
    candidate, settings = trial.candidate, dict(trial.candidate.settings)
    fitted = search.as_it_is(trial)
    if fitted is not None and (trial.model is None or search.final):
        return knowing(fitted, train)
    before = None
    if fitted is not None and search.left < math.inf:
        epochs = int(settings["epochs"])
        if _enough(search, trial, anchors, 1 / epochs):
            _anchored(candidate, search, train, anchors)
        if not _enough(search, trial, anchors, 1 / epochs):
            return knowing(fitted, train)
        if not _enough(search, trial, anchors):
            before, settings["epochs"] = fitted, math.ceil(_FEW * epochs)
        settings["time_limit"] = _SLACK * search.left
    return done.fitted(candidate, search, partial(_fit, candidate, settings, search, train, anchors, before))


def _enough(search: Search, trial: Trial, anchors: dict[str, Anchor], share: float = 1.0) -> bool:
    """Whether a denoiser has as much of its time in the search, after its anchor is solved for."""
    solved = repr(trial.candidate.anchor) in anchors
    first = 0.0 if solved else search.refit * search.seconds_of_anchor(trial.candidate)
    return _SLACK * search.left - first >= share * trial.seconds


def _fit(
    candidate: Candidate,
    settings: Mapping[str, Any],
    search: Search,
    train: Interactions,
    anchors: dict[str, Anchor],
    before: Recommender | None,
    **checkpoint: Any,
) -> Recommender:
    """Fit a candidate on everything, with an anchor that is solved once for all that have it.

    ``before`` is the model whose weights it begins with, if any.
    """
    model = make(candidate.variant, **settings, **search.named)
    anchor = _anchored(candidate, search, train, anchors)
    if anchor is not None and isinstance(model, DiffRec):
        model.anchored_by(anchor)
    return model.fit(train, init=before, **checkpoint)


def _anchored(candidate: Candidate, search: Search, train: Interactions, anchors: dict[str, Anchor]) -> Anchor | None:
    """Fit the anchor of a denoiser on everything: two may stand beside one, and it may be a part itself."""
    if not candidate.settings.get("anchor", False):
        return None
    if repr(candidate.anchor) not in anchors:
        anchors[repr(candidate.anchor)] = Anchor(**candidate.anchor, **search.named).fit(train)
    return anchors[repr(candidate.anchor)]


def knowing(model: Recommender, train: Interactions) -> Recommender:
    """Return the model with whole histories for what it knows of the users."""
    other = copy.copy(model)
    other.train_ = train
    if not other._state():
        # All that it knows is in its data: a file would give it back so, too.
        other._restore(Stored.of_state({}))
    return other


def _stacked(chosen: list[Trial], blend: Blend, models: list[Recommender], named: Mapping[str, Any]) -> Recommender:
    parts = [(trial.candidate.variant, trial.candidate.settings) for trial in chosen]
    return Stack.of(models, StackSettings.of({**named, "parts": parts, "weights": blend.weights}))


def _reason(search: Search, chosen: list[Trial], blend: Blend, train: Interactions) -> str:
    """Say what was chosen, what it was chosen over, and on what data."""
    best = chosen[0]
    if len(chosen) > 1:
        parts = " + ".join(
            f"{weight:.2f} {trial.candidate}" for trial, weight in zip(chosen, blend.weights, strict=True)
        )
        text = f"stack of {parts}: {METRIC} {blend.value:.4f}, the best of them alone {best.value:.4f}"
    else:
        text = f"{best.candidate}: {METRIC} {best.value:.4f}"
    rest = sorted((t for t in search.trials if t not in chosen), key=lambda trial: -trial.value)
    seen = {trial.candidate.variant for trial in chosen}
    others = []
    for trial in rest:
        if trial.candidate.variant not in seen:
            seen.add(trial.candidate.variant)
            others.append(f"{trial.candidate} {trial.value:.4f}")
    density = len(train) / (train.shape[0] * train.shape[1])
    again = 1 - len(train) / train.n_events
    return (
        text + (f"; the best others: {', '.join(others[:3])}" if others else "") + ". "
        f"{train.shape[0]:,} users x {train.shape[1]:,} items, density {density:.2g}; "
        f"{'the order is used' if any(trial.uses_order for trial in chosen) else 'the order is not used'}; "
        f"{len(search.trials)} candidates tried on {search.judged:,} held-out interactions"
        + (
            f". {again:.0%} of the events are of something the user had before, which is not recommended: "
            "repeats='include' asks for what is taken next, old or new"
            if again >= _OFTEN and search.named["repeats"] == "exclude"
            else ""
        )
    )


def _noted(model: Recommender, text: str, search: Search, named: Mapping[str, Any]) -> Recommender:
    """Note in the model what was chosen and what was left out, and say so where someone is watching."""
    if search.skipped:
        model.training_.facts["skipped"] = "\n".join(f"{name}: {why}" for name, why in search.skipped.items())
    model.training_.facts["chosen"] = text
    _LOG.info("chose %s", text)
    if named["progress"] and sys.stderr.isatty():
        print(f"diffrec chose {text}", file=sys.stderr)
    return model
