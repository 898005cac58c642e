"""One epoch of training beside the paper's procedure on dense batches, from the same weights.

    make bench ONLY=training

The dense side of gowalla takes minutes. Each side draws its own noise, so their mean losses agree, not their bits.
"""

from typing import Any

import pytest
import torch

from benches.bench_ranking import untrained
from benches.beside import Beside, Side
from benches.dense import DenseDiffRec
from diffrec import Interactions, Split
from diffrec.recommenders.diffrec.presets import preset_settings
from diffrec.training import product_dtype, run_batches


def trained_by_diffrec(train: Interactions, settings: dict[str, Any]) -> float:
    model = untrained(train, **settings)
    s = model.settings
    model._network.train()
    optimizer = torch.optim.AdamW(model._network.parameter_groups(), fused=True)
    batches = model._objective.batches(model._objective.inputs(train), torch.device("cpu"))
    dtype = product_dtype(s.precision, torch.device("cpu"), on_processor=True)
    return run_batches(model._network.loss, model._network.epoch_of(batches, 1), optimizer, dtype)


def trained_densely(train: Interactions, settings: dict[str, Any]) -> float:
    return DenseDiffRec(untrained(train, **settings)).train_epoch(train.matrix)


def agree(ours: float, dense: float) -> None:
    assert ours == pytest.approx(dense, rel=0.05)


def sides(at_least: float) -> dict[str, Side]:
    return {"diffrec": Side(trained_by_diffrec), "dense": Side(trained_densely, at_least=at_least)}


@pytest.mark.parametrize("library", ["diffrec", "dense"])
def test_training_on_ml_1m(beside: Beside, splits: dict[str, Split], library: str) -> None:
    settings = preset_settings("paper/ml-1m_clean", "diffrec")
    what = "one epoch on ml-1m_clean, published settings"
    beside.measure(what, sides(3), library, splits["ml-1m_clean"].train, settings, agree=agree, rounds=3)


@pytest.mark.parametrize("library", ["diffrec", "dense"])
def test_training_on_gowalla(beside: Beside, splits: dict[str, Split], library: str) -> None:
    what = "one epoch on gowalla, d = 1,000"
    beside.measure(
        what, sides(2.5), library, splits["gowalla"].train, {"dims": (1000,)}, agree=agree, rounds=1, warmup=0
    )
