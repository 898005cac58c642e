"""Damages files of every variant, loads them, uses what loads: ``python tests/support/model_fuzz.py MUTATIONS SEED``.

A process of its own, with a limit on its memory: a crash ends it, and the test that started it, not the others.
Prints a line of JSON; on a failure first which mutation it was.
"""

import json
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from safetensors.torch import save_file

import diffrec
from diffrec import Interactions, ModelFileError, Recommender
from diffrec.data.tensor_file import _checksum_of, checksum, read_tensors
from diffrec.export.graph import served
from diffrec.export.inputs import inputs
from diffrec.export.scorers import scorer_of
from diffrec.recommenders import make

USERS, ITEMS = 14, 9
#: Files that earlier versions wrote.
RELEASED = Path(__file__).parents[1] / "data" / "models"
#: Seconds that loading and using a file of a few thousand bytes may take on a busy machine.
LIMIT = 20.0
_QUICK: dict[str, Any] = {"epochs": 1, "progress": False, "holdout": 0, "batch_size": 16}
_DENOISER = _QUICK | {"dims": (3,), "steps": 3}
_PART = {name: value for name, value in _DENOISER.items() if name != "progress"}
_LATENT = _DENOISER | {"latent_dims": (4,), "groups": 2}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "popularity": ("popularity", {}),
    "itemknn": ("itemknn", {"neighbors": 3}),
    "rp3beta": ("rp3beta", {"neighbors": 3}),
    "topfreq": ("topfreq", {"half_life": 2.0}),
    "tifuknn": ("tifuknn", {"neighbors": 3, "group_size": 2}),
    "ease": ("ease", {}),
    "ials": ("ials", {"factors": 3, "progress": False, "iterations": 2}),
    "lightgcn": ("lightgcn", _QUICK | {"factors": 3}),
    "multivae": ("multivae", _QUICK | {"dims": (3,), "latent": 2}),
    "multidae": ("multidae", _QUICK | {"dims": (3,), "latent": 2}),
    "cfgan": ("cfgan", _QUICK | {"dims": (3,), "discriminator_dims": (2,)}),
    "anchor": ("anchor", {}),
    "anchor, approximate": ("anchor", {"anchor_exact": 0, "anchor_rank": 2, "anchor_neighbors": 2}),
    "diffrec": ("diffrec", _DENOISER | {"anchor": True, "anchor_scale": 1.0}),
    "t-diffrec": ("t-diffrec", _DENOISER | {"denoiser": "sequence", "sequence_width": 2, "sequence_layers": 1}),
    "t-diffrec, next basket": ("t-diffrec", _DENOISER | {"repeats": "include", "own_views": ("usual", "often")}),
    "t-diffrec, weights": ("t-diffrec", _DENOISER | {"time_weights": "linear"}),
    "l-diffrec": ("l-diffrec", _LATENT),
    "sasrec": ("sasrec", _QUICK | {"width": 2, "layers": 1, "heads": 1, "length": 5}),
    "stack": (
        "stack",
        {
            "parts": ["popularity", ("ease", {"l2": 5.0}), ("diffrec", _PART)],
            "weights": [1.0, 0.5, 2.0],
            "progress": False,
        },
    ),
    "lt-diffrec": ("lt-diffrec", _LATENT | {"decoder_dims": (2,)}),
}
# What is put in place of numbers, of values of the header, and of sizes.
_NUMBERS = (0.0, -1.0, 1.0, 7.0, 1e4, float("nan"), float("inf"), -float("inf"), 2.0**31, -(2.0**31), 2.0**62)
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2, 5, 40, 10**12, 2**63, 10**400, 0.5, -1e300, 1e300, "", "x", "include", "cosine",
    "forecast", [], [1], [0], [10**12], [2] * 200, [[[]]], {}, {"seconds": 1e300}, {"seconds": "x"}, {"seconds": 5},
    json.loads("[" * 900 + "]" * 900), "\ud800", "\x1b[2J\0", "x" * 10**5,
)  # fmt: skip
_TYPES = (np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_, np.float16)

