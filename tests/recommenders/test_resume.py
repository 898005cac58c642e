"""Fits that stop, by whatever, and go on: they end with the bits of a fit that was never stopped."""

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import CheckpointError, Interactions, Recommender
from diffrec.training import EpochRecord
from diffrec.training.checkpoint import Checkpoint
from diffrec.training.steps import Steps
from support.resuming import FORMS, WORKS, same, unfitted, world
from support.scripts import run


class Stopped(Exception):
    """Raised in the middle of a fit."""


def stopping_at(epoch: int) -> Callable[[EpochRecord], None]:
    """A callback that ends the fit in an epoch."""

    def callback(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise Stopped

    return callback


@pytest.fixture(scope="module")
def data() -> Interactions:
    return world()


@pytest.mark.parametrize("form", FORMS)
def test_a_fit_that_stops_after_every_epoch_ends_with_the_same_bits(
    form: str, data: Interactions, tmp_path: Path
) -> None:
    whole = unfitted(form).fit(data)
    path = tmp_path / "fit.checkpoint"
    epochs = len(whole.training_.epochs)
    for epoch in range(2, epochs + 1):
        with pytest.raises(Stopped):
            unfitted(form, callbacks=[stopping_at(epoch)]).fit(data, checkpoint=path)
    seen: list[int] = []
    parts = unfitted(form, callbacks=[lambda record: seen.append(record.epoch)]).fit(data, checkpoint=path)
    same(whole, parts)
    assert seen == list(range(1, epochs + 1))
    assert [file.name for file in tmp_path.iterdir()] == ["fit.checkpoint"]


@pytest.mark.parametrize("form", FORMS)
def test_a_finished_checkpoint_is_the_model(
    form: str, data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = unfitted(form).fit(data, checkpoint=tmp_path / "c")
    again = unfitted(form)
    monkeypatch.setattr(type(again), "_fit", lambda *_: pytest.fail("it is fitted anew"))
    again.fit(data, checkpoint=tmp_path / "c")
    same(first, again)
    assert again.training_ == first.training_
    assert not hasattr(again, "_pace")


@pytest.mark.parametrize("variant", ["popularity", "itemknn", "rp3beta", "ease", "anchor", "topfreq", "tifuknn"])
def test_what_is_solved_at_once_comes_back_too(variant: str, data: Interactions, tmp_path: Path) -> None:
    first, again = (diffrec.fit(data, variant=variant, checkpoint=tmp_path / "c") for _ in range(2))
    same(first, again)


def test_a_model_fitted_before_takes_nothing_of_it_along(data: Interactions, tmp_path: Path) -> None:
    unfitted("diffrec").fit(data, checkpoint=tmp_path / "c")
    model = unfitted("diffrec", anchor=True).fit(data).set_params(anchor=False)
    same(model.fit(data, checkpoint=tmp_path / "c"), unfitted("diffrec").fit(data))


def kill(forms: Iterable[str]) -> list[int]:
    """How often each form was killed until it was done."""
    return [int(line.split()[-2]) for line in run("resuming", *forms, OMP_NUM_THREADS="1")]


def test_fits_that_are_killed_at_any_moment_end_with_the_same_bits() -> None:
    assert sum(kill(["diffrec", "t-diffrec, sequence", "cfgan", "lightgcn"])) >= 4


@pytest.mark.long
def test_all_that_goes_on_is_killed() -> None:
    assert sum(kill(WORKS)) > 20


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"lr": 0.5}, "lr=0.01, and this is lr=0.5"),
        ({"dims": (4,)}, r"dims=\[8\], and this is dims=\[4\]"),
        ({"seed": 4}, "seed=3, and this is seed=4"),
        ({"time_limit": 60}, "time_limit=None, and this is time_limit=60.0"),
        ({"groups": 2}, "variant='diffrec', and this is variant='l-diffrec'"),
        ({"item_embeddings": np.ones((40, 2))}, "item_embeddings=None, and this is item_embeddings='array of shape"),
    ],
)
def test_other_settings_are_refused_by_name(
    changed: dict[str, Any], named: str, data: Interactions, tmp_path: Path
) -> None:
    path = tmp_path / "c"
    with pytest.raises(Stopped):
        unfitted("diffrec", callbacks=[stopping_at(3)]).fit(data, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=rf"c' is the checkpoint of {named}"):
        unfitted("diffrec", **changed).fit(data, checkpoint=path)
    assert path.read_bytes() == before


