"""A few lines that say what a set of interactions is like."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from diffrec.data.interactions import Interactions

#: Times inside these bounds (1980 to 2100, seconds since the epoch) are shown as dates.
DATES = (315_532_800.0, 4_102_444_800.0)


def one_line(data: "Interactions") -> str:
    """Say shape and number of interactions."""
    n_users, n_items = data.shape
    times = "" if data.timestamps is None else ", with timestamps"
    dislikes = f", {data.n_dislikes:,} dislikes" if data.n_dislikes else ""
    return f"<Interactions: {n_users:,} users x {n_items:,} items, {_counted(data)}{dislikes}{times}>"


def _counted(data: "Interactions") -> str:
    pairs = f"{len(data):,} interactions"
    return pairs if data.n_events == len(data) else f"{data.n_events:,} events of {len(data):,} pairs"


def summary(data: "Interactions") -> str:
    """Say what there is: sizes, density, lengths of histories, span of time."""
    return "\n".join([heading(data), *(f"{name:16}{value}" for name, value in facts(data).items())])


def heading(data: "Interactions") -> str:
    """Say how many interactions there are of how many users with how many items."""
    n_users, n_items = data.shape
    return f"{_counted(data)} of {n_users:,} users with {n_items:,} items"


def facts(data: "Interactions") -> dict[str, str]:
    """Say by name what else there is to say of them."""
    n_users, n_items = data.shape
    lengths = np.diff(data.matrix.indptr)
    lengths = lengths[lengths > 0]
    cells = n_users * n_items
    found = {"density": f"{len(data) / cells if cells else 0:.3%}"}
    if len(lengths):
        found["history length"] = f"median {np.median(lengths):g}, from {lengths.min()} to {lengths.max():,}"
    if len(lengths) < n_users:
        found["no history"] = f"{n_users - len(lengths):,} users"
    if data.timestamps is not None and len(data):
        found["time"] = _span(float(data.timestamps.min()), float(data.timestamps.max()))
    if data.n_events > len(data):
        again = data.n_events - len(data)
        found["repeats"] = f"{again:,} events, {again / data.n_events:.1%}, are of a pair seen before"
    if data.timestamps is not None:
        sizes = data.events.baskets().sizes
        if len(sizes) < data.n_events:
            tied = int(sizes[sizes > 1].sum())
            found["baskets"] = (
                f"{len(sizes):,} of up to {sizes.max():,} events; "
                f"{tied / data.n_events:.1%} of the events share their time"
            )
    if data.n_dislikes:
        found["dislikes"] = f"{data.n_dislikes:,} pairs"
    if data.item_info:
        found["item info"] = ", ".join(data.item_info)
    return found


def _span(first: float, last: float) -> str:
    if first < DATES[0] or last > DATES[1]:
        return f"{first:g} to {last:g}"
    start, end = (datetime.fromtimestamp(time, UTC) for time in (first, last))
    if start.date() == end.date():
        return f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
    return f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"
