"""Times as people write them, with every reader."""

import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from diffrec.data import Interactions
from support.files import write


@pytest.mark.parametrize("column", [["2025-01-31"], [datetime(2025, 1, 31)], ["31/01/2025 08:26"]])
@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, pa.table, dict])
def test_times_that_are_not_used_are_warned_of(make: Any, column: list[Any]) -> None:
    with pytest.warns(
        UserWarning, match="no times are used, though 'shipped' looks like some: name the column with time"
    ):
        data = Interactions.from_frame(make({"user": [1], "item": [2], "shipped": column, "size": ["12"]}))
    assert data.timestamps is None
    both = make({"user": [1], "item": [2], "shipped": column, "date": column})
    with pytest.warns(UserWarning, match="'date' was taken for the times, and 'shipped' looks like some, too: name"):
        Interactions.from_frame(both)
    # None where the times are known.
    Interactions.from_frame(both, timestamp="date")


def test_times_in_a_file_that_are_not_used_are_warned_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="though 'updated_at', 'x' looks like") as caught:
        Interactions.read(write(tmp_path, "a.csv", "user,item,updated_at,x,y\n1,2,5,2025-01-31,12\n"))
    assert caught[0].filename == __file__
    parquet.write_table(pa.table({"user": [1], "item": [2], "x": [datetime(2025, 1, 1)]}), tmp_path / "a.parquet")
    with pytest.warns(UserWarning, match="though 'x' looks like"):
        Interactions.read(tmp_path / "a.parquet")


# Times

NOON = datetime(2025, 1, 31, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("factor", "unit"), [(1, None), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")]
)
def test_units_of_numbers_are_recognised_and_said(tmp_path: Path, factor: int, unit: str | None) -> None:
    number = int(NOON) * factor
    columns = {"user": [1], "item": [2], "time": [number]}
    file = write(tmp_path, "a.csv", f"user,item,time\n1,2,{number}\n")
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    read = [Interactions.read(file), Interactions.read(tmp_path / "a.parquet"), Interactions.from_frame(columns)]
    for data in [*read, Interactions.from_arrays([1], [2], [number])]:
        assert data.timestamps is not None
        assert data.timestamps.tolist() == [NOON]
        assert data.report_ is not None
        assert [unit in note for note in data.report_.notes if unit] == ([True] if unit else [])


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-31 12:00",
        "2025-01-31T12:00:00Z",
        "2025-01-31 12:00:00 UTC",
        "2025-01-31T14:00:00.000+02:00",
        "2025-01-31 07:00:00-0500",
        "20250131T120000",
        "2025/1/31 12:00",
        "31/01/2025 12:00",
        "31.01.2025 12:00:00",
        "31-1-2025 12:00 PM",
        "1/31/2025 12:00",
        "1/31/25 12:00",
        "01/31/2025, 12:00 pm",
        "31/01/2025 13:00+01:00",
    ],
)
def test_moments_are_read_as_people_write_them(tmp_path: Path, text: str) -> None:
    quoted = f'"{text}"'
    for data in (
        Interactions.read(write(tmp_path, "a.csv", f"user,item,time\n1,2,{quoted}\n")),
        Interactions.from_frame(pl.DataFrame({"user": [1], "item": [2], "time": [text]})),
        Interactions.from_arrays([1], [2], [text]),
    ):
        assert data.timestamps is not None
        assert data.timestamps.tolist() == [NOON]


def test_day_or_month_first(tmp_path: Path) -> None:
    def read(*dates: str, **options: Any) -> Any:
        rows = "".join(f"{user},7,{date}\n" for user, date in enumerate(dates))
        return Interactions.read(write(tmp_path, "a.csv", "user,item,date\n" + rows), **options)

    days = [datetime(2025, 2, 1, tzinfo=UTC).timestamp(), datetime(2025, 1, 31, tzinfo=UTC).timestamp()]
    data = read("01/02/2025", "31/01/2025")
    assert data.timestamps.tolist() == days
    assert data.report_.notes == ("date: dates such as '01/02/2025' read with dayfirst=True",)
    assert read("02/01/2025", "01/31/2025").timestamps.tolist() == days
    assert read("01/02/2025", dayfirst=True).timestamps.tolist() == days[:1]
    assert read("02/01/2025", dayfirst=False).timestamps.tolist() == days[:1]
    with pytest.raises(ValueError, match="date: dates such as '01/02/2025' could have the day or the month first"):
        read("01/02/2025")
    with pytest.raises(ValueError, match="dates '31/01/2025' and '01/31/2025' have the day first and the month first"):
        read("31/01/2025", "01/31/2025")
    with pytest.raises(ValueError, match=r"date is no time in 1 row: line 3 \('01/31/2025'\)"):
        read("01/02/2025", "01/31/2025", dayfirst=True)
    with pytest.raises(ValueError, match=r"date is no time in 2 rows: line 2 \('31/02/2025'\), line 3 \('1/2/3'\)"):
        read("31/02/2025", "1/2/3", "30/01/2025")
    with pytest.raises(ValueError, match=r"line 3 \('2025-01-31 25:00'\), line 4 \('2025-01-32'\)"):
        read("2025-01-31", "2025-01-31 25:00", "2025-01-32")


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.sampled_from(["", "Z", "+05:30", "-08:00"]))
def test_iso_times_are_read_as_python_does(moment: datetime, zone: str) -> None:
    text = moment.isoformat(sep=" ") + zone
    made = datetime.fromisoformat(text)
    expected = (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()
    times = Interactions.from_arrays([1], [2], [text]).timestamps
    assert times is not None
    assert times[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("readers", [("pyarrow",), ("polars",), ()])
def test_the_first_row_tells_whether_times_are_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: tuple[str, ...]
) -> None:
    rows = ["0,0,", "0,0,NaN", "0,0,2024-01-01", "1,1,5", "2,2,2024-01-03", "3,3,nan", "4,4,2024-01-02"]
    file = write(tmp_path, "times.csv", "\n".join(["user,item,timestamp", *rows]))
    for name in {"pyarrow", "polars"} - set(readers):
        monkeypatch.setitem(sys.modules, name, None)
    data = Interactions.read(file, on_bad_row="drop")
    assert data.users.ids.tolist() == [0, 2, 4]
    assert (
        Interactions.from_frame(
            {"user": [1, 2], "item": [1, 2], "timestamp": ["NaN", "2024-01-01"]}, on_bad_row="drop"
        ).n_events
        == 1
    )


def test_words_that_look_like_times_now_and_then_are_no_times(tmp_path: Path) -> None:
    write(tmp_path, "versions.csv", "user,item,version\n1,1,alpha\n2,2,1.10.22\n3,3,\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Interactions.read(tmp_path / "versions.csv").n_events == 3


def test_milliseconds_of_a_matrix_become_seconds() -> None:
    data = Interactions.from_csr(np.eye(2), np.array([1.7e12, 1.8e12]))
    assert data.timestamps is not None
    assert data.timestamps.tolist() == [1.7e9, 1.8e9]
    assert "milliseconds" in str(data.report_)
