"""Files: what is saved comes back, what is damaged is refused by name, and older formats stay readable."""

import io
import json
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file

import diffrec
from diffrec import ModelFileError
from diffrec.data.tensor_file import read_tensors, write_tensors
from support.model_fuzz import data, write_summed
from support.peak import OWN_PEAK
from support.scripts import run

HERE = Path(__file__).parent
RELEASED = HERE.parent / "data" / "models"
EXPECTED: dict[str, dict[str, Any]] = json.loads((RELEASED / "expected.json").read_text())
TINY: dict[str, Any] = {"dims": (3,), "epochs": 1, "holdout": 0, "progress": False}
FORMS: dict[str, dict[str, Any]] = {
    "itemknn": {"neighbors": 3},
    "ials": {"factors": 3, "progress": False},
    "popularity": {},
    "diffrec": TINY,
    "t-diffrec": TINY,
    "l-diffrec": TINY | {"latent_dims": (4,), "groups": 2},
}
Parts = tuple[dict[str, Any], dict[str, NDArray[Any]]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for variant, settings in FORMS.items():
        diffrec.fit(data(repeats=False), variant=variant, **settings).save(folder / variant)
    diffrec.fit(data(repeats=True), variant="itemknn").save(folder / "events")
    diffrec.fit(data(repeats=True), variant="t-diffrec", **TINY, repeats="include").save(folder / "next basket")
    return {path.name: path for path in folder.iterdir()}


def parts(path: Path) -> Parts:
    metadata, arrays = read_tensors(path)
    return json.loads(metadata["diffrec"]), arrays


@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_every_released_format_answer_as_they_did(name: str) -> None:
    model = diffrec.load(RELEASED / f"{name}.diffrec")
    assert model.variant == EXPECTED[name]["variant"]
    top = model.recommend(k=3)
    assert top.items[:3].tolist() == EXPECTED[name]["items"]
    np.testing.assert_allclose(top.scores[:3], EXPECTED[name]["scores"], atol=1e-5)


def test_the_format_that_is_written_is_among_the_released() -> None:
    from diffrec.recommenders.model_file import FORMAT_VERSION

    assert {int(name.removeprefix("format")[0]) for name in EXPECTED} == set(range(1, FORMAT_VERSION + 1))


@pytest.mark.parametrize(
    ("name", "array", "place", "value", "said"),
    [
        ("format1-itemknn", "state.indices", 3, 2**30, r"'state': `indices\[3\]` is 1073741824, expected"),
        ("format1-itemknn", "state.indptr", 1, -1, "'state': `indptr"),
        ("format1-t-diffrec", "train.timestamps", 2, np.nan, r"'train.timestamps'\[2\] is nan, expected a finite"),
        ("format1-lt-diffrec", "state.autoencoder.group_of_item", 0, 9, r"group_of_item'\[0\] is 9, expected at most"),
        ("format2-ease", "train.events.items", 0, 99, "'train.events': `indices"),
        ("format2-anchor", "train.data", 1, -1.0, r"'train.data'\[1\] is -1.0, expected at least"),
    ],
)
def test_older_files_are_checked_but_for_their_checksums(
    name: str, array: str, place: int, value: float, said: str, tmp_path: Path
) -> None:
    header, arrays = parts(RELEASED / f"{name}.diffrec")
    arrays[array].flat[place] = value
    path = tmp_path / "old"
    save_file({name: torch.from_numpy(a) for name, a in arrays.items()}, path, {"diffrec": json.dumps(header)})
    with pytest.raises(ModelFileError, match=said):
        diffrec.load(path)


@pytest.mark.parametrize("name", [*FORMS, "events"])
def test_every_flipped_bit_of_a_sample_is_found(files: dict[str, Path], name: str, tmp_path: Path) -> None:
    whole = files[name].read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(0, 8))
        (tmp_path / "flipped").write_bytes(damaged)
        with pytest.raises(ModelFileError, match="flipped' is not a diffrec model, or is damaged|has format"):
            diffrec.load(tmp_path / "flipped")


