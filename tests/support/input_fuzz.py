"""Hands what nobody means to every reader and every entry: ``python tests/support/input_fuzz.py CASES SEED``.

A process of its own, with a limit on its memory. Prints a line of JSON; on a failure first which case it was.
"""

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
    if rng.random() < 0.3:
        matrix = sparse.random_array((6, 5), density=0.4, format="csr", random_state=rng)
        arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array([6, 5])}
        arrays["format"] = np.array(b"csr")
    (np.savez if rng.random() < 0.5 else np.savez_compressed)(out, **arrays)
    return damaged(rng, out.getvalue()) if rng.random() < 0.5 else out.getvalue()


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
    users, items = int(rng.integers(0, 6)), int(rng.integers(0, 6))
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


def copied(given: Any) -> Any:
    """What a matrix or frame holds, to be compared later."""
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
        self.model = diffrec.fit((rng.random((6, 5)) < 0.5).astype(np.float32), variant="itemknn")

    def once(self, rng: Generator) -> None:
        """One case: a file, a frame or a matrix."""
        started = time.perf_counter()
        kind = str(rng.choice(["text", "text", "npz", "parquet", "frame", "matrix", "matrix"]))
        if kind in ("frame", "matrix"):
            self._entry(rng, kind)
        else:
            self._file(rng, kind)
        self.slowest = max(self.slowest, time.perf_counter() - started)
        assert self.slowest < LIMIT, f"{kind}: {self.slowest:.0f} s"

    def _file(self, rng: Generator, kind: str) -> None:
        suffix = str(rng.choice([".csv", ".tsv", ".inter", ".csv.gz"])) if kind == "text" else f".{kind}"
        path = self.folder / f"file{suffix}"
        content = {
            "text": lambda: text(rng, rng.random() < 0.002),
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
        given = frame(rng) if kind == "frame" else matrix(rng)
        before = copied(given)
        entries: dict[str, Callable[[], object]] = {
            "fit": lambda: diffrec.fit(given, variant="popularity").recommend(k=2),
            "itemknn": lambda: sound(diffrec.fit(given, variant="itemknn").train_),
        }
        if kind == "frame":
            entries["from_frame"] = lambda: sound(Interactions.from_frame(given, user="user", item="item"))
        else:
            entries |= {
                "from_csr": lambda: sound(Interactions.from_csr(given)),
                "recommend": lambda: self.model.recommend(given, k=2),
                "score": lambda: self.model.score(given),
                "evaluate": lambda: self.model.evaluate(given),
                "update": lambda: diffrec.fit(self.model.train_, valid=given, variant="popularity"),
            }
        name = str(rng.choice(list(entries)))
        self._told(f"{kind}, {name}", entries[name], "")
        unchanged(given, before)

    def _told(self, kind: str, call: Callable[[], object], named: str) -> None:
        said = None
        try:
            call()
        except (ValueError, TypeError) as error:
            said = str(error)
        if said is None:
            self.counts[f"{kind}: taken"] += 1
        elif said and named in said:
            self.counts[f"{kind}: refused"] += 1
        else:
            raise AssertionError(f"the file is not named: {said}")


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