def test_other_data_are_refused(data: Interactions, tmp_path: Path) -> None:
    model = unfitted("diffrec").fit(data, checkpoint=tmp_path / "c")
    learn, valid, _ = data.split(by="random", valid=0.2, test=0)
    with pytest.raises(CheckpointError, match="of data='60 users x 40 items, 617 interactions, checksum .* and this"):
        unfitted("diffrec").fit(learn, checkpoint=tmp_path / "c")
    with pytest.raises(CheckpointError, match="of valid=None, and this is valid='60 users"):
        unfitted("diffrec").fit(data, valid, checkpoint=tmp_path / "c")
    other = Interactions.from_csr(data.matrix)  # the same cells without their times
    with pytest.raises(CheckpointError, match="of data="):
        model.fit(other, checkpoint=tmp_path / "c")


@pytest.mark.parametrize("place", range(0, 4000, 97))
def test_a_damaged_checkpoint_is_refused(place: int, tmp_path: Path, finished: bytes, data: Interactions) -> None:
    damaged = bytearray(finished)
    damaged[place * len(damaged) // 4000] ^= 1 << place % 8
    (tmp_path / "c").write_bytes(damaged)
    with pytest.raises(CheckpointError, match="/c'"):
        unfitted("diffrec").fit(data, checkpoint=tmp_path / "c")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data: Interactions) -> bytes:
    path = tmp_path_factory.mktemp("finished") / "c"
    with pytest.raises(Stopped):
        unfitted("diffrec", callbacks=[stopping_at(3)]).fit(data, checkpoint=path)
    return path.read_bytes()


def test_checkpoints_of_other_versions_are_refused(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stopped):
        unfitted("diffrec", callbacks=[stopping_at(3)]).fit(data, checkpoint=tmp_path / "c")
    with monkeypatch.context() as patched:
        patched.setattr("diffrec.training.checkpoint.__version__", "9.9")
        with pytest.raises(CheckpointError, match=r"c' is the checkpoint of diffrec='.*', and this is diffrec='9\.9'"):
            unfitted("diffrec").fit(data, checkpoint=tmp_path / "c")
        patched.setattr("diffrec.training.checkpoint._FORMAT", 2)
        with pytest.raises(CheckpointError, match="it has format 1, and this version goes on from format 2"):
            unfitted("diffrec").fit(data, checkpoint=tmp_path / "c")
    same(unfitted("diffrec").fit(data, checkpoint=tmp_path / "c"), unfitted("diffrec").fit(data))


def counted_to(last: int) -> tuple[Callable[[EpochRecord], None], list[int]]:
    """A callback that ends a fit at its so-manieth call, and the epochs that it was called with."""
    seen: list[int] = []

    def callback(record: EpochRecord) -> None:
        seen.append(record.epoch)
        if len(seen) == last:
            raise Stopped

    return callback, seen


