"""The fits of a comparison: each recommender with each seed, measured and timed, and the table they make."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec import training
from diffrec._progress import progress_bar
from diffrec.checks import unfit
from diffrec.comparison.intervals import bootstrap_interval
from diffrec.comparison.table import Comparison, Row
from diffrec.data import Interactions, Split
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.fit import AUTO, fit
from diffrec.recommenders.registry import VARIANTS
from diffrec.training import CheckpointError
from diffrec.training.steps import Steps

_log = logging.getLogger(__name__)


class _RefusedError(Exception):
    """A recommender that cannot be fitted to the data, or to this machine, where others can."""


class _Run(NamedTuple):
    """Metrics and costs of one fit: their means, and the deciding one of each user."""

    means: dict[str, float]
    per_user: NDArray[np.float64]
    seconds: float
    peak_memory: int
    parameters: int


@dataclass(frozen=True)
class Fits:
    """The fits to compare, on every split alike.

    Attributes
    ----------
    settings : dict
        Name -> settings of ``fit``, ``variant`` and ``repeats`` among them.
    seeds : int
        Fits of each that draws random numbers.
    metric : str
        What decides.
    cuts : sequence of int
        Lengths of lists that are measured, in rising order.
    device : str
        Where to fit.
    """

    settings: Mapping[str, Mapping[str, Any]]
    seeds: int
    metric: str
    cuts: Sequence[int]
    device: str

    def on(self, split: Split, steps: Steps, *, progress: bool) -> Comparison:
        """Fit all of them on a split and measure them on its test part; ``steps`` has what was done before.

        One that there is too little memory for, or that the data do not allow, is left out, and the table says why.

        Raises
        ------
        ValueError
            When none of them can be fitted.
        """
        found: dict[str, list[_Run]] = {}
        refused: dict[str, str] = {}
        with progress_bar(progress, total=self.seeds * len(self.settings), desc="compare") as bar:
            for name in self.settings:
                bar.set_postfix_str(name)
                try:
                    found[name] = list(self._runs(name, split, steps, bar))
                except _RefusedError as error:
                    _log.info("%s is left out: %s", name, error)
                    refused[name] = str(error)
        steps.tidy()
        if not found:
            raise ValueError("; ".join(f"{name}: {why}" for name, why in refused.items()))
        return self._ranked(found, refused)

    def _runs(self, name: str, split: Split, steps: Steps, bar: Any) -> Iterator[_Run]:
        settings = self.settings[name]
        variant = settings["variant"]
        # One fit is enough where the result does not depend on the seed, or the seed is among the settings.
        alone = "seed" in settings or (variant != AUTO and VARIANTS[variant].kind.seedless)
        # torch is imported by now: waiting for it is no part of a fit.
        where = training.resolve_device(self.device)
        # Short histories leave nothing to stop on; then fit holds out its own part, where it can.
        valid = split.valid if len(split.valid) else None
        discovers = settings["repeats"] == "exclude"
        for seed in range(1 if alone else self.seeds):
            step = f"{name}, seed {seed}"
            kept = steps.done(step)
            if kept is None:
                started = time.perf_counter()
                with training.PeakMemory(where) as peak:
                    named = {"seed": seed, "device": self.device, "progress": False, **settings}
                    model = _fitted(split.train, valid=valid, **named, **steps.within(step))
                seconds = time.perf_counter() - started
                seen = valid if discovers else None
                report = model.evaluate(split.test, seen=seen, exclude_seen=discovers, k=self.cuts)
                told = ", ".join(f"{one} {report[one]:.4f}" for one in self._reported)
                _log.info("%r, seed %d: %s", model, seed, told)
                parameters = int(model.training_.facts.get("parameters", 0))
                memory = peak.device_bytes or peak.bytes
                kept = _Run(dict(report), report.per_user[self.metric], seconds, memory, parameters)
                steps.note(step, tuple(kept))
            yield _Run(*kept)
            bar.update(self.seeds if alone else 1)

    def _ranked(self, found: Mapping[str, Sequence[_Run]], refused: dict[str, str]) -> Comparison:
        # Each user's mean of the deciding metric over the seeds.
        per_user = {name: np.mean([run.per_user for run in runs], axis=0) for name, runs in found.items()}
        order = sorted(found, key=lambda name: -per_user[name].mean())
        best = per_user[order[0]]
        reported = dict.fromkeys([*self._reported, self.metric])
        rows = []
        for name in order:
            runs = found[name]
            values = {one: [run.means[one] for run in runs] for one in reported}
            rows.append(
                Row(
                    name,
                    self.settings[name]["variant"],
                    {one: float(np.mean(of_seeds)) for one, of_seeds in values.items()},
                    {one: float(np.std(of_seeds)) for one, of_seeds in values.items()},
                    bootstrap_interval(per_user[name] - best),
                    float(np.mean([run.seconds for run in runs])),
                    max(run.peak_memory for run in runs),
                    max(run.parameters for run in runs),
                )
            )
        return Comparison(rows, self.metric, len(best), refused)

    @property
    def _reported(self) -> list[str]:
        return [f"{name}@{cut}" for name in ("recall", "ndcg") for cut in self.cuts]


def _fitted(train: Interactions, **named: Any) -> Recommender:
    try:
        return fit(train, **named)
    except CheckpointError:
        raise
    except unfit() as error:
        raise _RefusedError(str(error)) from error
