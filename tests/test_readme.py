"""The README's Python runs as it stands, from top to bottom."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import diffrec

README = Path(__file__).parents[1] / "README.md"


def test_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    # The world that the first block makes is a small one here: the search in it takes seconds.
    monkeypatch.setattr(diffrec.datasets, "synthetic", lambda: data)
    rows = {
        "customer": np.repeat(data.users.ids, np.diff(data.matrix.indptr)),
        "sku": data.items.ids[data.matrix.indices],
    }
    stamped = pd.DataFrame(rows | {"bought_at": data.timestamps})
    stamped.to_csv("ratings.csv", index=False)
    names: dict[str, Any] = {
        "frame": stamped.rename(columns={"customer": "user_id", "sku": "item_id", "bought_at": "timestamp"})
    }
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert Path("model.diffrec").stat().st_size > 0
    assert names["data"].shape == data.shape
