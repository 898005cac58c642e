"""Interactions out of files: text, .parquet and .npz."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec._memory import require_memory
from diffrec.checks import nearest, needed, one_of
from diffrec.data._cells import PACKED
from diffrec.data._columns import Columns, choose
from diffrec.data._csr import require_size, stored_entries
from diffrec.data._encode import Coded
from diffrec.data._settle import Found, all_usable
from diffrec.data._table import LOOKED_AT, read_table, table_of
from diffrec.data.report import rows_named
from diffrec.data.text import SUFFIXES as TEXT
from diffrec.data.text import AskedColumns, read_text, suffix_of

PARTS = ("train", "valid", "test")

_SUFFIXES = (*TEXT, ".parquet", ".npz")
# Bytes that an entry of a table takes while it is read, at least, and rows that are too few to ask for memory.
_BYTES, _MANY = 16, 10**6
#: Arrays of a .npz file with an entry for each interaction.
_NPZ = ("user", "item", "timestamp", "value")


class SplitFile(NamedTuple):
    """A ready-made split: for each part users, items and times (None where the file has none)."""

    shape: tuple[int, int]
    parts: dict[str, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64] | None]]


def read_file(
    path: str | PathLike[str], asked: AskedColumns, part: str | None = None, dayfirst: bool | None = None
) -> Found:
    """Read one entry per interaction; see :meth:`Interactions.read`."""
    file = _existing(path)
    suffix = ".parquet" if file.is_dir() else suffix_of(file)
    if suffix not in _SUFFIXES or (suffix not in TEXT and file.suffix.lower() in PACKED):
        known = ", ".join(_SUFFIXES)
        raise ValueError(f"{file}: unknown suffix {suffix!r}, not one of {known}{nearest(suffix, _SUFFIXES)}")
    if suffix == ".npz":
        named = [name for name in asked if name is not None]
        if named:
            raise ValueError(f"{file}: {named[0]!r} names a column, and a .npz file has none")
        return _read_npz(file, part)
    if part is not None:
        raise ValueError(f"{file}: part={part!r} needs a .npz file that holds a split")
    return _read_parquet(file, asked, dayfirst) if suffix == ".parquet" else read_text(file, asked, dayfirst)


@contextmanager
def blamed_on(path: str | PathLike[str], besides: Any = None) -> Iterator[None]:
    """Say of whatever is wrong with a file which file that is, unless it, or a file ``besides``, is named already."""
    file = Path(path)
    names = [file.name, *([Path(besides).name] if isinstance(besides, str | PathLike) else [])]
    try:
        yield
    except (ValueError, TypeError) as error:
        if any(name in str(error) for name in names):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{file}: {error}") from None
    except (zlib.error, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{file} is damaged: {error}") from None
    except OSError as error:
        # The disk's, not the file's: other libraries raise bare ones for what they cannot read.
        if error.errno is not None or isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{file} is damaged: {error}") from None


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
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist")
    if file.is_dir() and next(file.rglob("*.parquet"), None) is None:
        raise FileNotFoundError(f"{file} is a folder without .parquet files: name a file in it")
    return file


# Parquet


def _read_parquet(file: Path, asked: AskedColumns, dayfirst: bool | None) -> Found:
    with opened_parquet(file) as held:
        names = choose(held.schema.names, asked, str(file))
        unused = names.unused(held.schema.names)
        table = _whole(file, held, list(names.used.values()))
        looks = table_of(held.head(LOOKED_AT, columns=list(unused))).looks_like_times
    found = read_table(table, names, str(file), lambda rows: _rows_of_files(file, held, rows), dayfirst)
    return found._replace(
        origin=found.origin._replace(unused=unused, times=tuple(name for name in unused if looks(name)))
    )


def parquet_table(file: Path) -> Any:
    """Read all of a Parquet file, or of a folder of such files, as a pyarrow table."""
    with opened_parquet(file) as held:
        return _whole(file, held, held.schema.names)


def _whole(file: Path, held: Any, columns: list[str]) -> Any:
    """Read all rows of these columns, unless there are more than there is memory for: many alike take a few bytes."""
    rows = held.count_rows()
    if rows > _MANY:
        instead = "diffrec prepare makes parts of it that are read in turn"
        require_memory(_BYTES * rows * max(len(columns), 1), f"{file} of {rows:,} rows", instead)
    table = held.to_table(columns=columns)
    # An index beyond its dictionary would be met where its value is asked for, if at all.
    table.validate(full=True)
    return table


@contextmanager
def opened_parquet(file: Path) -> Iterator[Any]:
    """Open a file, or a folder's files in the order of their names; what these say (country=FR) are columns, too."""
    pa = needed("pyarrow", "reading Parquet needs pyarrow", "diffrec[parquet]")
    from pyarrow import dataset

    try:
        yield dataset.dataset(file, format="parquet", partitioning="hive" if file.is_dir() else None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowIndexError) as error:
        what = "a folder of Parquet files of the same columns" if file.is_dir() else "a Parquet file"
        raise ValueError(f"{file} is not {what}: {error}") from None


