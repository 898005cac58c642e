"""Blockwise ranking against sorting the whole score matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import ItemNoise, RowNoise
from diffrec.ranking import LinearScores, NoisyScores, Scores, SparseScores, blockwise, top_k


def by_sorting(scores: np.ndarray, k: int, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort every row: score descending, then item ascending."""
    items = np.full((len(scores), k), -1)
    values = np.full((len(scores), k), -np.inf)
    for u, row in enumerate(scores):
        order = np.lexsort((np.arange(len(row)), -row))
        best = order[~hidden[u, order]][:k]
        items[u, : len(best)], values[u, : len(best)] = best, row[best]
    return items, values


def every_kind(seed: int, n: int, items: int) -> dict[str, tuple[Scores, np.ndarray]]:
    """Each kind of scores beside the dense matrix it stands for. Small whole numbers: ties, and exact sums."""
    rng = np.random.default_rng(seed)
    users, vectors = rng.integers(-2, 3, (n, 4)).astype(np.float32), rng.integers(-2, 3, (items, 4)).astype(np.float32)
    bias = rng.integers(-1, 2, items).astype(np.float32)
    x0 = (rng.random((n, items)) < 0.3).astype(np.float32)
    similarity = rng.integers(0, 3, (items, items)).astype(np.float32)
    tensors = [torch.from_numpy(a) for a in (users, vectors, bias, x0)]
    dense = users @ vectors.T
    return {
        "linear": (LinearScores(tensors[0], tensors[1]), dense),
        "affine": (
            LinearScores(tensors[0], tensors[1], tensors[2], SparseRows.from_dense(tensors[3]), 2.0),
            dense + bias + 2 * x0,
        ),
        "noisy": noisy(LinearScores(tensors[0], tensors[1]), tensors[1], SparseRows.from_dense(tensors[3]), dense, x0),
        "sparse": (SparseScores(sparse.csr_array(x0), sparse.csr_array(similarity)), x0 @ similarity),
        "sparse by dense": (SparseScores(sparse.csr_array(x0), similarity), x0 @ similarity),
    }


def noisy(
    scores: LinearScores, vectors: torch.Tensor, rows: SparseRows, dense: np.ndarray, x0: np.ndarray
) -> tuple[Scores, np.ndarray]:
    n = scores.shape[0]
    weights, own, white = torch.ones(n, 4), torch.full((n,), 2.0), torch.linspace(-1, 1, n)
    directions = [vectors[:, :1], vectors[:, 1:]]
    noise = ItemNoise(directions, weights, rows, own, white, RowNoise.numbered(len(own), 3))
    normals = torch.empty(dense.shape)
    noise.fresh.over_columns(0, normals)
    # In the order of the sums there: the normals are no whole numbers.
    written_out = dense + (white[:, None] * normals).numpy()
    for direction in directions:
        written_out = written_out + direction.sum(dim=1).numpy()
    return NoisyScores(scores, noise), written_out + 2 * x0


@pytest.mark.parametrize("block_entries", [1, 7, 1 << 22])
@given(seed=st.integers(0, 10_000), n=st.integers(1, 4), items=st.integers(1, 12), k=st.integers(1, 14))
def test_blocks_are_sorting(block_entries: int, seed: int, n: int, items: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    seen, denied = rng.random((n, items)) < 0.3, rng.random(items) < 0.2
    for name, (scores, dense) in every_kind(seed, n, items).items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blockwise, "BLOCK_ENTRIES", block_entries)
            found = top_k(scores, k, sparse.csr_array(seen.astype(np.float32)), denied)
        expected = by_sorting(dense, k, seen | denied)
        np.testing.assert_array_equal(found[0], expected[0], err_msg=name)
        np.testing.assert_array_equal(found[1], expected[1], err_msg=name)


def test_a_score_that_is_no_number() -> None:
    nothing = sparse.csr_array((1, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="NaN"):
        top_k(LinearScores(torch.ones(1, 1), torch.tensor([[0.0], [float("nan")]])), 1, nothing)
