"""Histories cut into past and future, against the plain twin."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec import _core
from support import twins

SCALES: list[Any] = [("interactions", 2.0), ("seconds", 7.5), ("even", 0.0)]
INDPTR = np.array([0, 3, 3, 4], dtype=np.int64)
ITEMS = np.array([2, 0, 1, 2], dtype=np.int32)
TIMES = np.array([1.0, 2.0, 2.0, 5.0])
ROWS = np.array([0, 2], dtype=np.int64)
CUTS = np.array([2, 1], dtype=np.int64)


@st.composite
def cut_histories(draw: st.DrawFn) -> tuple[Any, ...]:
    lengths = draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    items = rng.integers(0, 9, indptr[-1]).astype(np.int32)
    times = np.concatenate([np.sort(rng.integers(0, 20, n)) for n in lengths]).astype(np.float64)
    rows = np.array(draw(st.lists(st.integers(0, len(lengths) - 1), max_size=8)), dtype=np.int64)
    cuts = np.array([draw(st.integers(0, lengths[row])) for row in rows], dtype=np.int64)
    return indptr, items, times, rows, cuts


@given(cut_histories())
def test_prefixes_are_those_of_the_twin(case: tuple[Any, ...]) -> None:
    indptr, items, times, rows, cuts = case
    starts, columns, values = _core.prefix_rows(indptr, items, times, 9, rows, cuts, SCALES)
    expected = twins.prefix_rows(indptr, items, times, 9, rows, cuts, SCALES)
    assert starts.tolist() == np.concatenate([[0], np.cumsum([len(row) for row in expected])]).tolist()
    assert columns.tolist() == [column for row in expected for column, _ in row]
    np.testing.assert_allclose(values, [value for row in expected for _, value in row], rtol=1e-6)


@given(cut_histories(), st.integers(0, 5))
def test_what_follows_and_what_came_last(case: tuple[Any, ...], length: int) -> None:
    indptr, items, _, rows, cuts = case
    starts, found = _core.next_items(indptr, items, 9, rows, cuts, length)
    last = _core.last_items(indptr, items, 9, rows, cuts, length)
    assert last.shape == (len(rows), length)
    for i, (row, cut) in enumerate(zip(rows, cuts, strict=True)):
        history = items[indptr[row] : indptr[row + 1]].tolist()
        assert found[starts[i] : starts[i + 1]].tolist() == history[cut : cut + length]
        kept = history[max(0, cut - length) : cut]
        assert last[i].tolist() == [-1] * (length - len(kept)) + kept


def test_cuts_leave_something_on_both_sides() -> None:
    cuts = _core.draw_cuts(INDPTR, np.repeat(np.array([0, 1, 2]), 50), 3, 0)
    assert set(cuts[:50]) == {1, 2}
    assert set(cuts[50:100]) == {0}
    assert set(cuts[100:]) == {1}
    assert cuts.tolist() == _core.draw_cuts(INDPTR, np.repeat(np.array([0, 1, 2]), 50), 3, 0).tolist()
    assert cuts.tolist() != _core.draw_cuts(INDPTR, np.repeat(np.array([0, 1, 2]), 50), 3, 1).tolist()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rows": np.array([3, 0])}, r"`rows\[0\]` is 3"),
        ({"cuts": np.array([4, 1])}, r"`cuts\[0\]` is 4, expected a value in \[0, 4\)"),
        ({"cuts": np.array([1])}, "`cuts` has 1 entries, expected 2"),
        ({"n_items": 2}, r"`items\[0\]` is 2, expected a value in \[0, 2\)"),
        ({"times": TIMES[::-1].copy()}, r"`times\[1\]` is less than the value before it"),
        ({"times": TIMES[1:]}, "`times` has 3 entries, expected 4"),
        ({"scales": [("minutes", 1.0)]}, '`scales` is "minutes"'),
        ({"scales": [("seconds", 0.0)]}, "`scales` is 0, expected a positive finite number"),
        ({"n_items": 2**30, "scales": SCALES}, "`n_items` is 1073741824"),
    ],
)
def test_bad_input_is_named(changed: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {
        "indptr": INDPTR,
        "items": ITEMS,
        "times": TIMES,
        "n_items": 3,
        "rows": ROWS,
        "cuts": CUTS,
        "scales": SCALES[:1],
    }
    with pytest.raises(ValueError, match=words):
        _core.prefix_rows(**(arguments | changed))