def setting(name: str, value: Any) -> Callable[[Any, Any], None]:
    def change(header: Any, arrays: Any) -> None:
        header["settings"][name] = value

    return change


#: As deep as JSON is read, which is more than what takes it apart may go.
NESTED = json.loads("[" * 900 + "]" * 900)


def entry(name: str, place: Any, value: Any) -> Callable[[Any, Any], None]:
    def change(header: Any, arrays: Any) -> None:
        arrays[name][place] = value

    return change


def replaced(name: str, make: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Any, Any], None]:
    def change(header: Any, arrays: Any) -> None:
        arrays[name] = make(arrays[name])

    return change


def field(name: str, value: Any) -> Callable[[Any, Any], None]:
    def change(header: Any, arrays: Any) -> None:
        header[name] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("itemknn", entry("state.indices", 0, 9), r"'state': `indices\[0\]` is 9, expected"),
        ("itemknn", entry("state.indices", 0, -1), r"'state': `indices\[0\]` is -1, expected"),
        ("itemknn", entry("state.indptr", 1, 99), r"'state': `indptr` gives row 0"),
        ("itemknn", entry("state.data", 2, np.nan), r"'state.data'\[2\] is nan, expected a finite number"),
        ("itemknn", replaced("state.data", lambda a: a.astype(np.float64)), "'state.data' holds float64, expected"),
        ("itemknn", replaced("state.data", lambda a: a[:-1]), r"'state.data' has shape \(\d+,\), expected"),
        ("itemknn", entry("train.indices", slice(0, 2), 1), "expected columns that ascend within their row"),
        ("itemknn", entry("train.data", 1, 0), r"'train.data'\[1\] is 0.0, expected at least"),
        ("itemknn", entry("train.timestamps", 1, np.inf), r"'train.timestamps'\[1\] is inf"),
        ("itemknn", entry("train.items", 1, 0), "the item id 0 stands twice"),
        ("itemknn", entry("train.users.ends", 1, 10**6), r"'train.users.ends'\[1\] is 1000000, expected at most"),
        ("itemknn", entry("train.users.utf8", 1, 255), "'train.users.utf8' is no UTF-8|'users.utf8' is no UTF-8"),
        ("itemknn", field("shape", [60, 4000]), r"'train.indptr' has shape \(15,\), expected \(61,\)"),
        ("itemknn", field("shape", [14, 8]), r"'train': `indices\[\d+\]` is 8"),
        ("itemknn", field("item_info", ["title"]), "'train.item_info.year' is not expected"),
        ("itemknn", field("item_info", ["title", "year", "x"]), "lacks 'train.item_info.x.utf8'"),
        ("itemknn", field("variant", "ease"), "'neighbors' is not a setting"),
        ("itemknn", field("variant", "no"), "variant must be one of"),
        ("itemknn", field("training", {}), "'best_epoch' of its header is None"),
        ("itemknn", setting("neighbors", 10**12), "neighbors must be at most 2147483647, got 1000000000000"),
        ("itemknn", setting("seed", -1), "seed must be from 0"),
        ("itemknn", setting("bm25_b", float(7)), "bm25_b must be at least 0 and at most 1, got 7.0"),
        ("itemknn", setting("x", 1), "'x' is not a setting"),
        ("itemknn", setting("neighbors", NESTED), "a setting of its header has lists in lists, more than 8 deep"),
        ("itemknn", setting("callbacks", ["x"]), "callbacks must be a sequence of functions"),
        (
            "events",
            replaced("train.events.items", lambda a: a[::-1]),
            "is not in the order|not those whose sums",
        ),
        ("events", entry("train.data", 0, 77), "'events' are not those whose sums by pair the matrix holds"),
        ("ials", setting("factors", 10**12), "factors must be at most 1048576, got 1000000000000"),
        ("ials", setting("factors", 10**6), r"'state.item_factors' has shape \(9, 3\), expected \(9, 1000000\)"),
        ("popularity", entry("state.counts", 0, -3), r"'state.counts'\[0\] is -3.0, expected at least 0"),
        ("diffrec", setting("batch_size", 10**12), "batch_size must be at most 2147483647, got 1000000000000"),
        ("diffrec", setting("steps", 10**12), "steps must be at most 10000, got"),
        ("diffrec", setting("dims", [10**6]), r"has shape \(.*\), expected \(.*1000000"),
        ("diffrec", setting("dims", [3] * 101), "dims must name at most 100 widths, got 101"),
        ("diffrec", setting("groups", 2), "its settings are those of 'l-diffrec', not of 'diffrec'"),
        ("diffrec", entry("state.denoiser.bias_out", 0, np.nan), r"'state.denoiser.bias_out'\[0\] is nan"),
        ("t-diffrec", entry("state.anchor_scale", (), -1), r"'state.anchor_scale'\[\] is -1.0, expected at least 0"),
        ("t-diffrec", setting("anchor", False), "'state.anchor.*' is not expected|lacks"),
        (
            "next basket",
            entry("state.intervals", 2, 0),
            r"'state.intervals'\[2\] is 0.0, expected at least 1.17549e-38",
        ),
        (
            "next basket",
            entry("state.intervals", 2, np.inf),
            r"'state.intervals'\[2\] is inf, expected a finite number",
        ),
        ("next basket", replaced("state.intervals", lambda a: a[:-1]), r"'state.intervals' has shape \(8,\), expected"),
        ("next basket", setting("own_views", ["had"]), r"'state.own' has shape \(6,\), expected \(1,\)"),
        ("next basket", setting("own_views", ["had"] * 6), "'state.intervals' is not expected"),
        ("t-diffrec", setting("own_views", ["usual"]), "lacks 'state.intervals'"),
        ("l-diffrec", entry("state.autoencoder.group_of_item", 0, 2**40), r"group_of_item'\[0\] is 1099511627776"),
        ("l-diffrec", entry("state.autoencoder.group_of_item", slice(None), 0), "group 1 of the items has none"),
        ("l-diffrec", setting("groups", 10**9), "groups must be at most the number of items, 9"),
    ],
)
def test_what_is_impossible_is_refused_by_name(
    files: dict[str, Path], name: str, change: Callable[[Any, Any], None], words: str, tmp_path: Path
) -> None:
    header, arrays = parts(files[name])
    change(header, arrays)
    path = tmp_path / "changed"
    write_summed(path, header, {name: array.copy(order="C") for name, array in arrays.items()})
    with pytest.raises(ModelFileError, match=f"changed' is not a diffrec model, or is damaged: .*({words})"):
        diffrec.load(path)


