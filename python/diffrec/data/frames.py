"""Data frames of any library, made of columns, through narwhals."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import narwhals as nw

from diffrec.checks import one_of
from diffrec.data._table import as_narwhals

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Frame = TypeVar("Frame")
#: Libraries whose frames can be made, the one that is taken first where none is named.
BACKENDS = ("pandas", "polars", "pyarrow")


class Framed(ABC):
    """Results that are a table: columns of equal length, which become a data frame of an installed library."""

    @abstractmethod
    def columns(self) -> Mapping[str, Any]:
        """Return the columns by name."""

    @overload
    def to_frame(self, backend: Literal["pandas"], *, like: None = None, **of_columns: bool) -> "pandas.DataFrame": ...
    @overload
    def to_frame(self, backend: Literal["polars"], *, like: None = None, **of_columns: bool) -> "polars.DataFrame": ...
    @overload
    def to_frame(self, backend: Literal["pyarrow"], *, like: None = None, **of_columns: bool) -> "pyarrow.Table": ...
    @overload
    def to_frame(self, backend: None = None, *, like: Frame, **of_columns: bool) -> Frame: ...
    @overload
    def to_frame(self, backend: None = None, *, like: None = None, **of_columns: bool) -> Any: ...
    def to_frame(
        self, backend: Literal["pandas", "polars", "pyarrow"] | None = None, *, like: Any = None, **of_columns: bool
    ) -> Any:
        """Return ``columns`` as a data frame of an installed library.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            Which library's frame; by default the first of these that is installed. ``print`` shows the table without
            any, and ``columns`` gives it as arrays.
        like : data frame, optional
            Make a frame of the same kind instead: pandas, Polars (lazy where it is lazy), pyarrow or DuckDB (on the
            same connection).
        **of_columns
            What ``columns`` takes: of lists ``titles=True`` names the items also as people do.

        Raises
        ------
        ImportError
            When that library is not installed, or none of them is.
        TypeError
            When ``like`` is no such frame.

        Examples
        --------
        >>> import diffrec, polars
        >>> orders = polars.DataFrame({"user": ["Ann", "Bob", "Bob"], "item": ["tea", "tea", "milk"]})
        >>> diffrec.fit(orders, variant="popularity").recommend(["Ann"], k=1).to_frame(like=orders).row(0)
        ('Ann', 'milk', 1, 1.0)
        """
        return make_frame(self.columns(**of_columns), backend, like)


def make_frame(columns: Mapping[str, Any], backend: str | None = None, like: Any = None) -> Any:
    """Make a data frame of columns of equal length.

    Parameters
    ----------
    columns
        Name -> array or list.
    backend
        Which library's frame: ``"pandas"``, ``"polars"`` or ``"pyarrow"``; by default the first that is installed.
    like
        A frame whose kind is made instead: the same library, lazy where it is lazy; for a DuckDB relation one on the
        same connection.

    Raises
    ------
    ImportError
        If the library is not installed, or none of them is.
    ValueError
        If there is no such library.
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
        return nw.from_dict(dict(columns), backend=_installed(backend)).to_native()
    kind = as_narwhals(like, "like")
    if isinstance(kind, nw.DataFrame):
        return nw.from_dict(dict(columns), backend=kind.implementation).to_native()
    if kind.implementation is nw.Implementation.POLARS:
        return nw.from_dict(dict(columns), backend="polars").lazy().to_native()
    if kind.implementation is nw.Implementation.DUCKDB:
        return _relation(columns, like)
    raise TypeError(f"like must be an eager frame, a Polars LazyFrame or a DuckDB relation, not {type(like)}")


def _installed(backend: str | None) -> Any:
    """Return the library that is asked for, or the first that is there."""
    asked = BACKENDS if backend is None else (one_of(BACKENDS)("backend", backend),)
    found = next((name for name in asked if find_spec(name) is not None), None)
    if found is None:
        missing = "pandas, Polars or pyarrow" if backend is None else backend
        raise ImportError(
            f"a data frame needs {missing}: pip install {asked[0]}; without one, print() shows the table and "
            ".columns() gives its columns as arrays"
        )
    return found


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
