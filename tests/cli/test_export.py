"""``diffrec export``."""

import json
from functools import partial
from pathlib import Path

import onnxruntime
import pytest
import torch

import diffrec
from diffrec.cli import exporting
from support.commands import fail, leftovers, succeed


def test_exports_both_kinds_of_file(folder: Path) -> None:
    said = succeed("export", "model.diffrec", "--out", "served/model.onnx", "--k", 3)
    assert "served/model.onnx: the best 3 of 40 items" in said
    session = onnxruntime.InferenceSession("served/model.onnx")
    model = diffrec.load("model.diffrec")
    history, weights = diffrec.export.inputs(model)
    items, _ = session.run(None, {"history": history, "weights": weights})
    assert items.tolist() == model.recommend(k=3).item_rows.tolist()
    values = json.loads(succeed("export", "model.diffrec", "--out", "model.pt2", "--include-seen", "--json"))
    assert values == {
        "file": "model.pt2",
        "bytes": Path("model.pt2").stat().st_size,
        "k": 20,
        "items": 40,
        "exclude_seen": False,
    }
    serve = torch.export.load("model.pt2").module()
    items, _ = serve(torch.from_numpy(history), torch.from_numpy(weights))
    assert items.tolist() == model.recommend(k=20, exclude_seen=False).item_rows.tolist()


def test_bad_input(folder: Path) -> None:
    assert "'model.bin' must end in .onnx or .pt2" in fail(2, "export", "model.diffrec", "--out", "model.bin")
    assert "nothing.diffrec" in fail(1, "export", "nothing.diffrec", "--out", "model.onnx")
    diffrec.fit(diffrec.datasets.synthetic(users=60, items=40, seed=1), variant="lightgcn", epochs=1).save(
        "graph.diffrec"
    )
    assert "LightGCN cannot be exported" in fail(1, "export", "graph.diffrec", "--out", "model.onnx")
    assert leftovers(folder) == []
    assert not Path("model.onnx").exists()


def test_both_files_of_large_weights_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(exporting._WRITERS, ".onnx", partial(diffrec.export.onnx, external_data=True))
        told = json.loads(succeed("export", "model.diffrec", "--out", "model.onnx", "--no-check", "--json"))
    sizes = [file.stat().st_size for file in folder.glob("model.onnx*")]
    assert len(sizes) == 2
    assert told["bytes"] == sum(sizes)
    # What an earlier export left is not counted.
    told = json.loads(succeed("export", "model.diffrec", "--out", "model.onnx", "--no-check", "--json"))
    assert told["bytes"] == Path("model.onnx").stat().st_size


def test_vectors_go_into_tables_and_indices(folder: Path, data: diffrec.Interactions) -> None:
    diffrec.fit(data, variant="ials", factors=4, progress=False).save("factors.diffrec")
    assert "items.parquet: vectors of 40 items" in succeed("export", "factors.diffrec", "--out", "items.parquet")
    told = json.loads(succeed("export", "factors.diffrec", "--out", "users.parquet", "--of", "users", "--json"))
    assert (told["vectors"], told["bytes"]) == (60, Path("users.parquet").stat().st_size)
    for unfit in (["--k", 5], ["--include-seen"], ["--no-check"], ["--index", "hnsw"]):
        said = fail(2, "export", "factors.diffrec", "--out", "items.parquet", *unfit)
        assert f"{unfit[0]}: says nothing of" in said
    assert "--of: says nothing of a graph" in fail(2, "export", "factors.diffrec", "--out", "m.onnx", "--of", "users")
    assert "index must be one of 'flat', 'hnsw'" in fail(
        2, "export", "factors.diffrec", "--out", "items.faiss", "--index", "tree"
    )
    assert "itemknn has no vectors" in fail(1, "export", "model.diffrec", "--out", "items.parquet")
    assert "of must be one of 'items', 'users', got 'item'" in fail(
        1, "export", "factors.diffrec", "--out", "items.parquet", "--of", "item"
    )
