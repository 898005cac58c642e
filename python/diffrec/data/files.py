"""Interactions out of files: .csv, .tsv, .inter, .parquet and .npz."""

import csv
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec.checks import nearest, one_of
from diffrec.data._columns import Columns, as_floats, choose, is_number, looks_like_header, names_its_column, text_times
from diffrec.data._csr import stored_entries
from diffrec.data._encode import Coded, Coder, encode
from diffrec.data.frames import frame_columns

PARTS = ("train", "valid", "test")

_SUFFIXES = (".csv", ".tsv", ".inter", ".parquet", ".npz")

#: What was asked for as user, item, timestamp and value; and the places found for them in a line of text.
Asked: TypeAlias = tuple[str | int | None, str | int | None, str | int | None, str | int | None]
Places: TypeAlias = tuple[int, int, int | None, int | None]

#: Rows of text held as Python strings at a time; more at once is slower, since the garbage collector walks them.
_CHUNK = 2_000


class SplitFile(NamedTuple):
    """A ready-made split: for each part users, items and times (None where the file has none)."""

    shape: tuple[int, int]
    parts: dict[str, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64] | None]]


def read_columns(
    path: str | PathLike[str],
    user: str | int | None = None,
    item: str | int | None = None,
    timestamp: str | int | None = None,
    value: str | int | None = None,
    part: str | None = None,
) -> Columns:
    """Read one entry per interaction; see :meth:`Interactions.read`."""
    file = _existing(path)
    suffix = file.suffix.lower()
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise ValueError(f"{file}: unknown suffix {suffix!r}, not one of {known}{nearest(suffix, _SUFFIXES)}")
    asked = (user, item, timestamp, value)
    if suffix == ".npz":
        named = [name for name in asked if name is not None]
        if named:
            raise ValueError(f"{file}: {named[0]!r} names a column, and a .npz file has none")
        return _read_npz(file, part)
    if part is not None:
        raise ValueError(f"{file}: part={part!r} needs a .npz file that holds a split")
    return _read_parquet(file, asked) if suffix == ".parquet" else _read_text(file, asked)


def read_split(path: str | PathLike[str]) -> SplitFile:
    """Read a .npz file of ``shape``, ``train``, ``valid``, ``test`` and perhaps ``train_time`` and so on."""
    file = _existing(path)
    with _opened(file) as arrays:
        if not _is_split(arrays):
            held = ", ".join(sorted(arrays))
            raise ValueError(f"{file} holds no split (arrays shape, train, valid, test) but {held}")
        return _split_arrays(file, arrays)


def holds_split(path: str | PathLike[str]) -> bool:
    """Whether this is a .npz file of ready-made parts, as ``read_split`` reads them."""
    file = Path(path)
    if file.suffix.lower() != ".npz" or not file.is_file():
        return False
    with _opened(file) as arrays:
        return _is_split(arrays)


def _existing(path: str | PathLike[str]) -> Path:
    file = Path(path)
    if not file.is_file():
        what = "is a folder, not a file" if file.is_dir() else "does not exist"
        raise FileNotFoundError(f"{file} {what}")
    return file


# Text


def _read_text(file: Path, asked: Asked) -> Columns:
    inter = file.suffix.lower() == ".inter"
    delimiter = "," if file.suffix.lower() == ".csv" else "\t"
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            # RecBole writes no quotes, so one in an id is a character like any other.
            reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE if inter else csv.QUOTE_MINIMAL)
            header = next(filter(None, reader), None)
            if header is None:
                raise ValueError(f"{file} is empty")
            places, has_header = _places(file, header, asked)
            names = [
                header[place].strip() if has_header else f"column {place}" for place in places if place is not None
            ]
            return _read_rows(file, reader, None if has_header else header, len(header), places, names)
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text: {error}") from None
    except csv.Error as error:
        raise ValueError(f"{file}, line {reader.line_num}: {error}") from None


