"""What type checkers make of the public interface."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import mypy.api
import pytest

ROOT = Path(__file__).parents[1]
WRITER = ROOT / ".ci/fit_types.py"
GOOD = """
from typing import Any
import numpy, pandas, polars
import diffrec
data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
options: dict[str, Any] = {"l2": 10.0}
reveal_type(diffrec.fit(data))
reveal_type(diffrec.fit(data, budget="5s", seed=1))
reveal_type(diffrec.fit(data, dims=600, epochs=2, time_limit="5min"))
reveal_type(diffrec.fit(data, variant="t-diffrec", time_scales=(1, 5, None)))
reveal_type(diffrec.fit(data, variant="ease", l2=10, progress=False))
reveal_type(diffrec.fit(data, variant="ease", **options))
reveal_type(diffrec.fit(data, variant="stack", parts=["ease", ("ials", {"factors": 8})]))
top = diffrec.fit(data, variant="popularity").recommend(k=3)
reveal_type(top.to_frame("polars"))
reveal_type(top.to_frame(like=polars.LazyFrame(), titles=True))
reveal_type(top[0].user)
reveal_type(top[:3])
user, items, scores = next(iter(top))
reveal_type(scores)
reveal_type(diffrec.compare(data, ["ease"]).to_frame("polars"))
reveal_type(diffrec.compare({"one": data}, ["ease"]))
reveal_type(diffrec.fit(data, variant="ease").evaluate(data, by="activity").groups["activity"].to_frame("polars"))
reveal_type(diffrec.fit(data, variant="ials").item_vectors())
"""
MEANT = (
    "diffrec.recommenders.base.Recommender",
    "diffrec.recommenders.base.Recommender",
    "diffrec.recommenders.diffrec.model.DiffRec",
    "diffrec.recommenders.diffrec.model.DiffRec",
    "diffrec.recommenders.rivals.ease.EASE",
    "diffrec.recommenders.rivals.ease.EASE",
    "diffrec.recommenders.stack.Stack",
    "polars.dataframe.frame.DataFrame",
    "polars.lazyframe.frame.LazyFrame",
    "Any",
    "diffrec.recommenders.results.Top",
    "numpy.ndarray",
    "polars.dataframe.frame.DataFrame",
    "diffrec.comparison.average_ranks.Comparisons",
    "polars.dataframe.frame.DataFrame",
    "numpy.ndarray",
)
BAD = """
import diffrec
data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
diffrec.fit(data, variant="ease", l3=10)
diffrec.fit(data, variant="ease", l2="ten")
diffrec.fit(data, variant="eese")
diffrec.fit(data, dimms=(600,))
diffrec.fit(data, variant="popularity").recommend(k=3).to_frame("numpy")
"""


# A cache of its own: under other options than `make lint` has, each would throw the other's away. What torch says of
# its types is of no matter here, and takes most of the time.
OPTIONS = """
[mypy]
strict = True
python_version = 3.11
ignore_missing_imports = True
[mypy-torch.*,safetensors.*,sympy.*]
follow_imports = skip
"""


def checked(code: str, folder: Path) -> list[str]:
    file, options = folder / "use.py", folder / "mypy.ini"
    file.write_text(code)
    options.write_text(OPTIONS)
    kept = ["--config-file", str(options), "--cache-dir", str(ROOT / ".mypy_cache" / "tests")]
    said, wrong, _ = mypy.api.run([*kept, "--no-error-summary", str(file)])
    assert wrong == ""
    return said.splitlines()


def test_a_variant_is_of_its_class(tmp_path: Path) -> None:
    revealed = [line.partition('Revealed type is "')[2] for line in checked(GOOD, tmp_path)]
    assert len(revealed) == len(MEANT), revealed
    for got, meant in zip(revealed, MEANT, strict=True):
        assert got.startswith(meant), (got, meant)


def test_a_setting_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    lines = {int(match[1]) for line in checked(BAD, tmp_path) if (match := re.match(r".*use.py:(\d+): error", line))}
    assert lines == set(range(4, 9))


@pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not installed")
def test_pyright_agrees(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(BAD)
    done = subprocess.run(
        ["pyright", "--pythonpath", sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert {int(line) for line in re.findall(r"use\.py:(\d+):\d+ - error", done.stdout)} == set(range(4, 9)), (
        done.stdout
    )
    (tmp_path / "use.py").write_text(GOOD)
    done = subprocess.run(
        ["pyright", "--pythonpath", sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True
    )
    revealed = re.findall(r'is "(.*)"', done.stdout)
    assert [one.partition("[")[0] for one in revealed] == [one.rpartition(".")[2] for one in MEANT], done.stdout


@pytest.mark.skipif(not WRITER.exists(), reason="only the checkout has what writes it")
def test_the_types_of_fit_are_those_of_the_settings() -> None:
    done = subprocess.run([sys.executable, WRITER, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
