"""Candidates fitted and judged on the same held-out interactions, while the time lasts."""

import logging
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffrec.anchors.ridge import EXACT
from diffrec.checks import unfit
from diffrec.data import Interactions
from diffrec.evaluation.beyond_accuracy import hits_of
from diffrec.recommenders.auto.blend import CUT, Blend, Lists, best_blend, ndcg
from diffrec.recommenders.auto.candidates import VIEWS, Candidate
from diffrec.recommenders.auto.judged import Judged
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.diffrec.anchor import Anchor
from diffrec.recommenders.diffrec.model import DiffRec
from diffrec.recommenders.registry import make
from diffrec.training import CheckpointError, memory_errors

_LOG = logging.getLogger("diffrec")

# The metric that candidates are judged by.
METRIC = f"ndcg@{CUT}"
# A fit on everything takes longer than one without what is held out, by how much more it is, and its time is not known
# exactly.
_UNSURE = 1.05
# Share of the best candidate's metric from which on another may well become a part of what is handed out.
_NEAR = 0.9
# As many rankings for the users who are judged as finding a stack takes as long as, at least: where items are few, and
# rankings quick, 25 to 52 were measured, of a second or two.
_BLENDING = 20
# How much longer a forecast in closed form takes than EASE on the same items (12 to 18 times were measured), and
# approximated than iALS (4 to 5).
_DEARER, _DEARER_BY_VECTORS = 14, 5
# Pairs of items of one history that neighbours are counted from in a second.
_PAIRS_A_SECOND = 2e8
# Epochs of a denoiser that was cut short, as a multiple of those that it had, when it is fitted on everything.
_FURTHER = 1.5
# Why a candidate was left out that may be tried when there is some time after all.
NO_TIME = "no time left"


@dataclass(frozen=True, eq=False)
class Trial:
    """A candidate and how it did; each is another, whatever it holds.

    Attributes
    ----------
    candidate : Candidate
        With the settings of a fit on everything.
    value : float
        The validation metric.
    seconds : float
        Time to fit and judge it.
    lists : Lists
        What it ranks for the users that are judged.
    model : Recommender or None
        Fitted to what was not held out, where that took long.
    """

    candidate: Candidate
    value: float
    seconds: float
    lists: Lists
    model: Recommender | None = None

    @property
    def uses_order(self) -> bool:
        """Whether it reads when, or in which order, things happened."""
        ageing = {"half_life", "time_weights"} & self.candidate.settings.keys()
        return objective_of(self.candidate) == "forecast" or bool(ageing) or self.candidate.variant in _OF_ORDER


_OF_ORDER = frozenset({"topfreq", "tifuknn", "sasrec"})


