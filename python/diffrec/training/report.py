"""The report of a training: its epochs, the best of them, and facts about the fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


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


@dataclass
class TrainingReport:
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

    @property
    def best_validation(self) -> float | None:
        """The validation metric of the weights that were kept."""
        return self.epochs[self.best_epoch - 1].validation if self.best_epoch else None

    def tell(self, callbacks: Sequence[Callback]) -> None:
        """Call back with every epoch: those of earlier runs, so that whoever counts them has all."""
        for record in self.epochs:
            for callback in callbacks:
                callback(record)

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
