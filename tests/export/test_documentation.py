"""The Python of the page on serving runs as it stands, from top to bottom."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


def test_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    model, data, ids = names["model"], names["data"], names["ids"]
    bought = [ids[3], ids[17], ids[8]]
    history = type(data).from_arrays(["x"] * 3, bought, timestamp=[1, 2, 3])
    assert [item for item, _ in names["recommend"](bought)] == model.recommend(history, k=5).items[0].tolist()
    assert names["names"].tolist() == ids
    assert "exp(-age / 1)" in capsys.readouterr().out
