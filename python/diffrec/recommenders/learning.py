"""How a recommender becomes one that has learnt, or has learnt more: whole, or not at all, and from a checkpoint on."""

import copy
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from diffrec._tensors import on_host
from diffrec.checks import whole
from diffrec.data import Interactions
from diffrec.data.arrays import in_short
from diffrec.data.stored import Stored
from diffrec.data.streamed import ParquetInteractions, streamed, validation_files
from diffrec.data.tensor_file import checksum
from diffrec.recommenders.histories import as_interactions, validation_part
from diffrec.recommenders.updating import Growth, Start, passes_of
from diffrec.training import TrainingReport, memory_errors
from diffrec.training.checkpoint import seconds_between
from diffrec.training.report import Interrupted

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender

Model = TypeVar("Model", bound="Recommender")
Every = str | float | timedelta

_log = logging.getLogger(__name__)
# The stage of a checkpoint whose state is that of a fitted model.
_FINISHED = "finished"


@contextmanager
def offering() -> Iterator[None]:
    """Have a ``KeyboardInterrupt`` offer nothing, as its ``partial``, where it comes before there is anything."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        if not hasattr(interruption, "partial"):
            interruption.partial = None  # type: ignore[attr-defined]
        raise


@offering()
def learn(
    model: "Recommender",
    data: Any,
    valid: Any,
    init: "Recommender | None",
    checkpoint: str | os.PathLike[str] | None,
    every: Every,
) -> None:
    """Fit a recommender; see ``Recommender.fit``."""
    if init is not None and type(init) is not type(model):
        raise TypeError(f"init must be a fitted {type(model).__name__}, got {type(init).__name__}")
    if init is not None:
        model._share.require_alone("init")
    # A fit that fails or is interrupted leaves the model as it was.
    fresh = copy.copy(model)
    fresh.settings, fresh.training_ = model._wanted, TrainingReport()
    train, aligned, fresh.train_ = _taken(fresh, data, valid)
    seconds_between(every)
    told: dict[str, Any] = {} if checkpoint is None else _told(fresh, train, aligned)
    if init is not None:
        if train is not fresh.train_:
            raise TypeError("init needs all interactions in memory, and the data is in files")
        fresh._start = Start.of(init._fitted(), train)
        told |= {} if checkpoint is None else {"init": _weights_in_short(init)}
    _log.info("fitting %r on %r", model, train)
    _become(model, fresh, lambda: fresh._fit(train, aligned), told, checkpoint, every)


@offering()
def learn_more(
    model: "Recommender",
    new_interactions: Any,
    epochs: int | None,
    checkpoint: str | os.PathLike[str] | None,
    every: Every,
) -> None:
    """Update a fitted recommender; see ``Recommender.update``."""
    if epochs is not None:
        epochs = whole(1)("epochs", epochs)
    seconds_between(every)
    model._share.require_whole("update")
    growth = Growth.of(model._fitted(), new_interactions, epochs)
    fresh = copy.copy(model)
    fresh.train_ = growth.train
    # Progress, callbacks and what else says nothing about the model may have been set since.
    wanted = model._wanted.values()
    fresh.settings = model.settings.replaced(
        {name: wanted[name] for name in wanted.keys() - model.settings.values(saved_only=True).keys()}
    )
    told: dict[str, Any] = {}
    if checkpoint is not None:
        told = _told(fresh, growth.train, None)
        told |= {"epochs": growth.passes(), "update of": _weights_in_short(model), "by": in_short(growth.new)}
    _log.info("updating %r by %r", model, growth.new)
    _become(model, fresh, lambda: _grow(fresh, growth), told, checkpoint, every)


def updated(model: Model, growth: Growth) -> Model:
    """Return a model that is a part of another with new interactions learnt; it stays as it is."""
    fresh = copy.copy(model)
    fresh.train_ = growth.train
    fresh.__dict__.pop("_by_facts", None)
    _grow(fresh, growth)
    return fresh


def kept(model: "Recommender") -> dict[str, Any]:
    """Return what a checkpoint keeps of a fitted model, besides its settings and data."""
    return {"report": model.training_.to_dict(), "state": model._state()}


def taken_back(model: Model, held: dict[str, Any], train: Interactions) -> Model:
    """Return a recommender of the settings of this one, fitted by what ``kept`` gave."""
    again = type(model)(**model.settings.values())
    again.train_, again.training_ = train, TrainingReport.from_dict(held["report"])
    again._restore(Stored.of_state(held["state"]))
    return again


def _become(
    model: "Recommender",
    fresh: "Recommender",
    work: Callable[[], None],
    told: dict[str, Any],
    checkpoint: str | os.PathLike[str] | None,
    every: Every,
) -> None:
    """Have a copy of this model learn by ``work``, and become it then; what ends early leaves this one as it was."""
    wanted, train = fresh._wanted, fresh.train_
    fresh.__dict__.pop("_by_facts", None)
    if checkpoint is not None:
        fresh._checkpoint = fresh._share.checkpoint(checkpoint, every, told)
        finished = fresh._checkpoint.resume(_FINISHED)
        if finished is not None:
            _log.info("%s is fitted already, by %s", model, checkpoint)
            fresh = taken_back(fresh, finished, train)
            fresh._wanted = wanted
            fresh.training_.tell(fresh.settings.callbacks)
            model.__dict__ = fresh.__dict__
            return
    # Some may have taken longer to read the data.
    fresh._share.meet()
    started = time.perf_counter()
    try:
        with memory_errors():
            work()
        if fresh._checkpoint is not None:
            fresh._checkpoint.keep(_FINISHED, lambda: kept(fresh), now=True)
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


def _grow(model: "Recommender", growth: Growth) -> None:
    """Update, and note what was known of the fit and of earlier updates."""
    before, model.training_ = growth.start.model, TrainingReport()
    try:
        model._update(growth)
    finally:
        model.__dict__.pop("_start", None)
        # What is interrupted may be handed out, too.
        counts = {"fit_epochs": passes_of(before), "updates": int(before.training_.facts.get("updates", 0)) + 1}
        model.training_.facts = {**before.training_.facts, **model.training_.facts, **counts}


def _taken(model: "Recommender", data: Any, valid: Any) -> tuple[Any, Any, Interactions]:
    """Take what a fit learns from and is stopped on, in memory or in files, and what the model is to keep of it."""
    files = streamed(data)
    if files is not None:
        model._refuse_streams()
        return files, validation_files(files, data, valid), files.catalogue()
    train = as_interactions(data, "data")
    return train, None if valid is None else validation_part(valid, train), train


def _told(model: "Recommender", train: Any, valid: Any) -> dict[str, Any]:
    """Say what a fit must agree in with that of a checkpoint."""
    return {
        "variant": model.variant,
        **model.settings.told(model._share.device(model.settings.device)),
        "data": _in_short(train),
        "valid": None if valid is None else _in_short(valid),
    }


def _in_short(data: Interactions | ParquetInteractions) -> str:
    return data.in_short() if isinstance(data, ParquetInteractions) else in_short(data)


def _weights_in_short(model: "Recommender") -> str:
    """Say by checksums which fitted model this is."""
    weights = {name: checksum(np.ascontiguousarray(on_host(one))) for name, one in model._state().items()}
    return f"{in_short(model.train_)}, weights {weights}"
