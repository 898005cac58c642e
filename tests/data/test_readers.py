"""Input as people have it: rows that cannot be used, names, packed files, tables of any kind."""

import gzip
import sys
import warnings
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from diffrec.data import Interactions, _cells
from support.files import write
from support.interactions import contents, events, plain

MESSY = """\
customer,sku,note,ordered_at,pieces
ann,7,"two
lines",2025-01-31,1
,8,,2025-01-31,1
bob,9,,soon,1

bob,,,2025-02-01,x
cem,7
,8,,later,2
cem,8,,2025-02-01 10:30,2
ann,7,,2025-02-02T08:00+02:00,3
"""


def test_every_kind_of_bad_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be used") as caught:
        Interactions.read(write(tmp_path, "orders.csv", MESSY), value="pieces")
    assert str(caught.value) == (
        f"{tmp_path}/orders.csv: 5 rows of 8 cannot be used (on_bad_row='drop' leaves them out):\n"
        "  the number of columns is not 5, as in the first line, in 1 row: line 8 ('2');\n"
        "  customer is empty in 2 rows: line 4, line 9;\n"
        "  sku is empty in 1 row: line 7;\n"
        "  ordered_at is no time in 2 rows: line 5 ('soon'), line 9 ('later');\n"
        "  pieces is no finite number in 1 row: line 7 ('x')"
    )


def test_bad_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    data = Interactions.read(write(tmp_path, "orders.csv", MESSY), value="pieces", on_bad_row="drop")
    moments = [datetime(2025, 1, 31), datetime(2025, 2, 1, 10, 30), datetime(2025, 2, 2, 6)]
    first, second, third = (moment.replace(tzinfo=UTC).timestamp() for moment in moments)
    assert events(data) == [("ann", 7, first, 1.0), ("ann", 7, third, 3.0), ("cem", 8, second, 2.0)]
    assert data.users.ids.tolist() == ["ann", "cem"]
    assert data.items.ids.tolist() == [7, 8]
    report = data.report_
    assert report is not None
    assert (report.rows, report.dropped, report.events, report.merged) == (8, 5, 3, 1)
    assert report.unused == ("note",)
    assert report.used == {"user": "customer", "item": "sku", "timestamp": "ordered_at", "value": "pieces"}
    assert report.reasons["customer is empty"] == (2, ("line 4", "line 9"))
    assert "dropped: sku is empty in 1 row: line 7" in str(report)


def test_only_three_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"user is empty in 5 rows: line 2, line 3, line 4, \.\.\.$"):
        Interactions.read(write(tmp_path, "a.csv", "user,item\n" + ",1\n" * 5 + "1,1\n"))
    with pytest.raises(ValueError, match="5 rows of 5 cannot be used, and there are no others"):
        Interactions.read(write(tmp_path, "a.csv", "user,item\n" + ",1\n" * 5), on_bad_row="drop")
    with pytest.raises(ValueError, match="on_bad_row must be one of 'error', 'drop', got 'skip'"):
        Interactions.read(write(tmp_path, "a.csv", "user,item\n1,1\n"), on_bad_row="skip")


def test_rows_of_no_value_are_counted() -> None:
    data = Interactions.from_frame({"user": [1, 1, 2], "item": [1, 2, 1], "n": [0.0, 1.0, 2.0]}, value="n")
    assert data.report_ is not None
    assert data.report_.reasons == {"n is 0": (1, ("row 0",))}
    assert (data.report_.dropped, data.report_.events) == (1, 2)
    assert str(Interactions.from_arrays([1, 1], [1, 1]).report_) == (
        "the arrays: 2 rows read, 2 events; 1 of them repeats a pair of user and item"
    )
    assert str(Interactions.from_csr(np.array([[1, 0], [0, 2]])).report_) == "the matrix: 2 rows read, 2 events"


# The readers by pyarrow, by Polars and by Python

LETTERS = st.text(st.sampled_from('ab1,",\n\r\t é-'), max_size=40)
FIELDS = st.sampled_from(
    ["a", "b", "1", "02", "", '"x,y"', '"a\nb"', 'q"', "2025-01-31", "1700000000", "31/01/2025", "nan", "+5"]
)
HEADERS = {"a.csv": "user,item,ts,n\n", "a.tsv": "user\titem\tts\tn\n", "a.inter": "user\titem\tts\tn\n"}
LINES = st.lists(st.lists(FIELDS, min_size=3, max_size=5).map(",".join), max_size=12).map("\n".join)


READERS = (_cells.arrow_chunks, _cells.polars_chunks, _cells.plain_chunks)


