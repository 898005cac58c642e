"""Interactions: reading, checking, indexing, splitting and weighing them."""

from diffrec.data._csr import Csr, csr_arrays
from diffrec.data.events import Baskets, Events
from diffrec.data.ids import Ids
from diffrec.data.interactions import Interactions
from diffrec.data.split import Split, has_order, hold_out
from diffrec.data.time_weights import Decay, time_weights
from diffrec.data.timeline import Timeline, TimeScale

__all__ = [
    "Baskets",
    "Csr",
    "Decay",
    "Events",
    "Ids",
    "Interactions",
    "Split",
    "TimeScale",
    "Timeline",
    "csr_arrays",
    "has_order",
    "hold_out",
    "time_weights",
]
