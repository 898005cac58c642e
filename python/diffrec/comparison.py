"""Several recommenders on the same split, and whether their differences are more than luck."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from diffrec import training
from diffrec._core import __version__
from diffrec._progress import disabled, tqdm
from diffrec._shown import as_html
from diffrec.checks import flag, nearest, whole
from diffrec.comparisons import Comparisons
from diffrec.data import Interactions, Split
from diffrec.data.arrays import in_short
from diffrec.data.frames import Framed
from diffrec.evaluation import LIST_METRICS, parse_metric
from diffrec.recommenders.fit import AUTO, fit
from diffrec.recommenders.histories import as_interactions
from diffrec.recommenders.registry import VARIANTS
from diffrec.recommenders.settings import told_value
from diffrec.training.checkpoint import EPOCH, Checkpoint, seconds_between
from diffrec.training.steps import Steps

DEFAULT_VARIANTS = ("popularity", "itemknn", "ease", "diffrec")
# The recommenders that count as simple: closed forms and counts, fitted in one pass.
SIMPLE = frozenset({"popularity", "topfreq", "tifuknn", "itemknn", "rp3beta", "ease", "ials"})
RESAMPLES = 1000
CONFIDENCE = 0.95
# Draws held at once while resampling.
_DRAWS = 1 << 22

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One recommender of a comparison.

    Attributes
    ----------
    name : str
        As given.
    variant : str
        Its variant.
    means, deviations : dict
        Metric -> mean and standard deviation over the seeds.
    difference : tuple of float
        Mean of its metric minus the best one's over the users, and the ends of the interval; zeros for the best itself.
    seconds : float
        Mean time to fit.
    peak_memory : int
        Largest peak of the process while fitting, in bytes.
    parameters : int
        Trained numbers; 0 for models that count and solve instead of training by gradients.
    """

    name: str
    variant: str
    means: dict[str, float]
    deviations: dict[str, float]
    difference: tuple[float, float, float]
    seconds: float
    peak_memory: int
    parameters: int


@dataclass(frozen=True, repr=False)
class Comparison(Sequence[Row], Framed):
    """The rows of a comparison, the best first.

    Attributes
    ----------
    rows : list of Row
        Sorted by the metric.
    metric : str
        What they are sorted and compared by.
    users : int
        Users the metric is a mean over.
    refused : dict
        Name -> why it could not be fitted, such as too little memory.
    """

    rows: list[Row]
    metric: str
    users: int
    refused: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, place: Any) -> Any:
        return self.rows[place]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def best(self) -> Row:
        """The row with the highest metric."""
        return self.rows[0]

    @property
    def verdict(self) -> str:
        """Who wins, said plainly; a win that may be luck is called one that may be luck."""
        best = self.best
        who = f"{best.name}, a simple rival," if best.variant in SIMPLE else best.name
        text = f"{who} wins with {self.metric} {best.means[self.metric]:.4f}"
        if len(self.rows) == 1:
            return text
        equal = [row.name for row in self.rows[1:] if row.difference[2] >= 0]
        if equal:
            return f"{text}, but its lead over {', '.join(equal)} may be luck"
        return f"{text}, ahead of {self.rows[1].name} by {-self.rows[1].difference[0]:.4f}"

    def columns(self) -> dict[str, list[Any]]:
        """The table as columns: name, variant, mean and deviation of each metric, the difference, time and memory."""
        table: dict[str, list[Any]] = {"name": [r.name for r in self], "variant": [r.variant for r in self]}
        for metric in self.best.means:
            table[metric] = [row.means[metric] for row in self]
            table[f"{metric} sd"] = [row.deviations[metric] for row in self]
        for place, end in enumerate(("difference", "difference low", "difference high")):
            table[end] = [row.difference[place] for row in self]
        for name in ("seconds", "peak_memory", "parameters"):
            table[name] = [getattr(row, name) for row in self]
        return table

    def __repr__(self) -> str:
        return f"<Comparison: {len(self)} recommenders by {self.metric}, {self.best.name} first>"

    def _repr_html_(self) -> str:
        columns: dict[str, list[Any]] = {"name": [row.name for row in self]}
        for metric in self.best.means:
            columns[metric] = [f"{row.means[metric]:.4f} ± {row.deviations[metric]:.4f}" for row in self]
        columns |= {
            "against the best": [self._gap(row) for row in self],
            "fit": [f"{row.seconds:.1f} s" for row in self],
            "memory": [f"{row.peak_memory / 1e9:.2f} GB" for row in self],
            "parameters": [f"{row.parameters:,}" for row in self],
        }
        return as_html(columns, "\n".join(self._said()))

    def _gap(self, row: Row) -> str:
        """How far a row is behind the best, with its interval."""
        middle, low, high = row.difference
        return "" if row is self.best else f"{middle:+.4f} [{low:+.4f}, {high:+.4f}]"

    def _said(self) -> list[str]:
        """List what was refused, and the verdict."""
        refused = [f"{name}: {why}" for name, why in self.refused.items()]
        over = f"mean over {self.users:,} users; intervals hold {CONFIDENCE:.0%} of resamplings"
        return [*refused, f"{self.verdict} ({over})"]

    def __str__(self) -> str:
        """Lay the table out, with the verdict below."""
        metrics = list(self.best.means)
        wide = max(len(row.name) for row in self)
        head = (
            "".join(f"{metric:>18}" for metric in metrics)
            + f"{'against the best':>28}{'fit':>10}{'memory':>10}{'parameters':>14}"
        )
        lines = [" " * wide + head]
        for row in self:
            cells = "".join(f"{row.means[m]:>9.4f} ± {row.deviations[m]:.4f}" for m in metrics)
            size = f"{row.seconds:>8.1f} s{row.peak_memory / 1e9:>7.2f} GB{row.parameters:>14,}"
            lines.append(f"{row.name:{wide}}{cells}{self._gap(row):>28}{size}")
        return "\n".join([*lines, *self._said()])