def _places(file: Path, header: list[str], asked: Asked) -> tuple[Places, bool]:
    """Find where in a line each part stands, and whether the first line is a header."""
    given = [one for one in asked if one is not None]
    if any(isinstance(one, int) for one in given):
        if not all(isinstance(one, int) and not isinstance(one, bool) for one in given) or None in asked[:2]:
            raise TypeError(f"{file}: give user, item and the others all by position (no header) or all by name")
        for place in given:
            if not 0 <= int(place) < len(header):
                raise ValueError(f"{file}: there is no column {place}, the first line has {len(header)}")
        if len(set(given)) < len(given):
            raise ValueError(f"{file}: one column cannot be two things: {given}")
        user, item = (int(place) for place in asked[:2] if place is not None)
        if names_its_column("user", header[user]) and names_its_column("item", header[item]):
            raise ValueError(f"{file}: the first line {header} is a header; give columns by name instead of position")
        return asked, False  # type: ignore[return-value]
    columns = [cell.strip() for cell in header]
    if not given and not looks_like_header(columns):
        raise ValueError(
            f"{file}: the first line {header} holds no known column name. Name the columns (user='...', "
            "item='...') or, if the file has no header, give their positions (user=0, item=1)"
        )
    found = choose(columns, asked, str(file))
    timestamp, value = (None if name is None else columns.index(name) for name in found[2:])
    return (columns.index(found.user), columns.index(found.item), timestamp, value), True


def _read_rows(
    file: Path, reader: Any, first: list[str] | None, width: int, places: Places, names: list[str]
) -> Columns:
    users, items = Coder(), Coder()
    times: list[NDArray[np.float64]] = []
    values: list[NDArray[np.float64]] = []
    numbers: bool | None = None  # whether times are; the first one decides for the whole file
    done = 0
    rows = [] if first is None else [first]
    while rows := [*rows, *filter(None, islice(reader, _CHUNK))]:
        if set(map(len, rows)) != {width}:
            ragged = next(place for place, row in enumerate(rows) if len(row) != width)
            raise ValueError(f"{file}: row {done + ragged} has {len(rows[ragged])} columns, the first line has {width}")
        held = list(zip(*rows, strict=True))
        taken = [held[place] for place in places if place is not None]
        for name, entries in zip(names, taken, strict=True):
            if "" in entries:
                raise ValueError(f"{file}: {name} is empty in row {done + entries.index('')}")
        users.add(taken[0])
        items.add(taken[1])
        if places[2] is not None:
            numbers = is_number(held[places[2]][0]) if numbers is None else numbers
            times.append(text_times(held[places[2]], _where(file, names[2], done), numbers))
        if places[3] is not None:
            values.append(as_floats(held[places[3]], float, _where(file, names[-1], done), "a number"))
        done += len(rows)
        rows = []
    if not done:
        raise ValueError(f"{file} holds no rows below its header")
    return Columns(
        users.finish("user"),
        items.finish("item"),
        np.concatenate(times) if times else None,
        np.concatenate(values) if values else None,
    )


def _where(file: Path, name: str, done: int) -> Callable[[int], str]:
    return lambda place: f"{file}: {name} in row {done + place}"


# Parquet


def _read_parquet(file: Path, asked: Asked) -> Columns:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError as error:
        raise ImportError('reading Parquet needs pyarrow: pip install "diffrec[parquet]"') from error
    try:
        columns = parquet.read_schema(file).names
        names = choose(columns, asked, str(file))
        table = parquet.read_table(file, columns=[name for name in names if name is not None])
    except ArrowInvalid as error:
        raise ValueError(f"{file} is not a Parquet file: {error}") from None
    return frame_columns(table, *names, source=str(file))


# NumPy


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    # Opened here, since np.load leaves the file open when the archive in it is damaged.
    with file.open("rb") as stream:
        try:
            opened = np.load(stream, allow_pickle=False)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{file} is not a .npz file: {error}") from None
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise ValueError(f"{file} is not a .npz file but a lone array")
        with opened:
            yield opened


def _is_split(arrays: Any) -> bool:
    return all(name in arrays for name in ("shape", *PARTS))


