"""Models work in forked and in started processes, after the process they come from has used its threads."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "processes.py"


def run(*methods: str) -> None:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "2")
    environment = (
        os.environ | threads | {"OMP_WAIT_POLICY": "PASSIVE"}
    )  # threads of many processes would spin for nothing
    command = [sys.executable, SCRIPT, *methods]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_forked_processes_recommend_the_same() -> None:
    run("os.fork", "os.fork twice", "fork")


def test_started_processes_recommend_the_same() -> None:
    run("spawn")


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("joblib") is None, reason="needs joblib")
def test_processes_of_joblib_recommend_the_same() -> None:
    run("joblib")
