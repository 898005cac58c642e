"""How a recommender becomes one that has learnt: whole, or not at all, and from where a checkpoint left off."""

import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from diffrec.training.report import Interrupted

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender

_log = logging.getLogger(__name__)
# The stage of a checkpoint whose state is that of a fitted model.
_FINISHED = "finished"


def become(
    model: "Recommender",
    fresh: "Recommender",
    learn: Callable[[], None],
    told: dict[str, Any],
    checkpoint: str | os.PathLike[str] | None,
    every: str | float | timedelta,
) -> None:
    """Have a copy of this model learn, and become it once it has; what ends early leaves this one as it was."""
    wanted, train = fresh._wanted, fresh.train_
    fresh.__dict__.pop("_by_facts", None)
    if checkpoint is not None:
        fresh._checkpoint = fresh._share.checkpoint(checkpoint, every, told)
        finished = fresh._checkpoint.resume(_FINISHED)
        if finished is not None:
            _log.info("%s is fitted already, by %s", model, checkpoint)
            fresh = fresh._taken_back(finished, train)
            fresh._wanted = wanted
            fresh.training_.tell(fresh.settings.callbacks)
            model.__dict__ = fresh.__dict__
            return
    started = time.perf_counter()
    try:
        learn()
        if fresh._checkpoint is not None:
            fresh._checkpoint.keep(_FINISHED, fresh._kept, now=True)
    except KeyboardInterrupt as interruption:
        # Another's training may have been interrupted, that of a part or of embeddings.
        own = isinstance(interruption, Interrupted) and interruption.report is fresh.__dict__.get("training_")
        interruption.partial = fresh if own else None  # type: ignore[attr-defined]
        raise
    finally:
        fresh.__dict__.pop("_checkpoint", None)
        fresh.__dict__.pop("_start", None)
    _log.info("fitted %s in %.1f s", type(model).__name__, time.perf_counter() - started)
    model.__dict__ = fresh.__dict__
