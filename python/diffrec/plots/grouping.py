"""The groups of items of L-DiffRec."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from diffrec.plots.model_arguments import one_model
from diffrec.plots.numbers import principal_plane
from diffrec.plots.style import MARKERS, PALETTE, dress, legend, new_figure
from diffrec.recommenders import DiffRec
from diffrec.recommenders.diffrec.groups import embed_items, embeddings

# Points of a map of a hundred items and of many.
_LARGE, _SMALL = 24.0, 3.0


def groups(model: DiffRec, *, item_embeddings: Any = None) -> Figure:
    """Draw the items of L-DiffRec on a map, coloured by group (section 4.1 of the paper).

    The map is the plane of the two principal components of the item embeddings that k-means grouped. Groups that lie
    apart in further components overlap on it.

    Parameters
    ----------
    model : DiffRec
        Fitted, with ``groups``: L-DiffRec or LT-DiffRec.
    item_embeddings : {"svd", "lightgcn"} or ndarray (items, width), optional
        What to make the map of; by default what the model's groups were made of. A model's file does not hold
        embeddings that were given, and those that were learnt are learnt again, from all the model's interactions: by
        "svd" in moments, by "lightgcn" in a training of its own.

    Returns
    -------
    matplotlib.figure.Figure
        A point per item; the legend names each group's size.

    Raises
    ------
    TypeError
        When ``model`` is no DiffRec, or has no groups.
    ValueError
        When the embeddings are of another number of items, or given ones are needed and not there.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> model = diffrec.fit(data, variant="l-diffrec", groups=3, latent_dims=(6,), dims=(8,), epochs=2)
    >>> figure = diffrec.plots.groups(model)
    >>> len(figure.axes[0].collections)
    3
    """
    group_of = one_model(model, DiffRec).item_groups_
    source = item_embeddings if item_embeddings is not None else model.settings.item_embeddings
    if source is None:
        # Of a loaded model only the name is left.
        source = model.training_.facts.get("item_embeddings", "svd")
        if source == "given":
            raise ValueError("item_embeddings must be given: the groups are of an array that the model's file lacks")
    source = embeddings("item_embeddings", source)
    plane, shares = principal_plane(embed_items(model.train_, source, model.settings.seed))
    figure = new_figure(6.4, 4.8)
    axes = figure.subplots()
    size = max(_SMALL, min(_LARGE, 2.4e4 / len(plane) ** 1.1))
    for group, members in ((one, np.flatnonzero(group_of == one)) for one in range(group_of.max() + 1)):
        axes.scatter(
            plane[members, 0],
            plane[members, 1],
            s=size,
            color=PALETTE[group % len(PALETTE)],
            marker=MARKERS[group // len(PALETTE) % len(MARKERS)],
            alpha=0.7,
            linewidths=0,
            label=f"group {group}: {len(members):,} items",
            rasterized=len(plane) > 2000,
        )
    x, y = (f"principal component {nth} ({share:.0%} of the variance)" for nth, share in enumerate(shares, 1))
    what = source if isinstance(source, str) else "given"
    dress(axes, x=x, y=y, title=f"items by group, {what} embeddings", grid="both")
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=max(1.0, 4.0 / size**0.5))
    return figure
