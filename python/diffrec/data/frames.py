"""Interactions out of data frames of any library, and columns into one, through narwhals."""

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from diffrec.data._columns import Columns, choose, text_times
from diffrec.data._encode import Coded, encode
from diffrec.data._entries import times_of


def is_frame(data: Any) -> bool:
    """Whether ``data`` is a data frame of a library that narwhals knows, eager or lazy."""
    return isinstance(nw.from_native(data, pass_through=True), nw.DataFrame | nw.LazyFrame)


def make_frame(columns: Mapping[str, Any], backend: Any = "pandas", like: Any = None) -> Any:
    """Make a data frame of columns of equal length.

    Parameters
    ----------
    columns
        Name -> array or list.
    backend
        Which library's frame: ``"pandas"``, ``"polars"`` or ``"pyarrow"``.
    like
        A frame whose kind is made instead: the same library, lazy where it is lazy; for a DuckDB relation one on the
        same connection.

    Raises
    ------
    ImportError
        If the library is not installed.
    TypeError
        If ``like`` is no frame, or a lazy one of another library than Polars and DuckDB.

    Examples
    --------
    >>> import polars
    >>> made = make_frame({"a": [1, 2]}, like=polars.LazyFrame({"b": [0]}))
    >>> type(made).__name__, made.collect()["a"].to_list()
    ('LazyFrame', [1, 2])
    """
    if like is None:
        return nw.from_dict(dict(columns), backend=backend).to_native()
    kind = _narwhals(like, "like")
    if isinstance(kind, nw.DataFrame):
        return nw.from_dict(dict(columns), backend=kind.implementation).to_native()
    if kind.implementation is nw.Implementation.POLARS:
        return nw.from_dict(dict(columns), backend="polars").lazy().to_native()
    if kind.implementation is nw.Implementation.DUCKDB:
        return _relation(columns, like)
    raise TypeError(f"like must be an eager frame, a Polars LazyFrame or a DuckDB relation, not {type(like)}")


def _relation(columns: Mapping[str, Any], like: Any) -> Any:
    """Make a DuckDB relation on the connection of another: only such can be joined."""
    # DuckDB finds the table by the name of this variable, where the database has none of that name; the relation keeps
    # it alive.
    diffrec_columns_ = make_frame(columns, "pyarrow")
    relation = like.query("diffrec_like_", "select * from diffrec_columns_")
    del diffrec_columns_
    # DuckDB before 2.0 leaves a view of that name on the caller's connection.
    like.query("diffrec_like_", "drop view if exists diffrec_like_")
    # With a name of its own it can be joined with the other.
    return relation.set_alias("diffrec")


def _narwhals(df: Any, argument: str) -> "nw.DataFrame[Any] | nw.LazyFrame[Any]":
    try:
        frame: nw.DataFrame[Any] | nw.LazyFrame[Any] = nw.from_native(df)
    except TypeError:
        raise TypeError(
            f"{argument} must be a data frame (pandas, Polars, pyarrow, DuckDB or another that narwhals knows), "
            f"not {type(df).__name__}"
        ) from None
    return frame


def frame_columns(
    df: Any,
    user: str | None,
    item: str | None,
    timestamp: str | None,
    value: str | None,
    source: str = "the data frame",
) -> Columns:
    """Take the columns of interactions out of a pandas, Polars, pyarrow or DuckDB frame, eager or lazy."""
    frame = _narwhals(df, "df")
    names = choose(frame.collect_schema().names(), (user, item, timestamp, value), source)
    wanted = frame.select([name for name in names if name is not None])
    table = _collected(wanted) if isinstance(wanted, nw.LazyFrame) else wanted
    return Columns(
        _ids(table[names.user], "user"),
        _ids(table[names.item], "item"),
        None if names.timestamp is None else _times(table[names.timestamp]),
        None if names.value is None else _values(table[names.value]),
    )


def _collected(frame: "nw.LazyFrame[Any]") -> "nw.DataFrame[Any]":
    try:
        return frame.collect()
    except ModuleNotFoundError as error:
        raise ImportError(f'collecting this lazy frame needs {error.name}: pip install "diffrec[parquet]"') from error


def _ids(column: "nw.Series[Any]", name: str) -> Coded:
    _require_no_nulls(column)
    if isinstance(column.dtype, nw.Categorical | nw.Enum):
        column = column.cast(nw.String)
    try:
        return encode(column.to_numpy(), name)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"column {column.name!r}: {error}") from None


def _times(column: "nw.Series[Any]") -> NDArray[np.float64]:
    _require_no_nulls(column)
    if isinstance(column.dtype, nw.Date):
        column = column.cast(nw.Datetime("us"))
    if isinstance(column.dtype, nw.Datetime):
        # Microseconds: what a float64 of seconds since the epoch can still tell apart.
        return column.dt.timestamp("us").to_numpy().astype(np.float64) / 1e6
    if column.dtype.is_numeric():
        return column.to_numpy().astype(np.float64)
    if isinstance(column.dtype, nw.String):
        return text_times(column.to_list(), lambda row: f"column {column.name!r} row {row}")
    if isinstance(column.dtype, nw.Object):
        try:
            return times_of(column.to_numpy())
        except ValueError as error:
            raise ValueError(f"column {column.name!r}: {error}") from None
    raise ValueError(f"column {column.name!r} must hold times or numbers, not {column.dtype}")


def _values(column: "nw.Series[Any]") -> NDArray[Any]:
    _require_no_nulls(column)
    if not (column.dtype.is_numeric() or isinstance(column.dtype, nw.Boolean)):
        raise ValueError(f"column {column.name!r} must hold numbers, not {column.dtype}")
    return column.to_numpy().astype(np.float64)


def _require_no_nulls(column: "nw.Series[Any]") -> None:
    missing = column.is_null().to_numpy()
    if missing.any():
        raise ValueError(f"column {column.name!r} is null in row {int(np.argmax(missing))}")
