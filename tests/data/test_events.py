"""Every event is kept, through everything that is done with interactions; the order of tied rows changes nothing."""

import copy
import pickle
import tracemalloc
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Interactions, Timeline, hold_out, time_weights
from diffrec.data.arrays import from_stored, to_arrays
from diffrec.data.stored import Stored
from support.interactions import Row, any_rows, contents, events, same_bits

#: Few users, items and moments: most rows repeat a pair or share their time with others.
tied_rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 3).map(float), st.sampled_from([1.0, 0.1, 0.7])),
    min_size=1,
    max_size=30,
)
WAYS = ["time", "global-time", "leave-last", "random", "users"]


def made(rows: list[Row], **arguments: Any) -> Interactions:
    return Interactions.from_arrays(*(list(column) for column in zip(*rows, strict=True)), **arguments)


@given(any_rows)
def test_every_row_is_an_event(rows: list[Row]) -> None:
    data = made(rows)
    assert events(data) == sorted(rows)
    assert data.n_events == len(rows)
    assert len(data) == len(contents(data))
    held = data.events
    assert held.times is not None
    np.testing.assert_array_equal(np.lexsort((held.values, held.items, held.times, held.owners)), np.arange(len(held)))
    np.testing.assert_array_equal(data.matrix.indices[data.cells_of_events()], held.items)
    sums = np.bincount(data.cells_of_events(), held.values, minlength=len(data))
    np.testing.assert_allclose(sums, data.matrix.data, rtol=1e-6)


@given(tied_rows, st.randoms(use_true_random=False), st.integers(0, 2))
def test_the_order_of_rows_changes_no_bit(rows: list[Row], random: Any, seed: int) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = made(rows), made(shuffled)
    assert same_bits(one, other)
    for by in WAYS:
        for a, b in zip(one.split(by, 0.2, 0.3, seed=seed), other.split(by, 0.2, 0.3, seed=seed), strict=True):
            assert same_bits(a, b)
    for a, b in zip(hold_out(one, 0.3, seed), hold_out(other, 0.3, seed), strict=True):
        assert same_bits(a, b)
    for half_life in (2.0, timedelta(seconds=2)):
        a, b = (time_weights(data, "exponential", half_life=half_life) for data in (one, other))
        assert a.data.tobytes() == b.data.tobytes()
    looks = []
    for timeline in (Timeline(one), Timeline(other)):
        rows_ = np.arange(len(timeline.lengths))
        cuts = timeline.draw_cuts(rows_, 0 * rows_, 1, seed, 0)
        before = timeline.before(rows_, cuts, [1.0, timedelta(seconds=3), None])
        after = [timeline.after(rows_, cuts, 2, repeats=repeats) for repeats in (True, False)]
        arrays = [cuts, *timeline.sequences(rows_, cuts, 4), *timeline.following(rows_, cuts, 2, 0.5)]
        arrays += [part for found in (before, *after) for part in (found.indptr, found.indices, found.data)]
        looks.append([array.tobytes() for array in arrays])
    assert looks[0] == looks[1]


@given(any_rows, st.data())
def test_nothing_that_is_done_loses_an_event(rows: list[Row], data: st.DataObject) -> None:
    whole = made(rows)
    n_users = whole.shape[0]
    picked = data.draw(st.permutations(range(n_users)).map(lambda order: order[: max(1, n_users // 2)]))
    names = set(whole.users[picked].tolist())
    some = whole.take(picked)
    assert events(some) == sorted(row for row in rows if row[0] in names)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))))
    kept = whole.where(mask)
    cells = {cell for cell, chosen in zip(contents(whole), mask, strict=True) if chosen}
    assert events(kept) == sorted(row for row in rows if row[:2] in cells)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    one, other = whole.where_events(chosen), whole.where_events(~chosen)
    assert (one.n_events, other.n_events) == (chosen.sum(), (~chosen).sum())
    assert same_bits(one.merge(other), whole)
    there, left_out = whole.align(list(reversed(whole.users.ids.tolist())), whole.items)
    assert (events(there), left_out) == (events(whole), 0)
    for again in (copy.deepcopy(whole), pickle.loads(pickle.dumps(whole)), whole.with_ids()):
        assert same_bits(again, whole)
    # Where nothing repeats any more, nothing is stored twice.
    for part in (some, kept, one, other, there):
        assert (part._events is None) == (part.n_events == len(part))


