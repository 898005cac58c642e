"""What a fit will take, estimated before it begins."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch

from diffrec.training.memory import require_memory

# A weight in training: itself, its gradient and AdamW's two moments, in float32.
BYTES_PER_PARAMETER = 16
# Share of a small product's speed that the products of a batch reach.
EFFICIENCY = 0.7
# Bytes AdamW reads and writes for a weight: those four, and all but the gradient back.
TRAFFIC_PER_PARAMETER = 28


@dataclass(frozen=True)
class Plan:
    """Estimates of one fit.

    Attributes
    ----------
    parameters : int
        Numbers that are trained.
    memory : int
        Bytes at the peak, beyond what the process holds now; on a GPU, of its memory.
    seconds_per_epoch : float
        Training time of an epoch, validation not counted.

    Examples
    --------
    >>> print(Plan(82_014_091, 1_900_000_000, 25.0))
    82.0 million parameters, about 1.9 GB of memory, about 25 s per epoch
    """

    parameters: int
    memory: int
    seconds_per_epoch: float

    def __str__(self) -> str:
        return (
            f"{self.parameters / 1e6:,.1f} million parameters, about {self.memory / 1e9:,.1f} GB of memory, "
            f"about {_rounded(self.seconds_per_epoch)} s per epoch"
        )

    def require(self, device: torch.device, instead: str) -> None:
        """Refuse a fit that cannot fit.

        Raises
        ------
        MemoryError
            When more memory is needed than there is; nothing has been allocated then.
        """
        available = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
        require_memory(self.memory, f"training {self.parameters / 1e6:,.1f} million parameters", instead, available)


def _rounded(value: float) -> str:
    """Two digits, without an exponent for large values."""
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def seconds(products: float, traffic: float, device: torch.device, dtype: torch.dtype) -> float:
    """Time for so many multiply-adds of large products, and so many bytes read and written besides.

    Examples
    --------
    >>> seconds(1e9, 1e8, torch.device("cpu"), torch.float32) > 0
    True
    """
    return products / _products_per_second(device, dtype) + traffic / _bytes_per_second(device)


@cache
def _products_per_second(device: torch.device, dtype: torch.dtype) -> float:
    n, width = 256, 512
    a, b = (torch.ones(n, width, device=device, dtype=dtype), torch.ones(width, 2 * width, device=device, dtype=dtype))
    return EFFICIENCY * n * width * 2 * width / _fastest(lambda: a @ b, device)


@cache
def _bytes_per_second(device: torch.device) -> float:
    # Beyond the caches of most processors.
    values = torch.zeros(1 << 24, device=device)
    return 2 * 4 * len(values) / _fastest(lambda: values.add_(1.0), device)


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    times = []
    for _ in range(4):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return max(min(times), 1e-9)
