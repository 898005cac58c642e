"""Pictures of whom a model serves: metrics by the activity of users, the popularity of items, and other facts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diffrec.checks import one_of, whole
from diffrec.data import Interactions
from diffrec.evaluation.groups import Groups
from diffrec.plots.model_arguments import named_models
from diffrec.plots.style import dress, legend, line_of, new_figure, short
from diffrec.recommenders import Recommender

Models = Recommender | Mapping[str, Recommender]


def recall_by_activity(models: Models, test: Any, *, seen: Any = None, k: int = 20, bins: int = 5) -> Figure:
    """Draw recall@k by how much users did in the training data.

    Parameters
    ----------
    models : Recommender or mapping of name to Recommender
        Fitted, several on the same interactions.
    test, seen
        As for ``Recommender.evaluate``.
    k : int
        Length of the lists.
    bins : int
        Parts of about as many users each, at most: users of the same activity stay together.

    Returns
    -------
    matplotlib.figure.Figure
        The mean over the users of each part with its 95% interval (normal approximation); how many users a part has
        stands below it.

    Raises
    ------
    TypeError
        When a model is no recommender.
    ValueError
        When the models were fitted on different interactions, or as ``evaluate``.

    Examples
    --------
    >>> import diffrec
    >>> train, valid, test = diffrec.datasets.synthetic(users=80, items=40, seed=1).split()
    >>> model = diffrec.fit(train, variant="itemknn")
    >>> figure = diffrec.plots.recall_by_activity(model, test, seen=valid, k=5, bins=3)
    >>> len(figure.axes[0].get_xticklabels())
    3
    """
    groups = _grouped(models, test, "activity", seen, k, bins)
    labels = [f"{group.label}\n{group.size:,} users" for group in next(iter(groups.values()))]
    metric = f"recall@{k}"
    return _drawn(groups, metric, labels, f"{metric}, mean over users", "interactions of the user in training")


def recall_by_popularity(models: Models, test: Any, *, seen: Any = None, k: int = 20, bins: int = 5) -> Figure:
    """Draw recall@k by how popular items are in the training data.

    The recall of some items is the share of the test interactions with them that stood in the lists.

    Parameters
    ----------
    models : Recommender or mapping of name to Recommender
        Fitted, several on the same interactions.
    test, seen
        As for ``Recommender.evaluate``.
    k : int
        Length of the lists.
    bins : int
        Parts of about as many items each, at most: items of the same popularity stay together.

    Returns
    -------
    matplotlib.figure.Figure
        The recall of each part with its 95% interval over the users (normal approximation); how many items a part has,
        and how many test interactions with them there are, stands below it.

    Raises
    ------
    TypeError
        When a model is no recommender.
    ValueError
        When the models were fitted on different interactions, or as ``evaluate``.

    Examples
    --------
    >>> import diffrec
    >>> train, valid, test = diffrec.datasets.synthetic(users=80, items=40, seed=1).split()
    >>> models = {name: diffrec.fit(train, variant=name) for name in ("popularity", "itemknn")}
    >>> figure = diffrec.plots.recall_by_popularity(models, test, seen=valid, k=5, bins=3)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['popularity', 'itemknn']
    """
    groups = _grouped(models, test, "popularity", seen, k, bins)
    first = next(iter(groups.values()))
    labels = [f"{group.label}\n{group.size:,} items\n{group.relevant:,} in test" for group in first]
    metric = f"recall@{k}"
    return _drawn(groups, metric, labels, f"{metric} of these items", "interactions of the item in training")


def _grouped(models: Models, test: Any, by: str, seen: Any, k: int, bins: int) -> dict[str, Groups]:
    """Each model's metrics by groups, which are the same for all."""
    named = named_models(models, Recommender)
    _require_same(named)
    k, bins = whole(1)("k", k), whole(1)("bins", bins)
    return {name: model.evaluate(test, seen=seen, k=[k], by=by, bins=bins).groups[by] for name, model in named.items()}


def _require_same(named: Mapping[str, Recommender]) -> None:
    """Refuse models that were fitted on different interactions."""
    trains = {name: model._fitted().train_ for name, model in named.items()}
    first, train = next(iter(trains.items()))
    for name, other in trains.items():
        if not _same(train, other):
            raise ValueError(f"models must have been fitted on the same interactions; {first!r} and {name!r} were not")