def outcome(file: Path, reader: Any, **options: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            _cells, "readers", lambda: [reader] if reader is _cells.plain_chunks else [reader, _cells.plain_chunks]
        )
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                data = Interactions.read(file, **options)
        except ValueError as error:
            return str(error)
    said = [str(one.message) for one in caught]
    return events(data), data.report_, data.users.ids.tolist(), data.items.ids.tolist(), said


@given(
    st.one_of(LETTERS, LINES),
    st.sampled_from(list(HEADERS)),
    st.sampled_from(["error", "drop"]),
    st.integers(1, 4),
    st.sampled_from([40, 1 << 24]),
)
def test_all_readers_agree(
    tmp_path_factory: pytest.TempPathFactory, body: str, name: str, on_bad_row: str, chunk: int, block: int
) -> None:
    body = body.replace(",", "\t") if name != "a.csv" else body
    file = write(tmp_path_factory.mktemp("both"), name, HEADERS[name] + body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cells, "_CHUNK", chunk)
        patch.setattr(_cells, "_BLOCK", block)
        for value in (None, "n"):
            made = [
                repr(outcome(file, reader, value=value, on_bad_row=on_bad_row, dayfirst=True)) for reader in READERS
            ]
            assert made[0] == made[2]
            assert made[1] == made[2]


