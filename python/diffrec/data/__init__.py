"""Interactions: reading, checking, indexing, splitting and weighing them."""

from diffrec.data._csr import (
    Csr,
    binary,
    columns_of,
    csr_arrays,
    empty_like,
    empty_matrix,
    owners_of,
    row_keys,
    rows_times,
    union,
    unit_rows,
    users_per_item,
    with_values,
    without,
)
from diffrec.data.events import Baskets, Events
from diffrec.data.ids import Ids
from diffrec.data.interactions import Interactions
from diffrec.data.split import Split, has_clock, has_order, hold_out
from diffrec.data.streamed import ParquetInteractions
from diffrec.data.takings import Takings
from diffrec.data.time_weights import Decay, time_weights
from diffrec.data.timeline import REPEAT_VIEWS, RepeatView, Timeline, TimeScale

__all__ = [
    "REPEAT_VIEWS",
    "Baskets",
    "Csr",
    "Decay",
    "Events",
    "Ids",
    "Interactions",
    "ParquetInteractions",
    "RepeatView",
    "Split",
    "Takings",
    "TimeScale",
    "Timeline",
    "binary",
    "columns_of",
    "csr_arrays",
    "empty_like",
    "empty_matrix",
    "has_clock",
    "has_order",
    "hold_out",
    "owners_of",
    "row_keys",
    "rows_times",
    "time_weights",
    "union",
    "unit_rows",
    "users_per_item",
    "with_values",
    "without",
]
