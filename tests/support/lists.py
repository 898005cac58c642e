"""Histories and lists as Arrow tables, and what a model recommends in one process, to hold engines against."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import diffrec


def histories_of(data: diffrec.Interactions, users: Any = None) -> pa.Table:
    """A row for each user: id, items, times and values of the events, as lists."""
    events = data.events
    columns = {"items": data.items[events.items], "times": events.times, "values": events.values}
    offsets = pa.array(events.indptr.astype(np.int32))
    lists = {
        name: pa.ListArray.from_arrays(offsets, pa.array(column))
        for name, column in columns.items()
        if column is not None
    }
    return pa.table({"user": pa.array(data.users.ids if users is None else users), **lists})


def sorted_rows(table: pa.Table) -> list[tuple[Any, ...]]:
    """User, item and rank of every row, in the order of users and ranks; scores are for ``close_scores``."""
    ordered = table.sort_by([("user", "ascending"), ("rank", "ascending")])
    return list(zip(*(ordered[name].to_pylist() for name in ("user", "item", "rank")), strict=True))


def assert_same_lists(found: pa.Table, wanted: pa.Table) -> None:
    """Raise unless two tables have the same lists, in whatever order, and scores that differ in the last bits only."""
    assert found.num_rows == wanted.num_rows
    assert sorted_rows(found) == sorted_rows(wanted)
    by = [("user", "ascending"), ("rank", "ascending")]
    scores = [table.sort_by(by)["score"].to_numpy() for table in (found, wanted)]
    np.testing.assert_allclose(*scores, rtol=2e-5, atol=1e-6)


def prepared(folder: Path, users: int = 4000, files: int = 8) -> tuple[diffrec.Interactions, Path, dict[str, Path]]:
    """Models in files, and a folder of Parquet files of histories; users have ids of text."""
    world = diffrec.datasets.synthetic(users=users, items=200, seed=1)
    names = np.char.add("u", np.arange(len(world.users)).astype(np.str_))
    data = world.with_ids(diffrec.Ids(names, "user"), world.items)
    models = {}
    learnt = data.take(np.arange(500))
    settings: dict[str, dict[str, Any]] = {
        "ease": {},
        "diffrec": {"time_weights": "linear", "dims": (32,), "epochs": 2, "holdout": 0, "progress": False},
    }
    for variant, chosen in settings.items():
        models[variant] = folder / f"{variant}.diffrec"
        diffrec.fit(learnt, variant=variant, **chosen).save(models[variant])
    (folder / "histories").mkdir()
    table = histories_of(data)
    size = -(-users // files)
    for number in range(files):
        pq.write_table(table.slice(number * size, size), folder / "histories" / f"part-{number}.parquet")
    return data, folder / "histories", models


def alone(model: Path, data: diffrec.Interactions, k: int) -> pa.Table:
    """Lists by one call in this process."""
    return diffrec.load(model).recommend(data, k=k).to_frame("pyarrow")
