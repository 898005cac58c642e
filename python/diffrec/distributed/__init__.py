"""One model trained by several processes, each of which holds some of the items' rows of the first and last layers.

Inside a process that torchrun started ``diffrec.fit`` and ``diffrec.load`` do so by themselves; all processes make the
same calls. ``World.join`` says more about the processes; hand what it gives to them as ``distributed``.
"""

from typing import TYPE_CHECKING

from diffrec._lazy import lazy_names

if TYPE_CHECKING:
    from diffrec.distributed.checkpoint import SpreadCheckpoint
    from diffrec.distributed.part import SpreadPart, blocks
    from diffrec.distributed.share import Spread
    from diffrec.distributed.world import TIMEOUT, LostProcessError, World
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "diffrec.distributed.checkpoint": ["SpreadCheckpoint"],
            "diffrec.distributed.part": ["SpreadPart", "blocks"],
            "diffrec.distributed.share": ["Spread"],
            "diffrec.distributed.world": ["TIMEOUT", "LostProcessError", "World"],
        },
    )

__all__ = [
    "TIMEOUT",
    "LostProcessError",
    "Spread",
    "SpreadCheckpoint",
    "SpreadPart",
    "World",
    "blocks",
]
