"""Rows of .csv, .tsv and .inter files, a chunk at a time: by pyarrow or Polars where one is installed, else by csv.

All give the same cells of the same rows. What the cells mean is decided behind them, once; so is where a row stands.
"""

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import needed
from diffrec.data._times import numbers_of_text

#: Rows of text held as Python strings at a time; more at once is slower, since the garbage collector walks them.
_CHUNK = 2_000
#: Bytes that pyarrow or Polars parses at a time.
_BLOCK = 1 << 24
#: Longest cell: more than that is a quote that is never closed.
_LONGEST = 131_072
#: Suffixes of files that are packed.
PACKED = (".gz", ".zst")


class Layout(NamedTuple):
    """Layout of a file of text."""

    delimiter: str
    quoted: bool
    first: list[str]  # the cells of its first line
    header: bool  # whether these are names


class Cells(Protocol):
    """A column of a chunk."""

    def coded(self) -> tuple[list[str], NDArray[np.int64]]:
        """Distinct texts, and for each row the place of its own among them."""

    def parted(self, place: int) -> tuple["Cells", "Cells"]:
        """Return the parts of every text before and after a place."""

    def numbers(self) -> NDArray[np.float64]:
        """Read numbers; NaN where a text is none."""

    def take(self, rows: NDArray[np.int64]) -> list[str]:
        """The texts of some rows."""


class Ragged(NamedTuple):
    """A row with another number of cells than the first line has."""

    row: int
    cells: int


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a file for its bytes, unpacked where it is packed.

    Raises
    ------
    ImportError
        If a ``.zst`` file needs pyarrow, which is not installed.
    ValueError
        If it is not packed as its name says.
    """
    suffix = file.suffix.lower()
    try:
        if suffix == ".gz":
            with gzip.open(file) as stream:
                yield stream  # type: ignore[misc]
        elif suffix == ".zst":
            with _unpacked(file) as stream:
                yield stream
        else:
            with file.open("rb") as stream:
                yield stream
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{file} is not packed by gzip, or is damaged: {error}") from None
    except OSError as error:
        if suffix != ".zst" or "zstd" not in str(error).lower():
            raise
        raise ValueError(f"{file} is not packed by Zstandard, or is damaged: {error}") from None


def _unpacked(file: Path) -> Any:
    pa = needed("pyarrow", "reading .zst files needs pyarrow", "diffrec[parquet]")
    return pa.input_stream(str(file), compression="zstd")


def records(stream: IO[bytes], delimiter: str, quoted: bool) -> Any:
    """Read rows of text by the csv module; empty lines are empty rows."""
    # Bytes that are not UTF-8 are refused where a cell is used, so that a comment in another encoding does no harm.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    # RecBole writes no quotes, so one in an id is a character like any other.
    return csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)


class Unlike(Exception):
    """Raised for text that pyarrow or Polars and the csv module might read in two ways: the csv module decides."""


def readers() -> list[Callable[[Path, Layout, Sequence[int], list[Ragged]], Iterator[Sequence[Cells]]]]:
    """Return the readers that yield the columns in some places, chunk of rows by chunk, the faster reader first.

    Rows that are ragged are left out and put on a list. One that raises ``Unlike`` gives way to the next.
    """
    for name, reader in (("pyarrow", arrow_chunks), ("polars", polars_chunks)):
        try:
            import_module(name)
        except ImportError:
            continue
        return [reader, plain_chunks]
    return [plain_chunks]


def plain_chunks(
    file: Path, layout: Layout, places: Sequence[int], ragged: list[Ragged]
) -> Iterator[list["_PlainCells"]]:
    """Read by the csv module."""
    width, done = len(layout.first), -int(layout.header)
    with opened(file) as stream:
        rows_of = records(stream, layout.delimiter, layout.quoted)
        try:
            held_back = filter(None, rows_of)
            while rows := list(islice(held_back, _CHUNK)):
                start, done = done, done + len(rows)
                rows = rows[1:] if start < 0 else rows
                start = max(start, 0)
                if set(map(len, rows)) - {width}:
                    ragged += [Ragged(start + n, len(row)) for n, row in enumerate(rows) if len(row) != width]
                    rows = [row for row in rows if len(row) == width]
                if rows:
                    held = list(zip(*rows, strict=True))
                    "".join(text for place in places for text in held[place]).encode()
                    yield [_PlainCells(held[place]) for place in places]
        except csv.Error as error:
            raise ValueError(f"{file}, line {rows_of.line_num}: {error}") from None
        except UnicodeEncodeError:
            raise ValueError(f"{file} is not UTF-8 text: save it as UTF-8") from None


class _PlainCells:
    """Texts as Python has them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def texts(self) -> Sequence[str]:
        """The texts of all rows."""
        return self._texts

    def coded(self) -> tuple[list[str], NDArray[np.int64]]:
        place = {text: code for code, text in enumerate(dict.fromkeys(self._texts))}
        codes = np.fromiter(map(place.__getitem__, self._texts), dtype=np.int64, count=len(self._texts))
        return list(place), codes

    def parted(self, place: int) -> tuple[Cells, Cells]:
        return _PlainCells([text[:place] for text in self._texts]), _PlainCells([text[place:] for text in self._texts])

    def numbers(self) -> NDArray[np.float64]:
        return numbers_of_text(self._texts)

    def take(self, rows: NDArray[np.int64]) -> list[str]:
        return [self._texts[row] for row in rows.tolist()]


