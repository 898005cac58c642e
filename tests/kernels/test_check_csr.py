import numpy as np
import pytest

from diffrec import _core

INDPTR = np.array([0, 2, 2, 3])
INDICES = np.array([0, 3, 1], np.int32)
DATA = np.array([1, 0, 2.5], np.float32)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("value", [np.float32, np.float64])
def test_sound_matrices_pass(index: type, value: type) -> None:
    _core.check_csr((INDPTR, INDICES.astype(index), DATA.astype(value)), (3, 4))
    _core.check_csr((np.array([0]), np.empty(0, index), np.empty(0, value)), (0, 0))


def test_columns_may_be_unsorted_or_repeat() -> None:
    _core.check_csr((np.array([0, 3]), np.array([3, 1, 1], np.int32), DATA), (1, 4))


@pytest.mark.parametrize(
    ("indptr", "indices", "data", "shape", "message"),
    [
        (INDPTR, INDICES, DATA, (2, 4), "`indptr` has 4 entries, expected 3"),
        ([1, 2, 2, 3], INDICES, DATA, (3, 4), "`indptr` starts at 1, expected 0"),
        ([0, 2, 1, 3], INDICES, DATA, (3, 4), "`indptr` gives row 1 the entries 2..1"),
        ([0, 2, 9, 3], INDICES, DATA, (3, 4), "`indptr` gives row 1 the entries 2..9"),
        ([0, 2, 2, 2], INDICES, DATA, (3, 4), "`indptr` ends at 2, but 3 entries are stored"),
        ([], INDICES, DATA, (0, 4), "`indptr` has 0 entries, expected 1"),
        (INDPTR, INDICES, DATA[:2], (3, 4), "`data` has 2 entries, expected 3"),
        (INDPTR, INDICES, DATA, (3, 3), r"`indices\[1\]` is 3, expected a value in \[0, 3\)"),
        (INDPTR, [0, -1, 1], DATA, (3, 4), r"`indices\[1\]` is -1"),
        (INDPTR, INDICES, [1, np.nan, 1], (3, 4), r"`data\[1\]` is NaN"),
        (INDPTR, INDICES, [1, 1, np.inf], (3, 4), r"`data\[2\]` is inf"),
        (INDPTR, INDICES, [-0.5, 1, 1], (3, 4), r"`data\[0\]` is -0.5, expected a finite number that is not"),
        (INDPTR, INDICES, DATA, (-3, 4), r"`shape\[0\]` is -3"),
        (INDPTR, INDICES, DATA, (3, -4), r"`shape\[1\]` is -4"),
    ],
)
def test_each_broken_promise_is_named(indptr, indices, data, shape, message) -> None:
    arrays = np.array(indptr, np.int64), np.array(indices, np.int32), np.array(data, np.float32)
    with pytest.raises(ValueError, match=message):
        _core.check_csr(arrays, shape)
