import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Interactions, has_clock, hold_out
from support.interactions import Row, any_rows, contents, events, same_bits

ways = st.sampled_from(["time", "random", "leave-last", "global-time", "users"])
shares = st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)).filter(lambda both: sum(both) < 1)


def made(rows: list[Row]) -> Interactions:
    return Interactions.from_arrays(*(list(column) for column in zip(*rows, strict=True)))


@given(any_rows, ways, shares, st.integers(0, 3))
def test_parts_are_exactly_the_events(rows: list[Row], by: Any, sizes: tuple[float, float], seed: int) -> None:
    data = made(rows)
    parts = data.split(by, *sizes, seed=seed)
    every = [*parts] if parts.visible is None else [*parts, parts.visible]
    for part in every:
        assert part.users is data.users
        assert part.items is data.items
        assert part.item_info is data.item_info
        assert part.shape == data.shape
        assert part.matrix.has_canonical_format
    assert sorted(itertools.chain(*map(events, every))) == sorted(rows)
    assert same_bits(every[0].merge(*every[1:]), data)
    # Everybody with a history keeps some of it to learn from, or to be recommended by.
    if by != "global-time":
        known = parts.train if parts.visible is None else parts.train.merge(parts.visible)
        had, has = (np.diff(part.matrix.indptr) > 0 for part in (data, known))
        np.testing.assert_array_equal(had, has)


@given(any_rows, st.sampled_from(["time", "leave-last", "global-time"]), shares)
def test_test_is_newer_than_valid_is_newer_than_train(rows: list[Row], by: Any, sizes: tuple[float, float]) -> None:
    data = made(rows)
    parts = [events(part) for part in data.split(by, *sizes)]
    for user in [None] if by == "global-time" else data.users:
        times = [[time for who, _, time, _ in part if user in (None, who)] for part in parts]
        ends = [(min(part), max(part)) for part in times if part]
        # No basket is parted: what is later in a part is later in time.
        assert all(before[1] < after[0] for before, after in itertools.pairwise(ends))


def plain_newest(times: list[float], share: float) -> int:
    """Size of the newest baskets that come nearest to a share of the events, the larger of two as near."""
    n = len(times)
    sizes = [sum(time >= start for time in times) for start in sorted(set(times))[1:]]
    return min([*sizes, 0], key=lambda size: (round(abs(size - n * share), 6), -size))


@given(any_rows, st.floats(0, 0.99))
def test_the_newest_baskets_nearest_to_the_share(rows: list[Row], share: float) -> None:
    data = made(rows)
    test = data.split("time", 0, share).test
    for user in data.users:
        times = [row[2] for row in rows if row[0] == user]
        assert sum(row[0] == user for row in events(test)) == plain_newest(times, share)
    everyone = data.split("global-time", 0, share).test
    assert everyone.n_events == plain_newest([row[2] for row in rows], share)


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


