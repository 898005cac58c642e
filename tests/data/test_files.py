import csv
import io
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from scipy import sparse

from diffrec.data import Interactions, Split, _cells
from diffrec.data.files import PARTS, read_split
from support.files import write
from support.interactions import Row, any_rows, contents, plain

LINES = [
    ("anna", "x, y", "2024-05-01T10:00:00"),
    ("bert", 'the "q"', "2024-05-02"),
    ("anna", "plain", "2024-05-03T00:00Z"),
]


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t"), (".CSV", ",")])
def test_text_with_quotes_and_dates(tmp_path: Path, suffix: str, delimiter: str) -> None:
    file = tmp_path / f"plays{suffix}"
    with file.open("w", newline="", encoding="utf-8-sig") as out:
        writer = csv.writer(out, delimiter=delimiter)
        writer.writerow(["userId", "item", "comment", "date"])
        writer.writerows((user, item, "seen\nat home", when) for user, item, when in LINES)
    data = Interactions.read(file)
    assert list(data.users) == ["anna", "bert"]
    assert list(data.items) == ["plain", 'the "q"', "x, y"]
    assert contents(data)["anna", "x, y"].time == 1_714_557_600
    assert contents(data)["anna", "plain"].time == 1_714_694_400


def test_inter_files_keep_quotes(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "set.inter",
        'user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t"a\t3.5\t10\n2\tb\t1\t9\n',
    )
    data = Interactions.read(file)
    assert list(data.users) == [1, 2]
    assert list(data.items) == ['"a', "b"]
    assert Interactions.read(file, value="rating:float").matrix.data.tolist() == [3.5, 1.0]


ids_in_text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=5)


@given(st.lists(st.tuples(ids_in_text, st.integers(-9, 10**15)), min_size=1, max_size=9), st.integers(1, 4))
def test_ids_in_text_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any], chunk: int) -> None:
    file = tmp_path_factory.mktemp("text") / "rows.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("user", "item"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cells, "_CHUNK", chunk)
        patch.setattr(_cells, "readers", lambda: [_cells.plain_chunks])
        data = Interactions.read(file)
    assert {(str(user), item) for user, item in contents(data)} == {(str(user), item) for user, item in rows}


def test_numbers_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    data = Interactions.read(write(tmp_path, "a.csv", "user,item\n007,1\n7,2\n"))
    assert list(data.users) == ["007", "7"]
    assert list(data.items) == [1, 2]


def test_files_without_header_are_read_by_position(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "8,1,5,100\n9,2,4,200\n")
    data = Interactions.read(file, user=0, item=1, timestamp=3, value=2)
    assert contents(data) == plain([(8, 1, 100, 5), (9, 2, 200, 4)])
    assert Interactions.read(file, user=0, item=1).timestamps is None
    titles = write(tmp_path, "b.csv", "anna,title\nuser,time\n")
    assert list(Interactions.read(titles, user=0, item=1).items) == ["time", "title"]
    assert contents(Interactions.read(file, user=0, item=1, value=2))[8, 1].value == 5


