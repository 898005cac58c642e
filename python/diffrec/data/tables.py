"""Tables into files, a block of rows at a time: .csv, .tsv, .inter, .parquet and .npz, as ``files`` reads them."""

import csv
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import nearest, needed, shown
from diffrec.data._replace import replacing

#: Columns of the same length by name: ids, numbers or text.
Block: TypeAlias = Mapping[str, NDArray[Any]]
#: Takes the next rows; every block has the columns of the first.
Append: TypeAlias = Callable[[Block], None]


@contextmanager
def table_file(path: str | PathLike[str]) -> Iterator[Append]:
    """Open a table for writing; the suffix says in which format.

    Parameters
    ----------
    path
        A ``.csv``, ``.tsv``, ``.inter``, ``.parquet`` or ``.npz`` file. It is there, complete, when the block ends
        well; if it raises or is interrupted, what was there before is untouched.

    Yields
    ------
    callable
        Takes the next rows as columns by name, at least once, though there may be none. They are on their way to the
        disk when it returns, so a table may be larger than memory.

    Raises
    ------
    ImportError
        If the format needs a package that is not installed.
    ValueError
        If the suffix is unknown, text cannot be written in the format, or nothing was written.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "top.csv")
    ...     with table_file(file) as append:
    ...         append({"user": np.array([7]), "score": np.array([0.5])})
    ...         append({"user": np.array([9]), "score": np.array([0.25])})
    ...     print(file.read_text(), end="")
    user,score
    7,0.5
    9,0.25
    """
    file = Path(path)
    table = table_format(file)
    begun = False

    def noted(block: Block) -> None:
        nonlocal begun
        append(block)
        begun = True

    with replacing(file) as temporary, table(temporary) as append:
        yield noted
        if not begun:
            raise ValueError(f"{file} would be a table without columns: there is nothing to write")


def table_format(path: Path) -> Callable[[Path], AbstractContextManager[Append]]:
    """Look up what writes a file of this suffix, so that a wrong one is refused before any work.

    Raises
    ------
    ImportError
        If the format needs a package that is not installed.
    ValueError
        If the suffix is unknown.
    """
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise ValueError(f"{path}: unknown suffix {suffix!r}, not one of {known}{nearest(suffix, _FORMATS)}")
    if suffix == ".parquet":
        needed("pyarrow.parquet", "writing Parquet needs pyarrow", "diffrec[parquet]")
    return _FORMATS[suffix]


# Text


def text_rows(stream: IO[str], suffix: str = ".csv") -> Append:
    r"""Write rows of text to an open stream.

    Parameters
    ----------
    stream
        Takes the text; it is not closed.
    suffix
        ``".csv"``, ``".tsv"`` or ``".inter"``, which has types in its header and no quotes.

    Examples
    --------
    >>> import io, numpy as np
    >>> text = io.StringIO()
    >>> text_rows(text, ".inter")({"user": np.array(["Ann"]), "score": np.array([0.1], dtype=np.float32)})
    >>> text.getvalue()
    'user:token\tscore:float\nAnn\t0.1\n'
    """
    inter = suffix == ".inter"
    delimiter = "," if suffix == ".csv" else "\t"
    sparing: Literal[0, 3] = csv.QUOTE_NONE if inter else csv.QUOTE_MINIMAL
    first = True

    def append(block: Block) -> None:
        nonlocal first
        # Python 3.11 and 3.12 leave a lone carriage return unquoted, and no reader takes it for part of a cell.
        returns = not inter and any(len(_holding(column, "\r")) for column in block.values())
        writer = csv.writer(
            stream,
            delimiter=delimiter,
            quoting=csv.QUOTE_ALL if returns else sparing,
            quotechar=None if inter else '"',
            lineterminator="\n",
        )
        if first:
            writer.writerow([f"{name}:{_kind(name, c)}" if inter else name for name, c in block.items()])
            first = False
        if inter:
            _refuse_breaks(block)
        writer.writerows(zip(*map(_cells, block.values()), strict=True))

    return append


