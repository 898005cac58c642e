"""Long use: memory, file handles and threads stay what they were, and answers too."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "soaking.py"
pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="what a process holds is read from /proc")


def soak(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
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
