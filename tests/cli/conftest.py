from pathlib import Path

import pytest

import diffrec


@pytest.fixture(scope="session")
def data() -> diffrec.Interactions:
    return diffrec.datasets.synthetic(users=60, items=40, seed=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: diffrec.Interactions) -> Path:
    """The folder a command runs in, with interactions and a model of them."""
    monkeypatch.chdir(tmp_path)
    data.write("ratings.csv")
    diffrec.fit(data, variant="itemknn").save("model.diffrec")
    return tmp_path
