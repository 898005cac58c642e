"""Models work in forked and in started processes, after the process they come from has used its threads."""

import importlib.util
import os

import pytest

from support.scripts import run


def recommend_in(*methods: str) -> None:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "2")
    # Threads of many processes would spin for nothing.
    run("processes", *methods, timeout=300, OMP_WAIT_POLICY="PASSIVE", **threads)


def test_forked_and_started_processes_recommend_the_same() -> None:
    forks = ("os.fork", "os.fork twice", "fork") if hasattr(os, "fork") else ()
    recommend_in(*forks, "spawn")


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("joblib") is None, reason="needs joblib")
def test_processes_of_joblib_recommend_the_same() -> None:
    recommend_in("joblib")
