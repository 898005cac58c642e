"""Whether this process was started along with others, by torchrun or a scheduler in its place."""

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
