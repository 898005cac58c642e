"""Base class of recommenders that are trained by epochs: validation held out, seeds, early stopping."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from diffrec.checks import duration, flag, one_of, optional, real, whole
from diffrec.data import Interactions
from diffrec.data.stored import Stored
from diffrec.data.streamed import ParquetInteractions
from diffrec.evaluation import parse_metric
from diffrec.ranking import LinearScores, Scores
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.evaluating import reports_of
from diffrec.recommenders.rankings import to_find
from diffrec.recommenders.settings import Settings, setting
from diffrec.recommenders.stored_network import network_from
from diffrec.recommenders.updating import Growth, Start, go_on
from diffrec.recommenders.warm import begin_at
from diffrec.training import PRECISIONS, Pace, PeakMemory, Plan, Stateful, train
from diffrec.training.generator import seeded
from diffrec.training.report import Interrupted

# Validation metric of early stopping, as in the DiffRec paper.
VALIDATION_METRIC = "recall@20"

_log = logging.getLogger(__name__)
_HELD_OUT = {"time": "the newest of each history", "random": "drawn from each history"}


@dataclass(frozen=True, kw_only=True)
class TrainedSettings(Settings):
    """Settings of every recommender that is trained by epochs."""

    lr: float = setting(1e-3, real(0, open_low=True), "learning rate of the optimizer at the start of training")
    lr_schedule: str = setting(
        "constant",
        one_of(("constant", "cosine")),
        "course of the learning rate: 'constant', or 'cosine', which falls to 0 over all `epochs`",
    )
    batch_size: int = setting(400, whole(1), "number of users in a training batch")
    epochs: int = setting(1000, whole(1), "largest number of passes over the training data")
    patience: int = setting(20, whole(1), "number of epochs without a better validation after which training stops")
    validate_every: int = setting(5, whole(1), "number of epochs from one validation to the next")
    holdout: float = setting(
        0.1,
        real(0, 0.5),
        "share of each history held out to stop on when fit gets no valid: the newest interactions for forecasts and "
        "with time_weights, else random ones; 0 trains for exactly `epochs`",
    )
    time_limit: float | None = setting(
        None,
        optional(duration),
        "wall-clock time that training may take, as '5min' or in seconds: epochs end when it is spent, and a cosine "
        "schedule falls to 0 by then; None for no limit",
        saved=False,
    )
    deterministic: bool = setting(
        False,
        flag,
        "whether a GPU may only use algorithms that give the same bits each time, which takes longer; a processor's do "
        "anyway",
        saved=False,
    )


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(TrainedSettings):
    """Settings of those whose weights are mostly a network's."""

    weight_decay: float = setting(
        0.0, real(0), "weight decay of the AdamW optimizer; higher values keep the network's weights smaller"
    )
    precision: str = setting(
        "auto",
        one_of(PRECISIONS),
        "number format of large matrix products; 'auto' is bfloat16 where it is faster and ranks as well",
    )


class Trainable(NamedTuple):
    """A network to be trained.

    Attributes
    ----------
    network : nn.Module
        With fresh weights.
    run_epoch : callable
        Number of the epoch -> mean loss: trains it for an epoch.
    changing : dict
        By name what that changes besides the weights, for a checkpoint: optimizer, order of the batches, samplers.
    """

    network: nn.Module
    run_epoch: Callable[[int], float]
    changing: Mapping[str, Stateful]


