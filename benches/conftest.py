"""The same two threads for both sides, the data sets, and the table at the end of a run."""

import os

# Each is read once, when the library that owns the threads is first imported.
os.environ["RAYON_NUM_THREADS"] = "2"
os.environ["OMP_NUM_THREADS"] = "2"
os.environ["NUMBA_NUM_THREADS"] = "2"

from pathlib import Path
from typing import Any

import pytest
import torch

from benches import table
from benches.beside import THREADS, Beside
from diffrec import Split

RUN = pytest.StashKey[dict[str, Any]]()


@pytest.fixture
def beside(benchmark: Any) -> Beside:
    torch.set_num_threads(THREADS)
    return Beside(benchmark)


@pytest.fixture(scope="session")
def splits() -> dict[str, Split]:
    if not os.environ.get("DIFFREC_DATA"):
        pytest.skip("DIFFREC_DATA is not set; it names the folder of the data sets")
    folder = Path(os.environ["DIFFREC_DATA"])
    return {name: Split.read(folder / f"{name}.npz") for name in ("ml-1m_clean", "lastfm", "gowalla")}


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    config.stash[RUN] = output_json


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the one table of this run, if it was saved."""
    if RUN in config.stash:
        terminalreporter.section("side by side")
        terminalreporter.write_line(table.ratios(table.measured(config.stash[RUN])))
