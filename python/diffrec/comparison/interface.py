"""``diffrec.compare``: several recommenders on the same data, one set of it or several."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, overload

from diffrec import checks, training
from diffrec.checks import flag, nearest, one_of, whole
from diffrec.comparison.average_ranks import Comparisons
from diffrec.comparison.fits import Fits
from diffrec.comparison.table import Comparison
from diffrec.data import Split
from diffrec.data.arrays import in_short
from diffrec.data.split import WAYS
from diffrec.evaluation import LIST_METRICS, parse_metric
from diffrec.recommenders.fit import AUTO, require_settings
from diffrec.recommenders.histories import as_interactions
from diffrec.recommenders.registry import VARIANTS
from diffrec.recommenders.settings import told_value
from diffrec.training.checkpoint import EPOCH, Checkpoint, seconds_between
from diffrec.training.steps import Steps

# Arguments of ``fit`` that a comparison sees to itself.
_RULED = frozenset({"data", "valid", "init", "checkpoint", "every", "distributed"})

DEFAULT_VARIANTS = ("popularity", "itemknn", "ease", "diffrec")


@overload
def compare(
    data: Mapping[str, Any],
    variants: Sequence[str] | Mapping[str, Mapping[str, Any]] = ...,
    *,
    seeds: int = 3,
    metric: str = "ndcg@20",
    k: int | Sequence[int] = (10, 20),
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
    k: int | Sequence[int] = (10, 20),
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
    k: int | Sequence[int] = (10, 20),
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
        What to compare. Settings are those of ``fit``, ``variant`` among them: by default the name. What cannot be
        fitted to the data is left out, and the table says why.
    seeds : int
        Fits of each recommender that draws random numbers: seeds 0, 1, ...
    metric : str
        What decides, such as ``"ndcg@20"``; recall and ndcg at each k are reported besides.
    k : int or sequence of int
        Cuts to report.
    by : {"time", "global-time", "leave-last", "random"}, optional
        How to split, as ``Interactions.split`` has it; by default ``"time"`` where there are timestamps.
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
        When a variant or the metric is unknown, a setting is impossible, whole users are held out, or no recommender
        can be fitted.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=80, items=40, seed=0)
    >>> table = diffrec.compare(data, ["popularity", "itemknn"], k=[5], metric="ndcg@5")
    >>> sorted(row.name for row in table)
    ['itemknn', 'popularity']
    >>> table.best.difference
    (0.0, 0.0, 0.0)
    """
    seeds = whole(1)("seeds", seeds)
    cuts = sorted({*checks.cuts("k", k), metric_cut(metric)})
    settings = _settings_of(variants, "exclude" if flag("exclude_seen", exclude_seen) else "include")
    require_way(by)
    seconds_between(every)
    fits = Fits(settings, seeds, metric, cuts, device)

    if not isinstance(data, Mapping):
        split = _split(data, by)
        return fits.on(split, _steps(fits, split, checkpoint, every), progress=progress)
    # All are read before any is fitted to.
    splits = {str(name): _split(one, by) for name, one in _sets(data).items()}
    tables = {}
    for place, (name, split) in enumerate(splits.items()):
        file = None if checkpoint is None else f"{os.fspath(checkpoint)}.{place}"
        tables[name] = fits.on(split, _steps(fits, split, file, every), progress=progress)
    return Comparisons(tables, metric)


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


def require_way(by: str | None) -> None:
    """Refuse ways to split that leave the users to be judged without a history to rank from."""
    one_of((None, *WAYS))("by", by)
    if by == "users":
        raise ValueError(
            "by='users' leaves those who are judged without a history in train, and that is what a comparison ranks "
            "from: part every history, by='time', 'global-time', 'leave-last' or 'random'"
        )


def _settings_of(variants: Sequence[str] | Mapping[str, Mapping[str, Any]], repeats: str) -> dict[str, dict[str, Any]]:
    if isinstance(variants, str):
        variants = [variants]
    named = variants if isinstance(variants, Mapping) else {variant: {} for variant in variants}
    if not named:
        raise ValueError("variants must name at least one, got none")
    settings = {name: {"variant": name, "repeats": repeats, **values} for name, values in named.items()}
    for name, values in settings.items():
        if values["repeats"] != repeats:
            raise ValueError(
                f"repeats={values['repeats']!r} of {name!r} asks another question than the comparison: "
                "exclude_seen says for all whether what users had before counts"
            )
        names = (AUTO, *VARIANTS)
        if values["variant"] not in names:
            own = isinstance(variants, Mapping) and values["variant"] in variants
            hint = (
                "; a name of your own needs variant= among its settings" if own else nearest(values["variant"], names)
            )
            raise ValueError(f"variants must be of {', '.join(names)}, got {values['variant']!r}{hint}")
        ruled = _RULED & values.keys() | ({"budget"} & values.keys() if values["variant"] != AUTO else set())
        if ruled:
            raise ValueError(f"{sorted(ruled)[0]} of {name!r} is no setting of a recommender in a comparison")
        require_settings(**values)
    return settings


def _sets(data: Mapping[str, Any]) -> Mapping[str, Any]:
    if not data:
        raise ValueError("data must name at least one data set, got none")
    if any(isinstance(one, list) or getattr(one, "ndim", 2) == 1 for one in data.values()):
        raise TypeError("data must map names to data sets, and these are columns: use Interactions.from_frame(data)")
    return data


def _split(data: Any, by: str | None) -> Split:
    if not isinstance(data, Split):
        return as_interactions(data, "data").split(by=by)
    if by is not None:
        raise ValueError(f"by={by!r} says how to split interactions, and data is a split already")
    if data.visible is not None:
        raise ValueError("data must be a split of each user's history, and this one holds out whole users")
    return data


def _steps(fits: Fits, split: Split, file: str | os.PathLike[str] | None, every: str | float | timedelta) -> Steps:
    """The fits that are done already by a checkpoint of the same data and settings."""
    if file is None:
        return Steps(None)
    told = {
        "variants": {
            name: {setting: told_value(value) for setting, value in one.items()} for name, one in fits.settings.items()
        },
        "seeds": fits.seeds,
        "metric": fits.metric,
        "k": fits.cuts,
        "device": training.resolve_device(fits.device).type,
        **{name: in_short(part) for name, part in zip(("train", "valid", "test"), split, strict=True)},
    }
    return Steps(Checkpoint(file, every, told))