def parquet_files(file: Path) -> list[Path]:
    """Return the files that are read of a folder, in the order in which they are, or the file itself.

    Raises
    ------
    FileNotFoundError
        If a folder has none.
    """
    with opened_parquet(_existing(file)) as held:
        files = [Path(one).absolute() for one in held.files]
    if not files:
        raise FileNotFoundError(f"{file} is a folder without Parquet files that are to be read: name a file in it")
    return files


def _rows_of_files(folder: Path, held: Any, rows: NDArray[np.int64]) -> list[str]:
    """Name rows of the files of a folder by their places in it, counted from 0 in each."""
    files = list(held.get_fragments())
    if len(files) == 1:
        return rows_named(rows)
    ends = np.cumsum([one.count_rows() for one in files])
    which = np.searchsorted(ends, rows, side="right")
    starts = np.concatenate([[0], ends])[which]
    return [
        f"{Path(files[place].path).absolute().relative_to(folder.absolute())} row {row}"
        for place, row in zip(which.tolist(), (rows - starts).tolist(), strict=True)
    ]


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
            _require_sizes(file, stream)
            yield opened


def _require_sizes(file: Path, stream: IO[bytes]) -> None:
    """Refuse arrays of which the file cannot hold as much as they say: memory for them is made before they are read."""
    archive = zipfile.ZipFile(stream)
    for member in archive.infolist():
        try:
            with archive.open(member) as packed:
                version = np.lib.format.read_magic(packed)
                header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = header(packed)
        except (ValueError, EOFError, OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
            continue  # said where it is read
        # Nothing packs tighter than 1 to 1,032 by the one way of packing that NumPy has.
        most = member.compress_size * (1 if member.compress_type == zipfile.ZIP_STORED else 1032)
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize > most:
            name = member.filename.removesuffix(".npy")
            raise ValueError(
                f"{file} is damaged: {name} is said to have shape {shape}, in {member.compress_size:,} bytes"
            )


def _is_split(arrays: Any) -> bool:
    return all(name in arrays for name in ("shape", *PARTS))


def _read_npz(file: Path, part: str | None) -> Found:
    if part is not None:
        one_of(PARTS)("part", part)
    with _opened(file) as arrays:
        if _is_split(arrays):
            return all_usable(_split_columns(_split_arrays(file, arrays), part), str(file))
        if part is not None:
            raise ValueError(f"{file} holds no split, so part={part!r} cannot be picked")
        if "format" in arrays:
            return all_usable(_matrix_columns(file), str(file))
        if "user" in arrays and "item" in arrays:
            held = {name: _array(file, arrays, name) for name in _NPZ if name in arrays}
            asked = [name if name in held else None for name in _NPZ]
            return read_table(held, asked, str(file))
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
    except (
        ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OSError, EOFError, zipfile.BadZipFile,
        zlib.error,
    ) as error:  # fmt: skip
        raise ValueError(f"{file} is not a SciPy matrix: {error}") from None
    (rows, columns, values), (n_users, n_items) = stored_entries(matrix, str(file))
    return Columns(Coded(np.arange(n_users), rows), Coded(np.arange(n_items), columns), None, values)


def _split_arrays(file: Path, arrays: Any) -> SplitFile:
    shape = _array(file, arrays, "shape")
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or (shape < 1).any():
        raise ValueError(f"{file}: shape must be two positive integers, not {shape}")
    n_users, n_items = int(shape[0]), int(shape[1])
    require_size((n_users, n_items), str(file))
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
