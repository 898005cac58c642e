import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from diffrec import _core
from support import twins
from support.sparse import csr_arrays


@given(st.data(), st.integers(0, 9), st.booleans())
def test_same_as_the_twin(data: st.DataObject, columns: int, weighted: bool) -> None:
    indptr, indices, values = data.draw(csr_arrays(columns))
    users = len(indptr) - 1
    rows = np.array(data.draw(st.lists(st.integers(0, users - 1), max_size=8)) if users else [], np.int64)
    weights = np.linspace(-1, 2, len(rows), dtype=np.float32) if weighted else None
    out = np.full((len(rows), columns), np.nan, np.float32)
    _core.dense_rows(indptr, indices, values, rows, out, weights)
    np.testing.assert_allclose(out, twins.dense_rows(indptr, indices, values, rows, columns, weights), rtol=1e-6)


def test_same_as_scipy_on_a_large_batch() -> None:
    matrix = scipy.sparse.random(500, 300, 0.05, "csr", np.float32, random_state=0)
    rows = np.random.default_rng(0).integers(0, 500, 700)
    out = np.empty((700, 300), np.float32)
    _core.dense_rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, rows, out)
    np.testing.assert_array_equal(out, matrix[rows].toarray())


def test_a_column_stored_twice_counts_with_its_sum() -> None:
    out = np.empty((1, 3), np.float32)
    arrays = np.array([0, 3]), np.array([2, 0, 2], np.int32), np.array([1, 5, 2], np.float32)
    _core.dense_rows(*arrays, np.array([0]), out)
    np.testing.assert_array_equal(out, [[5, 0, 3]])


INDPTR, INDICES, DATA = np.array([0, 1, 3]), np.array([2, 0, 1], np.int32), np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [0, 2]}, r"`rows\[1\]` is 2, expected a value in \[0, 2\)"),
        ({"rows": [-1, 0]}, r"`rows\[0\]` is -1"),
        ({"rows": [0]}, r"`out` has shape \(2, 3\), expected \(1, 3\)"),
        ({"indices": [2, 0, 3]}, r"`indices\[2\]` is 3, expected a value in \[0, 3\)"),
        ({"indices": [2, -7, 1]}, r"`indices\[1\]` is -7"),
        ({"data": [1, 2]}, "`data` has 2 entries, expected 3"),
        ({"weights": [1]}, "`weights` has 1 entries, expected 2"),
        ({"indptr": [0, 1, 4]}, "`indptr` gives row 1 the entries 1..4, not a range within the 3 stored"),
        ({"indptr": [0, 1, 0]}, "`indptr` gives row 1 the entries 1..0"),
        ({"indptr": [-1, 1, 3]}, "`indptr` gives row 0 the entries -1..1"),
        ({"indptr": []}, "`indptr` has 0 entries, expected 1"),
    ],
)
def test_each_broken_promise_is_named(change: dict[str, list[int]], message: str) -> None:
    arguments = {"indptr": INDPTR, "indices": INDICES, "data": DATA, "rows": np.array([0, 1])}
    dtypes = {"indptr": np.int64, "indices": np.int32, "data": np.float32, "rows": np.int64, "weights": np.float32}
    arguments |= {name: np.array(value, dtypes[name]) for name, value in change.items()}
    with pytest.raises(ValueError, match=message):
        _core.dense_rows(out=np.empty((2, 3), np.float32), **arguments)


def test_a_wrong_row_number_leaves_the_batch_alone() -> None:
    out = np.full((2, 3), 9, np.float32)
    with pytest.raises(ValueError, match="`rows"):
        _core.dense_rows(INDPTR, INDICES, DATA, np.array([0, 5]), out)
    np.testing.assert_array_equal(out, 9)
