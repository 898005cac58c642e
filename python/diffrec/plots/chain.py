"""The reverse process of one user."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from diffrec.checks import whole
from diffrec.plots.model_arguments import one_model
from diffrec.plots.numbers import step_ranks
from diffrec.plots.style import HEAT, PALETTE, QUIET, dress, heading, legend, new_figure, short
from diffrec.recommenders import DiffRec

STAYED, RISEN = QUIET, PALETTE[1]
# Height of the ranks below k, as a multiple of that of the ranks down to k.
_BELOW = 0.5
# Ticks closer than this share of the height would touch; ranks down to k that are named, at most.
_APART = 0.05
_NAMED = 20


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
        user does not have, over the same steps: evenly down to rank k, by their logarithm below. Items that came up
        from below rank k stand out. Items go by their title where the data has one.

    Raises
    ------
    TypeError
        When ``model`` is no DiffRec, or there is no chain.
    ValueError
        When the user is unknown or has every item, or more than one is given.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> model = diffrec.DiffRec(dims=(16,), epochs=5, steps=10, progress=False).fit(data)
    >>> figure = diffrec.plots.reverse_process(model, data.users[3], k=5)
    >>> figure.axes[0].images[0].get_array().shape  # items, steps
    (5, 10)
    """
    k = whole(1)("k", k)
    scores = one_model(model, DiffRec).step_scores(user)
    top = model.recommend(user, k)
    items = top.item_rows[0][top.item_rows[0] >= 0].astype(np.int64)
    if len(items) == 0:
        raise ValueError(f"user must lack an item to be recommended, and {top.users[0].item()!r} has them all")
    histories, rows, _ = model._histories(user)
    unseen = np.ones(scores.shape[1], dtype=np.bool_)
    unseen[histories.matrix[rows].indices] = False
    ranks = step_ranks(scores, items, unseen)
    labels = [short(label) for label in model.train_.item_labels[items]]

    figure = new_figure(10.4, max(3.2, 1.4 + 0.22 * len(items)))
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    _scores(left, scores[:, items].T, labels)
    _ranks(right, ranks)
    for label, rank in zip(left.get_yticklabels(), ranks[0], strict=True):
        label.set_color(RISEN if rank > len(items) else "black")
    heading(figure, f"{type(model).__name__}: reverse process of user {short(top.users[0])}")
    return figure


def _scores(axes: Axes, scores: NDArray[np.float32], labels: list[str]) -> None:
    """The heat map (items, steps), the best item on top."""
    image = axes.imshow(scores, aspect="auto", cmap=HEAT, interpolation="nearest")
    axes.set_yticks(range(len(labels)), labels)
    dress(axes, title="score", grid="")
    _steps(axes, scores.shape[1])
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, aspect=max(12.0, 1.4 * len(labels)))
    bar.ax.tick_params(labelsize=8, length=3)
    bar.outline.set_visible(False)


def _ranks(axes: Axes, ranks: NDArray[np.int64]) -> None:
    """A line per item, over (steps, items)."""
    steps, k = ranks.shape
    for first, line in zip(ranks[0], ranks.T, strict=True):
        axes.plot(range(steps), line, color=RISEN if first > k else STAYED, linewidth=1.2)
    worst = int(ranks.max())
    _rank_scale(axes, k, worst)
    axes.set_ylim(worst + 0.5, 0.5)
    axes.axhline(k + 0.5, color=STAYED, linestyle=":", linewidth=1)
    dress(axes, y="rank among unseen items", grid="")
    _steps(axes, steps)
    # Handles of their own: one of the two kinds may be missing.
    kinds = {f"began in the best {k}": STAYED, "began below": RISEN}
    handles = [Line2D([], [], color=color, label=label) for label, color in kinds.items()]
    legend(
        axes, handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.0, handlelength=1.5
    )


def _rank_scale(axes: Axes, k: int, worst: int) -> None:
    """Ranks down to k evenly, those below by their logarithm, in a part of the height of their own."""
    room, reach = _BELOW * k, np.log(max(worst, k + 1) / k)

    def forward(rank: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(rank <= k, rank, k + room * np.log(np.maximum(rank, k) / k) / reach)

    def back(height: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(height <= k, height, k * np.exp(np.maximum(height - k, 0.0) / room * reach))

    ticks = list(range(1, k + 1, -(-k // _NAMED)))
    for rank in (*(factor * 10**power for power in range(len(str(worst))) for factor in (1, 2, 5)), worst):
        if k < rank <= worst and forward(np.array(rank)) - forward(np.array(ticks[-1])) >= _APART * (k + room):
            ticks.append(rank)
    if worst > k:
        axes.set_yscale("function", functions=(forward, back))
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_yticks([], minor=True)


def _steps(axes: Axes, steps: int) -> None:
    """Name the columns by the t of x_t, which falls."""
    places = [int(place) for place in MaxNLocator(nbins=8, integer=True).tick_values(0, steps - 1)]
    shown = [place for place in places if 0 <= place < steps]
    axes.set_xticks([steps - 1 - t for t in shown], [str(t) for t in shown])
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_xlabel("t of $x_t$, falling along the reverse chain", fontsize=9)
