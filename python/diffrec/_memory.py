"""Free memory of the machine, by which work that cannot fit is refused before it begins."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROCESS = Path("/proc/self/statm")
_GROUPS, _MEMBERSHIP, _SYSTEM = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc/meminfo")


def available_memory(beside: int = 1) -> int | None:
    """Bytes this process may still take: what the system, the limit of a container, or its own (``ulimit -v``) leaves.

    Parameters
    ----------
    beside : int
        Processes, this one included, among which the first two are shared out.

    Returns
    -------
    int or None
        None where the system does not tell.

    Examples
    --------
    >>> free = available_memory()
    >>> free is None or free > 0
    True
    """
    shared = [left // beside for left in (_left_in_system(), *_left_in_groups()) if left is not None]
    own = _left_to_process()
    left = shared if own is None else [*shared, own]
    return max(0, min(left)) if left else None


def require_memory(needed: int, what: str, instead: str, available: int | None = None) -> None:
    """Refuse work that cannot fit.

    Parameters
    ----------
    needed : int
        Bytes it takes.
    what : str
        The work, as the subject of a sentence.
    instead : str
        What to do about it, a sentence without its full stop.
    available : int, optional
        Bytes there are; by default those of ``available_memory``.

    Raises
    ------
    MemoryError
        When more is needed than there is; nothing has been allocated then.

    Examples
    --------
    >>> require_memory(10**18, "a table of all pairs", "use a sparse one")
    Traceback (most recent call last):
    MemoryError: a table of all pairs needs about 1,000,000,000.0 GB of memory, and ... are available; use a sparse one
    """
    available = available_memory() if available is None else available
    if available is not None and needed > available:
        raise MemoryError(
            f"{what} needs about {needed / 1e9:,.1f} GB of memory, and {available / 1e9:,.1f} GB are available; "
            f"{instead}"
        )


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise ``MemoryError`` where torch gets no memory from the system, which it tells by a bare ``RuntimeError``.

    Examples
    --------
    >>> import torch
    >>> with memory_errors():
    ...     torch.empty(1 << 48)
    Traceback (most recent call last):
    MemoryError: you tried to allocate 1125899906842624 bytes
    """
    try:
        yield
    except RuntimeError as error:
        _, refused, tried = str(error).partition("can't allocate memory: ")
        if not refused:
            raise
        raise MemoryError(tried.partition(". ")[0]) from error


def _left_in_system() -> int | None:
    try:
        for line in _SYSTEM.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    # Not Linux: what is free, or at least what there is.
    for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        if name in getattr(os, "sysconf_names", {}):
            return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    return None


def _left_to_process() -> int | None:
    try:
        import resource  # Windows has none

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - int(_PROCESS.read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return None


def _left_in_groups() -> Iterator[int | None]:
    """Yield the bytes that the limit of each control group of this process leaves, of cgroup version 1 or 2."""
    try:
        memberships = _MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        root = _GROUPS / "memory" if controllers else _GROUPS
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        # Inside a container the path may be the one outside, which is not there; its own group is then the root.
        group = root / path.lstrip("/")
        for folder in {group, *(parent for parent in group.parents if parent.is_relative_to(root)), root}:
            yield _left_in_group(folder, *names)


def _left_in_group(folder: Path, limit: str, usage: str) -> int | None:
    try:
        left = int((folder / limit).read_text()) - int((folder / usage).read_text())
        # The page cache counts as used, but is given up under pressure.
        for line in (folder / "memory.stat").read_text().splitlines():
            name, value = line.split()
            if name in ("inactive_file", "total_inactive_file"):
                return left + int(value)
    except (OSError, ValueError):  # "max" stands for no limit
        return None
    return left
