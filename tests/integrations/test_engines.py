"""Ray and Spark, for real: their lists are those of one process, whatever becomes of their workers."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from support.scripts import run


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray")
def test_actors_of_ray_rank_as_one_process_does_and_one_is_killed(tmp_path: Path) -> None:
    said = run("ray_lists", tmp_path, timeout=900)
    assert "equal" in said
    assert "killed one, lost nothing" in said


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="needs pyspark")
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_workers_of_spark_rank_as_one_process_does(tmp_path: Path) -> None:
    said = run("spark_lists", tmp_path, timeout=900)
    assert [line for line in said if line.startswith("equal")] == ["equal", "equal again"]
