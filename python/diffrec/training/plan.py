"""Estimates of the time and memory that a fit will take, made before it begins."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import torch
from torch import Tensor

from diffrec._memory import available_memory, require_memory
from diffrec.training.loop import run_batches

Batch = TypeVar("Batch")

# A weight in training: itself, its gradient and AdamW's two moments, in float32.
BYTES_PER_PARAMETER = 16
# Steps that are timed, and about how long that may take, in seconds.
_TIMED_STEPS, _TIMED_SECONDS = 5, 3.0


@dataclass(frozen=True)
class Plan:
    """Estimates of one fit.

    Attributes
    ----------
    parameters : int
        Numbers that are trained.
    memory : int
        Bytes at the peak, beyond what the process holds now; on a GPU, of its memory.
    seconds_per_epoch : float or None
        Training time of an epoch on this machine, validation not counted; None where it was not measured.

    Examples
    --------
    >>> print(Plan(82_014_091, 1_900_000_000, 25.0))
    82.0 million parameters, about 1.9 GB of memory, about 25 s per epoch
    """

    parameters: int
    memory: int
    seconds_per_epoch: float | None = None

    def __str__(self) -> str:
        text = f"{self.parameters / 1e6:,.1f} million parameters, about {self.memory / 1e9:,.1f} GB of memory"
        return (
            text if self.seconds_per_epoch is None else f"{text}, about {_rounded(self.seconds_per_epoch)} s per epoch"
        )

    def timed(self, seconds: float) -> Self:
        """Return the same plan with the time of an epoch."""
        return replace(self, seconds_per_epoch=seconds)

    def require(self, device: torch.device, instead: str, beside: int = 1) -> None:
        """Refuse a fit that cannot fit; of a machine's own memory each of ``beside`` processes may take a part.

        Raises
        ------
        MemoryError
            When more memory is needed than there is; nothing has been allocated then.
        """
        if device.type == "cuda":
            # What torch holds and does not use is free for it.
            idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            available: int | None = torch.cuda.mem_get_info(device)[0] + idle
        else:
            available = available_memory(beside)
        require_memory(self.memory, f"training {self.parameters / 1e6:,.1f} million parameters", instead, available)


def _rounded(value: float) -> str:
    """Two digits, without an exponent for large values."""
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def seconds_per_epoch(
    loss_of: Callable[[Batch], Tensor],
    batches: Iterable[Batch],
    count: int,
    optimizer: torch.optim.Optimizer,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Time the first steps of training itself, and say how long ``count`` of them take.

    Parameters
    ----------
    loss_of, batches, optimizer, dtype
        As for ``run_batches``; the weights are changed.
    count : int
        Batches in an epoch.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.tensor(3.0))
    >>> sgd = torch.optim.SGD([weight], lr=0.1)
    >>> seconds_per_epoch(lambda x: x * weight, [1.0, 2.0], 2, sgd) > 0
    True
    """
    times: list[float] = []
    source = iter(batches)
    # The first step also prepares what the others use.
    while len(times) < _TIMED_STEPS + 1 and sum(times) < _TIMED_SECONDS:
        started = time.perf_counter()
        batch = next(source, None)
        if batch is None:
            break
        run_batches(loss_of, [batch], optimizer, dtype)
        times.append(time.perf_counter() - started)
    return count * statistics.median(times[1:] or times)
