"""Training by epoch, and metrics by the length of the lists."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from diffrec.checks import one_of, whole
from diffrec.evaluation import LIST_METRICS, METRICS
from diffrec.plots.model_arguments import named_models, one_model
from diffrec.plots.numbers import by_k
from diffrec.plots.style import PALETTE, QUIET, dress, legend, line_of, new_figure, whole_ticks
from diffrec.recommenders import Recommender

# A loss that falls further than this is shown by its logarithm.
_STEEP = 10.0
# More cuts than this are not named one by one.
_NAMED = 8


def training(model: Recommender) -> Figure:
    """Draw loss and validation metric by epoch; the epoch whose weights were kept is marked.

    Parameters
    ----------
    model : Recommender
        Fitted, one that is trained by epochs.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for the training loss, on a logarithmic axis where it falls by more than a factor of ten, and one for
        the validation metric where there was validation.

    Raises
    ------
    TypeError
        When ``model`` is no recommender.
    ValueError
        When there were no epochs, as with closed forms.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> model = diffrec.fit(data, dims=(8,), epochs=10)
    >>> figure = diffrec.plots.training(model)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['training loss', 'recall@20']
    """
    report = one_model(model, Recommender)._fitted().training_
    if not report.epochs:
        raise ValueError(f"model must be one that is trained by epochs, got {model!r}")
    validated = [record for record in report.epochs if record.validation is not None]
    figure = new_figure(6.4, 4.8 if validated else 2.8)
    panels = figure.subplots(2 if validated else 1, 1, sharex=True, squeeze=False)[:, 0]

    seconds = sum(record.seconds for record in report.epochs)
    losses = [record.loss for record in report.epochs]
    epochs = [record.epoch for record in report.epochs]
    panels[0].plot(epochs, losses, **line_of(0, len(epochs)))
    if min(losses) > 0 and max(losses) > _STEEP * min(losses):
        panels[0].set_yscale("log")
    title = f"{type(model).__name__}: {_counted(len(epochs), 'epoch')} in {_time(seconds)}"
    dress(panels[0], y="training loss", title=title)
    if validated:
        best = report.epochs[report.best_epoch - 1]
        assert best.validation is not None
        values = [(record.epoch, record.validation) for record in validated]
        panels[1].plot(*zip(*values, strict=True), **line_of(0, len(values)))
        panels[1].plot([best.epoch], [best.validation], "o", color=PALETTE[1], markersize=7)
        title = f"validation: best {best.validation:.4f} in epoch {best.epoch}, whose weights are kept"
        dress(panels[1], y=report.metric, title=title)
        for axes in panels:
            axes.axvline(best.epoch, color=QUIET, linestyle=":", linewidth=1)
    panels[-1].set_xlabel("epoch", fontsize=9)
    whole_ticks(panels[-1].xaxis)
    return figure


def metric_by_k(
    models: Recommender | Mapping[str, Recommender],
    test: Any,
    *,
    seen: Any = None,
    metric: str = "recall",
    k: Sequence[int] = (1, 2, 5, 10, 20, 50, 100),
) -> Figure:
    """Draw a metric by the length of the lists.

    Parameters
    ----------
    models : Recommender or mapping of name to Recommender
        Fitted.
    test, seen
        As for ``Recommender.evaluate``.
    metric : str
        One of ``Report``'s, without its @k, such as "ndcg" or "coverage".
    k : sequence of int
        Lengths, at most the number of items: longer ones are left out.

    Returns
    -------
    matplotlib.figure.Figure
        A line per model, with a band that holds the mean over the users with 95% confidence (normal approximation);
        coverage and gini, which are no means over users, have none. The axis of k is logarithmic.

    Raises
    ------
    TypeError
        When a model is no recommender.
    ValueError
        When the metric is unknown, or as ``evaluate``.

    Examples
    --------
    >>> import diffrec
    >>> train, valid, test = diffrec.datasets.synthetic(users=80, items=40, seed=1).split()
    >>> models = {name: diffrec.fit(train, variant=name) for name in ("popularity", "itemknn")}
    >>> figure = diffrec.plots.metric_by_k(models, test, seen=valid, metric="ndcg", k=(1, 5, 10))
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('k, length of the lists', 'ndcg@k')
    """
    named = named_models(models, Recommender)
    one_of(METRICS)("metric", metric)
    cuts = sorted({whole(1)("k", cut) for cut in ([k] if isinstance(k, int) else k)})
    fewest = min(model._fitted().train_.shape[1] for model in named.values())
    within = [cut for cut in cuts if cut <= fewest]
    if not within:
        raise ValueError(f"k must name a length of at most the number of items, {fewest}, got {k!r}")
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    for place, (name, model) in enumerate(named.items()):
        report = model.evaluate(test, seen=seen, k=within)
        means, errors = by_k(report, metric, within)
        line = axes.plot(within, means, label=name, **line_of(place, len(within)))[0]
        if errors is not None:
            axes.fill_between(within, means - errors, means + errors, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    if len(within) <= _NAMED:
        axes.xaxis.set_major_locator(FixedLocator(within))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    users = "" if metric in LIST_METRICS else f", mean over {len(report.users):,} users with 95% interval"
    dress(axes, x="k, length of the lists", y=f"{metric}@k", title=f"{metric} by k{users}")
    if len(named) > 1:
        legend(axes)
    return figure


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _time(seconds: float) -> str:
    unit, size = next((one for one in (("h", 3600.0), ("min", 60.0)) if seconds >= 2 * one[1]), ("s", 1.0))
    number = seconds / size
    return f"{number:.2g} {unit}" if number < 10 else f"{number:.0f} {unit}"
