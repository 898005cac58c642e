"""Whether a call is one of several that processes make together, and what of the model it is to have then."""

import os
from typing import TYPE_CHECKING, Any

from diffrec.recommenders.share import ALONE, Share

if TYPE_CHECKING:
    from diffrec.distributed import World

# "auto": with the processes that torchrun started along with this one, if it did; "never": alone.
AUTO, NEVER = "auto", "never"
# What torchrun, or a scheduler in its place, says of the other processes.
_TOLD = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def leads() -> bool:
    """Whether this process is the first of those that were started together, or by itself.

    Examples
    --------
    >>> leads()
    True
    """
    return not started_with_others() or os.environ["RANK"] == "0"


def share_for(distributed: "str | World", seed: int = 0) -> Share:
    """Return the share of this process.

    Parameters
    ----------
    distributed : {"auto", "never"} or World
        As for ``diffrec.fit``.
    seed : int
        Of what processes draw alike.

    Raises
    ------
    ValueError
        When it is none of these.

    Examples
    --------
    >>> share_for("never").speaks
    True
    """
    world: Any = distributed
    if isinstance(distributed, str):
        if distributed not in (AUTO, NEVER):
            raise ValueError(f"distributed must be 'auto', 'never' or what World.join() gives, got {distributed!r}")
        if distributed == NEVER or not started_with_others():
            return ALONE
        from diffrec.distributed import World

        world = World.join()
    from diffrec.distributed import Spread

    return Spread(world, seed)


def started_with_others() -> bool:
    """Whether there is word of processes that were started along with this one."""
    return os.environ.keys() >= _TOLD
