"""The bar: drawn on a terminal, where it is wanted, and nowhere else."""

import functools
import io
from collections.abc import Iterator
from typing import Any

import pytest
from tqdm.auto import tqdm

import diffrec

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
TRAINED: dict[str, dict[str, Any]] = {
    "diffrec": {"dims": (4,)},
    "l-diffrec": {"dims": (4,), "latent_dims": (4,)},
    "lightgcn": {"factors": 4},
    "multivae": {"dims": (4,), "latent": 2},
    "cfgan": {"dims": (4,), "discriminator_dims": (4,)},
    "sasrec": {"width": 4, "holdout": 0.1},
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.MonkeyPatch.context() as patch:
        stream = Terminal()
        # pytest puts its own stream back after a fixture: the bars are given this one instead.
        patch.setattr("diffrec._progress.tqdm", functools.partial(tqdm, file=stream))
        patch.setattr("diffrec._progress._is_seen", lambda: True)
        yield stream


@pytest.mark.parametrize("variant", TRAINED)
def test_a_terminal_sees_epochs_loss_validation_and_time_left(variant: str, terminal: Terminal) -> None:
    diffrec.fit(DATA, variant=variant, epochs=3, validate_every=1, **TRAINED[variant])
    last = terminal.getvalue().split("\r")[-1]
    for words in (": 100%", "3/3", "<", "loss=", "recall@20=0.", "best=0."):
        assert words in last


def test_the_loss_is_shown_between_validations(terminal: Terminal) -> None:
    loss = diffrec.fit(DATA, dims=(4,), epochs=3, validate_every=5).training_.epochs[1].loss
    with pytest.MonkeyPatch.context() as patch:
        # Drawn after every epoch, however soon it is over.
        patch.setattr("diffrec._progress.tqdm", functools.partial(tqdm, file=terminal, mininterval=0))
        diffrec.fit(DATA, dims=(4,), epochs=3, validate_every=5)
    second = next(line for line in terminal.getvalue().split("\r") if "| 2/3" in line)
    assert f"loss={loss:.4g}" in second
    assert "recall" not in second


def test_ials_and_comparisons_show_theirs(terminal: Terminal) -> None:
    diffrec.fit(DATA, variant="ials", factors=2, iterations=2)
    assert "2/2" in terminal.getvalue()
    diffrec.compare(DATA, ["popularity"], seeds=1)
    assert "compare" in terminal.getvalue()


@pytest.mark.parametrize("variant", [*TRAINED, "ials"])
def test_it_can_be_turned_off(variant: str, terminal: Terminal) -> None:
    quick = {"factors": 2, "iterations": 2} if variant == "ials" else TRAINED[variant] | {"epochs": 2}
    diffrec.fit(DATA, variant=variant, progress=False, **quick)
    diffrec.compare(DATA, ["popularity"], progress=False)
    assert terminal.getvalue() == ""


def test_nothing_is_drawn_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    diffrec.fit(DATA, dims=(4,), epochs=2)
    diffrec.fit(DATA, variant="ials", factors=2, iterations=2)
    diffrec.compare(DATA, ["popularity"])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("variant", ["diffrec", "ials"])
def test_a_bar_that_nobody_sees_waits_for_no_lock(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """tqdm's is shared by forked processes, and stays taken where one is killed that holds it."""

    def drawn(**_: Any) -> None:
        raise AssertionError("tqdm was asked for a bar that nobody sees")

    monkeypatch.setattr("diffrec._progress.tqdm", drawn)
    quick = {"factors": 2, "iterations": 2} if variant == "ials" else TRAINED[variant] | {"epochs": 2}
    diffrec.fit(DATA, variant=variant, progress=False, **quick)
    diffrec.fit(DATA, variant=variant, **quick)
    diffrec.compare(DATA, ["popularity"])
