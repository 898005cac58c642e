"""Entries of interactions for property tests, and a plain twin to hold the fast code against."""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

Row = tuple[Any, Any, float, float]

int_ids = st.integers(-(2**62), 2**62) | st.integers(0, 20)
str_ids = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6)
times = st.integers(-5, 5).map(float) | st.floats(-1e9, 4e9)
values = st.integers(1, 5).map(float)


def rows(users: st.SearchStrategy[Any], items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.tuples(users, items, times, values), min_size=1, max_size=40)


#: Lists of (user, item, time, value): ids all integers or all strings, with repeats.
any_rows = st.one_of(
    rows(st.integers(0, 6), st.integers(0, 6)),
    rows(int_ids, int_ids),
    rows(str_ids, str_ids),
    rows(str_ids, st.integers(0, 9)),
)


class Entry(NamedTuple):
    value: float
    time: float


def plain(entries: list[Row]) -> dict[tuple[Any, Any], Entry]:
    """Say what each (user, item) should hold: values summed, newest time."""
    held: dict[tuple[Any, Any], Entry] = {}
    for user, item, time, value in entries:
        before = held.get((user, item), Entry(0.0, -np.inf))
        held[user, item] = Entry(before.value + value, max(before.time, time))
    return held


def contents(data: Any) -> dict[tuple[Any, Any], Entry]:
    """List what interactions hold, by ids."""
    coo = data.matrix.tocoo()
    users, items = data.users[coo.row].tolist(), data.items[coo.col].tolist()
    moments = [float("nan")] * len(users) if data.timestamps is None else data.timestamps.tolist()
    return {
        (user, item): Entry(value, time)
        for user, item, value, time in zip(users, items, coo.data.tolist(), moments, strict=True)
    }


def events(data: Any) -> list[tuple[Any, Any, float, float]]:
    """List every event as (user, item, time, value), by ids, sorted."""
    held = data.events
    moments = [float("nan")] * len(held) if held.times is None else held.times.tolist()
    columns = data.users[held.owners].tolist(), data.items[held.items].tolist(), moments, held.values.tolist()
    return sorted(zip(*columns, strict=True))


def same_bits(one: Any, other: Any) -> bool:
    """Whether two sets of interactions are the same to the last bit: ids, matrix, times and events."""
    return (
        one.users == other.users
        and one.items == other.items
        and all(
            (a is None) == (b is None) and (a is None or (a.dtype == b.dtype and a.tobytes() == b.tobytes()))
            for a, b in zip(_arrays(one), _arrays(other), strict=True)
        )
    )


def _arrays(data: Any) -> list[Any]:
    held = data.events
    matrix = [data.matrix.indptr, data.matrix.indices, data.matrix.data, data.timestamps]
    return [*matrix, held.indptr, held.items, held.times, held.values]
