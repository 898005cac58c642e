"""What the processes of a test do with a model that they hold together."""

import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import diffrec
import diffrec.distributed.share as spread_share
from diffrec import DiffRec
from diffrec.data import ParquetInteractions
from diffrec.diffusion import layout_of
from diffrec.distributed import Spread, SpreadCheckpoint, World
from diffrec.distributed.share import _Gathered
from diffrec.export.graph import served
from diffrec.recommenders.fit import require_settings
from diffrec.training import CheckpointError
from diffrec.training.checkpoint import TRAINING
from support.spread_training import data, whole

SETTINGS: dict[str, Any] = {"dims": (8,), "batch_size": 16, "seed": 2, "device": "cpu", "precision": "float32"}


class Interruption(Exception):
    """Ends a fit between two epochs, in all processes at once."""


def fitted() -> DiffRec:
    return DiffRec(**SETTINGS, epochs=3, progress=False).fit(data())


def with_ties(model: DiffRec) -> DiffRec:
    """Give items that are far apart the same rows of the last layer; others have exact sums in the first."""
    denoiser = model._network.denoiser  # type: ignore[attr-defined]
    with torch.no_grad():
        # Sums of few binary digits are the same in whatever order.
        denoiser.items_in.copy_((denoiser.items_in * 64).round() / 64)
        denoiser.items_out.copy_((denoiser.items_out * 64).round() / 64)
        denoiser.bias_out.copy_((denoiser.bias_out * 64).round() / 64)
        denoiser.items_out[50:] = denoiser.items_out[:51].clone()
        denoiser.bias_out[50:] = denoiser.bias_out[:51].clone()
    model._weights_changed()
    return model


def asked(model: Any) -> dict[str, np.ndarray]:
    test = data(seed=8)
    report = model.evaluate(test, k=[5, 20])
    top = model.recommend(k=9)
    limited = model.recommend([3, 1, 7], k=4, deny=[5, 60], allow=list(range(0, 101, 3)))
    strangers = model.recommend(test.matrix[:5], k=6)
    figures = {name: np.asarray(report.per_user[name]) for name in ("recall@20", "ndcg@20", "ndcg@5")}
    return figures | {
        "lists": top.items, "scores": top.scores, "limited": limited.items, "strangers": strangers.items,
        "few": model.recommend([0], k=200).items,
    }  # fmt: skip


def load_and_ask(world: World, path: str) -> dict[str, np.ndarray]:
    return asked(diffrec.load(path, device="cpu", distributed=world))


