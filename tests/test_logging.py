"""What a fit tells those who listen, and that it says nothing to those who do not."""

import logging
import subprocess
import sys
from typing import Any

import pytest

import diffrec

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
SMALL: dict[str, Any] = {"dims": (8,), "epochs": 6, "validate_every": 1, "progress": False}


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="diffrec")
    return caplog


def test_a_fit_tells_what_it_did(told: pytest.LogCaptureFixture) -> None:
    model = diffrec.fit(DATA, **SMALL)
    held_out = len(DATA.split(by="random", valid=0.1, test=0).valid)
    report = model.training_
    for words in (
        "fitting DiffRec(progress=False, epochs=6, validate_every=1, dims=(8,)) on <Interactions: 60 users x 40 items",
        f"held out {held_out} of {len(DATA)} interactions (drawn from each history) to stop on",
        "planned on cpu: 0.0 million parameters",
        f"trained 6 epochs; the best is {report.best_epoch} with recall@20 {report.best_validation:.4f}",
        "fitted DiffRec in ",
    ):
        assert words in told.text
    assert {r.levelno for r in told.records} == {logging.INFO}
    assert all(r.name.startswith("diffrec.") for r in told.records)


def test_the_newest_are_held_out_where_time_counts(told: pytest.LogCaptureFixture) -> None:
    diffrec.fit(DATA, variant="t-diffrec", holdout=0.1, **SMALL)
    assert "(the newest of each history)" in told.text


def test_early_stopping_is_told(told: pytest.LogCaptureFixture) -> None:
    model = diffrec.fit(DATA, **(SMALL | {"lr": 1e-12, "epochs": 50, "patience": 3}))
    assert len(model.training_.epochs) < 50
    assert "stopped early: recall@20 has not risen for 3 epochs" in told.text


def test_training_without_validation_is_told(told: pytest.LogCaptureFixture) -> None:
    diffrec.fit(DATA, **(SMALL | {"holdout": 0}))
    assert "trained 6 epochs without a validation to pick the best by" in told.text
    diffrec.fit(DATA.take([0]).where(DATA.take([0]).matrix.data < 0).merge(_one_each()), **SMALL)
    assert "nothing is held out: histories are too short for holdout=0.1, or their ends repeat" in told.text


def _one_each() -> diffrec.Interactions:
    return diffrec.Interactions.from_arrays(DATA.users[:1], DATA.items[:1], [1], users=DATA.users[:1], items=DATA.items)


def test_comparisons_tell_each_result(told: pytest.LogCaptureFixture) -> None:
    diffrec.compare(DATA, ["popularity", "itemknn"], k=[5], metric="ndcg@5", progress=False)
    assert "Popularity(progress=False), seed 0: recall@5 0." in told.text
    assert "ItemKNN(progress=False), seed 0: recall@5 0." in told.text


def test_silent_unless_asked() -> None:
    code = """import logging, sys, diffrec
data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
logging.getLogger("diffrec.recommenders").warning("something")
diffrec.fit(data, variant="ials", factors=2, iterations=2)
print("now", file=sys.stderr)
logging.basicConfig(level="INFO")
diffrec.fit(data, variant="ials", factors=2, iterations=2)"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    silent, told = done.stderr.split("now\n")
    assert silent == ""
    assert told.startswith("INFO:diffrec.recommenders.learning:fitting IALS(")
    assert len(told.splitlines()) == 2
