"""The best 20 of 40,981 items for 512 users, from scores that exist and from vectors, seen items left out.

    make bench ONLY=topk

A single read of the scores, and the product of the vectors alone, made as ranking makes it, show what no ranking can do
without.
"""

import functools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

from benches.beside import THREADS, Beside, Side
from diffrec import _core
from diffrec.data import Csr, csr_arrays
from diffrec.diffusion import linear
from diffrec.ranking import LinearScores, top_k
from diffrec.ranking.blockwise import BLOCK_ENTRIES

USERS, ITEMS, WIDTH = 512, 40_981, 1000
K, SEEN = 20, 30

Lists = tuple[NDArray[np.int32], NDArray[np.float32]]


@functools.cache
def seen() -> Csr:
    """``SEEN`` items of every user."""
    rng = np.random.default_rng(0)
    indices = np.sort([rng.choice(ITEMS, SEEN, replace=False) for _ in range(USERS)]).ravel().astype(np.int32)
    return sparse.csr_array((np.ones(indices.size, np.float32), indices, np.arange(USERS + 1) * SEEN), (USERS, ITEMS))


@functools.cache
def scores() -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((USERS, ITEMS), dtype=np.float32)


@functools.cache
def vectors() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The users' and the items'."""
    rng = np.random.default_rng(2)
    return rng.standard_normal((USERS, WIDTH), dtype=np.float32), rng.standard_normal((ITEMS, WIDTH), dtype=np.float32)


@functools.cache
def own_scores(library: str) -> NDArray[np.float32]:
    """A copy for a side that masks in place."""
    del library
    return scores().copy()


@functools.cache
def seen_places() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the seen items."""
    return np.repeat(np.arange(USERS), SEEN), seen().indices.astype(np.int64)


@functools.cache
def output() -> torch.Tensor:
    """Room for all scores, so that torch's product does not pay for memory."""
    return torch.empty(USERS, ITEMS)


def ranked_by_diffrec() -> Lists:
    items, values = np.full((USERS, K), -1, np.int32), np.full((USERS, K), -np.inf, np.float32)
    _core.top_k(scores(), 0, csr_arrays(seen()), np.arange(USERS), None, items, values)
    return items, values


def ranked_by_torch() -> Lists:
    return best_by_torch(torch.from_numpy(own_scores("torch")))


def best_by_torch(masked: torch.Tensor) -> Lists:
    """Of scores that may be written into."""
    rows, columns = map(torch.from_numpy, seen_places())
    masked[rows, columns] = -torch.inf
    values, items = masked.topk(K)
    return items.numpy(), values.numpy()


def ranked_by_numpy() -> Lists:
    masked = own_scores("NumPy")
    masked[seen_places()] = -np.inf
    items = np.argpartition(masked, -K, axis=1)[:, -K:]
    values = np.take_along_axis(masked, items, axis=1)
    order = np.argsort(-values, axis=1)
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(values, order, axis=1)


def one_read() -> torch.Tensor:
    return torch.from_numpy(scores()).max()


def recommended_by_diffrec() -> Lists:
    users, items = map(torch.from_numpy, vectors())
    return top_k(LinearScores(users, items), K, seen())


def recommended_by_implicit() -> Lists:
    topk = pytest.importorskip("implicit.cpu.topk", reason="the implicit library is not installed").topk
    users, items = vectors()
    # It takes rows out of the old kind of sparse matrix only.
    found: Lists = topk(items, users, K, filter_query_items=sparse.csr_matrix(seen()), num_threads=THREADS)
    return found


def recommended_by_faiss() -> Lists:
    """Without a mask of its own: enough items that the best are among them whatever was seen, less the seen."""
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    users, items = vectors()
    values, found = faiss.knn(users, items, K + SEEN, metric=faiss.METRIC_INNER_PRODUCT)
    # Stable, so that the unseen keep their order.
    kept = np.argsort(is_seen(found), axis=1, kind="stable")[:, :K]
    return np.take_along_axis(found, kept, axis=1), np.take_along_axis(values, kept, axis=1)


def is_seen(items: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Look every (user, item) up among the seen, which ascend when taken as one number."""
    rows, columns = seen_places()
    wanted, pairs = rows * ITEMS + columns, np.arange(USERS)[:, None] * ITEMS + items
    return wanted[np.minimum(np.searchsorted(wanted, pairs), wanted.size - 1)] == pairs


@torch.no_grad()
def bare_product() -> None:
    """By oneDNN, into no more memory than ranking takes."""
    users, items = map(torch.from_numpy, vectors())
    for block in items.split(BLOCK_ENTRIES // USERS):
        linear(users, block)


def recommended_by_torch() -> Lists:
    users, items = map(torch.from_numpy, vectors())
    return best_by_torch(torch.mm(users, items.T, out=output()))


def agree(ours: Lists, theirs: Lists) -> None:
    """The same items in the same order, but for those whose scores two products round to another order."""
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4)
    assert (ours[0] == theirs[0]).mean() > 0.999


FROM_SCORES = {
    "diffrec": Side(ranked_by_diffrec),
    "torch masked topk": Side(ranked_by_torch, at_least=3),
    "NumPy argpartition": Side(ranked_by_numpy, at_least=6),
    "one read (torch.max)": Side(one_read, at_most=1.5),
}
FROM_VECTORS = {
    "diffrec": Side(recommended_by_diffrec),
    "implicit": Side(recommended_by_implicit, at_least=1.5, blas_threads=1),
    "faiss.knn": Side(recommended_by_faiss, at_least=1.25),
    "product alone (oneDNN)": Side(bare_product, at_most=1.15),
    "torch.mm, masked topk": Side(recommended_by_torch),
}


@pytest.mark.parametrize("library", FROM_SCORES)
def test_from_scores(beside: Beside, library: str) -> None:
    what = f"top-{K} of {USERS} x {ITEMS:,} scores"
    beside.measure(what, FROM_SCORES, library, agree=agree, rounds=10 if library.startswith("NumPy") else 50)


@pytest.mark.parametrize("library", FROM_VECTORS)
def test_from_vectors(beside: Beside, library: str) -> None:
    what = f"top-{K} of {USERS} users' x {ITEMS:,} items' vectors of {WIDTH}"
    beside.measure(what, FROM_VECTORS, library, agree=agree, rounds=10)
