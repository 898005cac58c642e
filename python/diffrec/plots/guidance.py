"""The accuracy that guidance pays for what it gains."""

from typing import Any

from matplotlib.figure import Figure

from diffrec.plots.style import dress, new_figure
from diffrec.recommenders import Recommender
from diffrec.tradeoff import GAINS, tradeoff

_AXES = {
    "novelty": "novelty: mean self-information (bits)",
    "diversity": "diversity: mean 1 - cosine within lists",
    "share": "share of items steered to",
}


def guidance(model: Recommender, test: Any, *, k: int = 20, **grid: Any) -> Figure:
    """Draw accuracy against what is gained, a panel for each kind of guidance, a point for each weight.

    Parameters
    ----------
    model : Recommender
        Fitted, one that can be guided.
    test : Interactions, matrix or frame
        What users did later.
    k : int
        Length of the lists.
    **grid
        As for ``diffrec.tradeoff.tradeoff``: weights, ``steer``, ``tags``, ``seen``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError
        When the model cannot be guided.
    ValueError
        When there is no weight to try.

    Examples
    --------
    >>> import diffrec
    >>> train, _, test = diffrec.datasets.synthetic(users=60, items=40, seed=1).split()
    >>> model = diffrec.DiffRec(dims=(16,), epochs=5, progress=False).fit(train)
    >>> figure = guidance(model, test, k=5, steer={train.items[3]: 1.0})
    >>> [axes.get_xlabel() for axes in figure.axes][-1]
    'share of items steered to'
    """
    rows = tradeoff(model, test, k=k, **grid)
    kinds = [kind for kind in GAINS if any(row["guidance"] == kind for row in rows)]
    if not kinds:
        raise ValueError("novelty_weights, diversity_weights or steer_weights must hold a weight, got none")
    figure = new_figure(4.2 * len(kinds), 3.6)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        points = [row for row in rows if row["guidance"] == kind]
        gained, paid = [row[GAINS[kind]] for row in points], [row["ndcg"] for row in points]
        axes.plot(gained, paid, marker="o")
        for row, x, y in zip(points, gained, paid, strict=True):
            axes.annotate(f"{row['weight']:g}", (x, y), xytext=(4, 4), textcoords="offset points")
        dress(axes, x=_AXES[GAINS[kind]], title=f"{kind} (weights at the points)", grid="both")
        axes.margins(x=0.1)
    panels[0].set_ylim(0, 1.15 * max(row["ndcg"] for row in rows) or 1)  # one scale for all
    panels[0].set_ylabel(f"ndcg@{k}")
    return figure
