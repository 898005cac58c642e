import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from diffrec import _core
from support import twins
from support.sparse import csr_arrays, csr_of, row_sets

NOTHING = csr_of([{}])


def start(users: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    return np.full((users, k), -1, np.int32), np.full((users, k), -np.inf, np.float32)


def rank(scores, k, seen=None, rows=None, denied=None, borders=(), order=None):
    """Lists over ``scores`` (users, items), cut at ``borders`` into blocks that are merged in ``order``."""
    scores = np.asarray(scores, np.float32)
    users, width = scores.shape
    seen = seen or csr_of([{}] * users)
    rows = np.arange(users) if rows is None else rows
    lists = start(users, k)
    cuts = [0, *sorted(borders), width]
    blocks = list(itertools.pairwise(cuts))
    for which in range(len(blocks)) if order is None else order:
        low, high = blocks[which]
        block = np.ascontiguousarray(scores[:, low:high])
        _core.top_k(block, low, seen, rows, denied, *lists)
    return lists


score = (
    st.integers(-2, 2).map(float)
    | st.floats(-1, 1, width=32)
    | st.sampled_from([-0.0, np.inf, -np.inf, 3.4028235e38, -3.4028235e38, 1e-45])
)


@given(st.data(), st.integers(0, 80), st.integers(0, 4), st.integers(1, 90))
def test_same_as_the_twin_whatever_the_blocks(data: st.DataObject, width: int, users: int, k: int) -> None:
    scores = np.array(data.draw(st.lists(score, min_size=users * width, max_size=users * width)), np.float32).reshape(
        users, width
    )
    seen = data.draw(csr_arrays(width, min_rows=1))
    rows = np.array(data.draw(st.lists(st.integers(0, len(seen[0]) - 2), min_size=users, max_size=users)), np.int64)
    denied = data.draw(st.none() | st.lists(st.booleans(), min_size=width, max_size=width).map(np.array))
    denied = None if denied is None else denied.astype(bool)
    borders = data.draw(st.lists(st.integers(0, width), max_size=4))
    order = data.draw(st.permutations(range(len(borders) + 1)))
    items, values = rank(scores, k, seen, rows, denied, borders, order)
    sets = row_sets(seen)
    expected_items, expected_values = twins.top_k(scores, [sets[row] for row in rows], denied, k)
    np.testing.assert_array_equal(items, expected_items)
    np.testing.assert_array_equal(values, expected_values)


@pytest.mark.parametrize("k", [1, 10, 200])
@pytest.mark.parametrize("kind", ["random", "ascending", "descending", "few values", "one value"])
def test_long_rows(kind: str, k: int) -> None:
    rng = np.random.default_rng(0)
    scores = {
        "random": rng.standard_normal((3, 5003)),
        "ascending": np.tile(np.arange(5003), (3, 1)),
        "descending": np.tile(-np.arange(5003), (3, 1)),
        "few values": rng.integers(0, 4, (3, 5003)),
        "one value": np.zeros((3, 5003)),
    }[kind].astype(np.float32)
    seen = csr_of([dict.fromkeys(rng.integers(0, 5003, 500).tolist(), 1.0) for _ in range(3)])
    denied = rng.random(5003) < 0.01
    for borders, order in [((), None), ((1000, 1001, 4096), (3, 1, 0, 2))]:
        items, values = rank(scores, k, seen, None, denied, borders, order)
        expected_items, expected_values = twins.top_k(scores, row_sets(seen), denied, k)
        np.testing.assert_array_equal(items, expected_items)
        np.testing.assert_array_equal(values, expected_values)


def test_ties_go_to_the_lower_item_and_both_zeros_tie() -> None:
    items, values = rank([[0.0, -0.0, 1.0, 0.0, -0.0]], 4)
    np.testing.assert_array_equal(items, [[2, 0, 1, 3]])
    np.testing.assert_array_equal(values, [[1, 0, 0, 0]])


def test_users_who_have_seen_everything_get_nothing() -> None:
    items, values = rank([[1.0, 2.0]] * 2, 3, csr_of([{0: 1.0, 1: 1.0}, {1: 1.0}]))
    np.testing.assert_array_equal(items, [[-1, -1, -1], [0, -1, -1]])
    np.testing.assert_array_equal(values, [[-np.inf] * 3, [1, -np.inf, -np.inf]])


def test_nan_matters_only_where_the_item_could_be_recommended() -> None:
    scores = [[1.0, np.nan, 0.0]]
    with pytest.raises(ValueError, match=r"`scores\[0, 1\]` is NaN"):
        rank(scores, 1)
    with pytest.raises(ValueError, match=r"`scores\[1, 99\]` is NaN"):
        rank([[9.0] * 100, [9.0] * 99 + [np.nan]], 1)
    for found in (rank(scores, 3, csr_of([{1: 1.0}])), rank(scores, 3, denied=np.array([False, True, False]))):
        np.testing.assert_array_equal(found[0], [[0, 2, -1]])


def test_any_nonzero_byte_of_a_bool_denies() -> None:
    denied = np.array([0, 2, 255, 0], np.uint8).view(bool)
    np.testing.assert_array_equal(rank([[1.0, 2.0, 3.0, 4.0]], 3, denied=denied)[0], [[3, 0, -1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([1])}, r"`rows\[0\]` is 1, expected a value in \[0, 1\)"),
        ({"rows": np.array([-1])}, r"`rows\[0\]` is -1"),
        ({"rows": np.array([0, 0])}, r"`scores` has shape \(1, 4\), expected \(2, 4\)"),
        ({"seen": (np.array([0, 1]), *NOTHING[1:])}, "`seen.indptr` gives row 0 the entries 0..1"),
        ({"seen": (np.empty(0, np.int64), *NOTHING[1:])}, "`seen.indptr` has 0 entries"),
        (
            {"seen": (np.array([0, 2]), np.array([3, 1], np.int32), np.ones(2, np.float32))},
            "`seen.indices` has 1 after 3 in row 0, expected ascending columns",
        ),
        ({"denied": np.zeros(3, bool)}, "`denied` has 3 entries, expected 4"),
        ({"first_item": -1}, "`first_item` is -1"),
        ({"first_item": 2**31 - 2}, "`first_item` is 2147483646"),
        ({"values": np.full((1, 3), -np.inf, np.float32)}, r"`values` has shape \(1, 3\), expected \(1, 2\)"),
        ({"items": np.full((2, 2), -1, np.int32)}, r"`items` has shape \(2, 2\), expected \(1, 2\)"),
        ({"items": np.zeros((1, 0), np.int32), "values": np.zeros((1, 0), np.float32)}, "`k` is 0"),
        ({"items": np.zeros((1, 2), np.int32)}, "row 0 of `items` and `values` is not a running top-K list"),
        ({"values": np.zeros((1, 2), np.float32)}, "not a running top-K list"),
    ],
)
def test_each_broken_promise_is_named(change, message) -> None:
    items, values = start(1, 2)
    arguments = {
        "scores": np.ones((1, 4), np.float32),
        "first_item": 0,
        "seen": NOTHING,
        "rows": np.array([0]),
        "denied": None,
        "items": items,
        "values": values,
    } | change
    with pytest.raises(ValueError, match=message):
        _core.top_k(**arguments)
