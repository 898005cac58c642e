"""Counters of a server in the text format that Prometheus reads."""

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path

# Seconds: from what a small model takes alone to what a client waits for no longer.
LATENCIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

Labels = tuple[tuple[str, str], ...]


class Counter:
    """A number that only grows, for each combination of labels.

    Examples
    --------
    >>> requests = Counter("requests_total", "Requests.")
    >>> requests.add(path="/health")
    >>> print(requests.text())
    # HELP requests_total Requests.
    # TYPE requests_total counter
    requests_total{path="/health"} 1
    """

    def __init__(self, name: str, meaning: str) -> None:
        self._name, self._meaning = name, meaning
        self._counts: dict[Labels, int] = {}

    def add(self, **labels: str) -> None:
        """Count one more."""
        key = tuple(labels.items())
        self._counts[key] = self._counts.get(key, 0) + 1

    def text(self) -> str:
        """All counts, a line each."""
        lines = [f"{self._name}{_braced(labels)} {count}" for labels, count in self._counts.items()]
        return "\n".join([*_head(self._name, self._meaning, "counter"), *lines])


class Histogram:
    """How often a value was at most each of some bounds, for each combination of labels.

    Examples
    --------
    >>> sizes = Histogram("batch", "Sizes.", (1, 8))
    >>> sizes.add(3)
    >>> print(sizes.text())
    # HELP batch Sizes.
    # TYPE batch histogram
    batch_bucket{le="1"} 0
    batch_bucket{le="8"} 1
    batch_bucket{le="+Inf"} 1
    batch_sum 3
    batch_count 1
    """

    def __init__(self, name: str, meaning: str, bounds: Iterable[float]) -> None:
        self._name, self._meaning, self._bounds = name, meaning, tuple(bounds)
        self._found: dict[Labels, tuple[list[int], list[float]]] = {}

    def add(self, value: float, **labels: str) -> None:
        """Count a value."""
        empty = ([0] * (len(self._bounds) + 1), [0.0])
        counts, total = self._found.setdefault(tuple(labels.items()), empty)
        counts[bisect_left(self._bounds, value)] += 1
        total[0] += value

    def text(self) -> str:
        """All counts, a line each."""
        lines = _head(self._name, self._meaning, "histogram")
        for labels, (counts, total) in self._found.items():
            below = 0
            for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
                below += count
                lines.append(f"{self._name}_bucket{_braced((*labels, ('le', bound)))} {below}")
            lines.append(f"{self._name}_sum{_braced(labels)} {total[0]:.12g}")
            lines.append(f"{self._name}_count{_braced(labels)} {below}")
        return "\n".join(lines)


def gauge(name: str, meaning: str, value: float, labels: Mapping[str, str] | None = None) -> str:
    """A number that goes up and down, as it is now.

    Examples
    --------
    >>> print(gauge("waiting", "Requests that wait.", 0))
    # HELP waiting Requests that wait.
    # TYPE waiting gauge
    waiting 0
    """
    labelled = _braced(tuple((labels or {}).items()))
    return "\n".join([*_head(name, meaning, "gauge"), f"{name}{labelled} {value:.12g}"])


def resident_bytes() -> int | None:
    """Memory that this process holds, in bytes; None where the system does not say so."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _head(name: str, meaning: str, kind: str) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = (
        (name, str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels
    )
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
