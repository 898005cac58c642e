"""Histories cut into past and future, against the plain twin."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec import _core
from support import twins

SCALES: list[Any] = [("interactions", 2.0), ("seconds", 7.5), ("even", 0.0)]
REPEATS: list[Any] = [(kind, 0.0) for kind in ("had", "often", "ago", "due", "usual")]
INTERVALS = np.arange(1.0, 16.0)
INDPTR = np.array([0, 3, 3, 4], dtype=np.int64)
ITEMS = np.array([2, 0, 1, 2], dtype=np.int32)
TIMES = np.array([1.0, 2.0, 2.0, 5.0])
BASKETS = np.array([0, 1, 1, 0], dtype=np.int32)
ROWS = np.array([0, 2], dtype=np.int64)
CUTS = np.array([1, 1], dtype=np.int64)


class Histories(NamedTuple):
    indptr: Any
    items: Any
    baskets: Any
    times: Any
    rows: Any
    cuts: Any
    repeats: bool


@st.composite
def cut_histories(draw: st.DrawFn) -> Histories:
    lengths = draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    repeats = draw(st.booleans())
    items = [rng.integers(0, 15, n) if repeats else rng.permutation(15)[:n] for n in lengths]
    times = [np.sort(rng.integers(0, 20, n)) for n in lengths]
    baskets = [np.unique(own, return_inverse=True)[1] for own in times]
    rows = np.array(draw(st.lists(st.integers(0, len(lengths) - 1), max_size=8)), dtype=np.int64)
    between = [[0, len(own), *(np.flatnonzero(np.diff(own)) + 1).tolist()] for own in times]
    cuts = np.array([draw(st.sampled_from(between[row])) for row in rows], dtype=np.int64)
    return Histories(
        indptr,
        np.concatenate(items).astype(np.int32),
        np.concatenate(baskets).astype(np.int32),
        np.concatenate(times).astype(np.float64),
        rows,
        cuts,
        repeats,
    )


@given(
    cut_histories(), st.sampled_from([SCALES, REPEATS, [*REPEATS, *SCALES, *REPEATS]]), st.sampled_from([None, 21.5])
)
def test_prefixes_are_those_of_the_twin(case: Histories, views: list[Any], now: float | None) -> None:
    indptr, items, baskets, times, rows, cuts, repeats = case
    starts, columns, values = _core.prefix_rows(
        indptr, items, baskets, times, 15, rows, cuts, views, repeats=repeats, now=now, intervals=INTERVALS
    )
    expected = twins.prefix_rows(indptr, items, times, 15, rows, cuts, views, now, INTERVALS)
    assert starts.tolist() == np.concatenate([[0], np.cumsum([len(row) for row in expected])]).tolist()
    assert columns.tolist() == [column for row in expected for column, _ in row]
    np.testing.assert_allclose(values, [value for row in expected for _, value in row], rtol=1e-6)


@given(cut_histories(), st.integers(0, 5), st.booleans())
def test_what_follows(case: Histories, length: int, fresh: bool) -> None:
    indptr, items, baskets, times, rows, cuts, repeats = case
    starts, found = _core.next_items(indptr, items, baskets, 15, rows, cuts, length, repeats=repeats, fresh=fresh)
    for i, (row, cut) in enumerate(zip(rows, cuts, strict=True)):
        expected = twins.next_items(indptr, items, times, row, cut, length, fresh)
        assert found[starts[i] : starts[i + 1]].tolist() == expected


@given(cut_histories(), st.integers(1, 6), st.integers(0, 9))
def test_cuts_are_those_of_the_twin(case: Histories, most: int, seed: int) -> None:
    moments = [case.times[case.indptr[row] : case.indptr[row + 1]] for row in case.rows]
    counts = [max(1, min(len(set(own)) - 1, most)) for own in moments]
    rows, places = np.repeat(case.rows, counts), np.concatenate([np.arange(n) for n in [*counts, 0]])
    cuts = _core.draw_cuts(case.indptr, case.baskets, rows, places, most, seed, 0)
    ends = np.cumsum(counts)[:-1] if counts else []
    for own, found in zip(moments, np.split(cuts, ends), strict=True) if counts else ():
        assert found.tolist() in twins.cuts(own, most)


def test_cuts_leave_something_on_both_sides() -> None:
    indptr, baskets = np.array([0, 3, 3, 4, 6]), np.array([0, 1, 2, 0, 0, 0], dtype=np.int32)
    rows, one = np.array([0, 1, 2, 3]), np.zeros(4, dtype=np.int64)
    drawn = [_core.draw_cuts(indptr, baskets, rows, one, 1, 3, step).tolist() for step in range(50)]
    assert [set(cuts) for cuts in zip(*drawn, strict=True)] == [{1, 2}, {0}, {1}, {2}]
    assert drawn[0] == _core.draw_cuts(indptr, baskets, rows, one, 1, 3, 0).tolist()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rows": np.array([3, 0])}, r"`rows\[0\]` is 3"),
        ({"cuts": np.array([4, 1])}, r"`cuts\[0\]` is 4, expected a value in \[0, 4\)"),
        ({"cuts": np.array([2, 1])}, "`cuts` is 2, expected a place between two baskets"),
        ({"baskets": BASKETS[1:]}, "`baskets` has 3 entries, expected 4"),
        ({"baskets": np.array([0, 2, 2, 0], dtype=np.int32)}, r"`baskets\[1\]` is 2, expected a value in \[0, 2\)"),
        ({"baskets": np.array([0, 1, 1, 1], dtype=np.int32)}, r"`baskets\[3\]` is 1, expected a value in \[0, 1\)"),
        ({"cuts": np.array([1])}, "`cuts` has 1 entries, expected 2"),
        ({"n_items": 2}, r"`items\[0\]` is 2, expected a value in \[0, 2\)"),
        ({"times": TIMES[::-1].copy(), "cuts": np.array([3, 1])}, r"`times\[1\]` is less than the value before it"),
        ({"times": TIMES[1:]}, "`times` has 3 entries, expected 4"),
        ({"scales": [("minutes", 1.0)]}, '`scales` is "minutes"'),
        ({"scales": [("seconds", 0.0)]}, "`scales` is 0, expected a positive finite number"),
        ({"scales": [("usual", 0.0)]}, "`intervals` has 0 entries, expected 3"),
        ({"scales": [("usual", 0.0)], "intervals": np.array([1.0, 0.0, 1.0])}, "`intervals` is 0, expected positive"),
        ({"n_items": 2**30, "scales": SCALES}, "`n_items` is 1073741824"),
    ],
)
def test_bad_input_is_named(changed: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {
        "indptr": INDPTR,
        "items": ITEMS,
        "baskets": BASKETS,
        "times": TIMES,
        "n_items": 3,
        "rows": ROWS,
        "cuts": CUTS,
        "scales": SCALES[:1],
    }
    with pytest.raises(ValueError, match=words):
        _core.prefix_rows(**(arguments | changed))
