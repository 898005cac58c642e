"""Columns of tables as arrays: of frames of any library, of Hugging Face data sets, of mappings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from diffrec.data._columns import Columns, choose, names_a_time
from diffrec.data._encode import Coded, encode, whole_numbers
from diffrec.data._entries import read_times
from diffrec.data._settle import Found
from diffrec.data._times import looks_like_time
from diffrec.data.report import Bad, Origin, rows_named

#: Entries looked at to see what a column holds.
LOOKED_AT = 20
# pandas' missing values, which are equal to nothing, or to nothing that is said.
_MISSING = ("NAType", "NaTType")


class Column(NamedTuple):
    """A column: what it holds, where it holds something, and how long it is."""

    name: str
    values: NDArray[Any]  # of the rows that are not empty
    rows: NDArray[np.int64] | None  # these rows; None for all
    length: int

    def ids(self, part: str) -> tuple[Coded, list[Bad]]:
        """Encode ids; what is no id has the code -1."""
        values, rows, bad = self.values, self._rows, self._empty
        if values.dtype.kind == "f" or (values.dtype.kind == "O" and all(isinstance(one, Decimal) for one in values)):
            whole = whole_numbers(values)
            bad += Bad.of(f"{self.name} is no whole number below 2^53", rows[~whole], self._entry)
            values, rows = values[whole], rows[whole]
        try:
            coded = encode(values, part, rows)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"column {self.name!r}: {error}") from None
        return coded if len(rows) == self.length else Coded(coded.distinct, self._spread(coded.codes, rows, -1)), bad

    def times(self, dayfirst: bool | None) -> tuple[NDArray[np.float64], list[Bad], list[str]]:
        """Read times as seconds since the epoch; NaN for what is none."""
        read = read_times(self.values, f"column {self.name!r}", dayfirst)
        bad = self._rows[~np.isfinite(read.seconds)]
        return (
            self._spread(read.seconds, self._rows, np.nan),
            self._empty + Bad.of(f"{self.name} is no {read.wanted}", bad, self._entry),
            read.notes,
        )

    def numbers(self) -> tuple[NDArray[np.float64], list[Bad]]:
        """Read numbers; NaN for what is none.

        Raises
        ------
        ValueError
            If the column is of another type.
        """
        numbers = self.values.dtype.kind in "biuf" or all(
            isinstance(one, int | float | Decimal | np.generic) for one in self.values.tolist()
        )
        if not numbers:
            raise ValueError(f"column {self.name!r} must hold numbers, not such as {self.values[:1].tolist()[0]!r}")
        made = self.values.astype(np.float64)
        bad = self._rows[~np.isfinite(made)]
        return (
            self._spread(made, self._rows, np.nan),
            self._empty + Bad.of(f"{self.name} is no finite number", bad, self._entry),
        )

    @property
    def _rows(self) -> NDArray[np.int64]:
        return np.arange(self.length) if self.rows is None else self.rows

    @property
    def _empty(self) -> list[Bad]:
        if self.rows is None:
            return []
        return Bad.of(f"{self.name} is empty", np.setdiff1d(np.arange(self.length), self.rows, assume_unique=True))

    def _entry(self, row: int) -> str:
        return str(self.values[int(np.searchsorted(self._rows, row))])

    def _spread(self, values: NDArray[Any], rows: NDArray[np.int64], other: float) -> Any:
        if len(rows) == self.length:
            return values
        made = np.full(self.length, other, dtype=values.dtype)
        made[rows] = values
        return made


class Table(NamedTuple):
    """A table whose columns are not read before they are asked for."""

    names: list[str]
    take: Callable[[Sequence[str]], dict[str, Column]]
    looks_like_times: Callable[[str], bool]


def table_of(data: Any, argument: str = "df") -> Table:
    """Look at a frame, a Hugging Face data set or a mapping of columns.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if isinstance(data, Mapping):
        return _of_mapping(data, argument)
    if is_dataset(data):
        # In the order and with the rows that the data set has, whatever its table holds.
        data = data.with_format("arrow")[:]
    return _of_frame(as_narwhals(data, argument))


def as_narwhals(data: Any, argument: str) -> "nw.DataFrame[Any] | nw.LazyFrame[Any]":
    """Take a frame of any library as narwhals has it.

    Raises
    ------
    TypeError
        If it is no frame.
    """
    try:
        frame: nw.DataFrame[Any] | nw.LazyFrame[Any] = nw.from_native(data)
    except TypeError:
        raise TypeError(
            f"{argument} must be a data frame (pandas, Polars, pyarrow, DuckDB or another that narwhals knows), a "
            f"Hugging Face data set or a mapping of columns, not {type(data).__name__}"
        ) from None
    return frame


def is_frame(data: Any) -> bool:
    """Whether ``data`` is a data frame of a library that narwhals knows, eager or lazy."""
    return isinstance(nw.from_native(data, pass_through=True), nw.DataFrame | nw.LazyFrame)


def is_dataset(data: Any) -> bool:
    """Whether ``data`` is a Hugging Face data set (map-style), told by what it can do: none has to be installed."""
    return all(hasattr(data, name) for name in ("with_format", "column_names", "features", "__getitem__", "__len__"))


def is_table(data: Any) -> bool:
    """Whether ``data`` is what :func:`table_of` looks at."""
    return isinstance(data, Mapping) or is_frame(data) or is_dataset(data)


def _of_frame(frame: "nw.DataFrame[Any] | nw.LazyFrame[Any]") -> Table:
    schema = frame.collect_schema()

    def take(names: Sequence[str]) -> dict[str, Column]:
        held = _collected(frame.select(list(dict.fromkeys(names))))
        return {name: _of_series(held[name]) for name in held.columns}

    def looks_like_times(name: str) -> bool:
        if names_a_time(name) or isinstance(schema[name], nw.Datetime | nw.Date):
            return True
        if not isinstance(schema[name], nw.String):
            return False
        return are_times(_collected(frame.select(name).head(LOOKED_AT))[name].drop_nulls().to_list())

    return Table(list(schema.names()), take, looks_like_times)


