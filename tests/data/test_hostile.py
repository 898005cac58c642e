"""What nobody means, handed to every reader and entry: an error that says what is wrong, or a right answer."""

import json
from typing import Any

import pytest

from support.input_fuzz import ENTRIES
from support.scripts import run


def fuzz(cases: int, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("input_fuzz", cases, seed, timeout=3600)[-1])
    return found


def test_600_hostile_inputs_do_no_harm() -> None:
    found = fuzz(600, 0)
    # All kinds are among what is refused, and among what is taken.
    for kind in ("text", "npz", "parquet"):
        assert found[f"{kind}: refused"] > 5
        assert found[f"{kind}: taken"] > 2
    assert found["lines of 10 MB"] > 0
    entries = {name.partition(":")[0] for name in found if ", " in name}
    assert len(entries) == sum(map(len, ENTRIES.values())), "not every entry was tried"


@pytest.mark.long
def test_50000_hostile_inputs_do_no_harm() -> None:
    assert fuzz(50_000, 1)["cases"] == 50_000