@contextmanager
def _text(path: Path, suffix: str) -> Iterator[Append]:
    with path.open("w", newline="", encoding="utf-8") as stream:
        yield text_rows(stream, suffix)


def _kind(name: str, column: NDArray[Any]) -> str:
    """Return RecBole's name of a column's kind of values: ids are tokens, even where they are numbers."""
    return "float" if column.dtype.kind in "fiu" and name not in ("user", "item") else "token"


def _cells(column: NDArray[Any]) -> list[Any]:
    # The shortest text that reads back as the same number, which for a float32 is not that of its float64.
    return cast(list[Any], (column.astype(np.str_) if column.dtype == np.float32 else column).tolist())


def _holding(column: NDArray[Any], marks: str) -> NDArray[np.intp]:
    """Return the places of the cells that have one of these characters."""
    if column.dtype.kind != "U" or not len(column):
        return np.empty(0, dtype=np.intp)
    letters = np.ascontiguousarray(column).view(np.uint32).reshape(len(column), -1)
    return np.flatnonzero(np.isin(letters, [ord(mark) for mark in marks]).any(axis=1))


def _refuse_breaks(block: Block) -> None:
    """Refuse what only quotes could hold together."""
    for name, column in block.items():
        broken = _holding(column, "\t\n\r")
        if len(broken):
            cell = column[broken[0]].item()
            raise ValueError(
                f"{name} {shown(cell)} has a tab or line break, which a .inter file cannot hold; write .csv"
            )


# Parquet


@contextmanager
def _parquet_table(path: Path) -> Iterator[Append]:
    """Write a row group per block."""
    parquet = needed("pyarrow.parquet", "writing Parquet needs pyarrow", "diffrec[parquet]")
    import pyarrow as pa

    writer: Any = None

    def append(block: Block) -> None:
        nonlocal writer
        table = pa.table({name: pa.array(column) for name, column in block.items()})
        if writer is None:
            writer = parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield append
    finally:
        if writer is not None:
            writer.close()


# NumPy


class _Spool:
    """A column that waits on the disk for its length, which stands at the start of an array's file."""

    def __init__(self, folder: Path) -> None:
        # Without a name where the system can do that: nothing is left of it whatever happens.
        self._bytes = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()
        self._blocks: list[tuple[np.dtype[Any], int]] = []

    def append(self, column: NDArray[Any]) -> None:
        self._blocks.append((column.dtype, len(column)))
        self._bytes.write(np.ascontiguousarray(column).tobytes())

    def write(self, out: IO[bytes]) -> None:
        # Text is as wide as the widest block.
        dtype = np.result_type(*{dtype for dtype, _ in self._blocks})
        shape = (sum(length for _, length in self._blocks),)
        np.lib.format.write_array_header_1_0(
            out, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        )
        self._bytes.seek(0)
        if all(one == dtype for one, _ in self._blocks):
            shutil.copyfileobj(self._bytes, out)
            return
        for one, length in self._blocks:
            held = np.frombuffer(self._bytes.read(one.itemsize * length), dtype=one)
            out.write(held.astype(dtype).tobytes())

    def close(self) -> None:
        self._bytes.close()


@contextmanager
def _npz(path: Path) -> Iterator[Append]:
    spools: dict[str, _Spool] = {}

    def append(block: Block) -> None:
        for name, column in block.items():
            if name not in spools:
                spools[name] = _Spool(path.parent)
                opened.callback(spools[name].close)
            spools[name].append(column)

    # All are closed, even where the disk is full and one cannot be; what an archive opened itself it leaves open there.
    with ExitStack() as opened:
        yield append
        with path.open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, spool in spools.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as out:
                    spool.write(out)


_FORMATS: dict[str, Callable[[Path], AbstractContextManager[Append]]] = {
    ".csv": lambda path: _text(path, ".csv"),
    ".tsv": lambda path: _text(path, ".tsv"),
    ".inter": lambda path: _text(path, ".inter"),
    ".parquet": _parquet_table,
    ".npz": _npz,
}
