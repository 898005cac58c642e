"""The README runs as it stands, from top to bottom, its first blocks with nothing but the wheel."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import diffrec

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
#: Blocks that come before the first package that is no dependency.
ALONE = 2
OPTIONAL = ("pandas", "polars", "pyarrow", "duckdb", "sklearn", "matplotlib", "typer", "optuna", "onnx", "pooch")
# Packages are absent where nothing finds them.
ABSENT = """
import importlib.machinery
found = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = staticmethod(
    lambda name, path=None, target=None: None if name in {absent} else found(name, path, target)
)
"""
# The world that the first block makes is a small one here: the search in it takes seconds.
SMALL = """
import diffrec
data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
diffrec.datasets.synthetic = lambda **_: data
"""


def blocks(document: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document.read_text(), flags=re.DOTALL)


def test_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    monkeypatch.setattr(diffrec.datasets, "synthetic", lambda: data)
    names: dict[str, Any] = {}
    assert len(blocks(README)) > ALONE
    for block in blocks(README):
        exec(compile(block, str(README), "exec"), names)
    assert Path("model.diffrec").stat().st_size > 0
    assert names["data"].shape == data.shape


@pytest.mark.parametrize(("document", "count"), [("README.md", ALONE), ("docs/index.md", None)])
def test_blocks_run_where_nothing_else_is_installed(document: str, count: int | None, tmp_path: Path) -> None:
    if not (ROOT / document).exists():
        pytest.skip("the documentation is not here")
    code = "\n".join([ABSENT.format(absent=OPTIONAL), SMALL, *blocks(ROOT / document)[:count]])
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"(?m)^user +item +rank +score$", done.stdout), done.stdout


def test_a_frame_is_of_what_is_there(tmp_path: Path) -> None:
    ask = "import numpy; print(type(diffrec.fit(numpy.eye(3) + 1, variant='popularity').recommend(k=1).to_frame()))"
    for absent, made in (((), "pandas"), (("pandas",), "polars"), (("pandas", "polars"), "pyarrow")):
        code = f"{ABSENT.format(absent=absent)}import diffrec; {ask}"
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert made in said
    done = subprocess.run(
        [sys.executable, "-c", f"{ABSENT.format(absent=OPTIONAL)}import diffrec; {ask}"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: a data frame needs pandas, Polars or pyarrow: pip install pandas; without one, print() shows the "
        "table and .columns() gives its columns as arrays"
    )