def load_and_save(world: World, path: str, out: str) -> float:
    """Save a model again; return the largest piece that was handed around, as a part of a process's rows."""
    # Else so small a model would be handed around at once.
    spread_share._LEAST_AT_ONCE = 1
    model = diffrec.load(path, device="cpu", distributed=world)
    gathered = model._share.whole(model._state())  # type: ignore[attr-defined]
    parts = []
    for values in gathered.values():
        if isinstance(values, _Gathered) and world.items.size > 1:
            share = -(-values.shape[0] // world.items.size) * int(np.prod(values.shape[1:], dtype=int)) * 4
            parts += [piece.nbytes / share for piece in values.pieces()]
    model.save(out)
    return max(parts, default=0.0)


def refusals(world: World, path: str) -> list[str]:
    model: Any = diffrec.load(path, device="cpu", distributed=world)
    said = []
    unread: Any = None
    for ask in (
        lambda: model.score([0]),
        lambda: model.explain(0, 1),
        lambda: model.recommend([0], novelty=1.0),
        lambda: model.update(data()),
        lambda: served(model, 3, exclude_seen=True, ordered_topk=True),
        lambda: diffrec.fit(unread, variant="ease", distributed=world),
        lambda: diffrec.fit(unread, distributed=world),
        lambda: diffrec.fit(unread, variant="diffrec", forward_steps=2, distributed=world),
        lambda: diffrec.fit(unread, init=model, distributed=world),
        lambda: require_settings(distributed=world, seed=1),
        lambda: require_settings(distributed=world, variant="ials", factors=4),
        lambda: require_settings(distributed=world, variant="itemknn"),
    ):
        try:
            ask()
            said.append("")
        except TypeError as error:
            said.append(str(error))
    return said


def copy(one: Path, other: Path) -> None:
    shutil.copytree(one, other)


class _Stopping(Spread):
    """Ends the fit after some epochs."""

    def __init__(self, world: World, seed: int, after: int | None) -> None:
        super().__init__(world, seed)
        self.after = after
        self.done = 0

    def total(self, value: float) -> float:
        if self.done == self.after:
            raise Interruption
        self.done += 1
        return super().total(value)


def fit_from(world: World, folder: str, *, memory: bool) -> dict[str, Any]:
    """Fit on a prepared folder, or on what is in it; return weights, figures and lists."""
    train, valid = (ParquetInteractions(folder, part) for part in ("train", "valid"))
    data, held_out = (train.read(), valid.read()) if memory else (train, valid)
    model: Any = diffrec.fit(
        data, valid=held_out, variant="diffrec", distributed=world, progress=False, epochs=3, **SETTINGS
    )
    own = {name: values.numpy() for name, values in model._network.state_dict().items()}
    return own | {"validation": model.training_.best_validation, "top": model.recommend(train.read(), k=5).items}


def fit_by_the_clock(world: World) -> tuple[int, np.ndarray]:
    """Fit until a time is spent; return how many epochs that were, and weights that all processes have alike."""
    model = DiffRec(**SETTINGS, epochs=10**6, time_limit=1.0, lr_schedule="cosine", holdout=0, progress=False)
    model.spread_over(Spread(world, 2))
    network: Any = model.fit(data())._network
    alike = [values for name, values in network.named_parameters() if layout_of(values) is None]
    return len(model.training_.epochs), torch.cat([values.detach().flatten() for values in alike]).numpy()


def read_of_damaged(world: World, folder: str) -> list[str]:
    """Keep a state together, damage what one process wrote, and return what each says of it."""

    def opened() -> SpreadCheckpoint:
        return SpreadCheckpoint(folder, "epoch", {}, world, lambda _: None)

    assert opened().keep(TRAINING, lambda: {"w": torch.arange(1000.0)})
    assert torch.equal(opened().resume(TRAINING)["w"], torch.arange(1000.0))
    checkpoint = opened()
    if world.leads:
        for piece in Path(folder).rglob("*.distcp"):
            piece.write_bytes(piece.read_bytes()[:2000])
    world.everyone.barrier()
    try:
        checkpoint.resume(TRAINING)
    except CheckpointError as error:
        return [str(error)]
    return []


def fits_that_end(world: World) -> list[str]:
    """Fit with a callback that fails in the second epoch; return what the process says each time."""

    def callback(record: Any) -> None:
        assert world.leads
        if record.epoch == 2:
            raise ArithmeticError("enough")

    said = []
    for named in ({"variant": "ials", "factors": 2}, {"variant": "diffrec", "epochs": 5} | SETTINGS):
        try:
            diffrec.fit(data(), distributed=world, progress=False, callbacks=[callback], **named)
        except (ArithmeticError, RuntimeError) as error:
            said.append(f"{type(error).__name__}: {error}")
    return said


def fit_whose_weights_explode(world: World) -> str:
    """Fit where the weights of one process alone grow too large; return what this process says."""
    here = 1e20 if world.everyone.rank == 1 else 1.0
    with mock.patch("diffrec.training.loop._largest_weight", return_value=here):
        try:
            diffrec.fit(data(), distributed=world, progress=False, epochs=5, **SETTINGS)
        except FloatingPointError as error:
            return str(error)
    return "nothing"


def fit_in_epochs(world: World, folder: str | None, after: int | None, every: str = "epoch") -> dict[str, Any] | None:
    """Fit for five epochs, or stop after some; return the weights of all items."""
    model = DiffRec(**SETTINGS, epochs=5, validate_every=2, progress=False)
    share = _Stopping(world, 2, after)
    model.spread_over(share)
    try:
        model.fit(data(), checkpoint=folder, every=every)
    except Interruption:
        return None
    network: Any = model._network
    weights = {name: whole(share, values, share._layouts.get(name)) for name, values in network.state_dict().items()}
    report = model.training_
    seconds = [one.seconds for one in report.epochs]
    return {"weights": weights, "epochs": len(seconds), "validation": report.best_validation, "seconds": seconds}
