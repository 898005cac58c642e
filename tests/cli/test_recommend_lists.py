"""``diffrec recommend`` from a Parquet file with a list of items for each person."""

import sys
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import diffrec
from diffrec.cli import recommending_lists
from support.commands import fail, leftovers, run, succeed
from support.lists import assert_same_lists, histories_of


@pytest.fixture
def lists(folder: Path, data: diffrec.Interactions, monkeypatch: pytest.MonkeyPatch) -> pa.Table:
    """What one call recommends; the histories are in several row groups, and read several batches at a time."""
    monkeypatch.setattr(recommending_lists, "_AT_ONCE", 13)
    pq.write_table(histories_of(data), "lists.parquet", row_group_size=25)
    return diffrec.load("model.diffrec").recommend(data, k=4).to_frame("pyarrow")


def test_lists_of_parquet_become_lists_of_parquet(folder: Path, lists: pa.Table) -> None:
    said = succeed("recommend", "model.diffrec", "-k", 4, "--histories", "lists.parquet", "--out", "top.parquet")
    assert said == f"top.parquet: {lists.num_rows} recommendations for 60 users\n"
    assert pq.ParquetFile("top.parquet").num_row_groups > 4
    assert_same_lists(pq.read_table("top.parquet"), lists)


def test_a_folder_of_files_and_other_names(folder: Path, lists: pa.Table) -> None:
    Path("people").mkdir()
    named = pq.read_table("lists.parquet").rename_columns(["who", "had", "when", "stars"])
    for part in range(2):
        pq.write_table(named.slice(30 * part, 30), f"people/{part}.parquet")
    columns = ("--user", "who", "--item", "had", "--timestamp", "when", "--value", "stars")
    succeed("recommend", "model.diffrec", "-k", 4, "--histories", "people", *columns, "--out", "top.parquet")
    assert_same_lists(pq.read_table("top.parquet"), lists)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_lists_in_other_formats(folder: Path, lists: pa.Table, suffix: str) -> None:
    succeed("recommend", "model.diffrec", "-k", 4, "--histories", "lists.parquet", "--out", f"top{suffix}", "--quiet")
    read = diffrec.Interactions.read(f"top{suffix}")
    wanted = diffrec.Interactions.from_arrays(lists["user"].to_numpy(), lists["item"].to_pylist())
    assert (read.matrix != wanted.matrix).nnz == 0


def test_standard_output_gets_rows(folder: Path, lists: pa.Table) -> None:
    rows = succeed("recommend", "model.diffrec", "-k", 4, "--histories", "lists.parquet").splitlines()
    assert rows[0] == "user,item,rank,score"
    assert len(rows) == 1 + lists.num_rows


def test_what_is_wrong_with_a_file_of_lists_is_said(folder: Path, lists: pa.Table) -> None:
    given = ("recommend", "model.diffrec", "--histories", "lists.parquet")
    assert "--titles" in fail(2, *given, "--titles")
    assert "--unknown" in fail(2, *given, "--unknown", "skip")
    by_ray = (*given, "--engine", "ray", "--out")
    assert "--device" in fail(2, *by_ray, "top", "--device", "cpu")
    Path("there").mkdir()
    assert "there is there already; name a folder to be made" in fail(1, *by_ray, "there")
    assert "is a file, so lists.parquet/top cannot be written" in fail(1, *by_ray, "lists.parquet/top")
    assert "needs --histories with lists" in fail(2, *given, "--engine", "ray")
    assert "engine must be one of 'ray', 'spark', got 'dask'" in fail(2, *given, "--engine", "dask")
    assert "--user who is no column of lists.parquet, which has user, items" in fail(1, *given, "--user", "who")
    pq.write_table(pa.table({"user": [1], "items": [["tea", None]]}), "lists.parquet")
    assert "entry 1 of row 0 of a batch in column 'items' is null" in fail(1, *given, "--out", "top.parquet")
    assert run(*given, "--out", "top.parquet").exit_code == 1
    assert not Path("top.parquet").exists()
    assert leftovers(folder) == []


@pytest.mark.usefixtures("lists")
def test_an_index_beyond_its_dictionary_is_damage(folder: Path) -> None:
    users = pa.array([*"abcabcab"]).dictionary_encode()
    pq.write_table(pa.table({"user": users, "items": [[0]] * 8}), "bad.parquet", compression="none")
    # Of two bits each, one run of eight: 0, 1, 2, 0, 1, 2, 0, 1.
    whole, indices = Path("bad.parquet").read_bytes(), b"\x02\x03\x24\x49"
    assert whole.count(indices) == 1
    Path("bad.parquet").write_bytes(whole.replace(indices, b"\x02\x03\x24\x4f"))
    said = fail(1, "recommend", "model.diffrec", "--histories", "bad.parquet", "--out", "top.parquet")
    assert "bad.parquet is not a Parquet file" in said
    assert "out of bounds: 3" in said
    assert leftovers(folder) == []


def test_a_ray_that_does_not_start_is_said(folder: Path, lists: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**_: object) -> None:
        raise Exception("the node timed out")

    ray = ModuleType("ray")
    ray.__dict__.update(init=late)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", ModuleType("ray.data"))
    given = ("recommend", "model.diffrec", "--histories", "lists.parquet", "--engine", "ray", "--out", "top")
    assert "Ray cannot be reached or started: the node timed out" in fail(1, *given)
