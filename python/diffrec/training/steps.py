"""The steps of a long piece of work, of which what is done stays done."""

import hashlib
import re
import time
from pathlib import Path
from typing import Any

from diffrec.training.checkpoint import Checkpoint

# The stage of a checkpoint whose state is what the steps have come to so far.
STEPS = "steps"
_OF_A_STEP = ".step-"
# Of the checksum of a step's name that its file is called by.
_BYTES = 6


class Steps:
    """Outcomes of steps by name, in a checkpoint; a fit that is a step has one of its own beside it until it is done.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        Without one nothing is kept.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Steps(Checkpoint(f"{folder}/c", "epoch", {})).note("first", 0.25)
    ...     again = Steps(Checkpoint(f"{folder}/c", "epoch", {}))
    >>> again.done("first"), again.done("second")
    (0.25, None)
    """

    def __init__(self, checkpoint: Checkpoint | None) -> None:
        self._checkpoint = checkpoint
        self._started = time.perf_counter()
        kept = None if checkpoint is None else checkpoint.resume(STEPS)
        self._outcomes: dict[str, Any] = {} if kept is None else kept["outcomes"]
        self._unwritten: list[str] = []
        self._spent: float = 0.0 if kept is None else kept["spent"]

    @property
    def spent(self) -> float:
        """Seconds of this run and of earlier ones, up to what they wrote last."""
        return self._spent + time.perf_counter() - self._started

    def done(self, step: str) -> Any:
        """Return what a step came to; None where it has not."""
        return self._outcomes.get(step)

    def note(self, step: str, outcome: Any) -> None:
        """Keep what a step came to: anything that a checkpoint can hold but None."""
        if self._checkpoint is not None:
            self._outcomes[step] = outcome
            self._unwritten.append(step)
            self._write()

    def within(self, step: str) -> dict[str, Any]:
        """Return the arguments that give the fit of a step a checkpoint of its own."""
        if self._checkpoint is None:
            return {}
        return {"checkpoint": self._of(step), "every": self._checkpoint.every}

    def finish(self, stage: str, outcome: Any) -> None:
        """Put what all came to in the place of the steps."""
        if self._checkpoint is not None:
            self._checkpoint.keep(stage, lambda: outcome, now=True)
            self._clear()

    def tidy(self) -> None:
        """Write what was not yet, and leave nothing beside it of steps that will not be asked for any more."""
        if self._checkpoint is not None:
            if self._unwritten:
                self._write(now=True)
            self._clear()

    def _write(self, *, now: bool = False) -> None:
        assert self._checkpoint is not None
        if self._checkpoint.keep(STEPS, lambda: {"outcomes": self._outcomes, "spent": self.spent}, now=now):
            # What a step had of its own is wanted until then.
            for step in self._unwritten:
                self._of(step).unlink(missing_ok=True)
            self._unwritten = []

    def _clear(self) -> None:
        assert self._checkpoint is not None
        path = self._checkpoint.path
        ours = re.compile(re.escape(path.name + _OF_A_STEP) + f"[0-9a-f]{{{2 * _BYTES}}}")
        for left in path.parent.iterdir():
            # Whatever else has such a name is somebody's.
            if ours.fullmatch(left.name) and left.is_file():
                left.unlink(missing_ok=True)

    def _of(self, step: str) -> Path:
        assert self._checkpoint is not None
        path = self._checkpoint.path
        return path.with_name(path.name + _OF_A_STEP + hashlib.blake2b(step.encode(), digest_size=_BYTES).hexdigest())
