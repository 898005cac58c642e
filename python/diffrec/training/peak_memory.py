"""Measurement of the memory that a stretch of work needs at its peak."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """Measures the peak resident memory of the process within a ``with`` block, and the GPU's where one is used.

    Attributes
    ----------
    bytes : int
        Peak resident memory while the block ran; where the system cannot be told to start counting anew (anything but
        Linux), the peak since the process began, and 0 on Windows.
    device_bytes : int
        Peak memory allocated on the GPU, 0 without one.

    Examples
    --------
    >>> with PeakMemory(torch.device("cpu")) as peak:
    ...     _ = bytearray(10_000_000)
    >>> peak.bytes > 10_000_000
    True
    """

    bytes: int = 0
    device_bytes: int = 0

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        try:
            _CLEAR.write_text("5")  # resets the high-water mark VmHWM
            self._resets = True
        except OSError:
            self._resets = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.type == "cuda":
            self.device_bytes = int(torch.cuda.max_memory_allocated(self._device))
        self.bytes = _high_water_mark() if self._resets else _peak_since_start()


def _high_water_mark() -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _peak_since_start() -> int:
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
