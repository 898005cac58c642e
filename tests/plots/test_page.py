"""The page about pictures runs as it stands, from top to bottom, and shows every picture there is."""

import re
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from diffrec import plots

PAGE = Path(__file__).parents[2] / "docs/pictures.md"


def test_blocks_run_and_show_every_picture() -> None:
    text = PAGE.read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        names["figure"] = None
        exec(compile(block, str(PAGE), "exec"), names)
        if "diffrec.plots" in block:
            assert isinstance(names["figure"], Figure)
            names["figure"].canvas.draw()
    assert set(re.findall(r"diffrec\.plots\.(\w+)\(", text)) >= {"training", "comparison"}
    assert set(re.findall(r"diffrec\.plots\.(\w+)\(", text)) <= set(plots.__all__)
