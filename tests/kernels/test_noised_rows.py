import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from diffrec import _core
from diffrec.data import csr_arrays as csr_arrays_of
from diffrec.diffusion import normal_block
from diffrec.training import NoisedBatches
from support import twins
from support.sparse import csr_arrays


def noise(rows: np.ndarray, columns: int, seed: int = 3, step: int = 4) -> np.ndarray:
    out = np.empty((len(rows), columns), np.float32)
    _core.normal_rows(seed, step, rows, 0, out)
    return out


@given(st.data(), st.integers(0, 70), st.booleans())
def test_same_as_the_twin(data: st.DataObject, columns: int, normalize: bool) -> None:
    matrix = data.draw(csr_arrays(columns))
    users = len(matrix[0]) - 1
    rows = np.array(data.draw(st.lists(st.integers(0, users - 1), max_size=8)) if users else [], np.int64)
    signal = np.linspace(-1, 2, len(rows), dtype=np.float32)
    spread = np.linspace(0, 3, len(rows), dtype=np.float32)
    out = np.full((len(rows), columns), np.nan, np.float32)
    settings = {"normalize": normalize, "dropout": 0.0, "seed": 3, "step": 4}
    _core.noised_rows(matrix, rows, signal, spread, out, **settings)
    dense = twins.dense_rows(*matrix, rows, columns)
    expected = signal[:, None] * dense + spread[:, None] * noise(rows, columns)
    if normalize:
        expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def test_noise_is_that_of_the_keys() -> None:
    matrix = np.array([0, 1, 2]), np.array([3, 0], np.int32), np.ones(2, np.float32)
    rows, keys = np.array([1, 0, 1]), np.array([5, 2**40, 6])
    out = np.empty((3, 70), np.float32)
    settings = {"normalize": False, "dropout": 0.0, "seed": 3, "step": 4}
    _core.noised_rows(matrix, rows, np.ones(3, np.float32), np.ones(3, np.float32), out, **settings, keys=keys)
    np.testing.assert_allclose(out, twins.dense_rows(*matrix, rows, 70) + noise(keys, 70), rtol=1e-6)


def test_bfloat16_is_what_torch_rounds_to() -> None:
    rows = np.arange(50)
    empty = np.zeros(51, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    arguments = empty, rows, np.ones(50, np.float32), np.ones(50, np.float32)
    settings = {"normalize": False, "dropout": 0.5, "seed": 3, "step": 4}
    wide, narrow = np.empty((50, 777), np.float32), torch.empty(50, 777, dtype=torch.bfloat16)
    _core.noised_rows(*arguments, wide, **settings)
    _core.noised_rows(*arguments, narrow.view(torch.uint16).numpy(), **settings)
    assert torch.equal(torch.from_numpy(wide).bfloat16(), narrow)
    kept = wide != 0
    np.testing.assert_allclose(wide[kept], 2 * noise(rows, 777)[kept], rtol=1e-6)
    assert kept.mean() == pytest.approx(0.5, abs=0.02)


def test_noise_is_normal() -> None:
    from scipy import stats

    values = noise(np.arange(300), 1000).ravel()
    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(noise(np.arange(20), 50_000))[~np.eye(20, dtype=bool)]).max() < 0.03


def test_noise_depends_on_its_place_only() -> None:
    rows = np.array([5, 9, 2])
    whole = noise(rows, 300)
    np.testing.assert_array_equal(noise(rows[::-1].copy(), 300), whole[::-1])
    part = np.empty((3, 77), np.float32)
    _core.normal_rows(3, 4, rows, 123, part)
    np.testing.assert_array_equal(part, whole[:, 123:200])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"matrix": (np.array([0, 2, 5]), np.array([0, 1, 1, 2], np.int32), np.ones(4, np.float32))},
            "`indptr` gives row 1",
        ),
        (
            {"matrix": (np.array([0, 2, 4]), np.array([0, 1, -1, 2], np.int32), np.ones(4, np.float32))},
            r"`indices\[2\]` is -1",
        ),
        (
            {"matrix": (np.array([0, 2, 4]), np.array([0, 1, 1, 2], np.int32), np.ones(3, np.float32))},
            "`data` has 3 entries",
        ),
        ({"rows": np.array([0, 2])}, r"`rows\[1\]` is 2, expected a value in \[0, 2\)"),
        ({"signal": np.ones(1, np.float32)}, "`signal` has 1 entries, expected 2"),
        ({"spread": np.ones(3, np.float32)}, "`spread` has 3 entries, expected 2"),
        ({"dropout": 1.0}, r"`dropout` is 1, expected a number in \[0, 1\)"),
        ({"out": np.empty((1, 3), np.float32)}, r"`out` has shape \(1, 3\), expected \(2, 3\)"),
        ({"out": np.empty((2, 2), np.uint16)}, r"`indices\[3\]` is 2, expected a value in \[0, 2\)"),
    ],
)
def test_each_broken_promise_is_named(change: dict[str, object], message: str) -> None:
    from kernels.test_arrays import CALLS

    with pytest.raises(ValueError, match=message):
        _core.noised_rows(**CALLS["noised_rows"]() | change)


def test_a_block_of_columns_is_that_of_the_whole() -> None:
    rows, width = np.array([3, 0, 2]), 150
    matrix = sparse.random_array(
        (4, width), density=0.1, format="csr", dtype=np.float32, random_state=np.random.default_rng(0)
    )
    factors = np.array([1, 0.5, 2], np.float32), np.array([0.3, 0, 1], np.float32)
    settings = {"normalize": False, "dropout": 0.3, "seed": 3, "step": 4}
    whole = np.empty((3, width), np.float32)
    _core.noised_rows(csr_arrays_of(matrix), rows, *factors, whole, **settings)
    for first, stop in ((0, 64), (10, 100), (64, 150), (149, 150), (70, 70)):
        block = np.empty((3, stop - first), np.float32)
        _core.noised_rows(csr_arrays_of(matrix[:, first:stop]), rows, *factors, block, **settings, first=first)
        np.testing.assert_array_equal(block, whole[:, first:stop])


@pytest.mark.parametrize("normalize", [False, True])
def test_torch_makes_the_numbers_of_the_kernel(normalize: bool) -> None:
    matrix = sparse.random_array(
        (9, 200), density=0.1, format="csr", dtype=np.float32, random_state=np.random.default_rng(0)
    )
    batches = NoisedBatches(sparse.csr_array(matrix), 5, torch.device("cpu"), np.random.default_rng(1), seed=7)
    signal, spread = torch.tensor([1, 0.5, 2, 1, 1]), torch.tensor([0.3, 0, 1, 2, 3])
    batch = next(batches.noised())
    settings = {"normalize": normalize, "dropout": 0.4, "dtype": torch.float32}
    by_kernel = batch.noised(signal, spread, **settings).clone()
    torch.testing.assert_close(batch.noised_by_place(signal, spread, **settings), by_kernel, rtol=0, atol=2e-5)
    block = torch.zeros(5, 70)
    batch.subtract_noise(60, block)
    made = normal_block(7, batch._number, batch._rows, 60, 70, "cpu")
    torch.testing.assert_close(made, -block, rtol=0, atol=1e-5)
