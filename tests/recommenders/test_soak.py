"""Long use: memory, file handles and threads stay what they were, and answers too."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.scripts import run

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="what a process holds is read from /proc")


def soak(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("soaking", *arguments, OMP_NUM_THREADS="1")[-1])
    return found


def require_flat(found: dict[str, Any], before: str, share: float) -> None:
    assert found["after"]["bytes"] <= (1 + share) * found[before]["bytes"], found
    assert found["after"]["handles"] <= found["before"]["handles"], found
    assert found["after"]["threads"] <= found["before"]["threads"], found


def test_cycles_leave_nothing() -> None:
    found = soak("cycles", 16)
    require_flat(found, "before", 0.05)
    assert found["left"] == ["model"]


@pytest.mark.long
def test_1000_cycles_leave_nothing() -> None:
    require_flat(soak("cycles", 1000), "before", 0.05)


@pytest.mark.long
def test_ten_minutes_of_mixed_use_leave_nothing() -> None:
    seconds = float(os.environ.get("DIFFREC_SOAK_SECONDS", 600))
    found = soak("mixed", seconds, 8)
    require_flat(found, "warm", 0.05)
    assert found["left"] == []