def test_no_cut_parts_a_basket() -> None:
    times = [1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    for by, sizes in [("time", (7, 0, 3)), ("leave-last", (4, 3, 3)), ("global-time", (7, 0, 3))]:
        assert tuple(map(len, history(10, times).split(by, 0.1, 0.2))) == sizes
    assert tuple(map(len, history(10, times).split("time", 0.2, 0.3))) == (4, 3, 3)
    # Half way between two cuts is nearer to neither, and the part takes more.
    assert tuple(map(len, history(10, [0] * 4 + [1] * 4 + [2, 2]).split("time", 0, 0.4))) == (4, 0, 6)
    # Everything at once has no newest part.
    assert tuple(map(len, history(10, [0] * 10).split("time", 0.1, 0.2))) == (10, 0, 0)


def test_a_pair_bought_before_and_after_is_in_both_parts() -> None:
    data = Interactions.from_arrays([0] * 4, ["tea", "salt", "tea", "milk"], [1, 1, 2, 2])
    train, _, test = data.split("leave-last")
    assert [part.items[part.matrix.indices].tolist() for part in (train, test)] == [["salt", "tea"], ["milk", "tea"]]
    assert train.timestamps is not None
    assert train.timestamps.tolist() == [1, 1]
    report = data.split("leave-last").report_
    assert report.test == (2, 2, 1, 0, 1, 1, 1, None)
    assert "1 pairs seen before" in str(report)


def test_a_cut_at_one_moment_reports_what_is_new() -> None:
    data = Interactions.from_arrays([0, 0, 0, 1, 2, 2], [7, 8, 7, 9, 7, 9], [10, 20, 50, 60, 50, 60])
    parts = data.split("global-time", valid=0.2, test=0.3)
    assert tuple(part.n_events for part in parts) == (2, 2, 2)
    assert parts.report_.valid == (2, 2, 2, 1, 0, 1, 1, 50)
    assert parts.report_.test == (2, 2, 2, 2, 1, 2, 0, 60)
    assert str(parts.report_).splitlines()[2].startswith("test   2 events of 2 pairs, 2 users, since 60: 2 users")
    assert pickle.loads(pickle.dumps(parts)).report_ == parts.report_


def test_whole_users_are_held_out() -> None:
    data = Interactions.from_arrays(np.repeat(np.arange(20), 10), np.tile(np.arange(10), 20), np.tile(range(10), 20))
    parts = data.split("users", valid=0.1, test=0.2, seed=1)
    assert parts.visible is not None
    lengths = [np.diff(part.matrix.indptr) for part in (*parts, parts.visible)]
    assert [sorted(set(own.tolist())) for own in lengths] == [[0, 10], [0, 2], [0, 2], [0, 8]]
    assert [int((own > 0).sum()) for own in lengths] == [14, 2, 4, 6]
    assert parts.visible.timestamps is not None
    assert parts.test.timestamps is not None
    assert parts.visible.timestamps.max() < parts.test.timestamps.min()
    assert parts.report_.test.new_events == 0
    train, visible = lengths[0] > 0, lengths[3] > 0
    assert not (train & visible).any()
    # Without an order what is hidden is drawn.
    timeless = Interactions.from_csr(np.ones((20, 10))).split("users")
    assert np.diff(timeless.test.matrix.indptr).sum() == 8


def test_holding_out_takes_the_newest_baskets() -> None:
    data = history(10, times=[0, 1, 2, 3, 4, 5, 6, 6, 7, 7])
    kept, held = hold_out(data, 0.2)
    assert (kept.matrix.indices.tolist(), held.matrix.indices.tolist()) == ([*range(8)], [8, 9])
    # The newest basket is held out however large it is, but never the only one.
    large = history(10, times=[1, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    assert [len(part) for part in hold_out(large, 0.2)] == [1, 9]
    assert [len(part) for part in hold_out(Interactions.from_csr(np.ones((5, 10))), 0.2)] == [40, 10]
    assert [len(part) for part in hold_out(history(10, times=[3] * 10), 0.2)] == [8, 2]
    with pytest.raises(ValueError, match="share must be at least 0 and below 1"):
        hold_out(data, 1.0)


def test_a_clock_is_shared() -> None:
    user, place = np.divmod(np.arange(40), 4)

    def clocked(times: np.ndarray) -> bool:
        return has_clock(Interactions.from_arrays(user, place, timestamp=times))

    assert clocked(10 * user + 7 * place)
    # Places: in each user's own order, or in that of all rows.
    assert not clocked(place)
    assert not clocked(np.arange(40))
    # Some of them, as what was held out or filtered leaves gaps.
    assert not clocked(5 * np.arange(40))
    # Visits of a minute by people who do not meet; people who were all taken over on one day, most of them.
    assert clocked(86_400 * user + 20 * place)
    assert clocked(np.where((place == 0) & (user < 7), 1e9, 1e9 + 1e5 * user + 1e6 * place))
    # Seconds since each user came; one moment for all.
    assert not clocked(3_600 * user + 86_400 * place - 3_600 * user)
    assert not clocked(np.full(40, 1e9))
    assert not has_clock(Interactions.from_arrays([0, 0], [0, 1], timestamp=[5, 9]))
    assert not has_clock(Interactions.from_arrays([0, 1], [0, 1]))


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
            r"by must be one of 'time', 'global-time', 'leave-last', 'random', 'users', got 'tme'; did you mean 'time'",
        ),
        ({"by": "leave_last"}, ValueError, "did you mean 'leave-last'"),
        ({"by": 3}, ValueError, "by must be one of"),
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


@pytest.mark.parametrize("by", ["time", "leave-last", "global-time"])
def test_times_are_needed_where_they_matter(by: Any) -> None:
    data = Interactions.from_arrays([0, 0], [0, 1])
    with pytest.raises(ValueError, match=f"by='{by}' needs timestamps"):
        data.split(by)
    assert all(part.timestamps is None for part in data.split("random"))
