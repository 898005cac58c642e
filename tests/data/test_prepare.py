"""Raw interactions to a folder of blocks: the same rows, k-core and parts as in memory."""

import os
import signal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import diffrec
from diffrec.data import prepare as prepare_module
from diffrec.data.prepare import prepare
from diffrec.data.streamed import ParquetInteractions

PARTS = ("train", "valid", "test")


def same(found: diffrec.Interactions, wanted: diffrec.Interactions) -> None:
    assert found.shape == wanted.shape
    assert (found.matrix != wanted.matrix).nnz == 0
    for name in ("indptr", "items", "times", "values"):
        left, right = getattr(found.events, name), getattr(wanted.events, name)
        assert (left is None) == (right is None), name
        assert left is None or np.array_equal(left, right), name


@pytest.fixture
def data() -> diffrec.Interactions:
    """Baskets with ties, repeated pairs and values; ids of text."""
    rng = np.random.default_rng(0)
    user, item, time = rng.integers(0, 60, 900), (40 * rng.random(900) ** 2).astype(int), rng.integers(0, 50, 900)
    return diffrec.Interactions.from_arrays(np.char.add("u", user.astype(str)), item * 7, time, rng.integers(1, 4, 900))


@pytest.mark.parametrize("by", ["time", "leave-last"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_parts_are_those_of_a_split_in_memory(tmp_path: Path, data: diffrec.Interactions, by: str, suffix: str) -> None:
    raw = tmp_path / f"raw.{suffix}"
    data.write(raw)
    report = prepare(raw, tmp_path / "out", value="value", by=by, block=100)
    for name, part in zip(PARTS, data.split(by=by), strict=True):
        files = ParquetInteractions(tmp_path / "out", name)
        same(files.read(), part)
        assert files.n_events == part.n_events == getattr(report, name)
        assert files.items == data.items
        assert files.n_blocks > 1 or name != "train"
        assert sum(len(block) for block in files.blocks()) == len(part)
    assert pq.read_table(tmp_path / "out/users.parquet")["user"].to_pylist() == data.users.ids.tolist()
    owners = np.bincount(data.split(by=by).train.matrix.indices, minlength=len(data.items))
    assert pq.read_table(tmp_path / "out/items.parquet")["users"].to_pylist() == owners.tolist()


def test_a_random_split_parts_every_history_and_is_drawn_by_the_seed(
    tmp_path: Path, data: diffrec.Interactions
) -> None:
    raw = tmp_path / "raw.csv"
    diffrec.Interactions.from_csr(data.matrix).write(raw)
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        prepare(raw, tmp_path / name, block=100, seed=seed)
    parts = {
        name: [ParquetInteractions(tmp_path / name, part).read() for part in PARTS] for name in ("one", "same", "other")
    }
    for one, again in zip(parts["one"], parts["same"], strict=True):
        same(one, again)
    assert (parts["one"][0].matrix != parts["other"][0].matrix).nnz
    joined = parts["one"][0].merge(*parts["one"][1:])
    assert np.array_equal(joined.matrix.toarray() > 0, data.matrix.toarray() > 0)
    assert (np.diff(parts["one"][0].matrix.indptr) > 0).all()


def test_the_core_is_what_is_left(tmp_path: Path, data: diffrec.Interactions) -> None:
    data.write(tmp_path / "raw.csv")
    prepare(tmp_path / "raw.csv", tmp_path / "out", core=8, valid=0, test=0)
    pairs = data.matrix.toarray() > 0
    users, items = np.arange(pairs.shape[0]), np.arange(pairs.shape[1])
    while True:
        keep_users, keep_items = pairs.sum(1) >= 8, pairs.sum(0) >= 8
        keep_items = pairs[keep_users].sum(0) >= 8
        if keep_users.all() and keep_items.all():
            break
        pairs, users, items = pairs[keep_users][:, keep_items], users[keep_users], items[keep_items]
    found = ParquetInteractions(tmp_path / "out")
    assert 0 < len(items) < len(data.items)
    assert found.items.ids.tolist() == data.items.ids[items].tolist()
    assert np.array_equal(found.read().matrix.toarray() > 0, pairs)
    assert pq.read_table(tmp_path / "out/users.parquet")["user"].to_pylist() == data.users.ids[users].tolist()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("user,item,date\n007,a,2026-01-31\n7,b,2026-02-01T12:00:00Z\n", ["007", "7"]),
        ("customer,sku,ts\n10,a,1769817600\n9,b,1769947200.0\n", [9, 10]),
    ],
)
def test_ids_and_times_are_read_as_elsewhere(tmp_path: Path, text: str, ids: list[Any]) -> None:
    (tmp_path / "raw.csv").write_text(text)
    prepare(tmp_path / "raw.csv", tmp_path / "out", valid=0, test=0)
    wanted = diffrec.Interactions.read(tmp_path / "raw.csv")
    same(ParquetInteractions(tmp_path / "out").read(), wanted)
    assert pq.read_table(tmp_path / "out/users.parquet")["user"].to_pylist() == ids