class Search:
    """A table of candidates, judged on the same users.

    Parameters
    ----------
    learn, valid : Interactions
        What candidates may be fitted to, and what they are to find; what nobody is judged by is learnt from, too.
    named : mapping
        Settings of all: ``seed``, ``device``, ``progress``, ``callbacks`` and ``repeats``.
    deadline : float
        When the search and the fit on everything are to be over, by ``time.perf_counter``.
    final : bool
        Whether ``learn`` is everything: the best one and denoisers are not fitted a second time then.
    """

    def __init__(
        self,
        learn: Interactions,
        valid: Interactions,
        named: Mapping[str, Any],
        deadline: float = math.inf,
        *,
        final: bool = False,
    ) -> None:
        self.deadline, self.final = deadline, final
        self.named = {**named, "progress": False, "callbacks": ()}
        self.trials: list[Trial] = []
        self.skipped: dict[str, str] = {}
        # Seconds that ranking for the users who are judged takes, at most.
        self.ranking = 0.0
        # The best candidate whose model is at hand: fitted in this run, or kept by one before.
        self.leader: tuple[Trial, Recommender] | None = None
        # By objective, the best anchor: denoisers stand beside it. By their settings, those that this run has solved.
        self.anchors: dict[str, Trial] = {}
        self._solved: dict[str, Anchor] = {}
        # What was fitted on everything, and what cannot be handed out.
        self.whole: dict[Trial, Recommender] = {}
        self._lost: set[Trial] = set()
        self._watched = bool(named["progress"]) and sys.stderr.isatty()
        self._judged = Judged.of(learn, valid, named["repeats"], int(named["seed"]), final=final)
        self.learn = self._judged.learn
        # How many times as long as in the search a fit on everything takes.
        whole = len(learn) if final else len(learn) + len(valid)
        self.refit = _UNSURE * whole / max(len(self.learn), 1)

    @property
    def judged(self) -> int:
        """The number of held-out interactions that candidates are judged on."""
        return int(self._judged.relevant.nnz)

    @property
    def left(self) -> float:
        """Seconds until the search and the fit on everything are to be over."""
        return self.deadline - time.perf_counter()

    @property
    def best(self) -> Trial:
        """The best candidate so far, the first of equal ones."""
        return max(self.trials, key=lambda trial: trial.value)

    @property
    def reserve(self) -> float:
        """Seconds to keep for finding a stack, and for the fit on everything of a map or rival, and of denoisers."""
        return self.reserve_with(None)

    def reserve_with(self, candidate: Candidate | None) -> float:
        """Seconds to keep for all that, and for the anchor of one more denoiser on everything."""
        maps = [trial for trial in self.trials if trial.model is None]
        near = [trial for trial in self.trials if trial.model is not None and trial.value > _NEAR * self.best.value]
        best = max((trial.value for trial in maps), default=0.0)
        slowest = max((t for t in maps if t.value >= _NEAR * best), key=lambda t: t.seconds, default=None)
        denoisers = [*(trial.candidate for trial in near), *([] if candidate is None else [candidate])]
        again = {slowest, *map(self._trial_of_anchor, denoisers)}
        own = sum(trial.seconds for trial in near) + _BLENDING * self.ranking
        return own + self.refit * sum(trial.seconds for trial in again if trial is not None)

    def try_out(self, candidate: Candidate) -> None:
        """Fit and judge a candidate, in all its strengths, where there is time for it and it can be fitted."""
        # However short the time, there is something to hand out.
        if self.trials and self.left < self._guess(candidate) * (1 + self.refit) + self.reserve:
            self.skipped[str(candidate)] = NO_TIME
            return
        try:
            with memory_errors():
                if candidate.strengths:
                    self._anchors(candidate)
                else:
                    started = time.perf_counter()
                    model = make(candidate.variant, **candidate.settings, **self.named).fit(self.learn)
                    self._judge(candidate, model, started)
        except unfit() as error:
            self._leave_out(candidate, error)

    def train(
        self,
        candidate: Candidate,
        seconds: float | None,
        checkpoint: Mapping[str, Any] | None = None,
        *,
        after: Trial | None = None,
    ) -> Trial | None:
        """Train a denoiser for so many seconds at most, stopping early, and judge it; its model is kept.

        ``checkpoint`` has the arguments of the fit that give it one; ``after`` is how it did before, of which training
        goes on.

        Returns
        -------
        Trial or None
            How it did, where it might have gone on improving, had there been more time.
        """
        before = 0.0 if after is None else after.seconds
        started = time.perf_counter() - before
        settings = {"validate_every": 2, **candidate.settings, "time_limit": seconds}
        try:
            model = make(candidate.variant, **settings, **self.named)
            anchor = self._anchor_of(candidate)
            if anchor is not None and isinstance(model, DiffRec):
                model.anchored_by(anchor)
            model.fit(self.learn, self._judged.valid, init=None if after is None else after.model, **(checkpoint or {}))
            with memory_errors():
                return self._judge_trained(candidate, model, started, after)
        except CheckpointError:
            raise
        except unfit() as error:
            self._leave_out(candidate, error, "" if after is None else ", going on")
            return None

    def _judge_trained(
        self, candidate: Candidate, model: Recommender, started: float, after: Trial | None
    ) -> Trial | None:
        """Judge a denoiser that has stopped, and return how it did where it was cut short.

        It takes the place of how it did before, if that was no better.
        """
        report, settings = model.training_, model.get_params()
        asked, done, best = int(settings["epochs"]), len(report.epochs), report.best_epoch
        # The time may end an epoch soon after it began: what a few last steps made of it may be worse by luck.
        cut_short = done < asked and done - best < int(settings["validate_every"])
        if cut_short:
            # It may go on when it is fitted on everything, by the clock again, but not far beyond what is judged here.
            epochs = min(asked, math.ceil(_FURTHER * done))
        elif settings["lr_schedule"] == "cosine":
            # Where neither the epochs nor patience ended it, it was the time, and the rate fell to 0 by then.
            in_full = done == asked or done - best >= settings["patience"]
            epochs = epochs_to_zero(best, asked if in_full else done)
        else:
            epochs = best
        if after is not None and after.model is not None:
            epochs = min(asked, epochs + after.model.training_.best_epoch)
        final = {**candidate.settings, "epochs": max(epochs, 1), "holdout": 0.0, **model._chosen_on_validation()}
        trial = self._judge(Candidate(candidate.variant, final), model, started, keep=True)
        if after is not None and trial.value >= after.value:
            self.trials.remove(after)
        return trial if cut_short else None

    def prepare(self, candidate: Candidate) -> bool:
        """Solve for the anchor of a denoiser where this run has not; say whether it could be."""
        try:
            self._anchor_of(candidate)
        except unfit() as error:
            self._leave_out(candidate, error)
            return False
        return True

    def unsolved(self, candidate: Candidate) -> float:
        """Seconds until the anchor of a denoiser is there."""
        return 0.0 if repr(candidate.anchor) in self._solved else self.seconds_of_anchor(candidate)

    def seconds_of_anchor(self, candidate: Candidate) -> float:
        """Seconds that the anchor of a denoiser took, 0 for what has none."""
        trial = self._trial_of_anchor(candidate)
        return 0.0 if trial is None else trial.seconds

    def release_anchors(self) -> None:
        """Let go of the anchors that denoisers are trained beside, when no more are."""
        self._solved.clear()

    def _anchor_of(self, candidate: Candidate) -> Anchor | None:
        """The anchor of a denoiser, if it has one, solved on what is learnt."""
        if not candidate.settings.get("anchor", False):
            return None
        name = repr(candidate.anchor)
        if name not in self._solved:
            self._solved[name] = Anchor(**candidate.anchor, **self.named).fit(self.learn)
        return self._solved[name]

    def _trial_of_anchor(self, candidate: Candidate) -> Trial | None:
        """How the anchor of a denoiser did, or the best of its objective where that was not tried; None without one."""
        if not candidate.settings.get("anchor", False):
            return None
        tried = (trial for trial in self.trials if trial.candidate.variant == Anchor.variant)
        alike = (trial for trial in tried if trial.candidate.anchor == candidate.anchor)
        return next(alike, self.anchors.get(objective_of(candidate)))

    def blend(self) -> tuple[list[Trial], Blend]:
        """Return what ranks best together, the best one alone first, of what there is time to fit on everything."""
        most = left = max(self.left, 0.0)
        begun = time.perf_counter()
        alone: tuple[list[Trial], Blend] | None = None
        while True:
            there = [one for one in self.trials if one not in self._lost]
            able = [one for one in there if self.refit * one.seconds <= most or self.as_it_is(one) is not None]
            # Where time ran out nevertheless, the quickest of all.
            able = able or [min(there, key=lambda trial: trial.seconds)]
            found = best_blend(
                [one.lists for one in able], self._judged.relevant, [one.candidate.family for one in able]
            )
            chosen = [able[place] for place in found.places]
            # However little time there is for all together, for the best one alone there is enough.
            alone = alone or ([chosen[0]], Blend([0], [1.0], chosen[0].value))
            if len(chosen) == 1 or sum(map(self._refit, chosen)) <= left:
                return (chosen, found) if found.value >= alone[1].value else alone
            # Each alone could be fitted in time, but not all of them.
            most /= 2
            if self.left < self.refit * (alone[0][0].seconds + time.perf_counter() - begun):
                return alone

    def as_it_is(self, trial: Trial) -> Recommender | None:
        """Return the model of a trial as the search fitted it: a denoiser's, and the best one's where time is short.

        So is the best one's where it was fitted to everything, and what was since.
        """
        if trial in self.whole:
            return self.whole[trial]
        spared = self.final or self.refit * trial.seconds > self.left
        return self._model_of(trial) if spared else trial.model

    def without_refit(self, trial: Trial, error: Exception) -> Recommender | None:
        """Note that a trial cannot be fitted on everything; return it as the search fitted it, if that is there.

        Where it is not, it is not handed out, and where there is nothing else the error is raised.
        """
        name, model = f"{trial.candidate} on everything", self._model_of(trial)
        _LOG.info("could not fit %s: %s", name, error)
        self.skipped[name] = str(error)
        if model is None:
            self._lost.add(trial)
            if len(self._lost) == len(self.trials):
                raise error
        return model

    def _model_of(self, trial: Trial) -> Recommender | None:
        """The model of a trial as the search fitted it, where it is still there: a denoiser's, and the best one's."""
        leads = self.leader is not None and self.leader[0] is trial
        return self.leader[1] if leads and self.leader is not None else trial.model

    def _refit(self, trial: Trial) -> float:
        """Seconds that the fit of a trial on everything takes at least."""
        return self.refit * trial.seconds if self.as_it_is(trial) is None else 0.0

    def _anchors(self, candidate: Candidate) -> None:
        """Judge anchors that differ in their strength only: up to the first that is worse than the one before."""
        started = time.perf_counter()
        settings, strengths = candidate.settings, candidate.strengths
        before, prepared = -math.inf, 0.0
        models = Anchor(**settings, **self.named).at_strengths(self.learn, strengths)
        for strength, model in zip(strengths, models, strict=True):
            prepared = prepared or time.perf_counter() - started
            trial = self._judge(Candidate(candidate.variant, {**settings, "anchor_l2": strength}), model, started)
            self.note_anchor(trial, model)
            # The equations, prepared once here, are prepared again in a fit on everything.
            if trial.value < before or self.left < trial.seconds + self.reserve:
                break
            before, started = trial.value, time.perf_counter() - prepared

    def note_anchor(self, trial: Trial, model: Anchor | None = None) -> None:
        """Let denoisers stand beside an anchor if it is the best of its objective so far."""
        objective = objective_of(trial.candidate)
        best = self.anchors.get(objective)
        if best is None or trial.value > best.value:
            self.anchors[objective] = trial
            if best is not None:
                self._solved.pop(repr(best.candidate.anchor), None)
            if model is not None:
                self._solved[repr(trial.candidate.anchor)] = model

    def _judge(self, candidate: Candidate, model: Recommender, started: float, *, keep: bool = False) -> Trial:
        judged, begun = self._judged, time.perf_counter()
        lists = Lists.of(model, self.learn, judged.rows, judged.hidden)
        self.ranking = max(self.ranking, time.perf_counter() - begun)
        counts = np.diff(judged.relevant.indptr).astype(np.int64)
        value = float(ndcg(hits_of(lists.items[:, :CUT], judged.relevant), counts).mean())
        trial = Trial(candidate, value, time.perf_counter() - started, lists, model if keep else None)
        self.trials.append(trial)
        if trial is self.best:
            self.leader = trial, model
        _LOG.info("tried %s: %s %.4f in %.1f s", candidate, METRIC, value, trial.seconds)
        self.say(f"tried {candidate}: {METRIC} {value:.4f} in {trial.seconds:.1f} s")
        return trial

    def say(self, text: str) -> None:
        """Tell who is watching."""
        if self._watched:
            left = "" if self.left == math.inf else f" ({max(self.left, 0):.0f} s left)"
            print(f"diffrec {text}{left}", file=sys.stderr)

    def _leave_out(self, candidate: Candidate, error: Exception, doing: str = "") -> None:
        _LOG.info("left out %s%s: %s", candidate, doing, error)
        self.skipped[f"{candidate}{doing}"] = str(error)

    def _guess(self, candidate: Candidate) -> float:
        """Seconds that a candidate may take: as many as others of its family, else of its variant, else as any.

        A first forecast in closed form, whose equations have several views of each item, takes much longer than the
        rival before it, most of all where they are solved exactly; so it says nothing of what is no forecast.
        """
        tried = self.trials
        alike = [trial.seconds for trial in tried if trial.candidate.family == candidate.family]
        if not alike and candidate.settings.get("objective") == "forecast":
            dearer = _DEARER if VIEWS * self.learn.shape[1] <= EXACT else _DEARER_BY_VECTORS
            return dearer * (tried[-1].seconds if tried else 0.0)
        tried = [trial for trial in tried if objective_of(trial.candidate) == objective_of(candidate)]
        alike = alike or [trial.seconds for trial in tried if trial.candidate.variant == candidate.variant]
        return max(alike) if alike else max([self._least(candidate), *(trial.seconds for trial in tried)])

    def _least(self, candidate: Candidate) -> float:
        """Seconds that a first candidate of its kind takes by the size of its work, on one core."""
        if candidate.variant not in ("itemknn", "rp3beta"):
            return 0.0
        lengths = np.diff(self.learn.matrix.indptr).astype(np.float64)
        return float(np.square(lengths).sum()) / _PAIRS_A_SECOND


def epochs_to_zero(best: int, total: int) -> int:
    """Epochs over which a rate that falls to 0 as half a cosine sums to what it did in the first of ``total`` epochs.

    ``total`` epochs sum to half their number, and ``best`` of them to ``(best + total sin(pi best / total) / pi) / 2``.

    Examples
    --------
    >>> epochs_to_zero(12, 20), epochs_to_zero(20, 20)
    (18, 20)
    """
    return round(best + total * math.sin(math.pi * best / total) / math.pi)


def objective_of(candidate: Candidate) -> str:
    """Say what an anchor or denoiser learns: "forecast" or "reconstruct"."""
    return "forecast" if candidate.variant == "t-diffrec" else str(candidate.settings.get("objective", "reconstruct"))
