"""The kernels of the models that are linear in a history, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from diffrec import _core
from kernels.test_arrays import CALLS, with_part
from support.sparse import csr_arrays

ITEMS = 9


def dense(csr, columns: int = ITEMS) -> np.ndarray:
    indptr, indices, data = csr
    return sparse.csr_array((data, indices, indptr), shape=(len(indptr) - 1, columns)).toarray().astype(np.float64)


@given(csr_arrays(ITEMS), st.integers(1, 12), st.booleans(), st.integers(0, 99))
def test_nearest_items_keeps_the_best_of_the_product(csr, k: int, itself: bool, seed: int) -> None:
    indptr, indices, left = csr
    right = np.random.default_rng(seed).integers(-3, 4, len(left)).astype(np.float32)
    product = dense((indptr, indices, left)).T @ dense((indptr, indices, right))
    found = _core.nearest_items(csr, right, ITEMS, k, itself=itself)
    assert [array.dtype for array in found] == [np.int64, np.int32, np.float32]
    found = dense(found)
    if not itself:
        np.fill_diagonal(product, 0)
    kept = found != 0
    np.testing.assert_allclose(found[kept], product[kept], rtol=1e-6)
    for row, taken in zip(product.astype(np.float32), kept, strict=True):
        assert taken.sum() == min(k, np.count_nonzero(row))
        rest = row[~taken & (row != 0)]
        assert not len(rest) or rest.max() <= row[taken].min()


@given(csr_arrays(ITEMS), st.integers(0, 99), st.integers(0, 6), st.integers(0, 5))
def test_pair_sums_are_those_of_the_product(csr, seed: int, n: int, length: int) -> None:
    indptr, indices, left = csr
    rng = np.random.default_rng(seed)
    right = rng.integers(-3, 4, len(left)).astype(np.float32)
    ranked = rng.integers(-1, ITEMS, (n, length)).astype(np.int32)
    product = np.zeros((ITEMS + 1, ITEMS + 1))  # what -1 stands for is last
    product[:-1, :-1] = dense((indptr, indices, left)).T @ dense((indptr, indices, right))
    expected = [
        [sum(product[item, other] for other in row[:place]) for place, item in enumerate(row)] for row in ranked
    ]
    found = _core.pair_sums(csr, right, ITEMS, ranked)
    np.testing.assert_allclose(found, np.reshape(expected, (n, length)), rtol=1e-6)


@given(csr_arrays(5), csr_arrays(ITEMS, min_rows=5, max_rows=5), st.integers(0, ITEMS - 1), st.data())
def test_products_are_the_block_of_the_product(left, right, first: int, data: st.DataObject) -> None:
    width = data.draw(st.integers(0, ITEMS - first))
    expected = (dense(left, 5) @ dense(right))[:, first : first + width]
    out = np.full(expected.shape, 7, np.float32)
    _core.sparse_product(left, right, first, out)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-30)
    out[:] = 7
    _core.sparse_dense_product(left, dense(right).astype(np.float32), first, out)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-30)


def test_wide_products() -> None:
    rng = np.random.default_rng(0)
    left = sparse.random_array((3, 20), density=0.4, random_state=rng, dtype=np.float32, format="csr")
    right = rng.random((20, 10_000), dtype=np.float32)
    out = np.empty((3, 9_990), np.float32)
    arrays = left.indptr.astype(np.int64), left.indices.astype(np.int32), left.data
    _core.sparse_dense_product(arrays, right, 10, out)
    np.testing.assert_allclose(out, (left @ right)[:, 10:], rtol=1e-5)


@given(
    csr_arrays(ITEMS), st.integers(1, 20), st.sampled_from([0.1, 10.0]), st.sampled_from([0.3, 4.0]), st.integers(0, 99)
)
def test_als_solves_the_normal_equations(csr, width: int, l2: float, alpha: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(ITEMS, width)).astype(np.float32)
    # Some entries are dislikes.
    csr = (*csr[:2], csr[2] * rng.choice(np.float32([1, 1, -1]), len(csr[2])))
    solved, loss = _core.als_solve(csr, *_core.als_whiten(y, l2), alpha)
    assert solved.shape == (len(csr[0]) - 1, width)
    expected, total, condition = [], 0.0, 1.0
    root = np.linalg.inv(np.linalg.cholesky(y.T.astype(np.float64) @ y + l2 * np.eye(width)))
    for row, stored in zip(dense(csr), dense((csr[0], csr[1], np.ones_like(csr[2]))) > 0, strict=True):
        confidence, liked = np.where(stored, alpha * np.abs(row), 1.0), stored & (row > 0)
        a = (y.T * confidence) @ y + l2 * np.eye(width)
        x = np.linalg.solve(a, y.T @ (confidence * liked))
        expected.append(x)
        condition = max(condition, np.linalg.cond(root @ a @ root.T))
        total += confidence @ (liked - y @ x) ** 2 + l2 * x @ x
    # Single precision loses digits as the whitened equations are ill conditioned: 1e-4 up to a condition of 300.
    digits = max(1.0, condition / 300)
    if expected:
        np.testing.assert_allclose(solved @ y.T, np.stack(expected) @ y.T, atol=1e-4 * digits)
    assert loss == pytest.approx(total, rel=1e-3, abs=1e-3)
    close, _ = _core.als_solve(csr, *_core.als_whiten(y, l2), alpha, 30)
    np.testing.assert_allclose(close @ y.T, solved @ y.T, atol=1e-3 * digits)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("nearest_items", {"k": 0}, "`k` is 0"),
        ("pair_sums", {"ranked": np.array([[0, 3]], np.int32)}, r"`ranked\[1\]` is 3, expected a value in \[-1, 3\)"),
        ("nearest_items", {"n_items": 2}, r"`indices\[3\]` is 2, expected a value in \[0, 2\)"),
        ("nearest_items", {"n_items": 2**40}, "`n_items` is 1099511627776"),
        (
            "nearest_items",
            {"matrix": with_part("nearest_items", "matrix", 2, np.ones(3, np.float32))},
            "`data` has 3 entries, expected 4",
        ),
        ("nearest_items", {"right": np.array([1, 1, np.nan, 1], np.float32)}, r"`right\[2\]` is NaN"),
        (
            "sparse_product",
            {"left": with_part("sparse_product", "left", 1, np.array([0, 1, 1, 3], np.int32))},
            r"`left.indices\[3\]` is 3",
        ),
        (
            "sparse_product",
            {"right": with_part("sparse_product", "right", 1, np.array([1, 0, 1, 2], np.int32)), "first_column": 0},
            "`right.indices` has",
        ),
        ("sparse_product", {"out": np.zeros((3, 2), np.float32)}, r"`out` has shape \(3, 2\), expected \(2, 2\)"),
        ("sparse_dense_product", {"first_column": 3}, "`out` has 5 entries, expected 4"),
        ("sparse_dense_product", {"first_column": -1}, "`first_column` is -1"),
        ("als_whiten", {"l2": 0.0}, "`l2` is 0"),
        ("als_whiten", {"factors": np.full((3, 2), np.nan, np.float32)}, "`factors` leads to a singular system"),
        ("als_whiten", {"factors": np.ones((3, 0), np.float32)}, "`factors` is 0 wide"),
        ("als_whiten", {"factors": np.ones((0, 2**24), np.float32)}, "`factors` is 16777216 wide"),
        ("als_solve", {"alpha": 0.0}, "`alpha` is 0"),
        ("als_solve", {"cg_steps": -1}, "`cg_steps` is -1"),
        (
            "als_solve",
            {"matrix": with_part("als_solve", "matrix", 2, np.array([1, 1, np.nan, 1], np.float32))},
            r"`data\[2\]` is NaN",
        ),
        ("als_solve", {"whitened": np.ones((3, 2), np.float32)}, r"`whitened` has shape \(3, 2\), expected \(3, 16\)"),
        ("als_solve", {"back": np.ones((3, 2), np.float32)}, r"`back` has shape \(3, 2\), expected \(3, 3\)"),
    ],
)
def test_bad_input(name: str, change, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        getattr(_core, name)(**(CALLS[name]() | change))


def test_a_row_without_entries_is_solved_alone() -> None:
    factors = np.zeros((1, 16), np.float32)
    factors[0, 0] = 1e25
    huge, back = np.array([1e38], np.float32), np.eye(16, dtype=np.float32)
    solved, _ = _core.als_solve((np.array([0, 0]), np.empty(0, np.int32), huge[:0]), factors, back, 1.0)
    np.testing.assert_array_equal(solved, 0)
    for steps in (None, 3):
        with pytest.raises(ValueError, match="`matrix` leads to a singular system"):
            _core.als_solve((np.array([0, 1, 1]), np.array([0], np.int32), huge), factors, back, 1.0, steps)