def _same(one: Interactions, other: Interactions) -> bool:
    def arrays(data: Interactions) -> tuple[NDArray[Any], ...]:
        return data.matrix.indptr, data.matrix.indices, data.users.ids, data.items.ids

    return one is other or all(map(np.array_equal, arrays(one), arrays(other)))


def _drawn(groups: Mapping[str, Groups], metric: str, labels: list[str], y: str, x: str) -> Figure:
    figure = new_figure(max(5.0, 1.5 + 0.95 * len(labels)), 3.8)
    axes = figure.subplots()
    for place, (name, of_model) in enumerate(groups.items()):
        # Beside each other, so that no interval hides another.
        beside = 0.08 * (place - (len(groups) - 1) / 2)
        axes.errorbar(
            np.arange(len(of_model)) + beside,
            [group.means[metric] for group in of_model],
            [group.errors[metric] for group in of_model],
            label=name,
            elinewidth=1.0,
            **line_of(place, len(of_model)),
        )
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_ylim(bottom=0)
    of = next(iter(groups.values()))
    dress(axes, x=x, y=y, title=f"recall by {of.of[:-1]} {of.by}, with 95% intervals over the users")
    if len(groups) > 1:
        legend(axes)
    return figure


def metric_by_group(
    models: Models,
    test: Any,
    by: str | Mapping[str, Any],
    *,
    seen: Any = None,
    metric: str = "recall@20",
    bins: int = 5,
) -> Figure:
    """Draw a metric by groups of users or items: by activity, popularity, or any fact.

    Parameters
    ----------
    models : Recommender or mapping of name to Recommender
        Fitted, several on the same interactions.
    test, seen
        As for ``Recommender.evaluate``.
    by : str or mapping
        One fact, as for ``Recommender.evaluate``.
    metric : str
        Of users any metric; of items recall@k or exposure@k.
    bins : int
        Groups of a fact that is a number, at most.

    Returns
    -------
    matplotlib.figure.Figure
        A row per group, with its 95% interval (normal approximation over the users); how many users or items it has
        stands beside its name. The line is what holds over all users.

    Raises
    ------
    TypeError
        When a model is no recommender.
    ValueError
        When the models were fitted on different interactions, the metric is none of groups like these, or as
        ``evaluate``.

    Examples
    --------
    >>> import diffrec
    >>> train, valid, test = diffrec.datasets.synthetic(users=80, items=40, seed=1).split()
    >>> model = diffrec.fit(train, variant="itemknn")
    >>> figure = diffrec.plots.metric_by_group(model, test, "genre", seen=valid, metric="exposure@5")
    >>> figure.axes[0].get_title(loc="left")
    'exposure@5 by genre'
    """
    named = named_models(models, Recommender)
    _require_same(named)
    if isinstance(by, Mapping) and len(by) != 1:
        raise ValueError(f"by must name one fact, got {', '.join(map(str, by))}")
    length = metric.partition("@")[2]
    if not length.isdecimal():
        raise ValueError(f"metric must end in @k, such as 'recall@20', got {metric!r}")
    reports = {
        name: model.evaluate(test, seen=seen, k=[int(length)], by=by, bins=bins) for name, model in named.items()
    }
    first = next(iter(next(iter(reports.values())).groups.values()))
    one_of(first[0].means)("metric", metric)
    figure = new_figure(6.4, 1.4 + 0.28 * len(first) * (1 + 0.3 * len(reports)))
    axes = figure.subplots()
    for place, (name, report) in enumerate(reports.items()):
        (groups,) = report.groups.values()
        look = line_of(place, len(groups)) | {"linestyle": "none"}
        axes.errorbar(
            [group.means[metric] for group in groups],
            np.arange(len(groups)) + 0.15 * (place - (len(reports) - 1) / 2),
            xerr=[group.errors.get(metric, 0.0) for group in groups],
            label=name,
            elinewidth=1.0,
            **look,
        )
        if first.of == "users":
            axes.axvline(report[metric], color=look["color"], linestyle=":", linewidth=0.8)
    labels = [f"{short(group.label)}  ({group.size:,})" for group in first]
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    measured = ", with 95% intervals over the users" if metric in first[0].errors else ""
    dress(axes, x=metric, title=f"{metric} by {first.by}{measured}", grid="x")
    if len(reports) > 1:
        legend(axes)
    return figure
