"""The table of a comparison as a chart."""

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from diffrec.comparison import CONFIDENCE, Comparison
from diffrec.evaluation import parse_metric
from diffrec.plots.style import MARKERS, PALETTE, QUIET, dress, heading, legend, log_ticks, new_figure, short


def comparison(table: Comparison) -> Figure:
    """Draw what ``diffrec.compare`` found, a line for each recommender, the best on top.

    Parameters
    ----------
    table : Comparison
        From ``diffrec.compare``.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each kind of metric, with the standard deviation over the seeds; the difference to the best in the
        metric that decides, with its bootstrap interval over the users; and the time to fit, on a logarithmic axis.
        What is said of the winner stands above.

    Raises
    ------
    TypeError
        When ``table`` is no comparison.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=80, items=40, seed=0)
    >>> table = diffrec.compare(data, ["popularity", "itemknn"], k=[5], metric="ndcg@5")
    >>> figure = diffrec.plots.comparison(table)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['recall', 'ndcg', 'ndcg@5 against the best', 'time to fit']
    """
    if not isinstance(table, Comparison):
        raise TypeError(f"table must be a Comparison, got {type(table).__name__}")
    kinds: dict[str, list[str]] = {}
    for metric in table.best.means:
        kinds.setdefault(parse_metric(metric)[0], []).append(metric)
    figure = new_figure(2.6 + 2.6 * (len(kinds) + 2), 1.7 + 0.32 * len(table))
    panels = figure.subplots(1, len(kinds) + 2, sharey=True)
    for axes, (kind, metrics) in zip(panels, kinds.items(), strict=False):
        _metrics(axes, table, metrics)
        dress(axes, x="mean ± sd over the seeds", title=kind, grid="x")
    _differences(panels[-2], table)
    _seconds(panels[-1], table)
    panels[0].set_yticks(range(len(table)), [short(row.name, 24) for row in table])
    panels[0].set_ylim(len(table) - 0.5, -0.5)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
    said = [table.verdict, *(f"left out: {name} ({why})" for name, why in table.refused.items())]
    width = int(13 * figure.get_figwidth())
    heading(figure, "\n".join(textwrap.fill(line, width) for line in said))
    return figure


def _metrics(axes: Axes, table: Comparison, metrics: Sequence[str]) -> None:
    """A kind of metric at its cuts."""
    for place, metric in enumerate(metrics):
        axes.errorbar(
            [row.means[metric] for row in table],
            range(len(table)),
            xerr=[row.deviations[metric] for row in table],
            linestyle="none",
            marker=MARKERS[place % len(MARKERS)],
            markersize=5,
            elinewidth=1.2,
            color=PALETTE[place % len(PALETTE)],
            label=f"@{parse_metric(metric)[1]}",
        )
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    highest = max(row.means[metric] + row.deviations[metric] for row in table for metric in metrics)
    axes.set_xlim(0, 1.08 * highest or 1.0)
    legend(axes, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(metrics), borderaxespad=0.0, handletextpad=0.1)


def _differences(axes: Axes, table: Comparison) -> None:
    """Draw how much each recommender lacks to the best."""
    axes.axvline(0, color=QUIET, linewidth=1)
    for place, row in enumerate(table):
        middle, low, high = row.difference
        lucky = row is not table.best and high >= 0
        axes.plot([low, high], [place, place], color=PALETTE[0], linewidth=1.2)
        axes.plot([middle], [place], "o", color=PALETTE[0], markerfacecolor="white" if lucky else PALETTE[0])
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    dress(axes, x=f"{CONFIDENCE:.0%} interval; hollow: may be luck", title=f"{table.metric} against the best", grid="x")


def _seconds(axes: Axes, table: Comparison) -> None:
    seconds = [row.seconds for row in table]
    axes.plot(seconds, range(len(table)), "o", color=PALETTE[0])
    axes.set_xscale("log")
    low, high = min(seconds) / 1.7, max(seconds) * 1.7
    axes.set_xlim(low, high)
    ticks = log_ticks(low, high)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    dress(axes, x="seconds", title="time to fit", grid="x")