def test_a_stack_goes_on_with_the_part_it_was_at(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, one), (_, other) = FORMS["diffrec"], FORMS["multivae"]
    parts = [("ease", {"l2": 5.0}), ("diffrec", one | {"epochs": 3}), ("multivae", other | {"epochs": 3})]

    def stack(callbacks: Any = ()) -> Recommender:
        return diffrec.Stack(parts=parts, progress=False, callbacks=callbacks)

    callback, seen = counted_to(0)
    whole, path = stack([callback]).fit(data), tmp_path / "c"
    for last in range(1, len(seen) + 1):
        with pytest.raises(Stopped):
            stack([counted_to(last)[0]]).fit(data, checkpoint=path)
        if last == 4:  # in the last part: the others are not asked for again
            for done in (diffrec.EASE, diffrec.DiffRec):
                monkeypatch.setattr(done, "_fit", lambda *_: pytest.fail("it is fitted anew"))
    callback, again = counted_to(0)
    same(stack([callback]).fit(data, checkpoint=path), whole)
    assert again == seen
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_an_update_of_a_stack_goes_on(data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learn, later, _ = data.split(by="time", valid=0.2, test=0)
    (_, one), (_, other) = FORMS["diffrec"], FORMS["multivae"]
    models = [diffrec.Stack(parts=[("diffrec", one), ("multivae", other)], progress=False).fit(learn) for _ in range(2)]
    models[0].update(later)
    with monkeypatch.context() as patched:
        patched.setattr(diffrec.MultiVAE, "_update", fail_with(Stopped))
        with pytest.raises(Stopped):
            models[1].update(later, checkpoint=tmp_path / "c")
    monkeypatch.setattr(diffrec.DiffRec, "_update", lambda *_: pytest.fail("it is updated anew"))
    models[1].update(later, checkpoint=tmp_path / "c")
    same(*models)
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def fail_with(error: type[Exception]) -> Callable[..., None]:
    def failing(*_: Any) -> None:
        raise error

    return failing


def test_only_files_of_steps_are_cleared_away(tmp_path: Path) -> None:
    others = [tmp_path / f"c.step-{name}" for name in ("by-step", "0123456789ab.txt", "0123456789ag", "0123456789abc")]
    for other in others:
        other.touch()
    (tmp_path / "c.step-0123456789ab").mkdir()
    (tmp_path / "c.step-abcdef012345").touch()
    steps = Steps(Checkpoint(tmp_path / "c", "epoch", {}))
    steps.tidy()
    assert set(tmp_path.iterdir()) == {*others, tmp_path / "c.step-0123456789ab", tmp_path / "c"}


def test_a_model_is_no_checkpoint(data: Interactions, tmp_path: Path) -> None:
    unfitted("ials").fit(data).save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    with pytest.raises(CheckpointError, match="model' is no checkpoint"):
        unfitted("ials").fit(data, checkpoint=tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before
    with pytest.raises(CheckpointError, match="must be the path of a file"):
        unfitted("ials").fit(data, checkpoint=tmp_path)


def test_a_place_that_cannot_be_written_is_heard_of_first(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    model = unfitted("diffrec")
    monkeypatch.setattr(type(model), "_fit", lambda *_: pytest.fail("it is fitted first"))
    with pytest.raises(OSError, match="file"):
        model.fit(data, checkpoint=tmp_path / "file" / "c")
    with pytest.raises(ValueError, match="every must be 'epoch' or a time, in seconds or as '5min', got 'often'"):
        model.fit(data, checkpoint=tmp_path / "c", every="often")


def test_so_many_seconds_lie_between_two_writings(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, written = 0.0, []
    monkeypatch.setattr("diffrec.training.checkpoint.time.monotonic", lambda: now)

    def tick(record: EpochRecord) -> None:
        nonlocal now
        written.append((tmp_path / "c").stat().st_mtime_ns)
        now += 1

    model = unfitted("diffrec", callbacks=[tick], holdout=0)
    model.fit(data, checkpoint=tmp_path / "c", every="2s")
    assert len(model.training_.epochs) == 6
    assert [one != other for one, other in itertools.pairwise(written)] == [False, True, False, True, False]


def test_time_is_spent_by_all_runs_together(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, done, stopping = 0.0, 0, True
    monkeypatch.setattr("diffrec.training.loop.time.perf_counter", lambda: now)

    def tick(record: EpochRecord) -> None:
        nonlocal now, done
        if stopping and record.epoch == 8:
            raise Stopped
        # Those of the checkpoint are called back, too.
        if record.epoch > done:
            now, done = now + 1, record.epoch

    settings: dict[str, Any] = {"epochs": 10_000, "time_limit": 12.5, "holdout": 0, "callbacks": [tick]}
    with pytest.raises(Stopped):
        unfitted("diffrec", **settings).fit(data, checkpoint=tmp_path / "c")
    now, stopping = now + 1000, False
    model = unfitted("diffrec", **settings).fit(data, checkpoint=tmp_path / "c")
    assert len(model.training_.epochs) == 13


def test_a_fitted_model_of_the_checkpoint_is_a_model_like_any(data: Interactions, tmp_path: Path) -> None:
    unfitted("lightgcn").fit(data, checkpoint=tmp_path / "c")
    model: Recommender = unfitted("lightgcn").fit(data, checkpoint=tmp_path / "c")
    model.save(tmp_path / "model")
    same(model, diffrec.load(tmp_path / "model", device="cpu"))
