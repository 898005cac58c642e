"""Epochs, validation, early stopping on the best weights, and a progress bar."""

import copy
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from diffrec._progress import progress_bar
from diffrec.data.stored import LARGEST_WEIGHT
from diffrec.training.checkpoint import TRAINING, Checkpoint, Stateful
from diffrec.training.precision import autocast
from diffrec.training.report import Callback, EpochRecord, Interrupted, TrainingReport

Batch = TypeVar("Batch")


_log = logging.getLogger(__name__)


class Pace:
    """The end of a training, by epochs and by time, and the fall of its learning rate until then.

    Parameters
    ----------
    epochs : int
        Passes over the data, at most.
    seconds : float, optional
        Wall-clock time from now on after which training ends, within an epoch if need be; None for no limit.
    cosine : bool
        Whether the learning rate falls to 0 as half a cosine over what there is of both: by epochs, and where time is
        limited and will be spent first, from batch to batch by the clock.
    clock : callable, optional
        Seconds since some moment, by default this process's. Those that train together have one clock, or they would
        not end together.

    Examples
    --------
    >>> pace = Pace(4)
    >>> pace.epoch = 3
    >>> pace.progress, pace.over
    (0.5, False)
    """

    def __init__(
        self,
        epochs: int,
        seconds: float | None = None,
        *,
        cosine: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.epochs = epochs
        self.epoch = 1
        self._seconds = math.inf if seconds is None else seconds
        self._cosine = cosine
        self._clock = clock or (lambda: time.perf_counter())
        self._started = self._clock()

    @property
    def progress(self) -> float:
        """Share of the training that is over, 0 to 1: of the epochs, or of the time where that is spent sooner."""
        by_time = self.spent / self._seconds if self._limited else 0.0
        # Where the epochs end in time the clock has no say, and a fit is repeated to the bit.
        return min(by_time, 1.0) if by_time > self.epoch / self.epochs else (self.epoch - 1) / self.epochs

    @property
    def spent(self) -> float:
        """Seconds since the training began; where it goes on from a checkpoint, without those in between."""
        return self._clock() - self._started

    def spend(self, seconds: float) -> None:
        """Count so many seconds as spent before."""
        self._started -= seconds

    @property
    def over(self) -> bool:
        """Whether the time is spent."""
        return self._limited and self.spent >= self._seconds

    @property
    def _limited(self) -> bool:
        """Whether the clock has to be asked at all."""
        return self._seconds < math.inf

    def set_rate(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of the next step."""
        if self._cosine:
            share = (1 + math.cos(math.pi * self.progress)) / 2
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * share


@dataclass
class _Course:
    """Training between two epochs: all that the next epochs depend on."""

    module: nn.Module
    parts: Mapping[str, Stateful]
    pace: Pace
    report: TrainingReport
    best: dict[str, Tensor] | None = None
    over: bool = False

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        device = self._gpu()
        return {
            "module": self.module.state_dict(),
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "random": torch.get_rng_state(),
            "random on the device": None if device is None else torch.cuda.get_rng_state(device),
            "spent": self.pace.spent,
            "report": self.report.to_dict(),
            "best": self.best,
            "over": self.over,
        }

    def load(self, kept: dict[str, Any]) -> None:
        """Go on where ``state`` was asked for."""
        self.module.load_state_dict(kept["module"])
        for name, part in self.parts.items():
            part.load_state_dict(kept["parts"][name])
        torch.set_rng_state(kept["random"])
        device = self._gpu()
        # A training may go on elsewhere than on the processors where it began.
        if device is not None and kept["random on the device"] is not None:
            torch.cuda.set_rng_state(kept["random on the device"], device)
        self.pace.spend(kept["spent"])
        self.report = TrainingReport.from_dict(kept["report"])
        self.best, self.over = kept["best"], kept["over"]

    def resume(self, checkpoint: Checkpoint | None) -> None:
        """Go on where a checkpoint's training was, if it holds one.

        Raises
        ------
        CheckpointError
            When what it holds is no state of these parts.
        """
        kept = None if checkpoint is None else checkpoint.resume(TRAINING)
        if checkpoint is None or kept is None:
            return
        try:
            self.load(kept)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise checkpoint.blame(error) from error
        _log.info("goes on after epoch %d, from %s", len(self.report.epochs), checkpoint.path)

    def add(self, record: EpochRecord) -> None:
        """Add an epoch, and keep its weights where it is the best."""
        report, value = self.report, record.validation
        report.epochs.append(record)
        if value is not None and value > (-math.inf if report.best_validation is None else report.best_validation):
            self.best, report.best_epoch = copy.deepcopy(self.module.state_dict()), record.epoch

    def judge(self, patience: int) -> None:
        """Say whether the epoch that was added last is the last of all: by the time, or by validation."""
        record = self.report.epochs[-1]
        without = record.epoch - self.report.best_epoch
        if self.pace.over:
            _log.info("stopped in epoch %d of %d: the time is spent", record.epoch, self.pace.epochs)
            self.over = True
        elif record.validation is not None and without >= patience:
            _log.info("stopped early: %s has not risen for %d epochs", record.metric, without)
            self.over = True

    @contextmanager
    def settling(self) -> Iterator[None]:
        """End epochs of training with the best weights; epochs that are interrupted, too, and say so."""
        try:
            yield
        except KeyboardInterrupt as interruption:
            undone = self.best is None and not _largest_weight(self.module) <= LARGEST_WEIGHT
            if not self.report.epochs or undone:
                raise
            self.settle()
            raise Interrupted(self.report) from interruption
        self.settle()

    def settle(self) -> None:
        """Put the best weights in place, where there was a validation to pick them by."""
        report = self.report
        if self.best is None:
            report.best_epoch = len(report.epochs)
            _log.info("trained %d epochs without a validation to pick the best by", len(report.epochs))
        else:
            self.module.load_state_dict(self.best)
            done, best, metric = len(report.epochs), report.best_validation, report.metric
            _log.info("trained %d epochs; the best is %d with %s %.4f", done, report.best_epoch, metric, best)
        self.module.eval()

    def _gpu(self) -> torch.device | None:
        device = next(self.module.parameters()).device
        return device if device.type == "cuda" else None


def train(
    module: nn.Module,
    run_epoch: Callable[[int], float],
    *,
    pace: Pace,
    validate: Callable[[], float] | None = None,
    metric: str = "",
    validate_every: int = 5,
    patience: int = 20,
    progress: bool = True,
    description: str = "training",
    callbacks: Sequence[Callback] = (),
    parts: Mapping[str, Stateful] | None = None,
    checkpoint: Checkpoint | None = None,
    largest_of_all: Callable[[float], float] = float,
) -> TrainingReport:
    """Train until the pace's end, or until validation has not improved for ``patience`` epochs; keep the best weights.

    Parameters
    ----------
    module : nn.Module
        Whose weights are trained; it ends in evaluation mode, with the best weights if there is validation.
    run_epoch : callable
        epoch -> mean loss; takes the optimizer steps, by ``pace``.
    pace : Pace
        Epochs and time, at most. What of an epoch was done when the time was spent counts as one.
    validate : callable, optional
        () -> metric, higher is better. Called every ``validate_every`` epochs, with the module in evaluation mode.
    metric : str
        Its name.
    progress : bool
        Show a bar; it is never shown where standard error is not a terminal.
    callbacks : sequence of callable
        Each is called with every epoch's record; with those of a checkpoint, too, before training goes on from it.
    parts : mapping of str to Stateful, optional
        By name what ``run_epoch`` changes besides the weights and torch's random state, such as its optimizer.
    checkpoint : Checkpoint, optional
        Written at the ends of epochs; where it holds a training already, that goes on, to the same bits on a processor.
    largest_of_all : callable
        Largest number here -> that of all processes which train these weights together, so that they stop together.

    Returns
    -------
    TrainingReport

    Raises
    ------
    FloatingPointError
        When the loss, or a weight, is no longer finite, or a weight is larger than a file may hold.
    Interrupted
        In place of a KeyboardInterrupt, once an epoch is over.
    CheckpointError
        When what the checkpoint holds is no state of these parts.
    """
    course = _Course(module, parts or {}, pace, TrainingReport(metric=metric if validate else ""))
    course.resume(checkpoint)
    report, epochs = course.report, pace.epochs
    report.tell(callbacks)
    shown: dict[str, str] = {}
    done = len(report.epochs)
    bar = progress_bar(progress, total=epochs, initial=done, desc=description, unit="epoch")
    with course.settling(), bar:
        for epoch in range(done + 1, epochs + 1):
            if course.over:
                break
            module.train()
            pace.epoch = epoch
            started = time.perf_counter()
            loss = run_epoch(epoch)
            seconds = time.perf_counter() - started
            if not math.isfinite(loss):
                raise FloatingPointError(f"the training loss became {loss} in epoch {epoch}; try a smaller lr")
            # The loss is that of the weights before each step: what the last one made of them it does not tell.
            largest = largest_of_all(_largest_weight(module))
            if largest > LARGEST_WEIGHT:
                raise FloatingPointError(f"the largest weight became {largest:g} in epoch {epoch}; try a smaller lr")
            module.eval()
            value = None
            if validate is not None and (epoch % validate_every == 0 or epoch == epochs or pace.over):
                value = validate()
            course.add(EpochRecord(epoch, loss, seconds, value, "" if value is None else metric))
            if value is not None:
                shown = {metric: f"{value:.4f}", "best": f"{report.best_validation:.4f}"}
            bar.set_postfix({"loss": f"{loss:.4g}"} | shown, refresh=False)
            for callback in callbacks:
                callback(report.epochs[-1])
            bar.update()
            course.judge(patience)
            if checkpoint is not None:
                over = course.over or epoch == epochs
                checkpoint.keep(TRAINING, course.state, now=over and not checkpoint.keeps_fits)
    return report


def _largest_weight(module: nn.Module) -> float:
    """The size of the largest weight; infinite where one is no number."""
    weights = [one.detach() for one in module.parameters() if one.numel()]
    ends = [end.float() for one in weights for end in torch.aminmax(one)]
    largest = float(torch.stack(ends).abs().max()) if ends else 0.0
    return math.inf if math.isnan(largest) else largest


def run_batches(
    loss_of: Callable[[Batch], Tensor],
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    dtype: torch.dtype = torch.float32,
    pace: Pace | None = None,
) -> float:
    """Take one optimizer step per batch, while there is time; return the mean loss.

    Parameters
    ----------
    loss_of : callable
        batch -> scalar loss, computed with large products in ``dtype``.
    batches : iterable
        One epoch's batches, at least one.
    optimizer : torch.optim.Optimizer
        Holds the weights, all on one device.
    dtype : torch.dtype
        float32 or bfloat16; see ``product_dtype``.
    pace : Pace, optional
        Sets the learning rate, and ends the epoch where the time is spent; at least one step is taken.

    Examples
    --------
    >>> weight = nn.Parameter(torch.tensor(3.0))
    >>> run_batches(lambda x: x * weight, [1.0, 2.0], torch.optim.SGD([weight], lr=1.0))
    3.5
    """
    device = optimizer.param_groups[0]["params"][0].device
    # Summed on the device: reading each loss would wait for it.
    total = torch.zeros((), dtype=torch.float64, device=device)
    count = 0
    for batch in batches:
        if pace is not None:
            pace.set_rate(optimizer)
        optimizer.zero_grad()
        with autocast(dtype, device):
            loss = loss_of(batch)
        loss.backward()
        optimizer.step()
        total += loss.detach()
        count += 1
        if pace is not None and pace.over:
            break
    return float(total) / count
