"""The long search for settings, with Optuna."""

import datetime
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffrec._shown import facts_as_html
from diffrec.callbacks import PruneTrial
from diffrec.checks import duration, flag, needed, one_of, unfit, whole
from diffrec.data import Interactions, hold_out
from diffrec.data.arrays import in_short
from diffrec.evaluation import MAXIMISED, parse_metric
from diffrec.recommenders import Recommender, learning, make
from diffrec.recommenders.histories import as_interactions, validation_part
from diffrec.recommenders.registry import VARIANTS
from diffrec.recommenders.settings import told_value
from diffrec.training import Checkpoint, CheckpointError, EpochRecord
from diffrec.training.checkpoint import EPOCH, seconds_between
from diffrec.training.steps import Steps

if TYPE_CHECKING:
    import optuna

# trial -> settings to try
Space = Callable[["optuna.Trial"], Mapping[str, Any]]
# Validation holds this share of each history.
_HOLDOUT = 0.1
# The step of a search after the trials.
_LAST = "the best on everything"


@dataclass(frozen=True, repr=False)
class Tuned:
    """The outcome of a search: the best model, its settings, and all trials.

    Attributes
    ----------
    model : Recommender
        Fitted on all data with the best settings.
    settings : dict
        Those settings: keywords for ``diffrec.fit`` with the same variant.
    value : float
        Their validation metric.
    metric : str
        Its name.
    study : optuna.Study
        All trials; ``study.trials_dataframe()`` and ``optuna.visualization`` take it from here.
    """

    model: Recommender
    settings: dict[str, Any]
    value: float
    metric: str
    study: "optuna.Study"

    def __repr__(self) -> str:
        return f"<Tuned: {self}>"

    def _repr_html_(self) -> str:
        return facts_as_html(self.settings, f"{self.metric} {self.value:.4f}, best of {len(self.study.trials)} trials")

    def __str__(self) -> str:
        named = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"{self.metric} {self.value:.4f} on validation with {named} ({len(self.study.trials)} trials)"


