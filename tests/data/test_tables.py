"""Tables written in blocks and read back."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from diffrec.data import Interactions
from diffrec.data.tables import table_file, table_format
from support.interactions import Row, any_rows, contents, events
from support.tables import columns_of

SUFFIXES = (".csv", ".tsv", ".inter", ".parquet", ".npz")
BREAKS = str.maketrans("\t\r\n", "   ")


letters = st.characters(exclude_characters="\0", exclude_categories=("Cs",))
texts = st.text(letters, min_size=1, max_size=6)
blocks = st.lists(
    st.lists(
        st.tuples(texts, st.integers(-(2**62), 2**62), st.integers(1, 9), st.floats(-(2.0**90), 2.0**90, width=32)),
        max_size=5,
    ),
    min_size=1,
    max_size=4,
)


def write(file: Path, rows_of_blocks: list[list[tuple[Any, ...]]]) -> None:
    with table_file(file) as append:
        for rows in rows_of_blocks:
            user, item, rank, score = zip(*rows, strict=True) if rows else ((), (), (), ())
            append(
                {
                    "user": np.array(user, dtype=np.str_),
                    "item": np.array(item, dtype=np.int64),
                    "rank": np.array(rank, dtype=np.int64),
                    "score": np.array(score, dtype=np.float32),
                }
            )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_that_nothing_is_written_to_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ValueError, match="would be a table without columns"):
        write(tmp_path / f"rows{suffix}", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(made=blocks)
def test_blocks_come_back(tmp_path_factory: pytest.TempPathFactory, suffix: str, made: list[Any]) -> None:
    if suffix == ".inter":
        made = [[(user.translate(BREAKS), *rest) for user, *rest in rows] for rows in made]
    file = tmp_path_factory.mktemp("table") / f"rows{suffix}"
    write(file, made)
    held = columns_of(file)
    rows = [row for block in made for row in block]
    assert list(held) == ["user", "item", "rank", "score"]
    assert held["user"] == [row[0] for row in rows]
    assert held["item"] == [row[1] for row in rows]
    assert np.array_equal(np.float32(held["score"]), np.float32([row[3] for row in rows]))


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(rows=any_rows)
def test_interactions_come_back(tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[Row]) -> None:
    users, items, times, values = (list(column) for column in zip(*rows, strict=True))
    # No reader of text tells an empty id from a missing one, or text that looks like a number from a number.
    users, items = ([f"u{one}" if isinstance(one, str) else one for one in ids] for ids in (users, items))
    if suffix == ".inter":
        users, items = (
            [one.translate(BREAKS) if isinstance(one, str) else one for one in ids] for ids in (users, items)
        )
    data = Interactions.from_arrays(users, items, times, values)
    file = tmp_path_factory.mktemp("interactions") / f"rows{suffix}"
    data.write(file)
    weighted = bool((data.events.values != 1).any())
    named = {"value": "value:float" if suffix == ".inter" else "value"} if weighted and suffix != ".npz" else {}
    again = Interactions.read(file, **named)
    assert contents(again) == contents(data)
    assert events(again) == events(data)


def test_parquet_has_a_row_group_per_block(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [[("a", 1, 1, 0.5)], [("b", 2, 1, 0.5), ("c", 3, 1, 0.5)]])
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2
    assert parquet.read_schema(tmp_path / "a.parquet").field("score").type == pa.float32()


def test_floats_are_written_as_short_as_they_can_be(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [[("a", 1, 1, 0.1)]])
    assert (tmp_path / "a.csv").read_text() == "user,item,rank,score\na,1,1,0.1\n"


def test_whole_times_are_written_as_whole_numbers(tmp_path: Path) -> None:
    Interactions.from_arrays(["a"], [1], [1_700_000_000]).write(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "user,item,timestamp\na,1,1700000000\n"
    Interactions.from_arrays(["a"], [1], [0.5], [2]).write(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "user,item,timestamp,value\na,1,0.5,2.0\n"


@pytest.mark.parametrize("bad", ["a\tb", "a\nb", "a\rb"])
def test_inter_refuses_what_it_cannot_hold(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ValueError, match=r"user .* has a tab or line break.*\.inter.*write \.csv"):
        write(tmp_path / "a.inter", [[("a", 1, 1, 0.5)], [(bad, 1, 1, 0.5)]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_is_not_finished_leaves_nothing(tmp_path: Path, suffix: str, error: type[BaseException]) -> None:
    file = tmp_path / f"rows{suffix}"
    file.write_text("before")

    def write_half() -> None:
        with table_file(file) as append:
            append({"user": np.array([1]), "score": np.array([0.5])})
            raise error

    with pytest.raises(error):
        write_half()
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_folders_are_made_and_files_are_ordinary(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "rows.csv"
    write(file, [[("a", 1, 1, 0.5)]])
    umask = os.umask(0)
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown suffix '\.parqet', not one of .*; did you mean '\.parquet'"):
        table_format(tmp_path / "a.parqet")


@pytest.fixture
def no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)


@pytest.mark.usefixtures("no_pyarrow")
def test_a_missing_package_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=r'writing Parquet needs pyarrow: pip install "diffrec\[parquet\]"'):
        table_format(tmp_path / "a.parquet")