def _read_npz(file: Path, part: str | None) -> Columns:
    if part is not None:
        one_of(PARTS)("part", part)
    with _opened(file) as arrays:
        if _is_split(arrays):
            return _split_columns(_split_arrays(file, arrays), part)
        if part is not None:
            raise ValueError(f"{file} holds no split, so part={part!r} cannot be picked")
        if "format" in arrays:
            return _matrix_columns(file)
        if "user" in arrays and "item" in arrays:
            held = {
                name: _array(file, arrays, name) for name in ("user", "item", "timestamp", "value") if name in arrays
            }
            times = held.get("timestamp")
            return Columns(encode(held["user"], "user"), encode(held["item"], "item"), times, held.get("value"))
        raise ValueError(
            f"{file} holds {', '.join(sorted(arrays))}: neither a SciPy matrix nor arrays user and item nor "
            "a split (shape, train, valid, test)"
        )


def _array(file: Path, arrays: Any, name: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = arrays[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise ValueError(f"{file}: {name} holds Python objects, which only a pickle could restore") from None
        raise ValueError(f"{file}: {name} cannot be read: {error}") from None
    return array


def _matrix_columns(file: Path) -> Columns:
    try:
        matrix = sparse.load_npz(file)
    except (ValueError, KeyError, NotImplementedError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file} is not a SciPy matrix: {error}") from None
    (rows, columns, values), (n_users, n_items) = stored_entries(matrix, str(file))
    return Columns(Coded(np.arange(n_users), rows), Coded(np.arange(n_items), columns), None, values)


def _split_arrays(file: Path, arrays: Any) -> SplitFile:
    shape = _array(file, arrays, "shape")
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or (shape < 1).any():
        raise ValueError(f"{file}: shape must be two positive integers, not {shape}")
    n_users, n_items = int(shape[0]), int(shape[1])
    parts = {}
    for name in PARTS:
        pairs = _array(file, arrays, name)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise ValueError(f"{file}: {name} must hold integers (n, 2), not {pairs.dtype} of shape {pairs.shape}")
        for what, numbers, size in (("user", pairs[:, 0], n_users), ("item", pairs[:, 1], n_items)):
            outside = (numbers < 0) | (numbers >= size)
            if outside.any():
                raise ValueError(f"{file}: {name} has {what} {numbers[np.argmax(outside)]}, shape says {size}")
        times = None
        if f"{name}_time" in arrays:
            times = _array(file, arrays, f"{name}_time")
            if times.shape != (len(pairs),) or times.dtype.kind not in "iuf":
                raise ValueError(f"{file}: {name}_time must hold one number per row of {name}, not {times.shape}")
            times = times.astype(np.float64)
        parts[name] = (pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64), times)
    return SplitFile((n_users, n_items), parts)


def part_times(split: SplitFile) -> dict[str, NDArray[np.float64] | None]:
    """Take the file's own times of each part, or places in the file if it has none at all."""
    if any(times is not None for _, _, times in split.parts.values()):
        return {name: times for name, (_, _, times) in split.parts.items()}
    return _places_in_file(split)


def _places_in_file(split: SplitFile) -> dict[str, NDArray[np.float64] | None]:
    """Make times that put train before valid before test and keep the order inside each."""
    made: dict[str, NDArray[np.float64] | None] = {}
    start = 0
    for name, (users, _, times) in split.parts.items():
        places = np.arange(start, start + len(users), dtype=np.float64)
        if times is not None:
            rank = np.empty(len(users), dtype=np.float64)
            rank[np.argsort(times, kind="stable")] = places
            places = rank
        made[name] = places
        start += len(users)
    return made


def _split_columns(split: SplitFile, part: str | None) -> Columns:
    everywhere = all(times is not None for _, _, times in split.parts.values())
    times = part_times(split) if part is not None or everywhere else _places_in_file(split)
    names = PARTS if part is None else (part,)
    users, items = (np.concatenate([split.parts[name][axis] for name in names]) for axis in (0, 1))
    held = [one for name in names if (one := times[name]) is not None]
    return Columns(
        Coded(np.arange(split.shape[0]), users),
        Coded(np.arange(split.shape[1]), items),
        np.concatenate(held) if held else None,
        None,
    )
