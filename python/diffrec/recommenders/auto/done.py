"""Records of what an earlier run of the same choice has done already."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from diffrec.data import Interactions
from diffrec.data.arrays import in_short
from diffrec.recommenders import learning
from diffrec.recommenders.auto.blend import Lists
from diffrec.recommenders.auto.candidates import Candidate
from diffrec.recommenders.auto.search import Search, Trial
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.diffrec.anchor import Anchor
from diffrec.recommenders.registry import VARIANTS
from diffrec.recommenders.settings import Settings
from diffrec.training.checkpoint import Checkpoint, seconds_between
from diffrec.training.steps import Steps

_CHOSEN = "chosen"


class Done:
    """Candidates that were tried, and models that were fitted on everything, kept in a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        Without one nothing is kept, and everything is still to be done.
    """

    def __init__(self, checkpoint: Checkpoint | None = None) -> None:
        self._checkpoint = checkpoint
        self._steps = Steps(checkpoint)

    @classmethod
    def of(
        cls,
        path: Any,
        every: Any,
        named: Mapping[str, Any],
        budget: float,
        train: Interactions,
        valid: Interactions | None,
    ) -> "Done":
        """Open the checkpoint of a choice among the recommenders for these data; None for no checkpoint."""
        seconds_between(every)
        if path is None:
            return cls()
        told = {
            "variant": "auto",
            "budget": None if budget == math.inf else budget,
            **Settings.of(named).told(),
            "data": in_short(train),
            "valid": None if valid is None else in_short(valid),
        }
        return cls(Checkpoint(path, every, told))

    @property
    def spent(self) -> float:
        """Seconds that earlier runs took."""
        return self._steps.spent

    def chosen(self, train: Interactions, named: Mapping[str, Any]) -> Recommender | None:
        """Return the model that was handed out, if it was."""
        kept = None if self._checkpoint is None else self._checkpoint.resume(_CHOSEN)
        if kept is None:
            return None
        # Who kept it may have been killed before what the steps had beside it was gone.
        self._steps.tidy()
        return _again(kept, train, named)

    def handed_out(self, model: Recommender) -> Recommender:
        """Keep nothing but the model that is handed out; return it."""
        if self._checkpoint is not None:
            self._steps.finish(_CHOSEN, _whole(model))
        return model

    def within(self, candidate: Candidate) -> dict[str, Any]:
        """Return the arguments that give the fit of a candidate a checkpoint of its own."""
        return self._steps.within(str(candidate))

    def tried(self, search: Search, candidate: Candidate, work: Callable[[], object]) -> bool:
        """Try a candidate out by ``work``, or put into the search what came of it before; say if it was anything."""
        step = str(candidate)
        kept = self._steps.done(step)
        if kept is None:
            trials, skipped = len(search.trials), set(search.skipped)
            answer = bool(work())
            new = search.trials[trials:]
            # What was left out may be tried in another run, with more memory or time.
            if self._checkpoint is not None and new:
                left_out = {name: why for name, why in search.skipped.items() if name not in skipped}
                outcome = {"trials": [_of_trial(one) for one in new], "skipped": left_out, "answer": answer}
                self._steps.note(step, outcome)
            return answer
        new = [_trial(one, search) for one in kept["trials"]]
        search.trials += new
        search.skipped |= kept["skipped"]
        for trial in new:
            if trial.model is not None and (search.leader is None or trial.value > search.leader[0].value):
                search.leader = trial, trial.model
            if trial.candidate.variant == Anchor.variant:
                # Its map, which may be as large as everything else, is solved for again where a denoiser asks for it.
                search.note_anchor(trial)
        return bool(kept["answer"])

    def held(self, candidate: Candidate, search: Search, train: Interactions) -> Recommender | None:
        """Return what an earlier run fitted on everything, if it did."""
        kept = self._steps.done(_on_everything(candidate))
        return None if kept is None else _again(kept, train, search.named)

    def fitted(self, candidate: Candidate, search: Search, fit: Callable[..., Recommender]) -> Recommender:
        """Fit a candidate on everything, by ``fit`` of the arguments for its checkpoint."""
        step = _on_everything(candidate)
        # What is left of a time is another in every run, and a fit within it another one.
        model = fit(**({} if search.left < math.inf else self._steps.within(step)))
        if self._checkpoint is not None:
            self._steps.note(step, _whole(model))
        return model


def _on_everything(candidate: Candidate) -> str:
    return f"{candidate} on everything"


def _of_trial(trial: Trial) -> dict[str, Any]:
    """A trial for a checkpoint."""
    return {
        "variant": trial.candidate.variant,
        "settings": dict(trial.candidate.settings),
        "value": trial.value,
        "seconds": trial.seconds,
        "items": trial.lists.items,
        "scores": trial.lists.scores,
        "model": None if trial.model is None else _whole(trial.model),
    }


def _trial(kept: dict[str, Any], search: Search) -> Trial:
    """The trial that ``_of_trial`` kept."""
    model = None if kept["model"] is None else _again(kept["model"], search.learn, search.named)
    lists = Lists(kept["items"], kept["scores"])
    return Trial(Candidate(kept["variant"], kept["settings"]), kept["value"], kept["seconds"], lists, model)


def _whole(model: Recommender) -> dict[str, Any]:
    """A fitted model but for its data, for a checkpoint."""
    return {"variant": model.variant, "settings": model.settings.values(saved_only=True), **learning.kept(model)}


def _again(kept: dict[str, Any], train: Interactions, named: Mapping[str, Any]) -> Recommender:
    """The model that ``_whole`` kept."""
    transient = {name: named[name] for name in ("device", "progress", "callbacks")}
    return learning.taken_back(VARIANTS[kept["variant"]].kind(**kept["settings"], **transient), kept, train)