@overload
def compare(
    data: Mapping[str, Any],
    variants: Sequence[str] | Mapping[str, Mapping[str, Any]] = ...,
    *,
    seeds: int = 3,
    metric: str = "ndcg@20",
    k: Sequence[int] = (10, 20),
    by: str | None = None,
    exclude_seen: bool = True,
    device: str = "auto",
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    every: str | float | timedelta = EPOCH,
) -> Comparisons: ...
@overload
def compare(
    data: Any,
    variants: Sequence[str] | Mapping[str, Mapping[str, Any]] = ...,
    *,
    seeds: int = 3,
    metric: str = "ndcg@20",
    k: Sequence[int] = (10, 20),
    by: str | None = None,
    exclude_seen: bool = True,
    device: str = "auto",
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    every: str | float | timedelta = EPOCH,
) -> Comparison: ...
def compare(
    data: Any,
    variants: Sequence[str] | Mapping[str, Mapping[str, Any]] = DEFAULT_VARIANTS,
    *,
    seeds: int = 3,
    metric: str = "ndcg@20",
    k: Sequence[int] = (10, 20),
    by: str | None = None,
    exclude_seen: bool = True,
    device: str = "auto",
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    every: str | float | timedelta = EPOCH,
) -> Comparison | Comparisons:
    """Fit several recommenders on the same training data and compare them on the same test data.

    Parameters
    ----------
    data : Split, Interactions, matrix or frame, or a mapping of names to these
        A ready split, or interactions to split 70 / 10 / 20 per user; of a mapping each set is compared on.
    variants : sequence of str, or mapping of name to settings
        What to compare. Settings are those of ``fit``, ``variant`` among them: by default the name.
    seeds : int
        Fits of each recommender that draws random numbers: seeds 0, 1, ...
    metric : str
        What decides, such as ``"ndcg@20"``; recall and ndcg at each k are reported besides.
    k : sequence of int
        Cuts to report.
    by : {"time", "random", "leave-last"}, optional
        How to split; by default ``"time"`` where there are timestamps.
    exclude_seen : bool
        Compare by what users discover; False asks for the next basket, in which what a user had before counts. See
        ``Recommender.evaluate``.
    device : str
        Where to fit.
    progress : bool
        Show a bar on a terminal.
    checkpoint, every
        As for ``fit``: fits that are done stay done, and the one that was stopped goes on. Of several data sets each
        has a file of its own, with the set's number behind.

    Returns
    -------
    Comparison or Comparisons
        Means and deviations over the seeds; for each row its difference to the best, with a paired bootstrap interval
        over the users (Efron & Tibshirani 1993, chapter 13); time and peak memory. ``print`` lays it out. Of several
        data sets one for each, and the recommenders' average ranks.

    Raises
    ------
    CheckpointError
        When ``checkpoint`` is of other data or settings, which it names, or no checkpoint.
    ValueError
        When a variant or the metric is unknown.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=80, items=40, seed=0)
    >>> table = compare(data, ["popularity", "itemknn"], k=[5], metric="ndcg@5")
    >>> sorted(row.name for row in table)
    ['itemknn', 'popularity']
    >>> table.best.difference
    (0.0, 0.0, 0.0)
    """
    seeds = whole(1)("seeds", seeds)
    cut = metric_cut(metric)
    if isinstance(data, Mapping):
        if not data:
            raise ValueError("data must name at least one data set, got none")
        if any(isinstance(one, list) or getattr(one, "ndim", 2) == 1 for one in data.values()):
            raise TypeError(
                "data must map names to data sets, and these are columns: use Interactions.from_frame(data)"
            )
        choice: dict[str, Any] = {
            "seeds": seeds,
            "metric": metric,
            "k": k,
            "by": by,
            "exclude_seen": exclude_seen,
            "device": device,
        }
        tables = {}
        for place, (name, one) in enumerate(data.items()):
            file = None if checkpoint is None else f"{os.fspath(checkpoint)}.{place}"
            tables[str(name)] = compare(one, variants, **choice, progress=progress, checkpoint=file, every=every)
        return Comparisons(tables, metric)
    repeats = "exclude" if flag("exclude_seen", exclude_seen) else "include"
    settings = {label: {"repeats": repeats, **values} for label, values in _settings_of(variants).items()}
    split = data if isinstance(data, Split) else _split(as_interactions(data, "data"), by)
    cuts = sorted({*k, cut})
    seconds_between(every)
    steps = Steps(None)
    if checkpoint is not None:
        told = {
            "diffrec": __version__,
            "variants": {label: {name: told_value(v) for name, v in one.items()} for label, one in settings.items()},
            "seeds": seeds,
            "metric": metric,
            "k": cuts,
            "device": training.resolve_device(device).type,
            **{name: in_short(part) for name, part in zip(("train", "valid", "test"), split, strict=True)},
        }
        steps = Steps(Checkpoint(checkpoint, every, told))

    outcomes: dict[str, _Outcome] = {}
    refused: dict[str, str] = {}
    with tqdm(total=seeds * len(settings), desc="compare", disable=disabled(progress)) as bar:
        for label, values in settings.items():
            bar.set_postfix_str(label)
            try:
                outcomes[label] = _Outcome.of(
                    list(_runs(split, label, values, seeds, metric, cuts, device, bar, steps))
                )
            except MemoryError as error:
                _log.info("%s is left out: %s", label, error)
                refused[label] = str(error)
    steps.tidy()
    if not outcomes:
        raise MemoryError("; ".join(refused.values()))
    return _ranked(outcomes, settings, metric, cuts, refused)


