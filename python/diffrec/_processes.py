"""What surrounds a process: others that were started along with it, and the processors it may use."""

import os

# What these say of the other processes.
_TOLD = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def started_with_others() -> bool:
    """Whether there is word of processes that were started along with this one."""
    return os.environ.keys() >= _TOLD


def leads() -> bool:
    """Whether this process is the first of those that were started together, or by itself.

    Examples
    --------
    >>> leads()
    True
    """
    return not started_with_others() or os.environ["RANK"] == "0"


def processors() -> int:
    """Return how many processors this process may use.

    Examples
    --------
    >>> processors() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