def test_a_pair_taken_three_times() -> None:
    data = Interactions.from_arrays([7, 7, 7, 8], ["tea", "tea", "tea", "salt"], [30, 10, 20, 5], [2, 1, 4, 1])
    assert data.matrix.toarray().tolist() == [[0, 7], [1, 0]]
    assert data.timestamps is not None
    assert data.timestamps.tolist() == [30, 5]
    held = data.events
    assert (held.items.tolist(), held.values.tolist()) == ([1, 1, 1, 0], [1, 4, 2, 1])
    assert held.times is not None
    assert held.times.tolist() == [10, 20, 30, 5]
    assert repr(data) == "<Interactions: 2 users x 2 items, 4 events of 2 pairs, with timestamps>"
    assert "4 events of 2 pairs of 2 users" in data.summary()
    assert "repeats         2 events, 50.0%, are of a pair seen before" in data.summary()


def test_baskets_are_told_of() -> None:
    data = Interactions.from_arrays([1, 1, 1], [1, 2, 3], [5, 5, 6])
    assert "baskets         2 of up to 2 events; 66.7% of the events share their time" in str(data)
    assert "baskets" not in str(Interactions.from_arrays([1, 2], [1, 2], [5, 5]))


def test_events_without_times_are_counted() -> None:
    data = Interactions.from_arrays([1, 1, 1], ["a", "b", "a"])
    assert data.n_events == 3
    assert data.events.times is None
    assert data.events.baskets().sizes.tolist() == [3]
    assert data.matrix.toarray().tolist() == [[2, 1]]
    merged = data.merge(Interactions.from_arrays([1, 1], ["a", "b"], [1, 2]))
    assert (merged.n_events, merged.timestamps) == (5, None)


def test_events_of_nobody() -> None:
    data = Interactions.from_csr(np.zeros((3, 2)), allow_empty=True)
    assert (len(data.events), data.events.baskets().counts.tolist()) == (0, [0, 0, 0])
    assert Timeline(data).baskets.tolist() == [0, 0, 0]


@pytest.mark.parametrize("mask", [np.ones(2, dtype=np.bool_), np.ones(3)])
def test_a_mask_of_events_must_fit(mask: Any) -> None:
    data = Interactions.from_arrays([1, 1, 1], [1, 1, 2])
    with pytest.raises(ValueError, match="mask must hold 3 booleans"):
        data.where_events(mask)


def test_ids_must_fit() -> None:
    data = Interactions.from_arrays([1, 1, 1], [1, 1, 2], item_info={"title": ["a", "b"]})
    assert data.with_ids(users=Interactions.from_arrays([5], [0]).users).item_info == data.item_info
    with pytest.raises(ValueError, match=r"1 users and 1 items do not fit the shape \(1, 2\)"):
        data.with_ids(items=data.users)


def test_data_without_repeats_takes_no_more_memory() -> None:
    users, items = np.divmod(np.arange(200_000), 200)
    tracemalloc.start()
    data = Interactions.from_arrays(users, items, timestamp=items[::-1].copy())
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    stored = data.matrix.data.nbytes + data.matrix.indices.nbytes + data.matrix.indptr.nbytes
    assert data.timestamps is not None
    assert held < 1.1 * (stored + data.timestamps.nbytes + data.users.ids.nbytes + data.items.ids.nbytes)


def test_a_timeline_sees_baskets() -> None:
    data = Interactions.from_arrays([0] * 6, [3, 1, 3, 2, 1, 0], [1, 1, 2, 2, 3, 3])
    timeline = Timeline(data)
    assert (timeline.lengths.tolist(), timeline.baskets.tolist()) == ([6], [3])
    user, cut = np.array([0]), np.array([4])
    weights = timeline.before(user, cut, [1.0]).toarray()[0]
    np.testing.assert_allclose(weights, [0, np.exp(-1), 1, 1 + np.exp(-1)], rtol=1e-6)
    assert timeline.after(user, cut, 1).toarray().tolist() == [[1, 1, 0, 0]]
    assert timeline.after(user, cut, 1, repeats=False).toarray().tolist() == [[1, 0, 0, 0]]
    assert timeline.sequences(user, cut, 5)[0].tolist() == [[-1, 1, 3, 2, 3]]
    with pytest.raises(ValueError, match="`cuts` is 3, expected a place between two baskets"):
        timeline.before(user, np.array([3]), [None])


@given(any_rows, st.booleans())
def test_events_come_back_from_arrays(rows: list[Row], timed: bool) -> None:
    users, items, times, values = (list(column) for column in zip(*rows, strict=True))
    data = Interactions.from_arrays(users, items, times if timed else None, values)
    arrays = to_arrays(data)
    assert any(name.startswith("events.") for name in arrays) == (len(data) < len(rows))
    assert same_bits(from_stored(Stored(arrays), data.shape, []), data)


def test_arrays_that_do_not_fit_are_refused() -> None:
    arrays = to_arrays(Interactions.from_arrays([1, 1], [2, 2]))
    with pytest.raises(ValueError, match=r"`indices\[0\]` is 5"):
        from_stored(Stored(arrays | {"events.items": np.array([5, 0], dtype=np.int32)}), (1, 1), [])