def test_times_of_parquet_are_seconds(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    times = np.array(["2026-01-31T08:26", "2026-02-01"], dtype="datetime64[us]")
    for part in range(2):
        table = pa.table({"user": [part, 2], "item": ["a", "b"], "timestamp": times})
        pq.write_table(table, tmp_path / f"raw/{part}.parquet")
    prepare(tmp_path / "raw", tmp_path / "out", valid=0, test=0)
    same(ParquetInteractions(tmp_path / "out").read(), diffrec.Interactions.read(tmp_path / "raw"))


def test_types_and_units_of_parquet_are_kept(tmp_path: Path) -> None:
    table = pa.table(
        {"user": ["7", "8"], "item": pa.array([1, 2], pa.int16()), "ts": [1_700_000_000_000, 1_700_000_001_500]}
    )
    pq.write_table(table, tmp_path / "raw.parquet")
    prepare(tmp_path / "raw.parquet", tmp_path / "out", valid=0, test=0)
    same(ParquetInteractions(tmp_path / "out").read(), diffrec.Interactions.read(tmp_path / "raw.parquet"))
    assert pq.read_table(tmp_path / "out/users.parquet")["user"].to_pylist() == ["7", "8"]


def test_rows_that_cannot_be_used(tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_text("user,item,timestamp,value\na,b,1,1\n,b,2,1\na,,3,1\na,c,soon,1\na,d,4,-2\na,e,5,0\na,f,6,nan\n")
    with pytest.raises(ValueError, match="5 of 7 rows of .* have no user, item, time or value, or one that is none"):
        prepare(raw, tmp_path / "out", value="value")
    assert [file.name for file in tmp_path.iterdir()] == ["raw.csv"]
    report = prepare(raw, tmp_path / "out", value="value", valid=0, test=0, on_bad_row="drop")
    assert (report.rows, report.left_out, report.events) == (7, 6, 1)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"core": 0}, ValueError, "core must be at least 1"),
        ({"by": "users"}, ValueError, "by must be one of None, 'time', 'leave-last', 'random', got 'users'"),
        ({"valid": 0.6, "test": 0.4}, ValueError, "valid \\+ test must stay below 1"),
        ({"by": "time"}, ValueError, "by='time' needs timestamps"),
        ({"user": "who"}, ValueError, "user='who' is no column"),
        ({"core": 99}, ValueError, "no interactions are left, with at least core=99"),
        ({"raw": "none.csv"}, FileNotFoundError, "none.csv does not exist"),
        ({"out": "."}, FileExistsError, "is there already"),
        ({"raw": "raw.txt"}, ValueError, "unknown suffix '.txt'"),
        ({"memory": 4_000_000_000}, TypeError, "memory must be a size such as '1GB', got 4000000000"),
    ],
)
def test_bad_requests_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("raw.csv", "raw.txt"):
        Path(name).write_text("user,item\n1,2\n1,3\n")
    with pytest.raises(error, match=message):
        prepare(**{"raw": "raw.csv", "out": "out"} | given)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["raw.csv", "raw.txt"]


