"""Whether a call is one of several that processes make together, and what of the model it is to have then."""

from typing import TYPE_CHECKING, Any

from diffrec._processes import started_with_others
from diffrec.checks import shown
from diffrec.training.share import ALONE, Share

if TYPE_CHECKING:
    from diffrec.distributed import World

# "auto": with the processes that torchrun started along with this one, if it did; "never": alone.
AUTO, NEVER = "auto", "never"


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
            raise ValueError(
                f"distributed must be 'auto', 'never' or what World.join() gives, got {shown(distributed)}"
            )
        if distributed == NEVER or not started_with_others():
            return ALONE
        from diffrec.distributed import World

        world = World.join()
    from diffrec.distributed import Spread, World

    if not isinstance(world, World):
        raise ValueError(f"distributed must be 'auto', 'never' or what World.join() gives, got {shown(distributed)}")
    return ALONE if world.everyone.group is None else Spread(world, seed)
