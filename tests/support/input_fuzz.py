"""Hands what nobody means to every reader and every entry: ``python tests/support/input_fuzz.py CASES SEED``.

A process of its own, with a limit on its memory. Prints a line of JSON; on a failure first which case it was.
"""

import copy
import gzip
import io
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
import pandas as pd
import torch
from numpy.random import Generator
from scipy import sparse

import diffrec
from diffrec import Interactions

#: Seconds that a case may take on a busy machine, and the length of the longest fields.
LIMIT, LONG = 20.0, 10_000_000
#: Users and items of the models that are asked.
SHAPE = (5, 4)
_FIELDS = (
    "1", "2", "3", "0", "-1", "07", "1.5", "nan", "inf", "-inf", "1e400", "-0", "", " ", "x", "é", "\u202e", "\x00",
    "\ufeff", "9" * 400, str(2**63), str(2**64), "2024-01-31", "31/01/2024", "1e3", "true", "None",
     '"', '""', '"a', 'a"b', "a,b",
    "\t", "'", "\\", "#", "=1+1", "1\x002", "\ud7ff", "0x10", "1_000", "\uff11", "+1",
)  # fmt: skip
_HEADERS = (
    "user,item",
    "user,item,timestamp",
    "user,item,rating,timestamp",
    "userId,movieId,rating",
    "a,b",
    "user,user",
    "",
    "1,2",
)
_ENDS = ("\n", "\r\n", "\r", "\n\n", "\n\r")
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-8", "utf-8")
_DTYPES = ("f4", ">f4", "f8", ">f8", "f2", "i1", "i4", ">i8", "u8", "?", "c8", "O", "U1", "M8[s]", "longdouble")
_VALUES = (0, 1, 2, -1, 1e30, 1e-30, 1e300, np.nan, np.inf, -np.inf)


def text(rng: Generator, long: bool) -> bytes:
    """A table, or what looks like one."""
    sane = rng.random() < 0.5
    delimiter, end = str(rng.choice([",", "\t", ";", "|"], p=[0.7, 0.2, 0.05, 0.05])), str(rng.choice(_ENDS))
    header = _HEADERS[0 if sane else int(rng.integers(len(_HEADERS)))].replace(",", delimiter)

    def field() -> str:
        return str(rng.integers(0, 5)) if sane and rng.random() < 0.97 else str(rng.choice(_FIELDS))

    rows = [
        delimiter.join(field() for _ in range(2 if sane else int(rng.integers(0, 6))))
        for _ in range(int(rng.integers(0, 8)))
    ]
    if long:
        rows.append("1" * LONG + delimiter + "2")
    lines = [header, *rows]
    encoded = end.join(lines).encode(str(rng.choice(_ENCODINGS)), errors="replace")
    return damaged(rng, encoded) if rng.random() < 0.3 else encoded


def damaged(rng: Generator, whole: bytes) -> bytes:
    """Bytes flipped, cut or put in."""
    spoilt = bytearray(whole)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(spoilt) + 1))
        match rng.integers(0, 3):
            case 0 if at < len(spoilt):
                spoilt[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                del spoilt[at : at + int(rng.integers(1, 30))]
            case _:
                spoilt[at:at] = rng.bytes(int(rng.integers(1, 9)))
    return bytes(spoilt)


def archive(rng: Generator) -> bytes:
    """Arrays under names that mean something, of whatever they are."""
    out = io.BytesIO()
    names = [
        ("data", "indices", "indptr", "shape", "format"),
        ("user", "item", "timestamp"),
        ("train", "valid", "test"),
    ]
    arrays = {name: _array(rng) for name in names[int(rng.integers(len(names)))] if rng.random() < 0.9}
    if rng.random() < 0.15:
        return claims(rng)
    if rng.random() < 0.3:
        matrix = sparse.random_array((6, 5), density=0.4, format="csr", random_state=rng)
        arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array([6, 5])}
        arrays["format"] = np.array(b"csr")
    (np.savez if rng.random() < 0.5 else np.savez_compressed)(out, **arrays)
    return damaged(rng, out.getvalue()) if rng.random() < 0.5 else out.getvalue()