def metric_cut(metric: str) -> int:
    """The k of a metric that can decide a comparison.

    Raises
    ------
    ValueError
        When it is unknown, or no metric of each user.
    """
    name, cut = parse_metric(metric)
    if name in LIST_METRICS:
        raise ValueError(f"metric must be one that each user has, got {name!r}, which is one of all lists together")
    return cut


class _Run(NamedTuple):
    """Metrics and costs of one fit: their means, and the deciding one of each user."""

    means: dict[str, float]
    per_user: NDArray[np.float64]
    seconds: float
    peak_memory: int
    parameters: int


@dataclass(frozen=True)
class _Outcome:
    """Metrics and costs of all fits of one recommender."""

    means: list[dict[str, float]]
    each: list[NDArray[np.float64]]
    seconds: float
    peak_memory: int
    parameters: int

    @classmethod
    def of(cls, runs: list["_Run"]) -> "_Outcome":
        means, per_user, seconds, peaks, parameters = zip(*runs, strict=True)
        return cls(list(means), list(per_user), float(np.mean(seconds)), max(peaks), max(parameters))

    @property
    def per_user(self) -> NDArray[np.float64]:
        """Each user's mean of the deciding metric over the seeds."""
        mean: NDArray[np.float64] = np.mean(self.each, axis=0)
        return mean