@pytest.mark.parametrize(
    ("text", "arguments", "error", "message"),
    [
        ("", {}, ValueError, "is empty"),
        ("\n\n", {}, ValueError, "is empty"),
        ("user,item\n", {}, ValueError, "no rows below its header"),
        ("1,2\n3,4\n", {}, ValueError, r"no known column name.*user='...'.*user=0, item=1"),
        ("user,item\n1,2\n", {"user": 0, "item": 1}, ValueError, "is a header; give columns by name"),
        ("1,2\n", {"user": 0}, TypeError, "all by position"),
        ("1,2\n", {"user": 0, "item": "b"}, TypeError, "all by position"),
        ("1,2\n", {"user": True, "item": False}, TypeError, "all by position"),
        ("1,2\n", {"user": 0, "item": 2}, ValueError, "no column 2, the first line has 2"),
        ("1,2\n", {"user": 0, "item": -1}, ValueError, "no column -1"),
        ("1,2\n", {"user": 1, "item": 1}, ValueError, "cannot be two things"),
        ("user,item\n1,2\n", {"item": "itm"}, ValueError, "no column of .*'user', 'item'; did you mean 'item'"),
        ("user,thing\n1,2\n", {}, ValueError, "looks like the item"),
        ("user,item\n1,2\n3\n", {}, ValueError, r"number of columns is not 2.* in 1 row: line 3 \('1'\)"),
        ("user,item\n1,2\n3,4,5\n", {}, ValueError, r"number of columns is not 2.* in 1 row: line 3 \('3'\)"),
        ("user,item\n1,2\n\n,4\n", {}, ValueError, "user is empty in 1 row: line 4$"),
        ("user,item,ts\n1,2,\n", {}, ValueError, "ts is empty in 1 row: line 2$"),
        ("user,item,ts\n1,2,9\n1,3,noon\n", {}, ValueError, r"ts is no number, as .* is, in 1 row: line 3 \('noon'\)"),
        ("user,item,ts\n1,2,nan\n", {}, ValueError, r"ts is no number, .* in 1 row: line 2 \('nan'\)"),
        ("user,item,r\n1,2,good\n", {"value": "r"}, ValueError, r"r is no finite number in 1 row: line 2 \('good'\)"),
        ("user,item,r\n1,2,1\n1,3,-1\n", {"value": "r"}, ValueError, r"r in line 3 is -1"),
        ('user,item\n"1,2\n', {}, ValueError, r"number of columns .* line 2 \('1'\)"),
        ("user,item\n" + "x" * 200_000 + ",1\n", {}, ValueError, "line 2: field larger"),
        ("user,item\n1,2\n", {"part": "train"}, ValueError, "needs a .npz file that holds a split"),
    ],
)
def test_bad_text_is_explained(
    tmp_path: Path, text: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    file = write(tmp_path, "bad.csv", text)
    with pytest.raises(error, match=message):
        Interactions.read(file, **arguments)


def test_text_of_another_encoding_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "latin.csv"
    file.write_bytes("user,item\nJoão,1\n".encode("latin-1"))
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        Interactions.read(file)


def test_unknown_files_are_explained(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.csv does not exist"):
        Interactions.read(tmp_path / "gone.csv")
    with pytest.raises(FileNotFoundError, match=r"is a folder without \.parquet files"):
        Interactions.read(tmp_path)
    for name, said in (
        ("a.xlsx", "unknown suffix '.xlsx'"),
        ("a.parqet", "did you mean '.parquet'"),
        ("plays", "unknown suffix ''"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            Interactions.read(write(tmp_path, name, "x"))


# Parquet


@given(any_rows)
def test_parquet_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    file = tmp_path_factory.mktemp("parquet") / "rows.parquet"
    users, items, times, values = (list(column) for column in zip(*rows, strict=True))
    parquet.write_table(pa.table({"uid": users, "sku": items, "time": times, "n": values, "more": values}), file)
    assert contents(Interactions.read(file, value="n")) == plain(rows)


def test_bad_parquet_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a Parquet file"):
        Interactions.read(write(tmp_path, "a.parquet", "user,item"))
    file = tmp_path / "b.parquet"
    parquet.write_table(pa.table({"a": [1], "item": [2]}), file)
    with pytest.raises(ValueError, match=r"b\.parquet looks like the user.*'a', 'item'"):
        Interactions.read(file)
    with pytest.raises(TypeError, match="user must name a column"):
        Interactions.read(file, user=0)


def test_an_index_beyond_its_dictionary_is_damage(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    users = pa.array([*"abcabcab"]).dictionary_encode()
    parquet.write_table(pa.table({"user": users, "item": list(range(8))}), file, compression="none")
    # Of two bits each, one run of eight: 0, 1, 2, 0, 1, 2, 0, 1.
    whole, indices = file.read_bytes(), b"\x02\x03\x24\x49"
    assert whole.count(indices) == 1
    file.write_bytes(whole.replace(indices, b"\x02\x03\x24\x4f"))
    with pytest.raises(ValueError, match=r"a\.parquet is not a Parquet file: .* out of bounds: 3"):
        Interactions.read(file)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "diffrec\[parquet\]"'):
        Interactions.read(write(tmp_path, "a.parquet", ""))


# NumPy


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr"])
def test_saved_matrices_are_read(tmp_path: Path, form: str) -> None:
    matrix = sparse.random(9, 7, density=0.3, random_state=0)
    sparse.save_npz(tmp_path / "m.npz", matrix.asformat(form))
    data = Interactions.read(tmp_path / "m.npz")
    np.testing.assert_array_equal(data.matrix.toarray(), matrix.toarray().astype(np.float32))
    assert data.shape == (9, 7)


def test_saved_arrays_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", user=np.array(["b", "a"]), item=np.array([1, 1]), timestamp=[5, 6], value=[1.0, 2.0])
    data = Interactions.read(tmp_path / "a.npz", users=["a", "b", "c"])
    assert data.shape == (3, 1)
    assert contents(data) == plain([("b", 1, 5, 1), ("a", 1, 6, 2)])


PAIRS = {
    "shape": np.array([3, 4]),
    "train": np.array([[0, 3], [0, 1], [2, 0]]),
    "valid": np.array([[0, 2]]),
    "test": np.array([[2, 1], [0, 0]]),
}


def test_ready_made_splits_are_read_whole_or_in_parts(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", **PAIRS)
    split = Split.read(tmp_path / "s.npz")
    for name, part in zip(PARTS, split, strict=True):
        assert part.shape == (3, 4)
        assert set(contents(part)) == set(map(tuple, PAIRS[name].tolist()))
        assert part.users is split.train.users
        assert part.items is split.train.items
        assert contents(Interactions.read(tmp_path / "s.npz", part=name)) == contents(part)
    # Places in the file are the times: 3 before 1 for user 0, all of train before valid before test.
    whole = contents(Interactions.read(tmp_path / "s.npz"))
    order = sorted(whole, key=lambda cell: whole[cell].time)
    assert order == [(0, 3), (0, 1), (2, 0), (0, 2), (2, 1), (0, 0)]
    assert whole == {cell: entry for part in split for cell, entry in contents(part).items()}


def test_times_beside_a_split_are_kept_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "s.npz"
    np.savez(file, **PAIRS, train_time=np.array([70, 50, 60]))
    train, valid, _ = Split.read(file)
    assert contents(train)[0, 3].time == 70
    assert valid.timestamps is None
    assert Interactions.read(file, part="valid").timestamps is None
    # Joined with parts that have no times, only the order is left.
    whole = contents(Interactions.read(file))
    assert sorted(whole, key=lambda cell: whole[cell].time)[:3] == [(0, 1), (2, 0), (0, 3)]
    np.savez(file, **PAIRS, train_time=[70, 50, 60], valid_time=[80], test_time=[90, 95])
    assert contents(Interactions.read(file))[0, 0].time == 95


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": np.array([3, 4, 5])}, "shape must be two positive integers"),
        ({"shape": np.array([0, 4])}, "shape must be two positive integers"),
        ({"shape": np.array([2, 4])}, "train has user 2, shape says 2"),
        ({"test": np.array([[0, -1]])}, "test has item -1, shape says 4"),
        ({"test": np.array([0, 1])}, r"test must hold integers \(n, 2\)"),
        ({"test": np.array([[0.0, 1.0]])}, r"test must hold integers \(n, 2\), not float64"),
        ({"train_time": np.array([1])}, "train_time must hold one number per row of train"),
    ],
)
def test_bad_splits_are_explained(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "s.npz", **(PAIRS | changes))
    for read in (Split.read, Interactions.read):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "s.npz")


def test_other_npz_files_are_explained(tmp_path: Path) -> None:
    file = tmp_path / "o.npz"
    np.savez(file, a=np.ones(2), user=np.ones(2))
    with pytest.raises(ValueError, match="holds a, user: neither a SciPy matrix nor arrays"):
        Interactions.read(file)
    with pytest.raises(ValueError, match="holds no split"):
        Split.read(file)
    np.savez(file, user=[1], item=[1])
    with pytest.raises(ValueError, match="part='train' cannot be picked"):
        Interactions.read(file, part="train")
    with pytest.raises(ValueError, match="part must be one of 'train', 'valid', 'test', got 'tran'; did you mean"):
        Interactions.read(file, part="tran")
    with pytest.raises(ValueError, match="'item' names a column"):
        Interactions.read(file, item="item")
    with pytest.raises(ValueError, match=r"is not a \.npz file"):
        Interactions.read(write(tmp_path, "t.npz", "text"))
    with (tmp_path / "lone.npz").open("wb") as out:
        np.save(out, np.ones(3))
    with pytest.raises(ValueError, match="lone array"):
        Interactions.read(tmp_path / "lone.npz")


def test_damaged_npz_files_are_explained(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    np.savez_compressed(file, **PAIRS)
    whole = file.read_bytes()
    for content in (b"", b"PK\x03\x04" + bytes(50), whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"d\.npz is not a \.npz file"):
            Interactions.read(file)
    place = whole.index(b"train.npy") + 40
    file.write_bytes(whole[:place] + bytes(40) + whole[place + 40 :])
    with pytest.raises(ValueError, match=r"d\.npz: train cannot be read"):
        Split.read(file)


@pytest.mark.parametrize(
    "names", [("user", "item"), ("shape", "train", "valid", "test"), ("data", "indices", "format")]
)
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_arrays_that_the_file_cannot_hold_take_no_memory(tmp_path: Path, names: tuple[str, ...], packing: int) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", packing) as archive:
        for name in names:
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(100))
    with pytest.raises(ValueError, match=rf"bomb\.npz is damaged: {names[0]} is said to have shape \(1000000000000,\)"):
        Interactions.read(tmp_path / "bomb.npz")


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffrec._memory.available_memory", lambda: 10**9)


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((10**11, 5), ValueError, r"claims.npz has shape \(100000000000, 5\): at most 2147483647 users"),
        ((5, 2**31), ValueError, r"claims.npz has shape \(5, 2147483648\): at most 2147483647 users"),
        ((2**31 - 1, 2**31 - 1), MemoryError, r"claims.npz of shape \(2147483647, 2147483647\) needs about 137.4 GB"),
    ],
)
@pytest.mark.parametrize("kind", ["split", "coo"])
def test_users_that_a_file_only_claims_take_no_memory(
    kind: str, shape: tuple[int, int], error: type[Exception], message: str, tmp_path: Path, little_memory: None
) -> None:
    path = tmp_path / "claims.npz"
    if kind == "split":
        pairs = np.array([[0, 1]])
        np.savez(path, shape=np.array(shape), train=pairs, valid=pairs, test=pairs)
    else:
        sparse.save_npz(path, sparse.coo_array(([1.0], ([0], [1])), shape=shape))
    reads: list[Callable[[], object]] = [lambda: Interactions.read(path)]
    if kind == "split":
        reads.append(lambda: read_split(path))
    for read in reads:
        with pytest.raises(error, match=message):
            read()


def test_rows_that_a_few_bytes_of_parquet_stand_for_take_no_memory(tmp_path: Path, little_memory: None) -> None:
    path, alike = tmp_path / "alike.parquet", pa.table({"user": pa.nulls(10**6, pa.int8()), "item": pa.nulls(10**6)})
    with parquet.ParquetWriter(path, alike.schema) as writer:
        for _ in range(40):
            writer.write_table(alike)
    assert path.stat().st_size < 2 * 10**5
    with pytest.raises(
        MemoryError, match=r"alike\.parquet of 40,000,000 rows needs about 1\.3 GB of memory, and 1\.0 GB"
    ):
        Interactions.read(path)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    file = tmp_path / "p.npz"
    np.savez(file, user=np.array(["a", 1], dtype=object), item=[1, 2])
    with pytest.raises(ValueError, match="user holds Python objects"):
        Interactions.read(file)
    np.save(tmp_path / "q.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "q.npy").rename(tmp_path / "q.npz")
    with pytest.raises(ValueError, match=r"is not a \.npz file"):
        Interactions.read(tmp_path / "q.npz")


def test_corrupt_saved_matrices_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.npz"
    good = {"format": b"csr", "shape": [2, 2], "data": np.ones(2), "indices": [0, 1], "indptr": [0, 1, 2]}
    np.savez(file, **good)
    assert Interactions.read(file).shape == (2, 2)
    for changes in ({"indices": [0, 7]}, {"indptr": [0, 2, 1]}, {"data": np.ones(3)}, {"format": b"xyz"}):
        np.savez(file, **(good | changes))
        with pytest.raises(ValueError, match=r"c\.npz"):
            Interactions.read(file)
    np.savez(file, format=b"csr", shape=[2, 2])
    with pytest.raises(ValueError, match=r"c\.npz is not a SciPy matrix"):
        Interactions.read(file)
