"""Ray and Spark, for real: their lists are those of one process, whatever becomes of their workers."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[1] / "support"


def run(script: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, SUPPORT / script, folder], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray")
def test_actors_of_ray_rank_as_one_process_does_and_one_is_killed(tmp_path: Path) -> None:
    said = run("ray_lists.py", tmp_path)
    assert "equal" in said
    assert "killed one, lost nothing" in said


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="needs pyspark")
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_workers_of_spark_rank_as_one_process_does(tmp_path: Path) -> None:
    assert [line for line in run("spark_lists.py", tmp_path) if line.startswith("equal")] == ["equal", "equal again"]