def arrow_chunks(file: Path, layout: Layout, places: Sequence[int], ragged: list[Ragged]) -> Iterator[Sequence[Cells]]:
    """Read by pyarrow, in C++."""
    import pyarrow as pa
    from pyarrow import compute
    from pyarrow import csv as arrow_csv

    def leave_out(row: Any) -> str:
        ragged.append(Ragged(row.number - 1 - int(layout.header), row.actual_columns))
        return "skip"

    # Names of our own: those in the file may stand twice. More threads would not know the numbers of rows.
    names = [str(place) for place in range(len(layout.first))]
    wanted = [names[place] for place in places]
    header = layout.header
    with opened(file) as stream:
        try:
            reader = arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(column_names=names, block_size=_BLOCK, use_threads=False),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=layout.delimiter,
                    quote_char='"' if layout.quoted else False,
                    newlines_in_values=layout.quoted,
                    invalid_row_handler=leave_out,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
                ),
            )
            for batch in reader:
                rows = batch.slice(1) if header and batch.num_rows else batch
                header = header and not batch.num_rows
                if rows.num_rows:
                    if any(compute.max(compute.binary_length(column)).as_py() > _LONGEST for column in rows.columns):
                        raise Unlike
                    yield [_ArrowCells(column) for column in rows.columns]
        except pa.ArrowInvalid as error:
            raise Unlike from error


class _ArrowCells:
    """Texts as Arrow has them."""

    def __init__(self, texts: Any) -> None:
        self._texts = texts

    def coded(self) -> tuple[list[str], NDArray[np.int64]]:
        coded = self._texts.dictionary_encode()
        return coded.dictionary.to_pylist(), _held(coded.indices, np.int32).astype(np.int64)

    def parted(self, place: int) -> tuple[Cells, Cells]:
        from pyarrow import compute

        before = compute.utf8_slice_codeunits(self._texts, 0, place)
        return _ArrowCells(before), _ArrowCells(compute.utf8_slice_codeunits(self._texts, place, None))

    def numbers(self) -> NDArray[np.float64]:
        from pyarrow import ArrowInvalid

        try:
            return _held(self._texts.cast("float64"), np.float64)
        except ArrowInvalid:
            # Also what Python alone takes for a number, such as +5.
            return numbers_of_text(self._texts.to_pylist())

    def take(self, rows: NDArray[np.int64]) -> list[str]:
        texts: list[str] = self._texts.take(rows).to_pylist()
        return texts


def polars_chunks(
    file: Path,
    layout: Layout,
    places: Sequence[int],
    ragged: list[Ragged],  # noqa: ARG001 - there are none in what it reads
) -> Iterator[Sequence[Cells]]:
    """Read by Polars, in Rust: text in which every line is a row of as many cells, and quotes stand round whole cells.

    Polars fills up rows that are too short, and has its own way with quotes; such text is the csv module's.
    """
    import polars as pl

    names = [str(place) for place in range(len(layout.first))]
    wanted = [names[place] for place in places]
    header = layout.header
    with opened(file) as stream:
        for block in _whole_lines(stream):
            plain = _plain(block, layout)
            try:
                rows = pl.scan_csv(
                    plain,
                    has_header=False,
                    separator=layout.delimiter,
                    quote_char=None,
                    schema=dict.fromkeys(names, pl.String),
                )
                table = rows.select(wanted).slice(int(header)).collect()
            except pl.exceptions.PolarsError as error:
                raise Unlike from error
            header = False
            if len(table):
                columns: list[Any] = [table[name].fill_null("") for name in wanted]
                if any(column.str.len_bytes().max() > _LONGEST for column in columns):
                    raise Unlike
                yield [_PolarsCells(column) for column in columns]


