"""Ranking metrics of a million users, beside ranx and NumPy.

    make bench ONLY=metrics

All six metrics at both cuts for diffrec and NumPy; ranx has no truncated recall and computes the other five, from
arrays that are ready in the form it likes best.
"""

import functools

import numpy as np
import pytest
from numpy.typing import NDArray

from benches.beside import Beside, Side
from diffrec import _core

USERS, ITEMS = 1_000_000, 40_981
CUTS = (10, 20)
LENGTH = max(CUTS)
# Relevant items of a user: 1 to this many.
MOST_RELEVANT = 10
# What ranx calls the metrics that it has, by the place of the kernel's.
IN_RANX = {0: "precision", 1: "recall", 3: "ndcg", 4: "mrr", 5: "hit_rate"}


@functools.cache
def relevant() -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Distinct ascending items (users, MOST_RELEVANT), and how many of the first of them count."""
    rng = np.random.default_rng(0)
    steps = rng.integers(1, ITEMS // MOST_RELEVANT, (USERS, MOST_RELEVANT))
    return steps.cumsum(axis=1).astype(np.int32), rng.integers(1, MOST_RELEVANT + 1, USERS)


@functools.cache
def rows() -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The relevant items as the arrays of a CSR matrix."""
    items, counts = relevant()
    kept = items[np.arange(MOST_RELEVANT) < counts[:, None]]
    return np.concatenate([[0], counts.cumsum()]), kept, np.ones(len(kept), np.float32)


@functools.cache
def ranked() -> NDArray[np.int32]:
    """Distinct items (users, LENGTH); about one in ten places tries one of the relevant items."""
    rng = np.random.default_rng(1)
    lists = (rng.integers(0, ITEMS, (USERS, 1)) + np.arange(LENGTH) * 1999) % ITEMS
    lists[:, ::10] = relevant()[0][:, rng.permutation(MOST_RELEVANT)[: LENGTH // 10]]
    return lists.astype(np.int32)


@functools.cache
def for_ranx() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(item, relevance) and (item, score) of every user; items of relevance 0 fill the first up."""
    items, counts = relevant()
    judged = np.arange(MOST_RELEVANT) < counts[:, None]
    scores = np.broadcast_to(np.arange(LENGTH, 0.0, -1), (USERS, LENGTH))
    return np.stack([items, judged], axis=2).astype(np.int64), np.stack([ranked(), scores], axis=2)


def with_diffrec() -> NDArray[np.float64]:
    return _core.ranking_metrics(ranked(), rows(), list(CUTS))


def with_ranx() -> NDArray[np.float64]:
    ranx = pytest.importorskip("ranx", reason="ranx is not installed")
    names = [f"{metric}@{k}" for metric in IN_RANX.values() for k in CUTS]
    scores = ranx.evaluate(*for_ranx(), names, return_mean=False)
    return np.stack([scores[name] for name in names]).reshape(len(IN_RANX), len(CUTS), USERS)


def with_numpy() -> NDArray[np.float64]:
    indptr, indices, _ = rows()
    counts, users = np.diff(indptr), np.arange(USERS)[:, None]
    # A pair of user and item as one number; those of the relevant items ascend.
    wanted = np.repeat(users[:, 0], counts) * ITEMS + indices
    pairs = users * ITEMS + ranked()
    hit = wanted[np.minimum(np.searchsorted(wanted, pairs), len(wanted) - 1)] == pairs
    gains = 1 / np.log2(np.arange(LENGTH) + 2)
    ideal = gains.cumsum()
    out = np.empty((6, len(CUTS), USERS))
    for which, k in enumerate(CUTS):
        first, reachable = hit[:, :k], np.minimum(counts, k)
        hits = first.sum(axis=1)
        out[0, which] = hits / k
        out[1, which] = hits / counts
        out[2, which] = hits / reachable
        out[3, which] = first @ gains[:k] / ideal[reachable - 1]
        out[5, which] = hits > 0
        out[4, which] = out[5, which] / (first.argmax(axis=1) + 1)
    return out


def agree(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(ours if len(theirs) == len(ours) else ours[list(IN_RANX)], theirs, rtol=1e-12)


SIDES = {
    "diffrec": Side(with_diffrec),
    "ranx": Side(with_ranx, at_least=5),
    "NumPy": Side(with_numpy, at_least=2),
}


@pytest.mark.parametrize("library", SIDES)
def test_metrics_at_two_cuts(beside: Beside, library: str) -> None:
    what = f"metrics of {USERS / 1e6:g}M users at {' and '.join(map(str, CUTS))}"
    beside.measure(what, SIDES, library, agree=agree, rounds=3)
