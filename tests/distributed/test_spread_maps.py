"""Anchors that several processes solve for, and models that have one: the numbers and lists of one process."""

from pathlib import Path

import numpy as np
import pytest

import diffrec
from support import spread_maps as work
from support.worlds import Processes

# No number of these divides the items.
SIZES = [2, 3, 4]


@pytest.mark.parametrize("way", work.WAYS)
def test_anchors_are_those_of_one_process(four: Processes, way: str) -> None:
    alone = work.solved(None, way)
    for size in SIZES:
        parts = four.run(work.solved, way, size=size)
        found = {name: np.concatenate([part[name] for part in parts], axis=1) for name in alone}
        np.testing.assert_allclose(found["columns"], alone["columns"], rtol=0, atol=1e-8, err_msg=str(size))
        # The same neighbours, of equal ones, too.
        np.testing.assert_array_equal(found["cells"] != 0, alone["cells"] != 0)
        lists, expected = (np.argsort(-one["columns"].round(9), axis=1, kind="stable") for one in (found, alone))
        np.testing.assert_array_equal(lists, expected)


def test_embeddings_by_factors_have_the_gradient_of_one_process(four: Processes) -> None:
    alone = work.propagated(None)
    assert np.abs(alone["gradient"]).max() > 1e-4
    for size, replicas in ((3, 1), (4, 2)):
        for found in four.run(work.propagated, size=size, replicas=replicas):
            for name, values in alone.items():
                np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-10, err_msg=f"{name} {size}")


@pytest.mark.long
def test_they_go_on_from_a_checkpoint_of_any_number_of_processes(four: Processes, tmp_path: Path) -> None:
    folder = str(tmp_path / "fit")
    whole = four.run(work.kept, folder)[0]
    for size in (1, 3):
        again = four.run(work.kept, folder, size=size)[0]
        np.testing.assert_allclose(again["scores"], whole["scores"], atol=1e-5)
        # Not fitted anew: what the epochs took is what it was.
        np.testing.assert_array_equal(again["seconds"], whole["seconds"])


@pytest.mark.parametrize("form", ["anchor, approximate", "forecast", "sequence"])
def test_models_of_several_processes_rank_and_are_kept_as_those_of_one(
    four: Processes, form: str, tmp_path: Path
) -> None:
    same_as_alone(four, form, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("form", ["anchor", "anchor of views", "anchor of few rows", "diffrec", "ials", "lightgcn"])
def test_so_do_others(four: Processes, form: str, tmp_path: Path) -> None:
    same_as_alone(four, form, tmp_path)


def same_as_alone(four: Processes, form: str, tmp_path: Path) -> None:
    path = tmp_path / "alone.diffrec"
    alone = work.fitted(None, form, str(path))
    again = work.asked(diffrec.load(path))
    np.testing.assert_array_equal(again["items"], alone["items"])
    for size, replicas in ((3, 1), (4, 2)):
        copy = tmp_path / f"{size}.diffrec"
        for found in four.run(work.loaded, str(path), str(copy), size=size, replicas=replicas):
            np.testing.assert_array_equal(found["items"], alone["items"], err_msg=f"{size}")
            np.testing.assert_array_equal(found["ndcg"], alone["ndcg"])
            np.testing.assert_allclose(found["scores"], alone["scores"], atol=1e-5)
        assert copy.read_bytes() == path.read_bytes()
        for found in four.run(work.fitted, form, size=size, replicas=replicas):
            # Sums of float32 in another order, and what training makes of their last bits.
            np.testing.assert_allclose(found["scores"], alone["scores"], rtol=1e-3, atol=1e-3, err_msg=f"{size}")