def _whole_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Part a stream between lines, the last of which may lack its end."""
    held = stream.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
    while more := stream.read(_BLOCK):
        whole, end, rest = held.rpartition(b"\n")
        if end:
            yield whole + end
            held = rest
        held += more
    if held:
        yield held if held.endswith(b"\n") else held + b"\n"


def _plain(block: bytes, layout: Layout) -> bytes:
    """Take the quotes away from a block of lines.

    Raises ``Unlike`` unless every line is a row of as many cells as the first, with or without the quotes, and its end
    is none of the odd ones.
    """
    if b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
        raise Unlike
    if layout.quoted and b'"' in block:
        block = _unquoted(np.frombuffer(block, np.uint8), layout.delimiter)
    signs = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(signs == ord("\n"))
    parted = np.flatnonzero(signs == ord(layout.delimiter))
    if np.any(np.diff(np.searchsorted(parted, ends), prepend=0) != len(layout.first) - 1):
        raise Unlike
    return block


def _unquoted(signs: NDArray[np.uint8], delimiter: str) -> bytes:
    """Take away pairs of quotes that each hold a whole cell, without another quote or what would part it."""
    quotes = np.flatnonzero(signs == ord('"'))
    if len(quotes) % 2:
        raise Unlike
    opening, closing = quotes[::2], quotes[1::2]
    edges = (signs == ord("\n")) | (signs == ord(delimiter))
    marks = np.flatnonzero(edges)
    whole = (opening == 0) | edges[opening - 1]
    # A block ends with the end of a line.
    whole &= edges[closing + 1] | (signs[closing + 1] == ord("\r"))
    whole &= np.searchsorted(marks, opening) == np.searchsorted(marks, closing)
    if not whole.all():
        raise Unlike
    plain: bytes = signs[signs != ord('"')].tobytes()
    return plain


class _PolarsCells:
    """Texts as Polars has them."""

    def __init__(self, texts: Any) -> None:
        self._texts = texts

    def coded(self) -> tuple[list[str], NDArray[np.int64]]:
        import polars as pl

        # In the order of the rows: whether times are numbers is told by the first.
        distinct = self._texts.unique(maintain_order=True)
        codes = self._texts.cast(pl.Enum(distinct)).to_physical()
        return distinct.to_list(), codes.to_numpy().astype(np.int64)

    def parted(self, place: int) -> tuple[Cells, Cells]:
        return _PolarsCells(self._texts.str.slice(0, place)), _PolarsCells(self._texts.str.slice(place))

    def numbers(self) -> NDArray[np.float64]:
        import polars as pl

        numbers = self._texts.cast(pl.Float64, strict=False)
        if numbers.null_count():
            # Also what Python alone takes for a number.
            return numbers_of_text(self._texts.to_list())
        read: NDArray[np.float64] = numbers.to_numpy()
        return read

    def take(self, rows: NDArray[np.int64]) -> list[str]:
        texts: list[str] = self._texts.gather(rows).to_list()
        return texts


def _held(array: Any, dtype: type) -> NDArray[Any]:
    """Numbers without nulls as Arrow holds them; its own ``to_numpy`` imports pandas, which takes a second."""
    return np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]


def lines_of(file: Path, layout: Layout, rows: NDArray[np.int64]) -> list[str]:
    """Name the lines in which rows begin, counted from 1 as editors do; rows are ascending."""
    wanted: list[int] = rows.tolist()
    found: list[str] = []
    with opened(file) as stream:
        reader = records(stream, layout.delimiter, layout.quoted)
        row, before = -int(layout.header), 0
        try:
            for cells in reader:
                if cells:
                    if len(found) < len(wanted) and row == wanted[len(found)]:
                        found.append(f"line {before + 1}")
                    row += 1
                if len(found) == len(wanted):
                    break
                before = reader.line_num
        except csv.Error:
            # A cell that is too long, in a column that nobody asked for: lines cannot be counted behind it.
            pass
    return found + [f"row {row}" for row in wanted[len(found) :]]
