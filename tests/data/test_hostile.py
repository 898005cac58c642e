"""What nobody means, handed to every reader and entry: an error that says what is wrong, or a right answer."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FUZZER = Path(__file__).parents[1] / "support" / "input_fuzz.py"


def fuzz(cases: int, seed: int) -> dict[str, Any]:
    command = [sys.executable, FUZZER, str(cases), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_400_hostile_inputs_do_no_harm() -> None:
    found = fuzz(400, 0)
    # All kinds are among what is refused, and among what is taken.
    for kind in ("text", "npz", "parquet"):
        assert found[f"{kind}: refused"] > 5
        assert found[f"{kind}: taken"] > 2


@pytest.mark.long
def test_50000_hostile_inputs_do_no_harm() -> None:
    assert fuzz(50_000, 1)["cases"] == 50_000
