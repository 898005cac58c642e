import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Interactions
from support.interactions import Row, any_rows, contents

ways = st.sampled_from(["time", "random", "leave-last"])
shares = st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)).filter(lambda both: sum(both) < 1)


def made(rows: list[Row]) -> Interactions:
    return Interactions.from_arrays(*(list(column) for column in zip(*rows, strict=True)))


@given(any_rows, ways, shares, st.integers(0, 3))
def test_parts_are_exactly_the_interactions(rows: list[Row], by: Any, sizes: tuple[float, float], seed: int) -> None:
    data = made(rows)
    parts = data.split(by, *sizes, seed=seed)
    assert sum(map(len, parts)) == len(data)
    together: dict[Any, Any] = {}
    for part in parts:
        assert part.users is data.users
        assert part.items is data.items
        assert part.item_info is data.item_info
        assert part.shape == data.shape
        assert part.matrix.has_canonical_format
        together |= contents(part)
    assert together == contents(data)
    # Everybody with a history keeps some of it to learn from.
    had, has = (np.diff(part.matrix.indptr) > 0 for part in (data, parts.train))
    np.testing.assert_array_equal(had, has)


@given(any_rows, st.sampled_from(["time", "leave-last"]), shares)
def test_test_is_newer_than_valid_is_newer_than_train(rows: list[Row], by: Any, sizes: tuple[float, float]) -> None:
    data = made(rows)
    parts = [contents(part) for part in data.split(by, *sizes)]
    for user in data.users:
        times = [[entry.time for (who, _), entry in part.items() if who == user] for part in parts]
        ends = [(min(part), max(part)) for part in times if part]
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))


@given(any_rows, ways, shares, st.integers(0, 3))
def test_the_same_seed_gives_the_same_parts(rows: list[Row], by: Any, sizes: tuple[float, float], seed: int) -> None:
    one, other = (made(rows).split(by, *sizes, seed=seed) for _ in range(2))
    assert [contents(part) for part in one] == [contents(part) for part in other]


def history(length: int, times: Any = None) -> Interactions:
    return Interactions.from_arrays([0] * length, range(length), range(length) if times is None else times)


@pytest.mark.parametrize("by", ["time", "random"])
@pytest.mark.parametrize(
    ("length", "valid", "test", "sizes"),
    [
        (10, 0.1, 0.2, (7, 1, 2)),
        (100, 0.1, 0.2, (70, 10, 20)),
        (1, 0.1, 0.2, (1, 0, 0)),
        (2, 0.1, 0.2, (2, 0, 0)),
        (3, 0.1, 0.2, (2, 0, 1)),
        (5, 0.1, 0.2, (3, 1, 1)),  # halves go up
        (7, 0.1, 0.2, (5, 1, 1)),
        (10, 0, 0.2, (8, 0, 2)),
        (10, 0.1, 0, (9, 1, 0)),
        (10, 0, 0, (10, 0, 0)),
        (2, 0.5, 0.4, (1, 0, 1)),  # valid gives way first
        (1, 0.0, 0.9, (1, 0, 0)),
        (5, 0.0, 0.7, (1, 0, 4)),  # 3.5, although 5 * 0.7 falls short of it by the last bit
    ],
)
def test_shares_round_to_the_nearest_and_leave_train_one(
    by: Any, length: int, valid: float, test: float, sizes: tuple[int, int, int]
) -> None:
    assert tuple(map(len, history(length).split(by, valid, test))) == sizes


def test_time_cuts_at_the_times_not_at_the_columns() -> None:
    train, valid, test = history(10, times=[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]).split("time", 0.1, 0.2)
    assert test.matrix.indices.tolist() == [0, 1]
    assert valid.matrix.indices.tolist() == [2]
    assert train.timestamps is not None
    assert train.timestamps.tolist() == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(("length", "sizes"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (9, (7, 1, 1))])
def test_leave_last_takes_one_each(length: int, sizes: tuple[int, int, int]) -> None:
    train, valid, test = history(length).split("leave-last")
    assert tuple(map(len, (train, valid, test))) == sizes
    if length > 2:
        assert test.matrix.indices.tolist() == [length - 1]
        assert valid.matrix.indices.tolist() == [length - 2]
    train, valid, test = history(length).split("leave-last", valid=0)
    assert (len(valid), len(test)) == (0, min(length - 1, 1))


def test_ties_fall_in_a_seeded_order_not_by_column() -> None:
    data = Interactions.from_arrays(np.repeat(np.arange(200), 10), np.tile(np.arange(10), 200), np.zeros(2000))
    counts = np.bincount(data.split("time", 0.1, 0.2, seed=1).test.matrix.indices, minlength=10)
    assert counts.min() > 15
    other = data.split("time", 0.1, 0.2, seed=2).test
    assert (other.matrix != data.split("time", 0.1, 0.2, seed=1).test.matrix).nnz > 0


def test_random_parts_are_spread_evenly() -> None:
    data = Interactions.from_csr(np.ones((400, 20)))
    parts = data.split("random", 0.1, 0.2, seed=3)
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        np.testing.assert_allclose(part.matrix.sum(axis=0) / 400, share, atol=0.09)
        np.testing.assert_array_equal(part.matrix.sum(axis=1), 20 * share)


def test_users_without_history_stay_without() -> None:
    data = Interactions.from_arrays([1], [0], [5], users=[0, 1, 2])
    assert [part.shape for part in data.split()] == [(3, 1)] * 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"by": "tme"},
            ValueError,
            r"by must be one of 'time', 'random', 'leave-last', got 'tme'; did you mean 'time'",
        ),
        ({"by": "leave_last"}, ValueError, "did you mean 'leave-last'"),
        ({"by": None}, ValueError, "by must be one of"),
        ({"valid": -0.1}, ValueError, "valid must be at least 0 and below 1, got -0.1"),
        ({"test": 1.0}, ValueError, "test must be at least 0 and below 1, got 1.0"),
        ({"test": float("nan")}, ValueError, "test must be at least 0 and below 1, got nan"),
        ({"valid": 0.5, "test": 0.5}, ValueError, r"valid \+ test must stay below 1, not 0.5 \+ 0.5"),
        ({"test": "0.2"}, TypeError, "test must be a number"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        history(5).split(**arguments)


@pytest.mark.parametrize("by", ["time", "leave-last"])
def test_times_are_needed_where_they_matter(by: Any) -> None:
    data = Interactions.from_arrays([0, 0], [0, 1])
    with pytest.raises(ValueError, match=f"by='{by}' needs timestamps"):
        data.split(by)
    assert all(part.timestamps is None for part in data.split("random"))
