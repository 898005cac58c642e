"""The reverse process of one user."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from diffrec.plots.models import one_model
from diffrec.plots.numbers import step_ranks
from diffrec.plots.style import HEAT, PALETTE, QUIET, dress, heading, legend, new_figure, short
from diffrec.recommenders import DiffRec
from diffrec.recommenders.settings import whole


def reverse_process(model: DiffRec, user: Any, k: int = 20) -> Figure:
    """Draw how the reverse chain comes to the items that a user is recommended.

    Parameters
    ----------
    model : DiffRec
        Fitted, with a chain: not a forecast.
    user : id, row number, Interactions or matrix
        One user, as for ``recommend``.
    k : int
        How many items, the best at the end of the chain.

    Returns
    -------
    matplotlib.figure.Figure
        A heat map of the items' scores from x_{T-1} to x_0, the vector that ranks, and their ranks among all items the
        user does not have, over the same steps. Items go by their title where the data has one.

    Raises
    ------
    TypeError
        When ``model`` is no DiffRec, or there is no chain.
    ValueError
        When the user is unknown, or more than one is given.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> model = diffrec.DiffRec(dims=(16,), epochs=5, steps=10, progress=False).fit(data)
    >>> figure = diffrec.plots.reverse_process(model, data.users[3], k=5)
    >>> figure.axes[0].images[0].get_array().shape  # items, steps
    (5, 10)
    """
    scores = one_model(model, DiffRec).step_scores(user)
    top = model.recommend(user, whole(1)("k", k))
    items = top.item_rows[0][top.item_rows[0] >= 0].astype(np.int64)
    histories, rows, _ = model._histories(user)
    unseen = np.ones(scores.shape[1], dtype=np.bool_)
    unseen[histories.matrix[rows].indices] = False
    ranks = step_ranks(scores, items, unseen)
    labels = [short(label) for label in model.train_.item_labels[items]]

    figure = new_figure(10.4, max(3.0, 1.4 + 0.2 * len(items)))
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    _scores(left, scores[:, items].T, labels)
    _ranks(right, ranks)
    heading(figure, f"{model.variant}: reverse process of {short(top.users[0])}")
    return figure


def _scores(axes: Axes, scores: NDArray[np.float32], labels: list[str]) -> None:
    """The heat map (items, steps), the best item on top."""
    image = axes.imshow(scores, aspect="auto", cmap=HEAT, interpolation="nearest")
    axes.set_yticks(range(len(labels)), labels)
    dress(axes, title="score", grid="")
    _steps(axes, scores.shape[1])
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)
    bar.ax.tick_params(labelsize=8, length=3)
    bar.outline.set_visible(False)


def _ranks(axes: Axes, ranks: NDArray[np.int64]) -> None:
    """A line per item, over (steps, items)."""
    steps, k = ranks.shape
    rising = ranks[0] > k
    for places, color, label in (
        (np.flatnonzero(~rising), QUIET, f"in the best {k} from the first step on"),
        (np.flatnonzero(rising), PALETTE[1], f"began below rank {k}"),
    ):
        for nth, place in enumerate(places):
            axes.plot(range(steps), ranks[:, place], color=color, linewidth=1.2, label=label if nth == 0 else None)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.invert_yaxis()
    dress(axes, y="rank among unseen items", title="rank")
    _steps(axes, steps)
    legend(axes, loc="lower right")


def _steps(axes: Axes, steps: int) -> None:
    """Name the columns by the t of x_t, which falls."""
    places = [int(place) for place in MaxNLocator(nbins=8, integer=True).tick_values(0, steps - 1)]
    shown = [place for place in places if 0 <= place < steps]
    axes.set_xticks([steps - 1 - t for t in shown], [str(t) for t in shown])
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_xlabel("t of $x_t$, from the first step of the reverse chain to the last", fontsize=9)