def claims(rng: Generator) -> bytes:
    """A split, or a matrix by coordinates, of whatever shape it says."""
    out = io.BytesIO()
    shape = rng.choice([0, 1, 3, 5, 10**6, 2**31 - 1, 2**31, 10**11, 2**62, -1], 2)
    pairs = rng.integers(0, 3, (int(rng.integers(0, 4)), 2))
    if rng.random() < 0.5:
        np.savez(out, shape=shape, train=pairs, valid=pairs[:1], test=pairs[1:])
    else:
        data = np.ones(len(pairs))
        np.savez(out, row=pairs[:, 0], col=pairs[:, 1], data=data, shape=shape, format=np.array(b"coo"))
    return out.getvalue()


def _array(rng: Generator) -> Any:
    dtype = str(rng.choice(_DTYPES))
    shape = tuple(rng.integers(0, 5, int(rng.integers(0, 3))).tolist())
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(rng.choice(_VALUES, shape)).astype(dtype)
        except (ValueError, TypeError, OverflowError):
            return np.asarray(rng.choice(_VALUES, shape))


def parquet(rng: Generator) -> bytes:
    """A table of columns of mixed types, sometimes damaged."""
    out = io.BytesIO()
    frame(rng).to_parquet(out)
    return damaged(rng, out.getvalue()) if rng.random() < 0.6 else out.getvalue()


def frame(rng: Generator) -> pd.DataFrame:
    """A frame with columns that are found by their names, of whatever they are."""
    rows = int(rng.integers(0, 6))
    columns: dict[str, Any] = {}
    for name in ("user", "item", "timestamp", "rating"):
        kind = rng.integers(0, 7)
        if kind == 0:
            continue
        columns[name] = (
            [str(one) for one in rng.choice(_FIELDS, rows)]
            if kind == 1
            else rng.choice(_VALUES, rows)
            if kind == 2
            else pd.to_datetime(rng.integers(0, 2**40, rows), unit="s", errors="coerce")
            if kind == 3
            else pd.Categorical([str(one) for one in rng.integers(0, 3, rows)])
            if kind == 4
            else rng.integers(0, 3, rows)
        )
    return pd.DataFrame(columns)


def matrix(rng: Generator) -> Any:
    """A matrix whose arrays nobody has looked at: of any types, strides and byte orders, some only to be read."""
    users, items = SHAPE if rng.random() < 0.4 else rng.integers(0, 6, 2).tolist()
    if rng.random() < 0.3:
        dense = rng.choice(_VALUES, (users, 2 * items))[:, ::2]
        with np.errstate(all="ignore"):
            return dense.astype(str(rng.choice(["f4", ">f4", "f8", "f2"])))
    index = str(rng.choice(["i4", "i8", ">i4", "i2", "u4"]))
    made: Any = sparse.csr_array((users, items), dtype=np.float32)
    counts = rng.integers(0, 3, users)
    indptr, stored = np.concatenate([[0], np.cumsum(counts)]), int(counts.sum())
    indices = rng.integers(0, max(items, 1), stored)
    if rng.random() < 0.4 and len(indptr) > 1:
        spoilt = indptr if rng.random() < 0.5 or not stored else indices
        spoilt[int(rng.integers(len(spoilt)))] = rng.choice([-1, 7, 2**31 - 1, 2**31, -(2**31)])
    with np.errstate(all="ignore"):
        data = rng.choice(_VALUES if rng.random() < 0.5 else (1, 2), 2 * stored)[::2].astype(
            str(rng.choice(["f4", "f8", ">f4", "i8", "f2"]))
        )
        made.indptr, made.indices, made.data = indptr.astype(index), indices.astype(index), data
    if rng.random() < 0.5:
        for array in (made.indptr, made.indices, made.data):
            array.flags.writeable = False
    return made


def columns(rng: Generator) -> dict[str, Any]:
    """Arguments of ``from_arrays`` of whatever types and lengths, most of them one-dimensional and of one length."""
    length = int(rng.integers(0, 5))

    def column() -> Any:
        if rng.random() < 0.1:
            return _array(rng)
        if rng.random() < 0.3:
            return [str(one) for one in rng.choice(_FIELDS, length)]
        if rng.random() < 0.5:
            return rng.integers(0, 3, length).astype(str(rng.choice(["i4", ">i8", "u1", "U3"])))
        with np.errstate(all="ignore"):
            return rng.choice(_VALUES, length).astype(str(rng.choice(["f4", ">f8", "f2", "O", "longdouble"])))

    names = ["user", "item", *(name for name in ("timestamp", "value") if rng.random() < 0.4)]
    given: dict[str, Any] = {name: column() for name in names}
    if rng.random() < 0.3:
        given["item_info"] = {"fact": column()}
    return given