def test_a_model_without_the_times_it_reads_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    header, arrays = parts(files["t-diffrec"])
    del arrays["train.timestamps"]
    write_summed(tmp_path / "changed", header, arrays)
    with pytest.raises(ModelFileError, match="needs timestamps"):
        diffrec.load(tmp_path / "changed")


def test_text_in_all_proportion_only(files: dict[str, Path], tmp_path: Path) -> None:
    header, arrays = parts(files["popularity"])
    # A megabyte in one title, and many users: a table of all of them at its width would take gigabytes.
    titles = "x" * 2**20
    arrays["train.item_info.title.utf8"] = np.frombuffer(titles.encode(), dtype=np.uint8).copy()
    arrays["train.item_info.title.ends"] = np.full(1000, len(titles))
    arrays["train.items"], arrays["train.item_info.year"] = np.arange(1000), np.arange(1000)
    arrays["state.counts"] = np.ones(1000, dtype=np.float32)
    header["shape"][1] = 1000
    write_summed(tmp_path / "changed", header, arrays)
    with pytest.raises(ModelFileError, match=r"'item_info.title' has 1000 entries .* a table of them would take 4,19"):
        diffrec.load(tmp_path / "changed")


def framed(header: bytes, rest: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + rest


def test_files_of_other_kinds_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    archive, numbers = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("model", "content")
    np.savez(numbers, a=np.ones(3))
    whole = files["itemknn"].read_bytes()
    length = 8 + int.from_bytes(whole[:8], "little")
    kinds = {
        "empty": b"",
        "short": b"\x01\x00",
        "pickle": pickle.dumps({"a": 1}),
        "zip": archive.getvalue(),
        "npz": numbers.getvalue(),
        "text": b"not a model",
        "no header": whole[:8],
        "half a header": whole[: length // 2],
        "half of the arrays": whole[: (length + len(whole)) // 2],
        "more than the arrays": whole + b"\x00",
        "a header beyond the file": (2**63).to_bytes(8, "little") + whole[8:],
        "a header too long": framed(b" " * (2**22 + 1)),
        "nested": framed(b"[" * 100_000),
        "a list": framed(b"[]"),
        "twice": framed(b'{"a": 1, "a": 2}'),
        "not a number": framed(b'{"a": NaN}'),
        "metadata": framed(b'{"__metadata__": {"diffrec": {}}}'),
        "no place": framed(b'{"a": {"dtype": "F32", "shape": [1]}}'),
        "no type": framed(b'{"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}}', b"0000"),
        "too large": framed(b'{"a": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4000000000000]}}'),
        "overflow": framed(b'{"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}}'),
        "overlap": framed(
            b'{"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},'
            b' "b": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}',
            b"0000",
        ),
    }
    for name, content in kinds.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match=f"{name}' is not a diffrec model, or is damaged"):
            diffrec.load(tmp_path / name)


def test_an_error_repeats_only_the_beginning_of_what_is_wrong(files: dict[str, Path], tmp_path: Path) -> None:
    header, arrays = parts(files["popularity"])
    header["variant"] = "x" * 10**6
    write_summed(tmp_path / "long", header, arrays)
    with pytest.raises(ModelFileError, match="variant must be one of") as caught:
        diffrec.load(tmp_path / "long")
    assert len(str(caught.value)) < 3000


def test_a_newer_format_is_named(files: dict[str, Path], tmp_path: Path) -> None:
    header, arrays = parts(files["popularity"])
    header["format"] = 9
    write_summed(tmp_path / "newer", header, arrays)
    with pytest.raises(ModelFileError, match="newer' has format 9, written by diffrec '"):
        diffrec.load(tmp_path / "newer")


def test_a_device_that_is_not_there_is_not_the_files_fault(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="device") as caught:
        diffrec.load(files["diffrec"], device="tpu")
    assert not isinstance(caught.value, ModelFileError)


def test_other_readers_of_safetensors_read_the_files(files: dict[str, Path]) -> None:
    with safe_open(files["ials"], framework="np") as file:
        assert set(file.keys()) == set(read_tensors(files["ials"])[1])


def test_settings_that_nobody_means_are_refused_when_set() -> None:
    for name in ("batch_size", "epochs", "sequence_length", "time_embedding"):
        with pytest.raises(ValueError, match=f"{name} must be at most"):
            diffrec.DiffRec(**{name: 10**12})


_PEAK = f"""{OWN_PEAK}
import sys
import diffrec
diffrec.load(sys.argv[1])  # a small one: what code and torch's pools take
before = peak()
model = diffrec.load(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.parametrize("variant", ["ease", "diffrec"])
def test_loading_takes_twice_the_files_size_at_most(variant: str, tmp_path: Path) -> None:
    settings = {"ease": {}, "diffrec": TINY | {"dims": (1600,)}}[variant]
    for name, items in (("small", 10), ("large", 3000)):
        user = np.arange(items) // 10
        made = diffrec.Interactions.from_arrays(user, np.arange(items))
        diffrec.fit(made, variant=variant, **settings).save(tmp_path / name)
    size = (tmp_path / "large").stat().st_size
    assert size > 3.5e7
    command = [sys.executable, "-c", _PEAK, tmp_path / "small", tmp_path / "large"]
    taken = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert taken < 2 * size + 2e7, f"{taken / size:.2f} times the file"


def test_loading_ids_of_text_takes_the_file_and_a_table_of_them(tmp_path: Path) -> None:
    users = {"small": 10, "large": 400_000}
    for name, n in users.items():
        ids = np.char.mod("u%07dé", np.arange(n))
        made = diffrec.Interactions.from_arrays(ids, np.zeros(n, dtype=np.int64))
        diffrec.fit(made, variant="popularity").save(tmp_path / name)
    size, table = (tmp_path / "large").stat().st_size, 4 * 9 * users["large"]
    command = [sys.executable, "-c", _PEAK, tmp_path / "small", tmp_path / "large"]
    taken = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert taken < 2 * size + table + 2e7, f"{(taken - table) / size:.2f} times the file"


FACTS: dict[str, Any] = {
    "other bytes first": np.array([1.5, 2.0], dtype=">f8"),
    "whole, other bytes first": np.array([3, -2], dtype=">i4"),
    "long": np.array([1, 2], dtype=np.longdouble),
    "long and whole": np.array([1, 2], dtype=np.longlong),
    "half": np.array([1, 2], dtype=np.float16),
    "truth": np.array([True, False]),
    "text, other bytes first": np.array(["é", "salt"], dtype=">U4"),
    "objects": np.array(["tea", ""], dtype=object),
}


def test_facts_of_any_type_come_back(tmp_path: Path) -> None:
    made = diffrec.Interactions.from_arrays([0, 1], ["a", "b"], item_info=FACTS)
    diffrec.fit(made, variant="popularity").save(tmp_path / "model")
    held = diffrec.load(tmp_path / "model").train_.item_info
    assert {name: column.tolist() for name, column in held.items()} == {
        name: column.tolist() for name, column in FACTS.items()
    }
    assert {name: column.dtype for name, column in held.items()} == {
        name: column.dtype for name, column in made.item_info.items()
    }


@pytest.mark.parametrize("kind", [">f4", "c8", "longdouble", "M8[s]"])
def test_what_no_file_holds_is_refused_as_it_is_written(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(f"'odd' holds {np.dtype(kind)}, of which")):
        write_tensors(tmp_path / "file", {"odd": np.zeros(3, dtype=kind)}, {})


def fuzz(mutations: int, seed: int, timeout: float) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run("model_fuzz", mutations, seed, timeout=timeout)[-1])
    return report


def test_2000_damaged_files_crash_nothing() -> None:
    report = fuzz(2000, 0, timeout=300)
    # Whole files are among what is loaded and used, and damage of both kinds among what is refused.
    assert report["structure loaded and used"] > 50
    assert report["bytes refused"] > 500
    assert report["structure refused"] > 500
    for damage in ("bytes", "structure"):
        assert report[f"older {damage} loaded and used"] > 0
        assert report[f"older {damage} refused"] > 50


@pytest.mark.long
def test_100000_damaged_files_crash_nothing() -> None:
    assert fuzz(100_000, 1, timeout=7200)["mutations"] == 100_000


def test_loading_imports_no_compiler() -> None:
    # torch takes seconds to import its own, which some operations on tensors without memory ask for.
    files = [str(RELEASED / f"{name}.diffrec") for name in EXPECTED]
    code = f"import sys, diffrec\nfor file in {files}: diffrec.load(file)\nassert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_next_basket_file_from_before_usual_intervals_loads(files: dict[str, Path], tmp_path: Path) -> None:
    header, arrays = parts(files["next basket"])
    del arrays["state.intervals"]
    write_summed(tmp_path / "older", header, arrays)
    model = diffrec.load(tmp_path / "older")
    assert "due" in model.settings.own_views
    assert "usual" not in model.settings.own_views
    assert model.recommend(k=2, exclude_seen=False).items.shape[1] == 2
    assert model.get_params()["own_views"] is None


def test_a_table_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,item\nann,tea\n" * 20)
    with pytest.raises(
        ModelFileError, match="r.csv' is not a diffrec model, .*: it does not begin as a safetensors file"
    ):
        diffrec.load(tmp_path / "r.csv")
