"""Rows that are read by blocks: every one once an epoch, in batches of one size, few of them in memory."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from diffrec.data import Interactions, ParquetInteractions
from diffrec.training import InMemoryRows, NoisedBatches, StreamedRows
from diffrec.training.rows import HeldRows


class Blocks(ParquetInteractions):
    """A matrix in blocks that begin at the bounds; it counts what is read."""

    def __init__(self, matrix: sparse.csr_array, bounds: list[int], held: int) -> None:
        self.matrix, self.bounds, self.held = matrix, np.array(bounds), held
        self.shape, self.read = matrix.shape, []

    def block(self, number: int) -> Interactions:
        self.read.append(number)
        return Interactions.from_csr(self.matrix[self.bounds[number] : self.bounds[number + 1]], allow_empty=True)


def rows_of(block: Interactions) -> tuple[sparse.csr_array, sparse.csr_array]:
    return block.matrix, block.matrix


def some(rows: int) -> sparse.csr_array:
    return sparse.random_array((rows, 9), density=0.3, random_state=1, format="csr", dtype=np.float32)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 30), st.integers(1, 7), st.integers(0, 3))
def test_every_row_comes_once_in_full_batches(sizes: list[int], held: int, batch_size: int, seed: int) -> None:
    bounds = np.cumsum([0, *sizes]).tolist()
    matrix = some(bounds[-1])
    blocks = Blocks(matrix, bounds, held)
    seen, lengths = [], []
    for part, order in StreamedRows(blocks, rows_of, 9).epoch(np.random.default_rng(seed), batch_size):
        seen += part.numbers[order].tolist()
        lengths.append(len(order))
        assert (part.matrix[order] != matrix[part.numbers[order]]).nnz == 0
        np.testing.assert_array_equal(part.weights(order), matrix[part.numbers[order]].data)
        assert len(part.numbers) <= max(held, max(sizes) + batch_size - 1)
    assert sorted(seen) == list(range(bounds[-1]))
    assert sorted(blocks.read) == list(range(len(sizes)))
    assert all(length % batch_size == 0 for length in lengths[:-1])


def test_all_that_may_be_held_is_shuffled_as_in_memory() -> None:
    matrix = some(23)
    streamed = StreamedRows(Blocks(matrix, [0, 5, 6, 23], 23), rows_of, 9)
    ((held, order),) = streamed.epoch(np.random.default_rng(4), 5)
    ((_, wanted),) = InMemoryRows(matrix).epoch(np.random.default_rng(4), 5)
    np.testing.assert_array_equal(order, wanted)
    np.testing.assert_array_equal(held.numbers, np.arange(23))


def test_blocks_come_in_another_order_each_epoch() -> None:
    blocks = Blocks(some(40), list(range(0, 41, 5)), 10)
    rows, generator = StreamedRows(blocks, rows_of, 9), np.random.default_rng(0)
    for _ in range(2):
        list(rows.epoch(generator, 4))
    assert blocks.read[:8] != blocks.read[8:]
    assert blocks.read[:8] != list(range(8))


class Replayed:
    """The order of a stream, over a matrix in memory."""

    def __init__(self, rows: StreamedRows, matrix: sparse.csr_array) -> None:
        self._rows, self._held, self.shape = rows, HeldRows(matrix, None, np.arange(matrix.shape[0])), matrix.shape

    def epoch(self, generator: np.random.Generator, batch_size: int) -> Iterator[tuple[HeldRows, NDArray[np.int64]]]:
        for part, order in self._rows.epoch(generator, batch_size):
            yield self._held, part.numbers[order]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_noise_is_that_of_the_same_rows_in_memory(dtype: torch.dtype) -> None:
    matrix = some(40)
    streamed = StreamedRows(Blocks(matrix, list(range(0, 41, 5)), 12), lambda block: (block.matrix, None), 9)
    made = []
    for rows in (streamed, Replayed(streamed, matrix)):
        batches = NoisedBatches(rows, 7, torch.device("cpu"), np.random.default_rng(3), seed=1)
        own = []
        for batch in batches.noised():
            n = len(batch)
            x_t = batch.noised(torch.ones(n), torch.full((n,), 0.3), dropout=0.2, dtype=dtype).clone()
            noise = torch.zeros(n, 9)
            batch.subtract_noise(0, noise)
            own += [x_t.float(), noise, batch.x0.to_dense(9)]
        made.append(torch.cat(own))
    assert torch.equal(*made)
