"""What becomes of a model that several processes hold: lists, figures, files, checkpoints."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import diffrec
from diffrec.data.prepare import prepare
from support import spread_models as work
from support.worlds import Processes

GRIDS = [(2, 1), (3, 1), (4, 2)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one process; many of its items have the same scores, in every block of them."""
    path = tmp_path_factory.mktemp("model") / "alone.diffrec"
    work.with_ties(work.fitted()).save(path)
    return path


def test_lists_and_figures_are_those_of_one_process(four: Processes, file: Path) -> None:
    alone = work.asked(diffrec.load(file))
    lists = alone["lists"]
    # There are ties: or they would test nothing.
    assert (np.diff(alone["scores"], axis=1) == 0).mean() > 0.1
    assert len(np.unique(lists)) > 12
    for size, replicas in GRIDS:
        for found in four.run(work.load_and_ask, str(file), size=size, replicas=replicas):
            for name, values in alone.items():
                np.testing.assert_array_equal(found[name], values, err_msg=f"{name} {size} {replicas}")


def test_the_file_is_the_one_that_one_process_writes(four: Processes, file: Path, tmp_path: Path) -> None:
    for size, replicas in GRIDS:
        path = tmp_path / f"{size}-{replicas}.diffrec"
        largest = four.run(work.load_and_save, str(file), str(path), size=size, replicas=replicas)
        assert path.read_bytes() == file.read_bytes()
        # Nobody held more of a weight than a tenth of a share besides its own.
        assert all(most <= 0.1 for most in largest)


def test_what_needs_all_of_a_model_says_so(four: Processes, file: Path) -> None:
    alone = " is for one process, and 2 are to fit together: start one, without torchrun"
    for messages in four.run(work.refusals, str(file), size=2):
        for message, what in zip(messages[:5], ("score", "explain", "guidance", "update", "an export"), strict=True):
            assert message.startswith("this model is spread over 2 processes, and " + what)
            assert message.endswith("needs it whole: save it, and load the file in one process")
        for message, what in zip(
            messages[5:],
            [
                "variant='ease'",
                "the choice of a variant (variant='auto')",
                "forward_steps=2",
                "init",
                "the choice of a variant (variant='auto')",
                None,
                "variant='itemknn'",
            ],
            strict=True,
        ):
            assert message.startswith(what + alone) if what else message == ""


def test_a_training_goes_on_with_any_number_of_processes(four: Processes, tmp_path: Path) -> None:
    whole = four.run(work.fit_in_epochs, str(tmp_path / "whole"), None)[0]
    assert four.run(work.fit_in_epochs, str(tmp_path / "cut"), 3) == [None] * 4
    for copy in ("one", "three"):
        work.copy(tmp_path / "cut", tmp_path / copy)
    again = four.run(work.fit_in_epochs, str(tmp_path / "cut"), None)[0]
    assert again["epochs"] == whole["epochs"] == 5
    for name, values in whole["weights"].items():
        np.testing.assert_array_equal(again["weights"][name], values, err_msg=name)
    for copy, size in (("one", 1), ("three", 3)):
        other = four.run(work.fit_in_epochs, str(tmp_path / copy), None, size=size)[0]
        for name, values in whole["weights"].items():
            np.testing.assert_allclose(other["weights"][name], values, atol=2e-4, err_msg=f"{name} {size}")


def test_a_fit_that_is_over_is_not_made_again(four: Processes, tmp_path: Path) -> None:
    # Too short to be kept before its end.
    whole, again = (four.run(work.fit_in_epochs, str(tmp_path / "fit"), None, "1h", size=2)[0] for _ in range(2))
    assert again["seconds"] == whole["seconds"]
    for name, values in whole["weights"].items():
        np.testing.assert_array_equal(again["weights"][name], values, err_msg=name)


def test_what_cannot_be_read_of_a_checkpoint_is_told_by_all(four: Processes, tmp_path: Path) -> None:
    for said in four.run(work.read_of_damaged, str(tmp_path / "fit"), size=2):
        assert "fit': a process could not read or write its part: " in said[0]


def test_a_callback_that_fails_ends_all(four: Processes) -> None:
    first, second = four.run(work.fits_that_end, size=2)
    assert first == ["ArithmeticError: enough"] * 2
    assert second == ["RuntimeError: a callback ended the first process: ArithmeticError: enough"] * 2


def test_all_stop_where_the_weights_of_one_explode(four: Processes) -> None:
    said = four.run(work.fit_whose_weights_explode, size=2)
    assert said == ["the largest weight became 1e+20 in epoch 1; try a smaller lr"] * 2


@pytest.mark.long
def test_a_fit_from_files_is_that_in_memory(four: Processes, tmp_path: Path) -> None:
    diffrec.datasets.synthetic(users=150, items=40, seed=2).write(tmp_path / "raw.parquet")
    prepare(tmp_path / "raw.parquet", tmp_path / "out", block=300)
    folder = str(tmp_path / "out")
    pairs = (four.run(partial(work.fit_from, memory=memory), folder, size=3) for memory in (False, True))
    for found, wanted in zip(*pairs, strict=True):
        for name, values in wanted.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_processes_end_together_when_the_time_is_spent(four: Processes) -> None:
    (epochs, weights), *others = four.run(work.fit_by_the_clock, size=4, replicas=2)
    assert epochs > 1
    for found, values in others:
        assert found == epochs
        np.testing.assert_array_equal(values, weights)


def test_a_fit_by_several_is_that_of_one(four: Processes) -> None:
    one = four.run(work.fit_in_epochs, None, None, size=1)[0]
    for size, replicas in GRIDS:
        for found in four.run(work.fit_in_epochs, None, None, size=size, replicas=replicas):
            assert found["validation"] == pytest.approx(one["validation"], abs=0.02)
            for name, values in one["weights"].items():
                np.testing.assert_allclose(found["weights"][name], values, atol=2e-4, err_msg=f"{name} {size}")