def _collected(frame: "nw.DataFrame[Any] | nw.LazyFrame[Any]") -> "nw.DataFrame[Any]":
    if isinstance(frame, nw.DataFrame):
        return frame
    try:
        return frame.collect()
    except ModuleNotFoundError as error:
        raise ImportError(f'collecting this lazy frame needs {error.name}: pip install "diffrec[parquet]"') from error


def _of_series(column: "nw.Series[Any]") -> Column:
    length, empty = len(column), column.is_null().to_numpy()
    rows = np.flatnonzero(~empty) if empty.any() else None
    if rows is not None:
        # Before NumPy sees them: integers with nulls would become floats.
        column = column.drop_nulls()
    if isinstance(column.dtype, nw.Categorical | nw.Enum):
        column = column.cast(nw.String)
    if isinstance(column.dtype, nw.Date):
        column = column.cast(nw.Datetime("us"))
    if isinstance(column.dtype, nw.Datetime):
        # A known time zone is removed, since NumPy has none.
        values = column.dt.timestamp("us").to_numpy().astype("datetime64[us]")
    elif getattr(getattr(column.to_native(), "type", None), "extension_name", None) == "arrow.uuid":
        # NumPy would have their bytes.
        values = _array(UUID(bytes=one) if isinstance(one, bytes) else one for one in column.to_native().to_pylist())
    else:
        values = column.to_numpy()
        # pandas has whole numbers with gaps as objects, some of them floats.
        values = _narrow(values) if values.dtype.kind == "O" else values
    return _without_nan(Column(column.name, values, rows, length))


def _of_mapping(data: Mapping[Any, Any], argument: str) -> Table:
    if any(is_dataset(one) for one in data.values()):
        raise TypeError(f"{argument} holds data sets: hand over one of them, {' or '.join(map(repr, data))}")

    def take(names: Sequence[str]) -> dict[str, Column]:
        return {name: _of_values(name, data[name]) for name in names}

    def looks_like_times(name: str) -> bool:
        if names_a_time(name):
            return True
        values = _of_values(name, data[name]).values[:LOOKED_AT]
        return values.dtype.kind == "M" or are_times(values.tolist())

    return Table(list(data), take, looks_like_times)


def _of_values(name: str, values: Any) -> Column:
    series = nw.from_native(values, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        return _of_series(series)._replace(name=name)
    array = values if isinstance(values, np.ndarray) else _array(values)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} must be one-dimensional, not of shape {array.shape}")
    rows = None
    if array.dtype.kind == "O":
        kept = np.array([not _is_missing(one) for one in array.tolist()], dtype=np.bool_)
        if not kept.all():
            rows = np.flatnonzero(kept)
            array, length = array[rows], len(array)
            return Column(name, _narrow(array), rows, length)
        array = _narrow(array)
    return _without_nan(Column(name, array, rows, len(array)))


def _array(values: Iterable[Any]) -> NDArray[Any]:
    listed = list(values)
    made = np.empty(len(listed), dtype=object)
    made[:] = listed
    return made


def _narrow(array: NDArray[Any]) -> NDArray[Any]:
    """Objects that are all numbers of one kind as such."""
    for kind in (int, float):
        if len(array) and all(type(one) is kind for one in array.tolist()):
            return np.array(array.tolist())
    return array


def _is_missing(one: Any) -> bool:
    return one is None or (isinstance(one, float | Decimal) and one != one) or type(one).__name__ in _MISSING


def _without_nan(column: Column) -> Column:
    """Drop the cells that are no number or no time (NaN, NaT) as if they were empty."""
    values = column.values
    if values.dtype.kind not in "fM":
        return column
    empty = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
    if not empty.any():
        return column
    rows = np.arange(column.length) if column.rows is None else column.rows
    return column._replace(values=values[~empty], rows=rows[~empty])


def are_times(entries: Sequence[Any]) -> bool:
    return bool(entries) and all(
        isinstance(entry, date) or (isinstance(entry, str) and looks_like_time(entry)) for entry in entries
    )


def read_table(
    df: Any,
    asked: Sequence[object],
    source: str | None = None,
    where: Callable[[NDArray[np.int64]], list[str]] = rows_named,
    dayfirst: bool | None = None,
) -> Found:
    """Take the columns of interactions out of a table, naming its rows by ``where``.

    Parameters
    ----------
    df
        A pandas, Polars, pyarrow or DuckDB frame, eager or lazy, a Hugging Face data set, or a mapping of columns.
    asked
        Names of user, item, timestamp and value; None guesses.
    """
    table = table_of(df)
    source = source or ("the columns" if isinstance(df, Mapping) else "the data frame")
    names = choose(table.names, asked, source)
    unused = names.unused(table.names)
    held = table.take(list(names.used.values()))
    lengths = {name: column.length for name, column in held.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of {source} differ in length: {lengths}")
    user, bad = held[names.user].ids("user")
    item, bad_items = held[names.item].ids("item")
    times, bad_times, notes = (None, [], []) if names.timestamp is None else held[names.timestamp].times(dayfirst)
    values, bad_values = (None, []) if names.value is None else held[names.value].numbers()
    looks = tuple(name for name in unused if table.looks_like_times(name))
    origin = Origin(source, len(user.codes), where, names.used, unused, tuple(notes), looks)
    return Found(Columns(user, item, times, values), origin, [*bad, *bad_items, *bad_times, *bad_values])
