"""What nobody means, handed to every reader and entry: an error that says what is wrong, or a right answer."""

import json
from typing import Any

import pytest

from support.scripts import run


def fuzz(cases: int, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("input_fuzz", cases, seed, timeout=3600)[-1])
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