def copied(given: Any) -> Any:
    """What a matrix or frame holds, to be compared later."""
    if isinstance(given, dict):
        return [np.array(repr(one)) for one in given.values()]
    if isinstance(given, np.ndarray) and given.dtype == object:
        return [np.array(repr(given))]
    if isinstance(given, np.ndarray):
        return [given.copy()]
    if isinstance(given, pd.DataFrame):
        return [given.copy(deep=True)]
    return [given.indptr.copy(), given.indices.copy(), given.data.copy()]


def unchanged(given: Any, before: Any) -> None:
    """Raise where a caller's arrays have changed."""
    for now, then in zip(copied(given), before, strict=True):
        if isinstance(now, pd.DataFrame):
            pd.testing.assert_frame_equal(now, then)
        else:
            assert now.dtype == then.dtype
            np.testing.assert_array_equal(now, then)


def sound(data: Interactions) -> None:
    """Raise where interactions are none."""
    held = data.matrix
    assert np.isfinite(held.data).all()
    assert held.indptr[-1] == len(held.indices)
    assert ((held.indices >= 0) & (held.indices < data.shape[1])).all()
    assert data.timestamps is None or np.isfinite(data.timestamps).all()


class Fuzzer:
    """Entries, and a folder for files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        rng = np.random.default_rng(0)
        taken = (rng.random(SHAPE) < 0.5).astype(np.float32)
        self.model = diffrec.fit(taken, variant="itemknn")
        self.factors = diffrec.fit(taken, variant="ials", factors=2, progress=False)

    def once(self, rng: Generator) -> None:
        """One case: a file, a frame or a matrix."""
        started = time.perf_counter()
        kind = str(rng.choice(["text", "text", "npz", "parquet", "frame", "matrix", "matrix", "arrays", "ids"]))
        if kind in ("frame", "matrix", "arrays", "ids"):
            self._entry(rng, kind)
        else:
            self._file(rng, kind)
        self.slowest = max(self.slowest, time.perf_counter() - started)
        assert self.slowest < LIMIT, f"{kind}: {self.slowest:.0f} s"

    def _file(self, rng: Generator, kind: str) -> None:
        suffix = str(rng.choice([".csv", ".tsv", ".inter", ".csv.gz"])) if kind == "text" else f".{kind}"
        path = self.folder / f"file{suffix}"
        long = kind == "text" and rng.random() < 0.02
        self.counts["lines of 10 MB"] += long
        content = {
            "text": lambda: text(rng, long),
            "npz": lambda: archive(rng),
            "parquet": lambda: parquet(rng),
        }
        whole = content[kind]()
        if suffix.endswith(".gz"):
            whole = gzip.compress(whole)
            whole = damaged(rng, whole) if rng.random() < 0.3 else whole
        path.write_bytes(whole)
        self._told(kind, lambda: sound(Interactions.read(path)), path.name)

    def _entry(self, rng: Generator, kind: str) -> None:
        make = {"frame": frame, "matrix": matrix, "arrays": columns, "ids": _array}[kind]
        given: Any = make(rng)
        before = copied(given)
        entries = ENTRIES[kind]
        name = str(rng.choice(list(entries)))
        call, *named = entries[name]
        self._told(f"{kind}, {name}", lambda: call(self, given), *named)
        unchanged(given, before)

    def _told(self, kind: str, call: Callable[[], object], *named: str) -> None:
        """Have it answered, or refused by an error with one of these names."""
        said = None
        try:
            call()
        except (ValueError, TypeError, MemoryError) as error:
            said = str(error)
        if said is None:
            self.counts[f"{kind}: taken"] += 1
        elif any(name in said for name in named):
            self.counts[f"{kind}: refused"] += 1
        else:
            raise AssertionError(f"{kind} names none of {named}: {said}")


#: What is wrong with all of the data is no argument's.
_NOTHING = "there are no interactions"
_MATRIX = ("matrix", "timestamps", _NOTHING)
_FRAME = ("user", "item", "timestamp", "rating", "value", "column", _NOTHING)
#: What is given to what, and the names of which an error has one.
ENTRIES: dict[str, dict[str, tuple[Any, ...]]] = {
    "frame": {
        "fit": (lambda _, given: diffrec.fit(given, variant="popularity").recommend(k=2), "data"),
        "fit, itemknn": (lambda _, given: sound(diffrec.fit(given, variant="itemknn").train_), "data"),
        "from_frame": (lambda _, given: sound(Interactions.from_frame(given, user="user", item="item")), *_FRAME),
        "recommend": (lambda fuzzer, given: fuzzer.model.recommend(given, k=2), "users"),
        "update": (lambda fuzzer, given: copy.copy(fuzzer.model).update(given), "new_interactions"),
        "evaluate": (lambda fuzzer, given: fuzzer.model.evaluate(given), "test"),
    },
    "matrix": {
        "fit": (lambda _, given: diffrec.fit(given, variant="popularity").recommend(k=2), "data"),
        "fit, itemknn": (lambda _, given: sound(diffrec.fit(given, variant="itemknn").train_), "data"),
        "from_csr": (lambda _, given: sound(Interactions.from_csr(given)), *_MATRIX),
        "from_csr, times": (lambda _, given: sound(Interactions.from_csr(given, given)), *_MATRIX),
        "split": (lambda _, given: list(Interactions.from_csr(given).split(by="random")), "valid", "test", *_MATRIX),
        "recommend": (lambda fuzzer, given: fuzzer.model.recommend(given, k=2), "users"),
        "score": (lambda fuzzer, given: fuzzer.model.score(given), "users"),
        "explain": (lambda fuzzer, given: fuzzer.model.explain(given, 1, 2), "user"),
        # Huge values lead to equations without an answer, which the kernel says of its matrix.
        "user_vectors": (lambda fuzzer, given: fuzzer.factors.user_vectors(given), "users", "`matrix`"),
        "evaluate": (lambda fuzzer, given: fuzzer.model.evaluate(given), "test"),
        "update": (lambda fuzzer, given: copy.copy(fuzzer.model).update(given), "new_interactions"),
        "valid": (
            lambda fuzzer, given: diffrec.fit(fuzzer.model.train_, valid=given, variant="popularity"),
            "valid",
        ),
    },
    "arrays": {
        "from_arrays": (
            lambda _, given: sound(Interactions.from_arrays(**given)),
            "user", "item", "timestamp", "value", "item_info", _NOTHING,
        ),
    },
    "ids": {
        "recommend": (lambda fuzzer, given: fuzzer.model.recommend(given, k=2), "user"),
        "recommend, allow": (lambda fuzzer, given: fuzzer.model.recommend([1], k=2, allow=given), "allow", "item"),
        "recommend, deny": (lambda fuzzer, given: fuzzer.model.recommend([1], k=2, deny=given), "deny", "item"),
        "recommend, k": (lambda fuzzer, given: fuzzer.model.recommend([1], k=given), "k"),
        "recommend, now": (lambda fuzzer, given: fuzzer.model.recommend([1], k=2, now=given), "now", "timestamps"),
        "score": (lambda fuzzer, given: fuzzer.model.score([1], given), "item"),
        "explain": (lambda fuzzer, given: fuzzer.model.explain(given, given), "user", "item"),
        "similar_items": (lambda fuzzer, given: fuzzer.model.similar_items(given, 2), "item"),
        "user_vectors": (lambda fuzzer, given: fuzzer.factors.user_vectors(given), "user", "`matrix`"),
    },
}  # fmt: skip


def main(cases: int, seed: int) -> None:
    """Try so many cases."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder))
        Interactions.from_frame(pd.DataFrame({"user": [1], "item": [2]}))
        for number in range(cases):
            if number == 50:  # what readers prepare once is prepared
                held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (held + 2**30, resource.RLIM_INFINITY))
            try:
                fuzzer.once(np.random.default_rng([seed, number]))
            except Exception:
                traceback.print_exc()
                print(f"case {number} of seed {seed}", file=sys.stderr)
                sys.exit(1)
    print(json.dumps({"cases": cases, "slowest": round(fuzzer.slowest, 2)} | dict(sorted(fuzzer.counts.items()))))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
