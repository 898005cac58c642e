"""Ranking by the reverse chain in hidden space, beside the chain over dense rows.

    make bench ONLY=ranking

The larger entries take minutes on the dense side.
"""

import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

from benches.beside import Beside, Side
from benches.dense import DenseDiffRec
from diffrec import DiffRec, Interactions, Split
from diffrec.recommenders.diffrec.over_items import OverItems
from diffrec.recommenders.diffrec.presets import preset_settings

USERS, HISTORY, WIDTH = 2000, 50, 1000

Lists = tuple[NDArray[Any], NDArray[np.float32]]


def untrained(train: Interactions, **settings: Any) -> DiffRec:
    """A model with fresh weights: ranking takes as long whatever they are."""
    model = DiffRec(**settings, progress=False)
    torch.manual_seed(0)
    model.train_ = train
    model._network = OverItems.of(model.settings, train.shape[1], torch.device("cpu")).eval()
    return model


@functools.cache
def random_histories(items: int) -> Interactions:
    rng = np.random.default_rng(items)
    indices = np.concatenate([np.sort(rng.choice(items, HISTORY, replace=False)) for _ in range(USERS)])
    indptr = np.arange(USERS + 1) * HISTORY
    ones = np.ones(len(indices), np.float32)
    return Interactions.from_csr(sparse.csr_array((ones, indices, indptr), shape=(USERS, items)))


def ranked_by_diffrec(model: DiffRec, k: int) -> Lists:
    model._weights_changed()  # what is prepared once for a model is part of the work
    top = model.recommend(k=k)
    return top.items, top.scores


def ranked_densely(model: DiffRec, k: int) -> Lists:
    return DenseDiffRec(model).rank(model.train_.matrix, k)


def agree(ours: Lists, dense: Lists) -> None:
    """The same scores, and the same items but where scores are too close for either."""
    np.testing.assert_allclose(ours[1], dense[1], atol=1e-5, rtol=0)
    # Items whose neighbours in the list score clearly otherwise.
    gaps = np.abs(np.diff(dense[1], axis=1)) > 2e-5
    clear = np.pad(gaps, ((0, 0), (1, 0)), constant_values=True) & np.pad(gaps, ((0, 0), (0, 1)))
    assert (ours[0] == dense[0])[clear].all()


def sides(at_least: float) -> dict[str, Side]:
    return {"diffrec": Side(ranked_by_diffrec), "dense": Side(ranked_densely, at_least=at_least)}


@pytest.mark.parametrize("library", ["diffrec", "dense"])
def test_ranking_of_all_users(beside: Beside, splits: dict[str, Split], library: str) -> None:
    model = untrained(splits["ml-1m_clean"].train, **preset_settings("paper/ml-1m_clean", "diffrec"))
    what = "rank all users of ml-1m_clean, T = 40, dims (200, 600), k = 100"
    beside.measure(what, sides(5), library, model, 100, agree=agree, rounds=3)


@pytest.mark.parametrize("library", ["diffrec", "dense"])
@pytest.mark.parametrize(("steps", "at_least"), [(5, 8), (40, 25)])
@pytest.mark.parametrize("items", [34_395, 94_949])
def test_ranking_over_many_items(beside: Beside, items: int, steps: int, at_least: float, library: str) -> None:
    model = untrained(random_histories(items), dims=(WIDTH,), steps=steps)
    what = f"rank {USERS:,} users, {items:,} items, d = {WIDTH:,}, T = {steps}"
    beside.measure(what, sides(at_least), library, model, 20, agree=agree, rounds=1, warmup=0)
