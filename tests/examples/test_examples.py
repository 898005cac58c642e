"""The scripts in examples/ run, on their own data and on a file."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import diffrec

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
# Less than a reader would wait for.
QUICK: dict[str, dict[str, Any]] = {
    "quickstart": {"budget": "3s"},
    "compare_rivals": {"seeds": 1},
    "forecast_with_timestamps": {"epochs": 2},
}
# What only a run to the end prints.
LAST = {
    "quickstart": "loaded: ",
    "own_csv": "recommendations.csv: ",
    "cold_users": " gets ",
    "compare_rivals": " wins with ",
    "forecast_with_timestamps": "no time ",
    "custom_callback": "20 epochs in the journal",
    "steps_of_the_chain": "gradient x input",
}


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> diffrec.Interactions:
    """A small world instead of that of the examples."""
    world = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    monkeypatch.setattr(diffrec.datasets, "synthetic", lambda **_: world)
    return world


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.usefixtures("small")
def test_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(path).main(**QUICK.get(path.stem, {}))
    assert LAST[path.stem] in capsys.readouterr().out


def test_own_csv_names_the_columns(
    small: diffrec.Interactions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = load(EXAMPLES[0].with_name("own_csv.py"))
    file = example.written(tmp_path)
    example.main(str(file), "customer", "sku")
    assert f"{small.shape[0]} users" in capsys.readouterr().out
    assert (tmp_path / "recommendations.csv").read_text().startswith("user,item,rank,score\n")


def test_a_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diffrec.datasets.synthetic(users=60, items=40, seed=1).write(tmp_path / "mine.csv")
    load(EXAMPLES[0].with_name("cold_users.py")).main(str(tmp_path / "mine.csv"))
    assert "of 12 strangers" in capsys.readouterr().out


def test_a_fit_can_be_stopped(small: diffrec.Interactions, capsys: pytest.CaptureFixture[str]) -> None:
    load(EXAMPLES[0].with_name("custom_callback.py")).main(seconds=0.0)
    assert "stopped after epoch 1\n1 epochs in the journal" in capsys.readouterr().out
