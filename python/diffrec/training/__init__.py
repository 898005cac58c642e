"""The training loop: epochs, validation, early stopping, progress. It knows nothing of what is trained."""

from diffrec.training.batches import NoisedBatch, NoisedBatches, SparseBatches
from diffrec.training.loop import Callback, EpochRecord, TrainingReport, run_batches, train
from diffrec.training.memory import available_memory, require_memory
from diffrec.training.peak_memory import PeakMemory
from diffrec.training.precision import PRECISIONS, autocast, resolve_device

__all__ = [
    "PRECISIONS",
    "Callback",
    "EpochRecord",
    "NoisedBatch",
    "NoisedBatches",
    "PeakMemory",
    "SparseBatches",
    "TrainingReport",
    "autocast",
    "available_memory",
    "require_memory",
    "resolve_device",
    "run_batches",
    "train",
]
