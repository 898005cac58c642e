"""Ctrl-C: how soon it is answered, and what is there then."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import DiffRec, Interactions, Recommender, Stack
from diffrec.recommenders.auto.search import Search
from diffrec.training import EpochRecord
from support.resuming import FORMS, unfitted, world
from support.scripts import run

SOME = (
    "diffrec", "t-diffrec, sequence", "lightgcn", "ials, exact", "ease", "k-means", "itemknn", "the choice",
    "read .csv",
)  # fmt: skip


def interrupt(moments: int, *names: str) -> list[dict[str, Any]]:
    """What came of interruptions at random moments, each in a process of its own."""
    said = run("interrupting", moments, *names, timeout=3600, OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1")
    return [json.loads(line) for line in said]


def require_prompt(found: list[dict[str, Any]]) -> None:
    for one in found:
        if one["seconds"] is not None:
            assert one["seconds"] < 1, one
            # What waits takes no time of the processor; others of a busy machine do, too.
            assert one["waited"] < 10, one
            # Nobody goes on computing.
            assert one["after"] < 0.05, one
            assert one["threads"] == [], one
            assert one["lists"] is not False, one


def test_an_interruption_is_answered_within_a_second() -> None:
    found = interrupt(1, *SOME)
    require_prompt(found)
    assert sum(one["seconds"] is not None for one in found) >= len(SOME) - 1


@pytest.mark.long
def test_everything_that_takes_long_answers_within_a_second() -> None:
    found = interrupt(5)
    require_prompt(found)
    assert sum(one["seconds"] is not None for one in found) > 100


@pytest.fixture(scope="module")
def data() -> Interactions:
    return world()


def interrupting_at(epoch: int) -> Callable[[EpochRecord], None]:
    def callback(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupted_fit_offers_its_best_weights(form: str, data: Interactions, tmp_path: Path) -> None:
    model = unfitted(form, callbacks=[interrupting_at(3)])
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(data, checkpoint=tmp_path / "c")
    assert not hasattr(model, "train_")
    partial: Recommender = caught.value.partial
    assert type(partial) is type(model)
    assert len(partial.training_.epochs) == 3
    assert np.isfinite(partial.recommend(k=5).scores).all()
    partial.save(tmp_path / "model")
    np.testing.assert_array_equal(diffrec.load(tmp_path / "model", device="cpu").score(), partial.score())
    # Another number of epochs is another course of a rate that falls over all of them.
    if model.get_params().get("lr_schedule") != "cosine":
        wanted = unfitted(form, **{"iterations" if form == "ials" else "epochs": 3}).fit(data)._state()
        for name, values in partial._state().items():
            # The weight of an anchor that is chosen on validation at the end is not chosen.
            if name != "anchor_scale":
                np.testing.assert_array_equal(np.asarray(values), np.asarray(wanted[name]), err_msg=name)
    # And the same call goes on.
    unfitted(form).fit(data, checkpoint=tmp_path / "c")


def test_before_the_first_epoch_there_is_nothing_to_offer(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("diffrec.recommenders.diffrec.model.run_batches", stop)
    with pytest.raises(KeyboardInterrupt) as caught:
        unfitted("diffrec").fit(data)
    assert caught.value.partial is None


@pytest.mark.parametrize(
    ("named", "interrupted"),
    [
        ({"variant": "diffrec"}, "learning.as_interactions"),
        ({"variant": "diffrec"}, "learning.in_short"),
        ({}, "auto.choose.as_interactions"),
        ({}, "auto.done.in_short"),
        ({}, "auto.judged.hold_out"),
    ],
)
def test_nor_is_there_before_the_fit_begins(
    named: dict[str, Any], interrupted: str, data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"diffrec.recommenders.{interrupted}", stop)
    with pytest.raises(KeyboardInterrupt) as caught:
        diffrec.fit(data, checkpoint=tmp_path / "c", **named)
    assert caught.value.partial is None


def test_a_part_is_not_offered_for_the_whole(data: Interactions) -> None:
    settings = {"dims": (4,), "epochs": 5, "holdout": 0}
    stack = Stack(parts=["popularity", ("diffrec", settings)], progress=False, callbacks=[interrupting_at(2)])
    with pytest.raises(KeyboardInterrupt) as caught:
        stack.fit(data)
    assert caught.value.partial is None


def test_the_choice_offers_the_best_so_far(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Search._judge

    def stop(search: Search, *arguments: Any, **named: Any) -> Any:
        trial = judge(search, *arguments, **named)
        if len(search.trials) == 6:
            raise KeyboardInterrupt
        return trial

    monkeypatch.setattr(Search, "_judge", stop)
    with pytest.raises(KeyboardInterrupt) as caught:
        diffrec.fit(data, budget=None, progress=False)
    partial: Recommender = caught.value.partial
    assert partial.train_ is data
    assert not isinstance(partial, DiffRec)
    assert partial.recommend(k=3).items.shape == (60, 3)
