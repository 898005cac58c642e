"""The training loop, which knows nothing of what is trained: epochs, validation, early stopping, progress.

Beside it stands what a process holds of what is trained (``share``), which torchrun may have spread over several.
"""

from typing import TYPE_CHECKING

from diffrec._lazy import lazy_names
from diffrec._memory import available_memory, memory_errors, require_memory
from diffrec.training.checkpoint import Attributes, Checkpoint, CheckpointError, Stateful
from diffrec.training.report import Callback, EpochRecord, TrainingReport

if TYPE_CHECKING:
    from diffrec.training.batches import NoisedBatch, NoisedBatches, SparseBatches
    from diffrec.training.cut_batches import CutBatch, CutBatches
    from diffrec.training.loop import Pace, run_batches, train
    from diffrec.training.peak_memory import PeakMemory
    from diffrec.training.plan import BYTES_PER_PARAMETER, Plan, seconds_per_epoch
    from diffrec.training.precision import PRECISIONS, autocast, named_device, product_dtype, resolve_device
    from diffrec.training.rows import InMemoryRows, Rows, StreamedRows, rows_from
    from diffrec.training.window_batches import WindowBatch, WindowBatches
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "diffrec.training.batches": ["NoisedBatch", "NoisedBatches", "SparseBatches"],
            "diffrec.training.cut_batches": ["CutBatch", "CutBatches"],
            "diffrec.training.loop": ["Pace", "run_batches", "train"],
            "diffrec.training.peak_memory": ["PeakMemory"],
            "diffrec.training.plan": ["BYTES_PER_PARAMETER", "Plan", "seconds_per_epoch"],
            "diffrec.training.rows": ["InMemoryRows", "Rows", "StreamedRows", "rows_from"],
            "diffrec.training.precision": [
                "PRECISIONS",
                "autocast",
                "named_device",
                "product_dtype",
                "resolve_device",
            ],
            "diffrec.training.window_batches": ["WindowBatch", "WindowBatches"],
        },
    )

__all__ = [
    "BYTES_PER_PARAMETER",
    "PRECISIONS",
    "Attributes",
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "CutBatch",
    "CutBatches",
    "EpochRecord",
    "InMemoryRows",
    "NoisedBatch",
    "NoisedBatches",
    "Pace",
    "PeakMemory",
    "Plan",
    "Rows",
    "SparseBatches",
    "Stateful",
    "StreamedRows",
    "TrainingReport",
    "WindowBatch",
    "WindowBatches",
    "autocast",
    "available_memory",
    "memory_errors",
    "named_device",
    "product_dtype",
    "require_memory",
    "resolve_device",
    "rows_from",
    "run_batches",
    "seconds_per_epoch",
    "train",
]
