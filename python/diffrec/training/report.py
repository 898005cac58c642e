"""The report of a training: its epochs, the best of them, and facts about the fit."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from diffrec._shown import SHOWN, as_html, fact
from diffrec.data.frames import Framed

# Facts that are another every time, or hold such a number.
_MEASURED = ("peak_memory", "planned_memory", "candidates")


@dataclass(frozen=True)
class EpochRecord:
    """Loss, time and validation of one epoch of training.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    loss : float
        Mean training loss.
    seconds : float
        Training time, validation not counted.
    validation : float or None
        The validation metric, None in epochs without validation.
    metric : str
        Its name, "" in epochs without validation.
    """

    epoch: int
    loss: float
    seconds: float
    validation: float | None = None
    metric: str = ""


Callback = Callable[[EpochRecord], object]


def print_epoch(epoch: EpochRecord) -> None:
    """Say on standard error how training goes, where that is no terminal with a progress bar."""
    if epoch.validation is not None and not sys.stderr.isatty():
        line = f"  epoch {epoch.epoch}: loss {epoch.loss:.4g}, validation {epoch.metric} {epoch.validation:.4f}"
        print(line, file=sys.stderr, flush=True)


@dataclass(repr=False)
class TrainingReport(Framed):
    """Report of a training: its epochs, the best of them, and facts such as its memory.

    Attributes
    ----------
    epochs : list of EpochRecord
        One per epoch, in order.
    best_epoch : int
        The epoch whose weights were kept.
    metric : str
        Name of the validation metric, "" without validation.
    facts : dict
        Plain facts about the fit: ``parameters`` (trained numbers), ``peak_memory`` (bytes), and what a model adds.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    metric: str = ""
    facts: dict[str, str | int | float] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<TrainingReport: {self._said()}>"

    def _repr_html_(self) -> str:
        shown = {name: column[-SHOWN:] for name, column in self.columns().items()}
        facts = [f"{name}: {fact(name, value)}" for name, value in self.facts.items()]
        return as_html(shown, "\n".join([self._said(), *facts]), len(self.epochs), "epochs before these")

    def columns(self) -> dict[str, list[Any]]:
        """A row per epoch: its number, loss, seconds, and the validation metric, NaN where nothing was validated."""
        validation = [float("nan") if one.validation is None else one.validation for one in self.epochs]
        table: dict[str, list[Any]] = {
            "epoch": [one.epoch for one in self.epochs],
            "loss": [one.loss for one in self.epochs],
            "seconds": [one.seconds for one in self.epochs],
        }
        return table | ({self.metric: validation} if self.metric else {})

    def _said(self) -> str:
        best = f", the best of them {self.best_epoch}" if self.best_epoch else ""
        value = "" if self.best_validation is None else f", {self.metric} {self.best_validation:.4f} on validation"
        return f"{len(self.epochs):,} epochs{best}{value}"

    @property
    def best_validation(self) -> float | None:
        """The validation metric of the weights that were kept."""
        return self.epochs[self.best_epoch - 1].validation if self.best_epoch else None

    def tell(self, callbacks: Sequence[Callback]) -> None:
        """Call back with every epoch: those of earlier runs, so that whoever counts them has all."""
        for record in self.epochs:
            for callback in callbacks:
                callback(record)

    def unmeasured(self) -> "TrainingReport":
        """The report without seconds and bytes: the same for every run of one fit."""
        epochs = [replace(record, seconds=0.0) for record in self.epochs]
        return replace(self, epochs=epochs, facts={n: v for n, v in self.facts.items() if n not in _MEASURED})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {
            "epochs": [[e.epoch, e.loss, e.seconds, e.validation] for e in self.epochs],
            "best_epoch": self.best_epoch,
            "metric": self.metric,
            "facts": self.facts,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingReport":
        """Read back what ``to_dict`` gave."""
        metric = values["metric"]
        epochs = [
            EpochRecord(epoch, loss, seconds, validation, "" if validation is None else metric)
            for epoch, loss, seconds, validation in values["epochs"]
        ]
        return cls(epochs, values["best_epoch"], metric, values["facts"])


class Interrupted(KeyboardInterrupt):
    """Training that was interrupted after an epoch at least: the module has the best weights so far.

    Where nothing was validated it has those it had come to. ``report`` is that of the epochs that were finished.
    """

    def __init__(self, report: TrainingReport) -> None:
        super().__init__()
        self.report = report