def test_folders_that_are_none(tmp_path: Path, data: diffrec.Interactions) -> None:
    with pytest.raises(FileNotFoundError, match="no folder that `diffrec prepare` made: it has no prepared.json"):
        ParquetInteractions(tmp_path)
    data.write(tmp_path / "raw.csv")
    prepare(tmp_path / "raw.csv", tmp_path / "out", block=100)
    files = ParquetInteractions(tmp_path / "out")
    with pytest.raises(ValueError, match="part must be one of 'train', 'valid', 'test', got 'all'"):
        ParquetInteractions(tmp_path / "out", "all")
    train = pq.read_table(tmp_path / "out/train.parquet")
    pq.write_table(train, tmp_path / "out/train.parquet", row_group_size=50)
    with pytest.raises(ValueError, match="no user in two row groups"):
        ParquetInteractions(tmp_path / "out")
    pq.write_table(train.take(list(range(train.num_rows))[::-1]), tmp_path / "out/train.parquet")
    with pytest.raises(ValueError, match="row group 0 of .* is not sorted by user"):
        ParquetInteractions(tmp_path / "out").block(0)
    pq.write_table(train.set_column(1, "item", pa.array(np.full(train.num_rows, 99))), tmp_path / "out/train.parquet")
    with pytest.raises(ValueError, match="has an item that is none of the"):
        ParquetInteractions(tmp_path / "out").block(0)
    assert "checksum" in files.in_short()


def test_what_a_killed_process_left_is_swept_up(tmp_path: Path, data: diffrec.Interactions) -> None:
    data.write(tmp_path / "raw.csv")
    child = os.fork()
    if child == 0:  # killed where all of the work lies on the disk
        prepare_module._part = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        prepare(tmp_path / "raw.csv", tmp_path / "out")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    prepare(tmp_path / "raw.csv", tmp_path / "out")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "raw.csv"]


def test_files_of_other_content_have_another_checksum(tmp_path: Path, data: diffrec.Interactions) -> None:
    data.write(tmp_path / "raw.csv")
    for seed in (0, 1):
        prepare(tmp_path / "raw.csv", tmp_path / str(seed), by="random", seed=seed)
    first, other, again = (ParquetInteractions(tmp_path / name).in_short() for name in ("0", "1", "0"))
    assert first == again != other


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    for name, users in (("a[1]", [1, 1, 2]), ("a1", [7, 8])):
        diffrec.Interactions.from_arrays(users, range(len(users))).write(tmp_path / f"{name}.csv")
    assert prepare(tmp_path / "a[1].csv", tmp_path / "out").events == 3


