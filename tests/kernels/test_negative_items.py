import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec import _core
from support.sparse import csr_arrays, csr_of, row_sets

ITEMS = 9


@given(st.data(), csr_arrays(ITEMS, min_rows=1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_never_draws_what_the_row_holds(data: st.DataObject, csr, seed: int, epoch: int) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(csr[0]) - 2), max_size=50)), np.int64)
    held = row_sets(csr)
    drawn = _core.negative_items(csr, ITEMS, rows, seed, epoch)
    assert drawn.dtype == np.int64
    for row, item in zip(rows, drawn.tolist(), strict=True):
        assert item in set(range(ITEMS)) - held[row] or (item == -1 and len(held[row]) == ITEMS)


def test_draws_uniformly_from_the_rest() -> None:
    csr = csr_of([{1: 1.0, 2: 1.0, 7: 1.0}])
    rest, n = [0, 3, 4, 5, 6, 8], 30_000
    drawn = _core.negative_items(csr, ITEMS, np.zeros(n, np.int64), 5, 1)
    counts = np.bincount(drawn, minlength=ITEMS)[rest]
    # Chi-square with 5 degrees of freedom: above 20.5 in one of a thousand samples.
    assert ((counts - n / 6) ** 2 / (n / 6)).sum() < 20.5


def test_draws_anew_for_every_seed_epoch_and_position() -> None:
    csr = csr_of([{}])
    rows = np.zeros(1000, np.int64)
    draws = [_core.negative_items(csr, 1000, rows, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    for i, one in enumerate(draws):
        assert len(np.unique(one)) > 500
        for other in draws[:i]:
            assert np.mean(one == other) < 0.02
    np.testing.assert_array_equal(_core.negative_items(csr, 1000, rows[:10], 0, 0), draws[0][:10])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": np.array([0, 2])}, r"`rows\[1\]` is 2, expected a value in \[0, 2\)"),
        ({"n_items": 3}, r"`indices\[1\]` is 3, expected a value in \[0, 3\)"),
        ({"n_items": -1}, "`n_items` is -1"),
        (
            {"matrix": (np.array([0, 2, 3]), np.array([3, 1, 0], np.int32), np.ones(3, np.float32))},
            "`indices` has 1 after 3 in row 0",
        ),
        (
            {"matrix": (np.array([0, 4, 5]), np.array([1, 3, 0], np.int32), np.ones(3, np.float32))},
            "`indptr` gives row 0",
        ),
    ],
)
def test_bad_input(change, words: str) -> None:
    arguments = {
        "matrix": (np.array([0, 2, 3]), np.array([1, 3, 0], np.int32), np.ones(3, np.float32)),
        "n_items": 4,
        "rows": np.array([0, 1]),
        "seed": 0,
        "epoch": 0,
    }
    assert len(_core.negative_items(**arguments)) == 2
    with pytest.raises(ValueError, match=words):
        _core.negative_items(**(arguments | change))
