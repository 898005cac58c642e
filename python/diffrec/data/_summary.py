"""A few lines that say what a set of interactions is like."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from diffrec.data.interactions import Interactions

#: Times inside these bounds (1980 to 2100, seconds since the epoch) are shown as dates.
_DATES = (315_532_800.0, 4_102_444_800.0)


def one_line(data: "Interactions") -> str:
    """Say shape and number of interactions."""
    n_users, n_items = data.shape
    times = "" if data.timestamps is None else ", with timestamps"
    return f"<Interactions: {n_users:,} users x {n_items:,} items, {len(data):,} interactions{times}>"


def summary(data: "Interactions") -> str:
    """Say what there is: sizes, density, lengths of histories, span of time."""
    n_users, n_items = data.shape
    lengths = np.diff(data.matrix.indptr)
    lengths = lengths[lengths > 0]
    cells = n_users * n_items
    lines = [
        f"{len(data):,} interactions of {n_users:,} users with {n_items:,} items",
        f"density         {len(data) / cells if cells else 0:.3%}",
    ]
    if len(lengths):
        lines.append(f"history length  median {np.median(lengths):g}, from {lengths.min()} to {lengths.max():,}")
    if len(lengths) < n_users:
        lines.append(f"no history      {n_users - len(lengths):,} users")
    if data.timestamps is not None and len(data):
        lines.append(f"time            {_span(float(data.timestamps.min()), float(data.timestamps.max()))}")
    if data.item_info:
        lines.append(f"item info       {', '.join(data.item_info)}")
    return "\n".join(lines)


def _span(first: float, last: float) -> str:
    if first < _DATES[0] or last > _DATES[1]:
        return f"{first:g} to {last:g}"
    start, end = (datetime.fromtimestamp(time, UTC) for time in (first, last))
    if start.date() == end.date():
        return f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
    return f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"