Arrays = dict[str, NDArray[Any]]
Header = dict[str, Any]


def data(*, repeats: bool) -> Interactions:
    """Timed interactions of users and items with string ids; with ``repeats`` pairs stand more than once."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, USERS, 70), rng.integers(0, ITEMS, 70)
    if not repeats:
        user, item = np.unique(np.stack([user, item]), axis=1)
    names = [f"u{number}é" for number in range(USERS)]
    value = np.where(rng.random(len(user)) < 0.1, -1.0, 1.0)
    return Interactions.from_arrays(
        np.array(names)[user], item, rng.permutation(len(user)).astype(float), value, users=names,
        items=np.arange(ITEMS), negatives="dislike",
        item_info={"title": [f"item {number}" for number in range(ITEMS)], "year": np.arange(ITEMS)},
    )  # fmt: skip


def use(model: Recommender) -> list[NDArray[Any]]:
    """Ask a model everything that it answers."""
    answers = []
    top = model.recommend(k=4)
    answers += [top.items, top.scores]
    user, item = model.train_.users.ids[0], model.train_.items.ids[0]
    if _says(model, "_reasons"):
        explained = model.explain(user, item, 3)
        answers.append(np.array([explained.score]))
    if _says(model, "_alike") or _says(model, "_item_vectors"):
        similar = model.similar_items([item], 3)
        answers += [similar.items, similar.scores]
    if scorer_of.dispatch(type(model)) is not scorer_of.dispatch(object):
        try:
            graph = served(model, 3, exclude_seen=True, ordered_topk=True)
            with torch.no_grad():
                told = inputs(model, model.train_.users.ids[:2])
                answers += [one.numpy() for one in graph(*map(torch.from_numpy, told))]
        except TypeError as error:
            # Settings may ask for noise at inference, of which there is no graph.
            if "cannot be exported" not in str(error):
                raise
    if model.variant in ("diffrec", "l-diffrec") and model.settings.sampling_noise is False:
        model.recommend([user], k=2, novelty=0.5)
    str(model.training_.best_validation)
    return answers


def _says(model: Recommender, what: str) -> bool:
    return getattr(type(model), what) is not getattr(Recommender, what)


# -- damage to bytes: the checksums are what they were -----------------------------------------------------------------


def damaged_bytes(rng: Generator, whole: bytes) -> bytes:
    """Flip, overwrite, cut, repeat, add or take away bytes, half of the time in the header."""
    spoilt = bytearray(whole)
    header = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(int(rng.integers(1, 4))):
        reach = min(header, len(spoilt)) if rng.random() < 0.5 else len(spoilt)
        at, length = int(rng.integers(0, max(reach, 1))), int(rng.integers(1, 40))
        match rng.integers(0, 8):
            case 0 | 1 | 2:
                if at < len(spoilt):
                    spoilt[at] ^= 1 << int(rng.integers(0, 8))
            case 3:
                spoilt[at : at + length] = rng.bytes(length)
            case 4:
                del spoilt[at:]
            case 5:
                del spoilt[at : at + length]
            case 6:
                spoilt[at:at] = spoilt[at : at + length]
            case _:
                spoilt[at : at + 1] = rng.choice([b"9", b"-", b"[", b'"', b"\x00", b"\xff", b"0", b","]).tobytes()
    return bytes(spoilt)


# -- damage to what is said: whoever wrote it summed it up as it should be ---------------------------------------------


def damaged_structure(rng: Generator, header: Header, arrays: Arrays) -> None:
    """Change arrays, settings, shapes or names in place."""
    for _ in range(int(rng.integers(1, 3))):
        change = _ARRAY_CHANGES if rng.random() < 0.6 else _HEADER_CHANGES
        change[int(rng.integers(len(change)))](rng, header, arrays)


def _some(rng: Generator, arrays: Arrays) -> str:
    return sorted(arrays)[int(rng.integers(len(arrays)))]


def _value(rng: Generator) -> Any:
    return _VALUES[int(rng.integers(len(_VALUES)))]


def _set_entry(rng: Generator, _header: Header, arrays: Arrays) -> None:
    array = arrays[_some(rng, arrays)]
    if array.size:
        with np.errstate(all="ignore"):
            number = np.float64(_NUMBERS[int(rng.integers(len(_NUMBERS)))]).astype(array.dtype)
        array.flat[int(rng.integers(array.size))] = number


def _flip_entry(rng: Generator, _header: Header, arrays: Arrays) -> None:
    array = arrays[_some(rng, arrays)]
    if array.size and array.dtype != np.bool_:
        raw = array.reshape(-1).view(np.uint8)
        raw[int(rng.integers(len(raw)))] ^= 1 << int(rng.integers(0, 8))


def _shuffle(rng: Generator, _header: Header, arrays: Arrays) -> None:
    array = arrays[_some(rng, arrays)]
    rng.shuffle(array.reshape(-1))


def _retype(rng: Generator, _header: Header, arrays: Arrays) -> None:
    name = _some(rng, arrays)
    with np.errstate(all="ignore"):
        arrays[name] = arrays[name].astype(_TYPES[int(rng.integers(len(_TYPES)))])


def _reshape(rng: Generator, _header: Header, arrays: Arrays) -> None:
    name = _some(rng, arrays)
    array = arrays[name]
    other = (array.T, array.reshape(-1), array[None], array.reshape(-1)[:-1], np.concatenate([array.reshape(-1)] * 2))
    arrays[name] = np.ascontiguousarray(other[int(rng.integers(len(other)))])


def _drop(rng: Generator, _header: Header, arrays: Arrays) -> None:
    del arrays[_some(rng, arrays)]


def _rename(rng: Generator, _header: Header, arrays: Arrays) -> None:
    name = _some(rng, arrays)
    arrays[name + str(rng.choice(["", "x", ".x"])) if rng.random() < 0.5 else "state.extra"] = arrays.pop(name)


def _swap(rng: Generator, _header: Header, arrays: Arrays) -> None:
    one, other = _some(rng, arrays), _some(rng, arrays)
    arrays[one], arrays[other] = arrays[other], arrays[one]


def _set_setting(rng: Generator, header: Header, _arrays: Arrays) -> None:
    settings = header["settings"]
    if isinstance(settings, dict) and settings:
        settings[sorted(settings)[int(rng.integers(len(settings)))]] = _value(rng)


def _set_field(rng: Generator, header: Header, _arrays: Arrays) -> None:
    header[sorted(header)[int(rng.integers(len(header)))]] = _value(rng)


def _set_shape(rng: Generator, header: Header, _arrays: Arrays) -> None:
    shape = header["shape"]
    if isinstance(shape, list) and shape:
        shape[int(rng.integers(len(shape)))] = _value(rng)


def _set_report(rng: Generator, header: Header, _arrays: Arrays) -> None:
    report = header["training"]
    if isinstance(report, dict) and report:
        report[sorted(report)[int(rng.integers(len(report)))]] = _value(rng)


def _other_variant(rng: Generator, header: Header, _arrays: Arrays) -> None:
    forms = sorted(FORMS.values(), key=lambda form: form[0])
    header["variant"], settings = forms[int(rng.integers(len(forms)))]
    if rng.random() < 0.5:
        header["settings"] = make(header["variant"], **settings).settings.values(saved_only=True)


def _other_format(rng: Generator, header: Header, _arrays: Arrays) -> None:
    header["format"] = int(rng.choice([1, 2, 3]))


def _add_setting(rng: Generator, header: Header, _arrays: Arrays) -> None:
    if isinstance(header["settings"], dict):
        header["settings"][str(rng.choice(["callbacks", "device", "item_embeddings", "x"]))] = _value(rng)


_ARRAY_CHANGES: tuple[Callable[[Generator, Header, Arrays], None], ...] = (
    _set_entry, _set_entry, _flip_entry, _flip_entry, _shuffle, _retype, _reshape, _drop, _rename, _swap,
)  # fmt: skip
_HEADER_CHANGES: tuple[Callable[[Generator, Header, Arrays], None], ...] = (
    _set_setting, _set_setting, _set_setting, _set_field, _set_shape, _set_report, _other_variant, _other_format,
    _add_setting,
)  # fmt: skip


def write_summed(path: Path, header: Header, arrays: Arrays) -> None:
    """Write a file whose checksums are right, whatever it holds."""
    header["checksums"] = {name: checksum(array) for name, array in arrays.items()}
    header.pop("checksum", None)
    header["checksum"] = _checksum_of(header)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    save_file(tensors, path, {"diffrec": json.dumps(header)})


class Fuzzer:
    """Files of every form, what they answer, and their mutations in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mutated.diffrec"
        self.files: list[bytes] = []
        self.summed: list[bool] = []
        self.answers: list[list[NDArray[Any]]] = []
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        for number, (variant, settings) in enumerate(FORMS.values()):
            model = diffrec.fit(data(repeats=number % 3 == 0), variant=variant, **settings)
            model.save(self.path)
            self._add(self.path, summed=True)
        for path in sorted(RELEASED.glob("format[12]*.diffrec")):
            self._add(path, summed=False)

    def _add(self, path: Path, *, summed: bool) -> None:
        self.files.append(path.read_bytes())
        self.summed.append(summed)
        self.answers.append(use(diffrec.load(path)))

    def once(self, rng: Generator) -> None:
        """Damage a file, load it, and use it if it loads."""
        number = int(rng.integers(len(self.files)))
        self.path.write_bytes(self.files[number])
        raw = rng.random() < 0.5
        if raw:
            self.path.write_bytes(damaged_bytes(rng, self.files[number]))
        else:
            metadata, arrays = read_tensors(self.path)
            header = json.loads(metadata["diffrec"])
            damaged_structure(rng, header, arrays)
            write_summed(self.path, header, {name: array.copy(order="C") for name, array in arrays.items()})
        kind = f"{'' if self.summed[number] else 'older '}{'bytes' if raw else 'structure'}"
        # Without checksums damaged bytes are as good as others.
        found_out = raw and self.summed[number]
        started = time.perf_counter()
        try:
            model = diffrec.load(self.path)
        except ModelFileError as error:
            if str(self.path) not in str(error):
                raise
            self.counts[f"{kind} refused"] += 1
        else:
            try:
                answers = use(model)
            except ValueError as error:
                # A value may be any finite number: what overflows, or leaves nothing of the others, is said to.
                if found_out or not any(words in str(error) for words in ("is NaN", "holds huge values")):
                    raise
                self.counts[f"{kind} that overflows"] += 1
                return
            if found_out:
                same = all(np.array_equal(a, b) for a, b in zip(answers, self.answers[number], strict=True))
                assert same, "a damaged file loads, and answers otherwise"
            self.counts[f"{kind} without effect" if found_out else f"{kind} loaded and used"] += 1
        self.slowest = max(self.slowest, time.perf_counter() - started)
        assert self.slowest < LIMIT, f"loading and using a small file took {self.slowest:.0f} s"


def main(mutations: int, seed: int) -> None:
    """Try so many mutations."""
    torch.set_num_threads(1)
    # A weight may be any finite number, so that answers may overflow.
    warnings.simplefilter("ignore", RuntimeWarning)
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder))
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + 2**28, resource.RLIM_INFINITY))
        started = time.perf_counter()
        for number in range(mutations):
            rng = np.random.default_rng([seed, number])
            try:
                fuzzer.once(rng)
            except Exception:
                traceback.print_exc()
                print(f"mutation {number} of seed {seed}", file=sys.stderr)
                sys.exit(1)
    seconds = time.perf_counter() - started
    print(json.dumps({"mutations": mutations, "seconds": round(seconds, 1), "slowest": fuzzer.slowest} | fuzzer.counts))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