def _settings_of(variants: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    if isinstance(variants, str):
        variants = [variants]
    named = variants if isinstance(variants, Mapping) else {variant: {} for variant in variants}
    if not named:
        raise ValueError("variants must name at least one, got none")
    settings = {label: {"variant": label, **values} for label, values in named.items()}
    for values in settings.values():
        names = (AUTO, *VARIANTS)
        if values["variant"] not in names:
            own = isinstance(variants, Mapping) and values["variant"] in variants
            hint = (
                "; a name of your own needs variant= among its settings" if own else nearest(values["variant"], names)
            )
            raise ValueError(f"variants must be of {', '.join(names)}, got {values['variant']!r}{hint}")
    return settings


def _split(data: Interactions, by: str | None) -> Split:
    return data.split(by=by or ("random" if data.timestamps is None else "time"))


def _runs(
    split: Split,
    label: str,
    settings: Mapping[str, Any],
    seeds: int,
    metric: str,
    cuts: Sequence[int],
    device: str,
    bar: Any,
    steps: Steps,
) -> Iterator[_Run]:
    variant = settings["variant"]
    # One fit is enough where the result does not depend on the seed, or the seed is among the settings.
    alone = "seed" in settings or (variant != AUTO and VARIANTS[variant].kind.seedless)
    # torch is imported by now: waiting for it is no part of a fit.
    where = training.resolve_device(device)
    # Short histories leave nothing to stop on; then fit holds out its own part, where it can.
    valid = split.valid if len(split.valid) else None
    for seed in range(1 if alone else seeds):
        step = f"{label}, seed {seed}"
        kept = steps.done(step)
        if kept is not None:
            yield _Run(*kept)
            bar.update(seeds if alone else 1)
            continue
        started = time.perf_counter()
        with training.PeakMemory(where) as peak:
            named = {"seed": seed, "device": device, "progress": False, **settings}
            model = fit(split.train, valid=valid, **named, **steps.within(step))
        seconds = time.perf_counter() - started
        exclude = settings["repeats"] == "exclude"
        report = model.evaluate(split.test, seen=valid if exclude else None, exclude_seen=exclude, k=cuts)
        _log.info("%r, seed %d: %s", model, seed, ", ".join(f"{name} {report[name]:.4f}" for name in _shown(cuts)))
        parameters = int(model.training_.facts.get("parameters", 0))
        run = _Run(dict(report), report.per_user[metric], seconds, peak.device_bytes or peak.bytes, parameters)
        steps.note(step, tuple(run))
        yield run
        bar.update(seeds if alone else 1)


def _ranked(
    outcomes: Mapping[str, _Outcome],
    settings: Mapping[str, Mapping[str, Any]],
    metric: str,
    cuts: Sequence[int],
    refused: dict[str, str],
) -> Comparison:
    shown = _shown(cuts)
    shown += [metric] if metric not in shown else []
    per_user = {label: outcome.per_user for label, outcome in outcomes.items()}
    order = sorted(outcomes, key=lambda label: -per_user[label].mean())
    best = per_user[order[0]]
    rows = []
    for label in order:
        means = outcomes[label].means
        values = {name: [one[name] for one in means] for name in shown}
        rows.append(
            Row(
                label,
                settings[label]["variant"],
                {name: float(np.mean(v)) for name, v in values.items()},
                {name: float(np.std(v)) for name, v in values.items()},
                bootstrap_interval(per_user[label] - best),
                outcomes[label].seconds,
                outcomes[label].peak_memory,
                outcomes[label].parameters,
            )
        )
    return Comparison(rows, metric, len(best), refused)


def _shown(cuts: Sequence[int]) -> list[str]:
    return [f"{name}@{cut}" for name in ("recall", "ndcg") for cut in cuts]


def bootstrap_interval(
    differences: NDArray[np.float64], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of paired differences, and the percentile interval of its bootstrap distribution.

    Parameters
    ----------
    differences : float64 (users,)
        One per user.
    resamples : int
        Bootstrap samples.
    confidence : float
        Share of the resampled means the interval holds.
    seed : int
        Of the draws.

    Returns
    -------
    tuple of float
        Mean, low end, high end.

    Examples
    --------
    >>> bootstrap_interval(np.zeros(10))
    (0.0, 0.0, 0.0)
    """
    n = len(differences)
    rng = np.random.default_rng(seed)
    at_once = max(1, _DRAWS // n)
    means = [
        differences[rng.integers(n, size=(min(at_once, resamples - start), n))].mean(axis=1)
        for start in range(0, resamples, at_once)
    ]
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return float(differences.mean()), float(low), float(high)
