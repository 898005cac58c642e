"""Exported files rank as ``recommend`` does, in onnxruntime and in torch.export, and are complete or absent."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import diffrec
from diffrec import Recommender
from diffrec.data import _replace
from diffrec.export import agreement
from diffrec.export.inputs import inputs
from support.exports import DATA, EMPTY_USER, FORMS, ITEMS, USERS, assert_same_lists, fitted, strangers

# Together they have every part that a graph is made of; all others are `long`.
REPRESENTATIVE = {"sequence", "latent forecast, anchor", "eps, values", "rp3beta"}
assert FORMS.keys() >= REPRESENTATIVE
K = 7


class OnnxFile:
    """A file in onnxruntime."""

    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def __call__(self, history: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        items, scores = self.session.run(["items", "scores"], {"history": history, "weights": weights})
        return items, scores


class TorchFile:
    """A file in torch."""

    def __init__(self, path: Path) -> None:
        self.module = torch.export.load(path).module()

    def __call__(self, history: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        items, scores = self.module(torch.from_numpy(history), torch.from_numpy(weights))
        return items.numpy(), scores.numpy()


BACKENDS: dict[str, tuple[Any, Any]] = {
    "onnx": (diffrec.export.onnx, OnnxFile),
    "pt2": (diffrec.export.pt2, TorchFile),
}
# The graph of an ONNX file is that of a program: of programs one form is enough.
QUICK = {(form, "onnx") for form in REPRESENTATIVE} | {("latent forecast, anchor", "pt2")}
CASES = [
    pytest.param(form, backend, marks=() if (form, backend) in QUICK else pytest.mark.long)
    for form in FORMS
    for backend in BACKENDS
]


@pytest.mark.parametrize(("form", "backend"), CASES)
def test_ranks_as_the_model_for_any_batch_and_length(form: str, backend: str, tmp_path: Path) -> None:
    model = fitted(form)
    write, read = BACKENDS[backend]
    path = tmp_path / f"model.{backend}"
    write(model, path, K, check=False)
    run = read(path)
    everyone, some = np.arange(USERS), [3, EMPTY_USER]
    for users in (everyone, some, [5], [EMPTY_USER]):
        assert_same_lists(*run(*inputs(model, users)), model.recommend(users, k=K))
    assert_same_lists(*run(*inputs(model, strangers())), model.recommend(strangers(), k=K))
    weights = inputs(model, [EMPTY_USER]).weights
    none = run(np.empty((2, 0), dtype=np.int64), np.empty((2, 0, *weights.shape[2:]), dtype=np.float32))
    padding = run(np.full((2, 9), -1), np.ones((2, 9, *weights.shape[2:]), dtype=np.float32))
    for items, scores in (none, padding):
        assert_same_lists(items, scores, model.recommend([EMPTY_USER, EMPTY_USER], k=K))
    np.testing.assert_array_equal(diffrec.export.item_ids(path), DATA.items.ids)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_seen_items_and_lists_that_end_early(backend: str, tmp_path: Path) -> None:
    write, read = BACKENDS[backend]
    model = fitted("popularity")
    path = tmp_path / "deep" / f"model.{backend}"
    write(model, path, ITEMS + 2)
    items, scores = read(path)(*inputs(model))
    top = model.recommend(k=ITEMS + 2)
    np.testing.assert_array_equal(items, top.item_rows)
    np.testing.assert_array_equal(scores, top.scores)
    write(model, path, ITEMS, exclude_seen=False)
    items, _ = read(path)(*inputs(model))
    np.testing.assert_array_equal(items, model.recommend(k=ITEMS, exclude_seen=False).item_rows)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_large_weights_go_into_a_second_file(tmp_path: Path) -> None:
    model, path = fitted("ease"), tmp_path / "model.onnx"
    diffrec.export.onnx(model, path, K, external_data=True)
    (weights,) = set(tmp_path.iterdir()) - {path}
    assert re.fullmatch(r"model\.onnx\.[0-9a-f]{16}\.data", weights.name)
    assert_same_lists(*OnnxFile(path)(*inputs(model)), model.recommend(k=K))
    np.testing.assert_array_equal(diffrec.export.item_ids(path), DATA.items.ids)


def test_a_graph_never_finds_anothers_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the two files, an export leaves the old one whole; the next sweeps up what it left."""
    one, other, path = fitted("ease"), fitted("itemknn"), tmp_path / "model.onnx"
    diffrec.export.onnx(one, path, K, external_data=True)
    before = set(tmp_path.iterdir())

    put = _replace._put

    def killed(written: Path, place: Path) -> None:
        if place == path:
            raise InterruptedError
        put(written, place)

    with monkeypatch.context() as patched:
        patched.setattr(_replace, "_put", killed)
        with pytest.raises(InterruptedError):
            diffrec.export.onnx(other, path, K, external_data=True)
    assert len(set(tmp_path.iterdir()) - before) == 1
    assert_same_lists(*OnnxFile(path)(*inputs(one)), one.recommend(k=K))
    diffrec.export.onnx(other, path, K, external_data=True)
    assert_same_lists(*OnnxFile(path)(*inputs(other)), other.recommend(k=K))
    assert len(list(tmp_path.iterdir())) == 2
    diffrec.export.onnx(other, path, K)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_does_not_agree_is_not_written(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = fitted("popularity"), fitted("ease")
    monkeypatch.setattr(type(model), "recommend", lambda self, *args, **kwargs: other.recommend(*args, **kwargs))
    path = tmp_path / f"model.{backend}"
    path.write_text("what was there")
    with pytest.raises(RuntimeError, match=r"does not rank as the model does: .* list 0 "):
        BACKENDS[backend][0](model, path, K)
    assert path.read_text() == "what was there"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_disagreement() -> None:
    items, scores = np.array([[2, 0, -1]]), np.array([[2.0, 1.0, -np.inf]], dtype=np.float32)

    def told(other: list[int], values: list[float]) -> str | None:
        return agreement.disagreement(np.array([other]), np.array([values], dtype=np.float32), items, scores)

    assert told([2, 0, -1], [2.0001, 1.00005, -np.inf]) is None
    assert told([2, 0, -1], [2.0, 1.0002, -np.inf]) == "place 2 of list 0 scores 1.0002 where 1 is right"
    assert told([2, 0, 1], [2.0, 1.0, 0.5]) == "lists end at other places"
    assert "has item 0 with score 2, which scores 1" in (told([0, 2, -1], [2.0, 1.0, -np.inf]) or "")
    assert told([2, 0, -1], [2.0, np.nan, -np.inf]) == "lists end at other places"


SERVER = """
import sys
for name in ("torch", "diffrec"):
    sys.modules[name] = None  # importing it is an error
import json, numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
ids = json.loads(session.get_modelmeta().custom_metadata_map["item_ids"])
bought = ["i03", "i20", "i07"]  # oldest first
history = numpy.array([[ids.index(item) for item in bought]])
age = numpy.arange(len(bought))[::-1]
views = [numpy.exp(-age / 1), numpy.exp(-age / 5), numpy.full(len(bought), len(bought) ** -0.5)]
weights = numpy.stack(views, axis=1)[None].astype(numpy.float32)
items, scores = session.run(["items", "scores"], {"history": history, "weights": weights})
print(json.dumps([[ids[row] for row in items[0]], scores[0].tolist()]))
"""


def test_served_where_neither_torch_nor_diffrec_can_be_imported(tmp_path: Path) -> None:
    model: Recommender = fitted("forecast, approximate anchor")
    diffrec.export.onnx(model, tmp_path / "model.onnx", K)
    done = subprocess.run([sys.executable, "-c", SERVER], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    items, scores = json.loads(done.stdout)
    bought = diffrec.Interactions.from_arrays(["x"] * 3, ["i03", "i20", "i07"], timestamp=[1, 2, 3])
    top = model.recommend(bought, k=K)
    assert items == top.items[0].tolist()
    np.testing.assert_allclose(scores, top.scores[0], atol=1e-4)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    said = json.loads(session.get_modelmeta().custom_metadata_map["diffrec"])
    assert said["format"] == 1
    assert said["variant"] == "t-diffrec"
    assert said["settings"]["objective"] == "forecast"
    assert "exp(-age / 1); exp(-age / 5); 1 / sqrt(number of items)" in said["inputs"]["weights"]
    shapes = [(one.name, one.type, one.shape) for one in session.get_inputs()]
    assert shapes == [
        ("history", "tensor(int64)", ["batch", "length"]),
        ("weights", "tensor(float)", ["batch", "length", 3]),
    ]


def test_bad_paths_and_files(tmp_path: Path) -> None:
    model = fitted("popularity")
    with pytest.raises(ValueError, match=r"path must end in \.onnx, got 'model.bin'"):
        diffrec.export.onnx(model, "model.bin")
    with pytest.raises(ValueError, match=r"path must end in \.pt2, got 'model.onnx'"):
        diffrec.export.pt2(model, "model.onnx")
    with pytest.raises(FileNotFoundError, match="nothing.onnx does not exist"):
        diffrec.export.item_ids(tmp_path / "nothing.onnx")
    torch.export.save(torch.export.export(torch.nn.Identity(), (torch.ones(1),)), tmp_path / "other.pt2")
    with pytest.raises(ValueError, match=r"other\.pt2 holds no item ids"):
        diffrec.export.item_ids(tmp_path / "other.pt2")


def test_a_check_that_cannot_be_made_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("diffrec.export.files.find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.warns(UserWarning, match="the lists of .*onnx are not compared with the model's"):
        diffrec.export.onnx(fitted("popularity"), tmp_path / "model.onnx")


def test_without_onnx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("diffrec.export.files.find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r'exporting to ONNX needs onnx and onnxscript: pip install "diffrec\[onnx\]"'
    ):
        diffrec.export.onnx(fitted("popularity"), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
