"""Facts about items beside their interactions: titles, categories, prices."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import diffrec
from diffrec.data import Ids, Interactions
from diffrec.explore import Explorer

ORDERS = {"customer": ["ann", "bob", "bob", "cem"], "sku": ["t", "t", "m", "x"]}
FACTS = {
    "sku": ["m", "t", "z", "m", None],
    "title": ["Milk", None, "Zest", "Cream", "Nothing"],
    "price": [1.5, 2.0, 9.0, 7.0, 1.0],
    "stock": [3, 4, 5, 6, 7],
    "tags": [["white", "cold"], ["hot"], [], ["x"], []],
    "since": [date(2025, 1, 31), date(2024, 2, 1), date(2024, 2, 1), date(2024, 2, 1), date(2024, 2, 1)],
}


def check(data: Interactions, *, lists: bool = True) -> None:
    assert data.items.ids.tolist() == ["m", "t", "x"]
    info = data.item_info
    assert info["title"].tolist() == ["Milk", "", ""]
    np.testing.assert_array_equal(info["price"], [1.5, 2.0, np.nan])
    np.testing.assert_array_equal(info["stock"], [3.0, 4.0, np.nan])
    if lists:
        assert info["tags"].tolist() == ["white|cold", "hot", ""]
        assert info["since"].tolist() == ["2025-01-31", "2024-02-01", ""]
    assert data.item_labels.tolist() == ["Milk", "t", "x"]
    assert data.report_ is not None
    note = data.report_.notes[-1]
    assert "of 2 of 3 items; 1 row of items without interactions left out" in note
    assert "1 row left out that repeat an item; 1 row left out that name none" in note


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table])
def test_tables_are_facts(make: Any) -> None:
    check(Interactions.from_frame(ORDERS, items=make(FACTS)))
    check(Interactions.from_arrays(ORDERS["customer"], ORDERS["sku"], items=make(FACTS)))


def test_files_are_facts(tmp_path: Path) -> None:
    Interactions.from_frame(ORDERS).write(tmp_path / "orders.csv")
    parquet.write_table(pa.table(FACTS), tmp_path / "items.parquet")
    pd.DataFrame(FACTS).drop(columns=["tags", "since"]).to_csv(tmp_path / "items.tsv", index=False, sep="\t")
    check(Interactions.read(tmp_path / "orders.csv", items=tmp_path / "items.parquet"))
    check(Interactions.read(tmp_path / "orders.csv", items=str(tmp_path / "items.tsv")), lists=False)


def test_ids_are_no_facts() -> None:
    for items in (
        Ids(["z", "x", "t", "m"]),
        ["z", "x", "t", "m"],
        np.array(["z", "x", "t", "m"]),
        pd.Series(list("zxtm")),
    ):
        data = Interactions.from_frame(ORDERS, items=items)
        assert data.items.ids.tolist() == ["z", "x", "t", "m"]
        assert not data.item_info


@pytest.mark.parametrize(
    ("items", "expected"),
    [([7, 8], ["seven", "eight"]), (["7", "8"], ["seven", "eight"]), (["8", "x"], ["", "seven"])],
)
def test_ids_of_two_kinds_are_compared_as_written(items: list[Any], expected: list[str]) -> None:
    data = Interactions.from_arrays([1, 2], [7, 8], items={"id": items, "name": ["seven", "eight"]})
    assert data.item_info["name"].tolist() == expected


def test_what_holds_no_facts_is_explained(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="no column of items looks like the ids of items: call it 'sku'; it has 'a', 'title'"
    ):
        Interactions.from_frame(ORDERS, items={"a": ["m"], "title": ["Milk"]})
    with pytest.raises(FileNotFoundError, match=r"gone\.csv does not exist"):
        Interactions.from_frame(ORDERS, items=tmp_path / "gone.csv")
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"facts about items are read from \.csv"):
        Interactions.from_frame(ORDERS, items=tmp_path / "a.npz")
    (tmp_path / "items.csv").write_text("sku,title\nm\n")
    with pytest.raises(ValueError, match=r"items\.csv, line 2: 1 columns where the first line has 2"):
        Interactions.from_frame(ORDERS, items=tmp_path / "items.csv")


def test_models_know_the_facts(tmp_path: Path) -> None:
    facts = {"sku": ["m", "t"], "Description": ["Milk", "Tea"], "category": ["cold", "hot"], "price": [1.5, 2.25]}
    data = Interactions.from_frame(ORDERS, items=facts)
    model = diffrec.fit(data, variant="popularity")
    model.save(tmp_path / "model.diffrec")
    for one in (model, diffrec.load(tmp_path / "model.diffrec")):
        frame = one.recommend(["ann"], k=2).to_frame(titles=True)
        assert frame.columns.tolist() == ["user", "item", "title", "rank", "score"]
        assert frame["title"].tolist() == ["Milk", "x"]
        shown = Explorer(one).recommend({"user": 0, "k": 2})["top"]
        assert [item["label"] for item in shown] == ["Milk", "x"]
        assert [item["facts"] for item in shown] == [{"category": "cold", "price": "1.5"}, {}]
    plain = diffrec.fit(Interactions.from_frame(ORDERS), variant="popularity").recommend(["ann"], k=2)
    assert plain.to_frame(titles=True)["title"].tolist() == ["m", "x"]
    assert "title" not in plain.columns()


def test_facts_steer() -> None:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 12)) < 0.4)
    facts = {"item": range(12), "category": ["hot|new" if item % 3 == 0 else "cold" for item in range(12)]}
    data = Interactions.from_arrays(users, items, items=facts)
    model = diffrec.fit(data, variant="diffrec", epochs=1, dims=(8,), progress=False)
    top = model.recommend(k=3, exclude_seen=False, steer={"new": 50.0})
    assert (top.items % 3 == 0).all()


def test_sets_become_text_in_one_order() -> None:
    colours = {"red", "green", "blue"}
    data = diffrec.Interactions.from_frame({"user": [1], "item": [1]}, items={"item": [1], "colours": [colours]})
    assert data.item_info["colours"].tolist() == ["blue|green|red"]