def test_text_is_read_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "orders.csv", MESSY)
    expected = contents(Interactions.read(file, on_bad_row="drop"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert _cells.readers() == [_cells.polars_chunks, _cells.plain_chunks]
    assert contents(Interactions.read(file, on_bad_row="drop")) == expected
    monkeypatch.setitem(sys.modules, "polars", None)
    assert _cells.readers() == [_cells.plain_chunks]
    assert contents(Interactions.read(file, on_bad_row="drop")) == expected
    (tmp_path / "a.csv.zst").write_bytes(b"")
    with pytest.raises(ImportError, match=r'reading \.zst files needs pyarrow: pip install "diffrec\[parquet\]"'):
        Interactions.read(tmp_path / "a.csv.zst")


def test_polars_reads_what_is_plain(tmp_path: Path) -> None:
    """Blocks of lines and rows that are not all alike; what Polars would fill up or take its own way is left to csv."""
    layout = _cells.Layout(",", True, ["user", "item", "n"], header=True)

    def read(text: bytes) -> list[list[str]]:
        file = tmp_path / "a.csv"
        file.write_bytes(text)
        chunks = list(_cells.polars_chunks(file, layout, [2, 0], []))
        texts = [[column.take(np.arange(len(column.coded()[1]))) for column in chunk] for chunk in chunks]
        return [list(chain(*column)) for column in zip(*texts, strict=True)]

    with pytest.MonkeyPatch.context() as patch:
        for block in (3, 20, 1 << 24):
            patch.setattr(_cells, "_BLOCK", block)
            assert read("\ufeffuser,item,n\r\nänn,7,\r\n bob,8,3".encode()) == [["", "3"], ["änn", " bob"]]
            quoted = '"user","item","n"\r\n"änn",7,""\r\n" bob",8,"3"'
            assert read(quoted.encode()) == [["", "3"], ["änn", " bob"]]
            odd_quotes = (
                'a,"1,2\n',
                'a,"1""",2\n',
                'a,1",2"\n',
                'a,"1"x,2\n',
                'a, "1",2\n',
                'a,"1,2",3\n',
                'a,"\n",2\n',
            )
            for odd in ("a,1\n", "a,1,2,3\n", "\na,1,2\n", "a,1,2\rb,1,2\n", *odd_quotes):
                with pytest.raises(_cells.Unlike):
                    read(f"user,item,n\n{odd}".encode())


def test_comments_in_another_encoding_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("user,item,note\n1,2,João\n".encode("latin-1"))
    for reader in READERS:
        assert outcome(file, reader)[2:] == ([1], [2], [])
        assert outcome(file, reader, item="note") == f"{file} is not UTF-8 text: save it as UTF-8"


# Packed files, folders


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.inter"])
def test_packed_files_are_read(tmp_path: Path, name: str) -> None:
    text = "user,item,ts\nann,7,5\nbob,9,6\n".replace(",", "," if name == "a.csv" else "\t")
    expected = plain([("ann", 7, 5, 1), ("bob", 9, 6, 1)])
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert contents(Interactions.read(packed)) == expected
    packed = tmp_path / f"{name}.zst"
    with pa.output_stream(str(packed), compression="zstd") as out:
        out.write(text.encode())
    assert contents(Interactions.read(packed)) == expected


def test_what_is_packed_badly_is_explained(tmp_path: Path) -> None:
    whole = gzip.compress(b"user,item\n" + b"1,2\n" * 1000)
    for content in (b"user,item\n1,2\n", whole[: len(whole) // 2]):
        (tmp_path / "a.csv.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.csv\.gz is not packed by gzip, or is damaged"):
            Interactions.read(tmp_path / "a.csv.gz")
    (tmp_path / "a.csv.zst").write_bytes(b"user,item\n1,2\n")
    with pytest.raises(ValueError, match=r"a\.csv\.zst is not packed by Zstandard, or is damaged"):
        Interactions.read(tmp_path / "a.csv.zst")
    with pytest.raises(ValueError, match=r"unknown suffix"):
        Interactions.read(write(tmp_path, "a.parquet.gz", ""))


def test_folders_of_parquet_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for country, users in (("FR", ["ann", None]), ("SE", ["bob", "cem", None])):
        (tmp_path / f"country={country}").mkdir()
        table = pa.table(
            {"customer": users, "sku": range(len(users)), "order_date": [datetime(2025, 1, 2)] * len(users)}
        )
        parquet.write_table(table, tmp_path / f"country={country}" / "part.parquet")
    named = r"customer is empty in 2 rows: country=FR.part\.parquet row 1, country=SE.part\.parquet row 2$"
    monkeypatch.chdir(tmp_path.parent)
    for folder in (tmp_path, Path(tmp_path.name)):
        with pytest.raises(ValueError, match=named):
            Interactions.read(folder)
    data = Interactions.read(tmp_path, on_bad_row="drop")
    assert data.users.ids.tolist() == ["ann", "bob", "cem"]
    assert data.report_ is not None
    assert data.report_.unused == ("country",)
    parquet.write_table(pa.table({"customer": [1.5], "sku": ["x"]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="is not a folder of Parquet files of the same columns|order_date"):
        Interactions.read(tmp_path)


@pytest.mark.skipif(not hasattr(pa, "uuid"), reason="this pyarrow has no such type")
def test_ids_of_parquet_that_are_uuids_are_text(tmp_path: Path) -> None:
    ids = [UUID(int=3), UUID(int=1)]
    column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([one.bytes for one in ids], pa.binary(16)))
    table = pa.table({"customer": column, "sku": [7, 9]})
    parquet.write_table(table, tmp_path / "a.parquet")
    for data in (Interactions.from_frame(table), Interactions.read(tmp_path / "a.parquet")):
        assert data.users.ids.tolist() == sorted(map(str, ids))


def test_values_below_zero_are_among_what_is_wrong(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "user,item,qty\n1,2,1\n,2,-3\n1,3,-2\n1,4,x\n")
    expected = (
        r"3 rows of 4 cannot be used .*\n  user is empty in 1 row: line 3;\n  qty is no finite number in 1 row: line 5 "
        r"\('x'\);\n  qty is below 0 \(negatives= .*\) in 2 rows: line 3 \('-3'\), line 4 \('-2'\)$"
    )
    with pytest.raises(ValueError, match=expected):
        Interactions.read(file, value="qty")
    with pytest.raises(ValueError, match="2 rows of 4 cannot be used"):
        Interactions.read(file, value="qty", negatives="net")
    with pytest.raises(ValueError, match="qty in line 4 is -2"):
        Interactions.read(file, value="qty", on_bad_row="drop")


# Names


@pytest.mark.parametrize(
    ("user", "item", "timestamp"),
    [
        ("Customer ID", "StockCode", "InvoiceDate"),
        ("customer", "sku", "ordered_at"),
        ("customer_id", "product_id", "order_date"),
        ("client_id", "article_id", "t_dat"),
        ("member", "book", "created"),
        ("visitorid", "itemid", "timestamp"),
        ("customer_unique_id", "product_id", "order_purchase_timestamp"),
        ("userId", "movieId", "rated_at"),
        ("CUSTOMER_NO", "Item Code", "Purchase Date"),
        ("buyer", "product", "purchase_date"),
    ],
)
def test_names_in_the_wild_are_found(user: str, item: str, timestamp: str) -> None:
    frame = {"Country": ["FR"], timestamp: ["2025-01-31"], "Quantity": [3], item: ["x"], user: ["ann"]}
    report = Interactions.from_frame(frame).report_
    assert report is not None
    assert report.used == {"user": user, "item": item, "timestamp": timestamp}
    assert report.unused == ("Country", "Quantity")


# Tables and ids

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    "frame",
    [
        {"user": [ONE, TWO, None], "item": [Decimal(7), Decimal("9.0"), Decimal(7)]},
        pd.DataFrame({"user": [ONE, TWO, None], "item": [Decimal(7), Decimal("9.0"), Decimal(7)]}),
        pl.DataFrame(
            {"user": pl.Series([ONE, TWO, None], dtype=pl.Object), "item": [Decimal(7), Decimal(9), Decimal(7)]}
        ),
        pa.table({"user": [str(ONE), str(TWO), None], "item": pa.array([7, 9, 7], pa.decimal128(10, 2))}),
        # DuckDB 1.3 hands over narrow decimals as pyarrow 15 does not read them.
        duckdb.sql(
            f"select * from (values ('{ONE}'::uuid, 7::decimal(20, 2)), ('{TWO}'::uuid, 9), (null, 7)) t(user, item)"
        ),
        pl.LazyFrame({"user": [str(ONE), str(TWO), None], "item": [7, 9, 7]}),
        {"user": np.array([str(ONE), str(TWO), None], dtype=object), "item": pd.Series([7.0, 9.0, 7.0])},
    ],
    ids=["mapping", "pandas", "polars", "pyarrow", "duckdb", "lazy", "arrays"],
)
def test_uuids_and_decimals_are_ids(frame: Any) -> None:
    data = Interactions.from_frame(frame, on_bad_row="drop")
    assert data.users.ids.tolist() == [str(ONE), str(TWO)]
    assert data.items.ids.tolist() == [7, 9]
    assert data.users.rows([TWO, ONE]).tolist() == [1, 0]
    assert ONE in data.users
    assert data.items.rows(Decimal(9)).tolist() == [1]


class DataSet:
    """What a Hugging Face data set shows of itself."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.features = table.schema
        self.column_names = table.column_names

    def with_format(self, kind: str) -> "DataSet":
        assert kind == "arrow"
        return self

    def __getitem__(self, rows: slice) -> pa.Table:
        return self.table[rows.start or 0 :]

    def __len__(self) -> int:
        return len(self.table)


def test_data_sets_are_tables() -> None:
    one = DataSet(pa.table({"user_id": ["ann", "bob"], "asin": ["x", "y"], "ts": [5, 6]}))
    assert contents(Interactions.from_frame(one)) == plain([("ann", "x", 5, 1), ("bob", "y", 6, 1)])
    with pytest.raises(TypeError, match="df holds data sets: hand over one of them, 'train' or 'test'"):
        Interactions.from_frame({"train": one, "test": one})


def test_data_sets_of_hugging_face_are_tables() -> None:
    datasets = pytest.importorskip("datasets.arrow_dataset")
    one = datasets.Dataset.from_dict({"user_id": ["ann", "bob", "ann"], "asin": ["x", "y", "z"], "ts": [5, 6, 7]})
    data = Interactions.from_frame(one.select([2, 0]))
    assert contents(data) == plain([("ann", "x", 5, 1), ("ann", "z", 7, 1)])
    assert data.report_ is not None
    assert data.report_.rows == 2
    with pytest.raises(TypeError, match="a Hugging Face data set or a mapping of columns, not Iterable"):
        Interactions.from_frame(one.to_iterable_dataset())


def test_columns_of_a_mapping_are_of_one_length() -> None:
    with pytest.raises(ValueError, match="columns of the columns differ in length"):
        Interactions.from_frame({"user": [1, 2], "item": [1]})
    with pytest.raises(ValueError, match="column 'user' must be one-dimensional"):
        Interactions.from_frame({"user": np.ones((2, 2)), "item": [1, 2]})


def test_whole_numbers_with_gaps_are_ids_in_objects_of_pandas() -> None:
    frame = pd.DataFrame({"user": pd.Series([1.0, 2.0, None], dtype=object), "item": [1, 2, 3]})
    assert Interactions.from_frame(frame, on_bad_row="drop").users.ids.tolist() == [1, 2]


def test_a_bad_file_of_facts_is_the_one_that_is_named(tmp_path: Path) -> None:
    plays = write(tmp_path, "plays.csv", "user,item\n1,1\n2,2\n")
    facts = write(tmp_path, "facts.csv", "colour,size\nred,1\n")
    with pytest.raises(ValueError, match="facts.csv looks like the ids of items") as error:
        Interactions.read(plays, items=facts)
    assert "plays.csv" not in str(error.value)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(b"\x1f\x8b\x08\x00 no such stream")
    with pytest.raises(ValueError, match=r"packed.csv.gz"):
        Interactions.from_frame({"user": [1], "item": [1]}, items=packed)