def tune(
    data: Any,
    *,
    variant: str = "diffrec",
    valid: Any = None,
    trials: int = 50,
    budget: str | float | datetime.timedelta | None = None,
    metric: str = "recall@20",
    space: Space | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    study: "optuna.Study | None" = None,
    exclude_seen: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    every: str | float | datetime.timedelta = EPOCH,
    **settings: Any,
) -> Tuned:
    """Search settings of one variant, then fit it on everything with the best.

    Optuna's sampler learns from the trials before (TPE); trials whose validation lags behind the median of the others
    at the same epoch are given up early.

    Parameters
    ----------
    data : as for ``diffrec.fit``
        Users x items.
    variant : str
        A variant of ``diffrec.fit``, except ``"auto"``.
    valid : the same kinds, optional
        What trials are judged on; by default the newest tenth of each history (a random one without timestamps), which
        the final fit learns from, too.
    trials : int
        How many settings to try, at most.
    budget : str, number or timedelta, optional
        When to stop trying, as ``"1h"`` or in seconds.
    metric : str
        What to maximise, such as ``"ndcg@20"``; of novelty, serendipity, diversity and gini more is not better alone.
    space : callable, optional
        ``trial -> settings``, by ``trial.suggest_float`` and so on; by default the space of the variant in ``SPACES``.
    seed : int
        Of the sampler, the split and every fit.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    progress : bool
        Show a bar over the trials.
    study : optuna.Study, optional
        To go on with, or with a storage that several processes share. Its direction must be to maximise.
    exclude_seen : bool
        Judge by what users discover; False by what they take next, old or new. It is what ``repeats`` of every fit
        becomes, unless that is among the settings.
    checkpoint, every
        As for ``fit``: trials that are done stay done, and the one that was stopped goes on. Not with a ``study`` of
        your own, which has a storage for that.
    **settings
        Held fixed in every trial.

    Returns
    -------
    Tuned

    Raises
    ------
    ImportError
        Without Optuna (``pip install 'diffrec[tune]'``).
    CheckpointError
        When ``checkpoint`` is of other data or settings, which it names, or no checkpoint.
    ValueError
        When an argument is impossible, or no trial could be fitted.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> found = tune(data, variant="itemknn", trials=3, progress=False)
    >>> sorted(found.settings), len(found.study.trials)
    (['neighbors', 'weighting'], 3)
    """
    one_of(VARIANTS)("variant", variant)
    parse_metric(metric, MAXIMISED)
    trials = whole(1)("trials", trials)
    timeout = None if budget is None else duration("budget", budget)
    if space is None and variant not in SPACES:
        raise ValueError(f"variant {variant!r} has nothing to tune: name a space, or one of {', '.join(SPACES)}")
    if not flag("exclude_seen", exclude_seen):
        settings = {"repeats": "include", **settings}
    fixed: dict[str, Any] = {**settings, "seed": seed, "device": device, "progress": False}
    make(variant, **fixed)  # refuses impossible settings before anything is tried
    seconds_between(every)
    study = _study(study, seed, checkpoint)
    train = as_interactions(data, "data")
    learn, held = hold_out(train, _HOLDOUT, seed) if valid is None else (train, validation_part(valid, train))
    if len(held) == 0:
        raise ValueError("valid is needed: every history of data is too short to hold a part of it out")
    steps = Steps(None)
    if checkpoint is not None:
        told = {
            "variant": variant,
            "metric": metric,
            **{name: told_value(value) for name, value in fixed.items() if name != "progress"},
            "data": in_short(train),
            "valid": None if valid is None else in_short(held),
        }
        steps = Steps(Checkpoint(checkpoint, every, told))
    search = _Search(variant, space or SPACES[variant], fixed, learn, held, metric, steps)

    done = next((number for number in range(trials) if steps.done(f"trial {number}") is None), trials)
    left = None if timeout is None else timeout - steps.spent
    study.optimize(search, n_trials=min(done, trials))
    if done < trials and (left is None or left > 0):
        study.optimize(search, n_trials=trials - done, timeout=left, show_progress_bar=progress)
    if not study.trials:
        raise ValueError(f"budget={budget!r} was over before the first trial: allow more time")
    if not any(trial.state.name == "COMPLETE" for trial in study.trials):
        errors = [trial.user_attrs.get("error", "given up early") for trial in study.trials]
        raise ValueError(f"none of {len(errors)} trials could be fitted: {errors[-1]}")
    best = {**search.space(_optuna().trial.FixedTrial(study.best_params)), **settings}
    final = _on_everything(variant, best, study.best_trial.user_attrs) if valid is None else best
    model = make(variant, **{**fixed, **final, "progress": progress})
    # More trials may find other settings.
    last = f"{_LAST}, of trial {study.best_trial.number}"
    model = _fitted(model, train, None if valid is None else held, steps, last)
    steps.tidy()
    return Tuned(model, final, study.best_value, metric, study)


def _study(given: "optuna.Study | None", seed: int, checkpoint: str | os.PathLike[str] | None) -> "optuna.Study":
    """Return the study that was given, which must be one to go on with, or a new one."""
    engine = _optuna()
    if given is None:
        made: optuna.Study = engine.create_study(
            direction="maximize",
            sampler=engine.samplers.TPESampler(seed=seed),
            pruner=engine.pruners.MedianPruner(n_warmup_steps=5),
        )
        return made
    if checkpoint is not None:
        raise ValueError(f"checkpoint is for a study of tune's own, got {checkpoint!r} beside study=")
    directions = [direction.name.lower() for direction in given.directions]
    if directions != ["maximize"]:
        raise ValueError(
            f"study must have the one direction maximize, got {', '.join(directions)}: "
            "optuna.create_study(direction='maximize') makes such a study"
        )
    return given