def test_what_is_wrong_is_said_before_the_work(
    tmp_path: Path, data: diffrec.Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.write(tmp_path / "raw.csv")
    with pytest.raises(ValueError, match="memory must be a size such as '1GB', got 'a lot'"):
        prepare(tmp_path / "raw.csv", tmp_path / "out", memory="a lot")
    with pytest.raises(MemoryError, match="memory='1MB' is too little for DuckDB to sort .*raw.csv: allow more"):
        prepare(tmp_path / "raw.csv", tmp_path / "out", memory="1MB")

    def full(*_: object) -> None:
        raise duckdb.IOException("IO Error: No space left on device\nmore")

    monkeypatch.setattr("diffrec.data.prepare._Database.sort", full)
    with pytest.raises(OSError, match="No space left on device: what is sorted waits on the disk beside the folder"):
        prepare(tmp_path / "raw.csv", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["raw.csv"]


@pytest.mark.long
def test_who_has_more_than_a_million_events_is_in_one_row_group(tmp_path: Path) -> None:
    many = 1_100_000
    table = pa.table({"user": np.zeros(many, np.int64), "item": np.arange(many) % 50, "timestamp": np.arange(many)})
    pq.write_table(table, tmp_path / "raw.parquet")
    prepare(tmp_path / "raw.parquet", tmp_path / "out", valid=0, test=0)
    assert ParquetInteractions(tmp_path / "out").n_blocks == 1


def test_text_is_read_as_it_stands(tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    for rows in (
        ["u1,'abc'", "u2,'de'"],
        ["1,a", "# note,b", "3,c"],
        ["1234567890123456789,1", "2,9223372036854775808"],
    ):
        raw.write_text("\n".join(["user,item", *rows]) + "\n")
        prepare(raw, tmp_path / rows[0][:2], test=0, valid=0)
        files, data = ParquetInteractions(tmp_path / rows[0][:2]), diffrec.Interactions.read(raw)
        assert (files.items, files.n_events) == (data.items, data.n_events)
        assert pq.read_table(tmp_path / rows[0][:2] / "users.parquet")["user"].to_pylist() == data.users.ids.tolist()


def test_rows_of_no_use_are_refused_or_counted(tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_text('user,item\n1,1\n2,2,3\n4\n3,"3"\n')
    with pytest.raises(ValueError, match=r"2 lines of .*raw.csv are no rows of its columns, such as line 3, '2,2,3'"):
        prepare(raw, tmp_path / "out")
    report = prepare(raw, tmp_path / "out", on_bad_row="drop", valid=0, test=0)
    assert (report.rows, report.left_out, report.events) == (4, 2, 2)
    same(ParquetInteractions(tmp_path / "out").read(), diffrec.Interactions.read(raw, on_bad_row="drop"))
    raw.write_text("user,item,value\n1,a,0\n2,b,1\n")
    assert prepare(raw, tmp_path / "again", value="value").left_out == 1


def test_a_folder_is_the_files_that_reading_takes(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for place, name in enumerate(("country=FR/a", "country=DE/b", "_temporary/a", ".hidden/a", "_delta_log/c", "_x")):
        file = raw / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"user": [1, place], "item": [place, 7]}), file)
    wanted = diffrec.Interactions.read(raw)
    assert len(wanted) == 4
    for place, columns in enumerate(({}, {"item": "country"})):
        prepare(raw, tmp_path / str(place), valid=0, test=0, **columns)
        same(ParquetInteractions(tmp_path / str(place)).read(), diffrec.Interactions.read(raw, **columns))
    # What folders outside say (item=9) is no column of it.
    apart = (raw / "country=FR").rename(tmp_path / "item=9")
    prepare(apart, tmp_path / "apart", valid=0, test=0)
    same(ParquetInteractions(tmp_path / "apart").read(), diffrec.Interactions.read(apart))
    (apart / "a.parquet").rename(apart / "_a.parquet")
    with pytest.raises(FileNotFoundError, match="item=9 is a folder without Parquet files that are to be read"):
        prepare(apart, tmp_path / "none")


def test_ids_with_a_fraction_are_none_and_others_are_integers(tmp_path: Path) -> None:
    raw = tmp_path / "raw.parquet"
    pq.write_table(pa.table({"user": [1.0, 2.0, None, 2.5, float("nan"), 1e17], "item": [1, 2, 3, 4, 5, 6]}), raw)
    report = prepare(raw, tmp_path / "out", on_bad_row="drop", valid=0, test=0)
    assert (report.left_out, report.events) == (4, 2)
    assert pq.read_table(tmp_path / "out/users.parquet")["user"].to_pylist() == [1, 2]
    same(ParquetInteractions(tmp_path / "out").read(), diffrec.Interactions.read(raw, on_bad_row="drop"))


@pytest.mark.parametrize("on_bad_row", ["drop", "error"])
@pytest.mark.parametrize(
    ("line", "said"),
    [(b"j\xe9r\xf4me,2", "line 3: Invalid unicode"), (b"z" * 3_000_000 + b",1", "Maximum line size")],
    ids=["latin-1", "long"],
)
def test_a_line_that_cannot_be_read_is_no_bad_row(line: bytes, said: str, on_bad_row: str, tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_bytes(b"user,item\nanna,1\n" + line + b"\nbob,3\n")
    with pytest.raises(ValueError, match=rf"raw\.csv cannot be read: .*{said}") as refused:
        prepare(raw, tmp_path / "out", on_bad_row=on_bad_row, valid=0, test=0)
    assert len(str(refused.value)) < 500


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    raw, said = tmp_path / "raw.parquet", []
    pq.write_table(pa.table({"user": [i % 97 for i in range(3000)], "item": [i % 89 for i in range(3000)]}), raw)
    whole = raw.read_bytes()
    for place in range(4, 64, 4):
        raw.write_bytes(whole[:place] + b"\xff" * 8 + whole[place + 8 :])
        try:
            prepare(raw, tmp_path / f"out{place}", valid=0, test=0)
        except ValueError as error:
            said.append(str(error))
    assert said
    assert all(words.startswith(f"{raw} cannot be read: ") for words in said), said
