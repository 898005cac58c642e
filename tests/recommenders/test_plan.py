"""What a fit will take is said before it begins, and what cannot fit is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from diffrec import DiffRec, Interactions
from diffrec.training import Plan, memory, seconds

DATA = Interactions.from_csr((np.random.default_rng(0).random((40, 30)) < 0.3).astype(np.float32))
SMALL: dict[str, Any] = {"epochs": 2, "progress": False}


@pytest.mark.parametrize(
    "settings",
    [
        {"dims": (8,)},
        {"dims": (4, 8), "time_embedding": 3},
        {"dims": (8,), "groups": 1, "latent_dims": (6, 10)},
        {"dims": (8,), "groups": 3, "latent_dims": (6,), "decoder_dims": (9,), "group_balance": 1},
    ],
)
def test_parameters_are_those_of_the_fit(settings: dict[str, Any]) -> None:
    model = DiffRec(**settings, **SMALL, holdout=0)
    plan = model.plan(DATA)
    assert not hasattr(model, "train_")
    facts = model.fit(DATA).training_.facts
    assert plan.parameters == facts["parameters"]
    assert plan.memory == facts["planned_memory"]
    assert facts["planned_seconds"] > 0


def test_more_of_anything_takes_more() -> None:
    def plan(data: Interactions = DATA, **settings: Any) -> Plan:
        return DiffRec(**{"dims": (8,), "batch_size": 4} | settings).plan(data)

    wide = Interactions.from_csr(np.tile(DATA.matrix.toarray(), (1, 9)))
    for larger in (plan(dims=(80,)), plan(wide), plan(batch_size=40)):
        assert larger.memory > plan().memory
    many = Interactions.from_csr(np.tile(DATA.matrix.toarray(), (50, 1)))
    for longer in (plan(many), plan(dims=(80,)), plan(wide)):
        assert longer.seconds_per_epoch > plan().seconds_per_epoch
    assert plan(holdout=0).memory < plan().memory
    assert plan(precision="bfloat16", batch_size=40).memory < plan(precision="float32", batch_size=40).memory


def test_what_cannot_fit_is_refused_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    model = DiffRec(dims=(8,), **SMALL).fit(DATA)
    before = model.score([0])
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match="training 0.0 million parameters needs about .* use smaller dims"):
        model.fit(DATA)
    np.testing.assert_array_equal(model.score([0]), before)
    assert model.plan(DATA).memory > 10_000


def test_impossible_data_is_refused_as_by_fit() -> None:
    with pytest.raises(TypeError, match="data must be"):
        DiffRec().plan("ratings.csv")


def test_it_reads_well() -> None:
    assert str(Plan(1_000_000, 2_000_000_000, 0.123)) == (
        "1.0 million parameters, about 2.0 GB of memory, about 0.12 s per epoch"
    )
    assert str(Plan(1_000_000, 2_000_000_000, 1234.5)).endswith("about 1,234 s per epoch")


def test_time_grows_with_work() -> None:
    cpu = torch.device("cpu")
    assert 0 < seconds(1e9, 0, cpu, torch.float32) < seconds(2e9, 0, cpu, torch.float32)
    assert seconds(1e9, 1e9, cpu, torch.float32) > seconds(1e9, 0, cpu, torch.float32)