def _fitted(
    model: Recommender, train: Interactions, valid: Interactions | None, steps: Steps, step: str
) -> Recommender:
    """Fit a recommender, or take back the fit that a checkpoint has of this step."""
    kept = steps.done(step)
    if kept is not None:
        return learning.taken_back(model, kept, train)
    model.fit(train, valid, **steps.within(step))
    steps.note(step, learning.kept(model))
    return model


@dataclass(frozen=True)
class _Search:
    """The value of a trial, as Optuna asks for it: by a fit, or by what a checkpoint has of it."""

    variant: str
    space: Space
    fixed: Mapping[str, Any]
    learn: Interactions
    held: Interactions
    metric: str
    steps: Steps

    def __call__(self, trial: "optuna.Trial") -> float:
        tried = {**self.space(trial), **self.fixed}
        trial.set_user_attr("settings", {name: tried[name] for name in tried if name not in ("device", "progress")})
        step = f"trial {trial.number}"
        outcome = self.steps.done(step)
        if outcome is None:
            outcome = self._outcome(trial, tried, self.steps.within(step))
            self.steps.note(step, outcome)
        else:
            # The sampler has drawn, and the pruner is told, what it was when the trial was made.
            if outcome["params"] != trial.params:
                raise CheckpointError(
                    f"{step} of the checkpoint has {outcome['params']}, and space draws {trial.params}"
                )
            for epoch, validation in outcome["reported"]:
                trial.report(validation, epoch)
        for name, attribute in outcome["attributes"].items():
            trial.set_user_attr(name, attribute)
        if outcome["value"] is None:
            raise _optuna().TrialPruned(outcome["pruned"])
        return float(outcome["value"])

    def _outcome(
        self, trial: "optuna.Trial", tried: Mapping[str, Any], checkpoint: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Fit and judge the settings of a trial; what came of it, in a form that a checkpoint can hold."""
        reported: list[tuple[int, float]] = []

        def note(record: EpochRecord) -> None:
            if record.validation is not None:
                reported.append((record.epoch, record.validation))

        outcome: dict[str, Any] = {"params": trial.params, "reported": reported, "attributes": {}, "value": None}
        learn, held = self.learn, self.held
        model = make(self.variant, **{**tried, "callbacks": (note, PruneTrial(trial))})
        try:
            model.fit(learn, held, **checkpoint)
        except _optuna().TrialPruned as error:
            return {**outcome, "pruned": str(error)}
        except CheckpointError:
            raise
        except unfit() as error:
            # These settings cannot be fitted to these data; others can.
            return {**outcome, "attributes": {"error": str(error)}, "pruned": str(error)}
        attributes = {"best_epoch": model.training_.best_epoch, "chosen": model._chosen_on_validation()}
        return {**outcome, "attributes": attributes, "value": model._validation(learn, held, self.metric)}


def _on_everything(variant: str, settings: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a fit that holds nothing out: it stops, and weighs, as was best on validation."""
    names = make(variant, **settings).get_params()
    if "holdout" not in names:
        return dict(settings)
    # A cosine falls over all epochs: one that ends at the best of them would be another course.
    epochs = {} if names.get("lr_schedule") == "cosine" else {"epochs": max(found["best_epoch"], 1)}
    return {**settings, **epochs, **found.get("chosen", {}), "holdout": 0.0}


def _optuna() -> Any:
    return needed("optuna", "tuning needs Optuna", "diffrec[tune]")


def _anchor(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "anchor_l2": trial.suggest_float("anchor_l2", 1.0, 100.0, log=True),
        "anchor_damping": trial.suggest_float("anchor_damping", 0.0, 0.5),
        "anchor_row_damping": trial.suggest_float("anchor_row_damping", 0.0, 0.5),
    }


def _diffusion(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        "lr": trial.suggest_float("lr", 1e-5, 1e-2, log=True),
        "dims": (trial.suggest_categorical("width", [200, 400, 600, 1000]),),
        "dropout": trial.suggest_float("dropout", 0.0, 0.7),
        "steps": trial.suggest_categorical("steps", [2, 5, 10, 40]),
        "noise_scale": trial.suggest_float("noise_scale", 1e-5, 1.0, log=True),
        "reweight": trial.suggest_categorical("reweight", [True, False]),
    }


def _reconstruct(trial: "optuna.Trial") -> dict[str, Any]:
    return {**_diffusion(trial), "anchor": True, **_anchor(trial)}


def _forecast(trial: "optuna.Trial") -> dict[str, Any]:
    fast, slow = trial.suggest_float("fast", 0.5, 3.0, log=True), trial.suggest_float("slow", 4.0, 40.0, log=True)
    return {
        "lr": trial.suggest_float("lr", 2e-4, 5e-3, log=True),
        "dims": (trial.suggest_categorical("width", [200, 400, 600, 1000]),),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "hidden_dropout": trial.suggest_float("hidden_dropout", 0.0, 0.6),
        "time_scales": (fast, slow, None),
        "horizon": trial.suggest_int("horizon", 1, 30, log=True),
        "noise_scale": trial.suggest_float("noise_scale", 1e-4, 0.1, log=True),
        "epochs": trial.suggest_int("epochs", 10, 60),
        "anchor_l2": trial.suggest_float("anchor_l2", 1.0, 100.0, log=True),
    }


def _latent(trial: "optuna.Trial") -> dict[str, Any]:
    return {
        **_diffusion(trial),
        "groups": trial.suggest_int("groups", 1, 5),
        "latent_dims": (trial.suggest_categorical("latent", [100, 200, 300, 400]),),
        "autoencoder_lr": trial.suggest_float("autoencoder_lr", 1e-4, 1e-2, log=True),
        "kl_weight": trial.suggest_float("kl_weight", 0.0, 1.0),
    }


# The settings that are searched, for each variant that has any.
SPACES: dict[str, Space] = {
    "diffrec": _reconstruct,
    "t-diffrec": _forecast,
    "l-diffrec": _latent,
    "lt-diffrec": _latent,
    "anchor": _anchor,
    "topfreq": lambda trial: {
        "half_life": trial.suggest_float("half_life", 0.5, 200.0, log=True),
        "popularity": trial.suggest_float("popularity", 0.01, 30.0, log=True),
    },
    "sasrec": lambda trial: {
        "lr": trial.suggest_float("lr", 3e-4, 1e-2, log=True),
        "width": trial.suggest_categorical("width", [32, 64, 128]),
        "layers": trial.suggest_int("layers", 1, 3),
        "length": trial.suggest_categorical("length", [50, 100, 200]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "loss": trial.suggest_categorical("loss", ["softmax", "gbce"]),
        "epochs": trial.suggest_int("epochs", 5, 40, log=True),
    },
    "tifuknn": lambda trial: {
        "neighbors": trial.suggest_int("neighbors", 20, 1500, log=True),
        "alpha": trial.suggest_float("alpha", 0.0, 1.0),
        "group_size": trial.suggest_int("group_size", 1, 20, log=True),
        "within_decay": trial.suggest_float("within_decay", 0.5, 1.0),
        "group_decay": trial.suggest_float("group_decay", 0.3, 1.0),
    },
    "itemknn": lambda trial: {
        "neighbors": trial.suggest_int("neighbors", 5, 1000, log=True),
        "weighting": trial.suggest_categorical("weighting", ["cosine", "bm25"]),
    },
    "rp3beta": lambda trial: {
        "beta": trial.suggest_float("beta", 0.0, 1.0),
        "neighbors": trial.suggest_int("neighbors", 5, 1000, log=True),
    },
    "ease": lambda trial: {"l2": trial.suggest_float("l2", 1.0, 1e4, log=True)},
    "ials": lambda trial: {
        "factors": trial.suggest_categorical("factors", [32, 64, 128, 256]),
        "l2": trial.suggest_float("l2", 1e-3, 100.0, log=True),
        "alpha": trial.suggest_float("alpha", 0.1, 100.0, log=True),
    },
}
