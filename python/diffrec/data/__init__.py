"""Interactions: reading, checking, indexing, splitting and weighing them."""

from diffrec.data._csr import Csr, csr_arrays
from diffrec.data.ids import Ids
from diffrec.data.interactions import Interactions
from diffrec.data.split import Split
from diffrec.data.time_weights import Decay, time_weights
from diffrec.data.timeline import Timeline, TimeScale

__all__ = [
    "Csr",
    "Decay",
    "Ids",
    "Interactions",
    "Split",
    "TimeScale",
    "Timeline",
    "csr_arrays",
    "time_weights",
]