class TrainedRecommender(Recommender):
    """Trained by epochs until validation stops improving.

    A subclass builds its network (``_new_network``) and says what one epoch does (``_prepare``), and forgets what it
    made of weights that have changed since (``_weights_changed``).
    """

    settings_type = TrainedSettings
    settings: TrainedSettings
    # Of the fit that goes on: what trains an epoch hands it to every run over batches.
    _pace: Pace
    _network: Any

    @abstractmethod
    def _prepare(self, learn: Interactions, device: torch.device) -> Trainable:
        """Make a network with fresh weights, and what trains it."""

    def _new_network(self) -> nn.Module:
        """Build the network, of the items that are here, with fresh weights."""
        raise NotImplementedError

    def _state(self) -> Mapping[str, Tensor]:
        state: dict[str, Tensor] = self._network.state_dict()
        return state

    def _restore(self, state: Stored) -> None:
        device = self._share.device(self.settings.device)
        self._network = network_from(state, lambda where: self._new_network().to(where), device)
        self._share.hold(self._network)

    def _weights_changed(self) -> None:
        """Forget what was prepared from the weights."""

    def _rows_by_item(self) -> dict[str, Tensor]:
        """Name the network's weights that have rows of items: number of the view * items + item of each."""
        return {}

    def _begin_at(self, start: Start, network: nn.Module) -> None:
        """Give the network that was prepared the weights of another model."""
        # One of the same class: it was asked for that.
        its_rows = start.model._rows_by_item()  # type: ignore[attr-defined]
        begin_at(network, self._rows_by_item(), start.model._state(), its_rows, start)

    @abstractmethod
    def _item_vectors(self) -> Tensor:
        """Return vectors (items, width) whose cosine says how alike two items are."""

    def _alike(self, rows: NDArray[np.int64]) -> Scores:
        vectors = functional.normalize(self._item_vectors())
        return LinearScores(vectors[torch.from_numpy(rows).to(vectors.device)], vectors)

    def _holdout_by(self) -> str:
        """Name the way to pick interactions for validation when none are given; see ``diffrec.data.split``."""
        return "random"

    def _require_times(self, data: Interactions) -> None:
        """Refuse interactions without the times that it learns from, saying what needs them."""

    def _fit(self, data: Interactions, valid: Interactions | None) -> None:
        s, share = self.settings, self._share
        # Preparing takes its time, too: the first optimizer of a process has torch load its compiler, for seconds.
        self._pace = pace = Pace(s.epochs, s.time_limit, cosine=s.lr_schedule == "cosine", clock=share.clock)
        device = share.device(s.device)
        if isinstance(data, Interactions):
            self._require_times(data)
        learn, valid = self._held_out(data, valid)
        plan = self._foresee(learn, device, valid is not None)
        if plan is not None:
            _log.info("planned on %s: %s", device, plan)
        with seeded(s.seed, device, deterministic=s.deterministic):
            network, run_epoch, changing = self._prepare(learn, device)
            if self._start is not None:
                self._begin_at(self._start, network)
                self._weights_changed()
            changing = share.watch(network, changing)

            def run_and_forget(epoch: int) -> float:
                loss = share.total(run_epoch(epoch))
                self._weights_changed()
                return loss

            with PeakMemory(device) as peak:
                try:
                    self.training_ = train(
                        network,
                        run_and_forget,
                        pace=pace,
                        validate=None if valid is None else lambda: self._validation(learn, valid, VALIDATION_METRIC),
                        metric=VALIDATION_METRIC,
                        validate_every=s.validate_every,
                        patience=s.patience,
                        progress=s.progress and share.speaks,
                        description=self.variant,
                        callbacks=share.callbacks(s.callbacks),
                        largest_of_all=share.largest,
                        parts=changing,
                        checkpoint=self._checkpoint,
                    )
                except Interrupted as interruption:
                    self.training_ = interruption.report
                    self._weights_changed()
                    # Whoever interrupts does not wait for a further look at the validation part.
                    self._finish(learn, None)
                    raise
        self._weights_changed()
        self._finish(learn, valid)
        self.training_.facts |= {
            "parameters": sum(p.numel() for p in network.parameters()),
            "peak_memory": peak.device_bytes or peak.bytes,
            **self._facts(),
        }
        if plan is not None:
            self.training_.facts |= {"planned_memory": plan.memory}

    def _validation(self, train: Any, valid: Any, metric: str) -> float:
        if not isinstance(train, ParquetInteractions):
            return super()._validation(train, valid, metric)
        name, k = parse_metric(metric)
        reports = reports_of(self, train, valid, (), self.settings.repeats == "exclude", [k])
        every = np.concatenate([np.empty(0), *(report.per_user[f"{name}@{k}"] for report in reports)])
        if not len(every):
            raise ValueError("valid must hold an interaction that is not in the data, got none")
        return float(every.mean())

    def _update(self, growth: Growth) -> None:
        # A few epochs over all histories, each of them whole, at a rate that falls to 0: the weights are nearly there.
        go_on(self, growth, epochs=growth.passes(), holdout=0.0, lr_schedule="cosine")

    def _foresee(self, learn: Interactions, device: torch.device, validated: bool) -> Plan | None:  # noqa: ARG002
        """Estimate the memory and refuse what cannot fit, before anything is allocated; None where it takes little."""
        return None

    def _finish(self, learn: Interactions, valid: Interactions | None) -> None:
        """Do what is to be done once the weights are trained."""

    def _facts(self) -> dict[str, str | int | float]:
        """Return further facts of this fit for its report."""
        return {}

    def _held_out(self, data: Interactions, valid: Interactions | None) -> tuple[Interactions, Interactions | None]:
        """Part the data where validation is wanted and none was given."""
        s = self.settings
        if valid is not None:
            if isinstance(valid, Interactions) and not to_find(data, valid, s.repeats).nnz:
                raise ValueError(
                    "valid must hold an item that its user did not have before, got none; repeats='include' stops on "
                    "what is taken next, old or new"
                )
            return data, valid
        if s.holdout == 0:
            return data, None
        learn, held_out, _ = data.split(by=self._holdout_by(), valid=s.holdout, test=0, seed=s.seed)
        if not to_find(learn, held_out, s.repeats).nnz:
            _log.info("nothing is held out: histories are too short for holdout=%g, or their ends repeat", s.holdout)
            return data, None
        _log.info(
            "held out %d of %d interactions (%s) to stop on", len(held_out), len(data), _HELD_OUT[self._holdout_by()]
        )
        return learn, held_out
