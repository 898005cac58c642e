import sys
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given

from diffrec.data import Interactions
from diffrec.data._columns import guess
from support.frames import Maker, every_frame
from support.interactions import Row, any_rows, contents, plain


@every_frame
def test_every_library_gives_the_same(make: Maker) -> None:
    frame = make(
        {
            "User ID": ["anna", "bert", "anna", "anna"],
            "movieId": [3, 1, 1, 3],
            "rating": [5.0, 1.0, 2.0, 4.0],
            "timestamp": [10, 20, 30, 40],
        }
    )
    data = Interactions.from_frame(frame)
    assert contents(data) == plain([("anna", 3, 10, 1), ("bert", 1, 20, 1), ("anna", 1, 30, 1), ("anna", 3, 40, 1)])
    rated = Interactions.from_frame(frame, value="rating")
    assert contents(rated)["anna", 3] == (9.0, 40.0)


@every_frame
def test_dates_and_times_become_seconds_in_utc(make: Maker) -> None:
    moment = datetime(2024, 5, 1, 12, 30, 0, 250_000)
    there = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=-7)))
    for times in ([moment], [there], [moment.isoformat()], [moment.replace(tzinfo=UTC).timestamp()]):
        data = Interactions.from_frame(make({"user": [1], "item": [2], "when": times}), timestamp="when")
        assert data.timestamps is not None
        assert data.timestamps.tolist() == [moment.replace(tzinfo=UTC).timestamp()]
    days = Interactions.from_frame(make({"user": [1], "item": [2], "date": [date(2024, 5, 1)]}))
    assert days.timestamps is not None
    assert days.timestamps.tolist() == [datetime(2024, 5, 1, tzinfo=UTC).timestamp()]


@every_frame
def test_nulls_are_named(make: Maker) -> None:
    users: dict[str, Any] = {"user": ["a", None], "item": [1, 2]}
    with pytest.raises(ValueError, match="user is empty in 1 row: row 1"):
        Interactions.from_frame(make(users))
    times = {"user": ["a", "b", "c"], "item": [1, 2, 3], "ts": [5.0, 6.0, None]}
    with pytest.raises(ValueError, match="ts is empty in 1 row: row 2"):
        Interactions.from_frame(make(times))
    moments = {"user": ["a", "b"], "item": [1, 2], "ts": [None, datetime(2024, 1, 1)]}
    with pytest.raises(ValueError, match="ts is empty in 1 row: row 0"):
        Interactions.from_frame(make(moments))
    values = {"user": ["a", "b"], "item": [1, 2], "n": [1.0, None]}
    with pytest.raises(ValueError, match="n is empty in 1 row: row 1"):
        Interactions.from_frame(make(values), value="n")


@every_frame
def test_missing_columns_are_listed(make: Maker) -> None:
    frame = make({"user": [1], "sku": [2]})
    with pytest.raises(ValueError, match=r"item='skuu' is no column .* has 'user', 'sku'; did you mean 'sku'\?"):
        Interactions.from_frame(frame, item="skuu")
    with pytest.raises(ValueError, match=r"no column of the data frame looks like the user.*user=.*'a', 'sku'"):
        Interactions.from_frame(make({"a": [1], "sku": [2]}))
    with pytest.raises(ValueError, match="looks like the item"):
        Interactions.from_frame(make({"user": [1], "b": [2]}))


@given(any_rows)
def test_ids_of_frames_come_back(rows: list[Row]) -> None:
    users, items, times, values = (list(column) for column in zip(*rows, strict=True))
    columns = {"u": users, "i": items, "t": times, "v": values}
    for make in (pl.DataFrame, pd.DataFrame, pa.table):
        data = Interactions.from_frame(make(columns), "u", "i", "t", "v")
        assert contents(data) == plain(rows)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_categories_are_ids(kind: str) -> None:
    frame: Any = pd.DataFrame({"user": pd.Categorical(["b", "a"]), "item": [1, 2]})
    if kind == "polars":
        frame = pl.DataFrame({"user": pl.Series(["b", "a"], dtype=pl.Categorical), "item": [1, 2]})
    assert list(Interactions.from_frame(frame).users) == ["a", "b"]


@pytest.mark.parametrize(
    ("column", "names", "message"),
    [
        ([1.5, 2.0], ("user", "item"), r"user is no whole number below 2\^53 in 1 row: row 0 \('1.5'\)"),
        ([True, False], ("user", "item"), "column 'user': user ids must be integers or strings, not bool"),
        ([timedelta(1), timedelta(2)], ("item", "item2"), "column 'user' must hold numbers, datetimes or text"),
        (["x", "y"], ("item", "item2"), r"user is no time in 2 rows: row 0 \('x'\), row 1 \('y'\)$"),
    ],
)
def test_columns_of_the_wrong_type_are_named(column: list[Any], names: tuple[str, str], message: str) -> None:
    frame = pl.DataFrame({"user": column, "item": [1, 2], "item2": [3, 4]})
    timestamp = None if names[0] == "user" else "user"
    with pytest.raises((ValueError, TypeError), match=message):
        Interactions.from_frame(frame, *names, timestamp=timestamp)


def test_values_must_be_numbers() -> None:
    frame = pl.DataFrame({"user": [1], "item": [1], "liked": ["yes"]})
    with pytest.raises(ValueError, match="column 'liked' must hold numbers, not such as 'yes'"):
        Interactions.from_frame(frame, value="liked")
    flags = pl.DataFrame({"user": [1, 1], "item": [1, 2], "liked": [True, False]})
    assert len(Interactions.from_frame(flags, value="liked")) == 1


@pytest.mark.parametrize("frame", [[1, 2], None, "frame"])
def test_what_is_no_frame_is_a_type_error(frame: Any) -> None:
    with pytest.raises(TypeError, match="df must be a data frame"):
        Interactions.from_frame(frame)


def test_columns_are_named_by_strings_and_once() -> None:
    frame = pl.DataFrame({"user": [1], "item": [2]})
    with pytest.raises(TypeError, match="user must name a column"):
        Interactions.from_frame(frame, user=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be two things"):
        Interactions.from_frame(frame, user="item", item="item")


def test_known_ids_set_the_rows() -> None:
    frame = pl.DataFrame({"user": ["b"], "item": [2]})
    data = Interactions.from_frame(frame, users=["a", "b"], items=[1, 2])
    assert data.matrix.toarray().tolist() == [[0, 0], [0, 1]]
    with pytest.raises(ValueError, match="unknown user id 'b'"):
        Interactions.from_frame(frame, users=["a"])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["a", "USERID"], "USERID"),
        (["user", "user_id"], "user_id"),
        (["user-id:token"], "user-id:token"),
        (["CustomerID", "x"], "CustomerID"),
        (["users_country"], None),
        ([], None),
    ],
)
def test_guessing_goes_by_the_likeliest_name(columns: list[str], expected: str | None) -> None:
    assert guess(columns, ("user_id", "user", "customer_id")) == expected


def test_a_lazy_frame_that_needs_a_missing_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    relation = duckdb.sql("select 1 as user, 2 as item")
    for module in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "diffrec\[parquet\]"'):
        Interactions.from_frame(relation)
