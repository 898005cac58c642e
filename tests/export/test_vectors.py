"""Vectors as files: what is read back finds what the model ranks first."""

import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

import diffrec
from support.exports import DATA, fitted, strangers


def test_parquet_has_ids_and_vectors(tmp_path: Path) -> None:
    model = fitted("ials")
    diffrec.export.vectors(model, tmp_path / "items.parquet")
    diffrec.export.vectors(model, tmp_path / "users.parquet", of="users", users=[7, 3])
    items, users = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("items", "users"))
    assert items["item"].to_pylist() == DATA.items.ids.tolist()
    np.testing.assert_array_equal(np.stack(items["vector"].to_numpy()), model.item_vectors())
    assert users["user"].to_pylist() == [7, 3]
    np.testing.assert_array_equal(np.stack(users["vector"].to_numpy()), model.user_vectors([7, 3]))


@pytest.mark.parametrize("form", ["ials", "multivae", "x0"])
def test_a_flat_index_of_faiss_finds_what_the_model_ranks_first(form: str, tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    model, people = fitted(form), strangers()
    diffrec.export.vectors(model, tmp_path / "items.faiss")
    index = faiss.read_index(str(tmp_path / "items.faiss"))
    ids = diffrec.export.item_ids(tmp_path / "items.faiss")
    # As many more as the longest history: what is in it is taken out afterwards.
    _, rows = index.search(model.user_vectors(people), 30)
    top = model.recommend(people, k=3)
    for place, (_, items, _) in enumerate(top):
        own = people.matrix[[place]].indices
        found = [row for row in rows[place] if row not in own][:3]
        scores = model.score(people)[place]
        np.testing.assert_allclose(scores[found], scores[DATA.items.rows(items)], rtol=1e-4, atol=1e-5)
    assert ids.tolist() == DATA.items.ids.tolist()


def test_ids_of_another_index_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    for name, form in (("one", "ials"), ("other", "multivae")):
        diffrec.export.vectors(fitted(form), tmp_path / f"{name}.faiss")
    (tmp_path / "other.faiss.ids.json").replace(tmp_path / "one.faiss.ids.json")
    with pytest.raises(ValueError, match=r"one\.faiss\.ids\.json does not hold the ids of one\.faiss, but of another"):
        diffrec.export.item_ids(tmp_path / "one.faiss")
    (tmp_path / "one.faiss.ids.json").write_text('{"ids": [1]}')
    with pytest.raises(ValueError, match="does not say of which index"):
        diffrec.export.item_ids(tmp_path / "one.faiss")
    with pytest.raises(FileNotFoundError, match=r"other\.faiss\.ids\.json does not exist"):
        diffrec.export.item_ids(tmp_path / "other.faiss")


def test_graphs_of_neighbours_find_most_of_it(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    data = diffrec.datasets.synthetic(users=200, items=300, seed=1)
    model = diffrec.fit(data, variant="ials", factors=8, iterations=3, progress=False)
    users = model.user_vectors()
    exact = np.argsort(-(users @ model.item_vectors().T), axis=1)[:, :10]
    diffrec.export.vectors(model, tmp_path / "items.faiss", index="hnsw")
    found = {"faiss": faiss.read_index(str(tmp_path / "items.faiss")).search(users, 10)[1]}
    try:
        import hnswlib
    except ImportError:
        pass
    else:
        diffrec.export.vectors(model, tmp_path / "items.hnsw")
        said = json.loads((tmp_path / "items.hnsw.ids.json").read_text())
        index = hnswlib.Index(space="ip", dim=said["width"])
        index.load_index(str(tmp_path / "items.hnsw"))
        index.set_ef(50)
        found["hnswlib"] = index.knn_query(users, k=10)[0]
    for name, rows in found.items():
        shared = np.mean([len(set(mine) & set(theirs)) / 10 for mine, theirs in zip(rows, exact, strict=True)])
        assert shared > 0.9, (name, shared)


def test_what_cannot_be_written_is_said_before_any_work(tmp_path: Path) -> None:
    model = fitted("ials")
    with pytest.raises(ValueError, match=r"path must end in .parquet, .faiss, .hnsw, got .*; did you mean '.faiss'"):
        diffrec.export.vectors(model, tmp_path / "items.fais")
    with pytest.raises(ValueError, match="users are for of='users', and of is 'items'"):
        diffrec.export.vectors(model, tmp_path / "items.parquet", users=[1])
    with pytest.raises(ValueError, match="of must be one of 'items', 'users', got 'item'"):
        diffrec.export.vectors(model, tmp_path / "items.parquet", of="item")
    with pytest.raises(TypeError, match="ease has no vectors of users and items"):
        diffrec.export.vectors(fitted("ease"), tmp_path / "items.parquet")
    assert list(tmp_path.iterdir()) == []
