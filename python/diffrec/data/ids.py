"""The ids of users or items and the rows they stand for."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, overload
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffrec.checks import shown
from diffrec.data._encode import Coded, IdArray, encode, id_array

_KINDS = {"i": "integers", "U": "strings"}


class Ids:
    """An ordered set of ids; the place of an id is its row (users) or column (items).

    Parameters
    ----------
    ids
        Distinct integer or string ids, in row order, shape (n,). UUIDs are kept as text, whole decimals as integers.
    name
        What one of them is called in messages: ``"user"``, ``"item"``.

    Attributes
    ----------
    facts : Mapping[str, NDArray]
        Columns of facts about them, each of shape (n, ...): of ``data.items`` the ``data.item_info``; else empty.

    Raises
    ------
    TypeError
        If the ids are neither integers nor strings.
    ValueError
        If an id stands twice or the ids are not one-dimensional.

    Examples
    --------
    >>> ids = Ids(["anna", "bert", "carl"], "user")
    >>> ids.rows(["carl", "anna"])
    array([2, 0])
    >>> ids[1]
    'bert'
    >>> "dora" in ids
    False
    """

    # Also of those that were pickled before there were facts.
    facts: Mapping[str, NDArray[Any]] = MappingProxyType({})

    def __init__(self, ids: ArrayLike, name: str = "id") -> None:
        self._set(id_array(ids, name), name)
        self._require_distinct()

    def _require_distinct(self) -> None:
        twice = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
        if len(twice):
            raise ValueError(
                f"the {self._name} id {shown(self._sorted[twice[0]].item())} stands twice in the catalogue"
            )

    @classmethod
    def trusted(cls, ids: IdArray, name: str) -> "Ids":
        """Make from an array known to hold distinct int64 or str ids; it is not copied."""
        made = cls.__new__(cls)
        made._set(ids, name)
        return made

    @classmethod
    def owned(cls, ids: IdArray, name: str) -> "Ids":
        """Make from an array of int64 or str ids that nobody else will change; it is not copied."""
        made = cls.trusted(ids, name)
        made._require_distinct()
        return made

    @classmethod
    def numbered(cls, n: int, name: str = "id") -> "Ids":
        """Make the ids 0 .. n - 1, each its own row."""
        return cls.trusted(np.arange(n, dtype=np.int64), name)

    def _set(self, ids: IdArray, name: str) -> None:
        self._ids = ids
        self._name = name
        self._sorter: NDArray[np.intp] | None = None
        self._sorted = ids
        if not bool(np.all(ids[1:] > ids[:-1])):
            self._sorter = np.argsort(ids, kind="stable")
            self._sorted = ids[self._sorter]
        self._numbered = bool(
            ids.dtype.kind == "i" and self._sorter is None and len(ids) and ids[0] == 0 and ids[-1] == len(ids) - 1
        )

    @property
    def ids(self) -> IdArray:
        """The ids in row order: int64 or str, shape (n,)."""
        return self._ids

    @property
    def name(self) -> str:
        """Name of one id in messages: "user" or "item"."""
        return self._name

    def with_facts(self, facts: Mapping[str, NDArray[Any]]) -> "Ids":
        """Return these ids with other facts about them; nothing is copied.

        Examples
        --------
        >>> Ids(["tea", "salt"], "item").with_facts({"price": np.array([3.5, 1.0])}).facts["price"]
        array([3.5, 1. ])
        """
        if facts is self.facts or not (facts or self.facts):
            return self
        made = copy.copy(self)
        made.facts = facts or {}
        return made

    def are(self, other: "Ids") -> bool:
        """Whether these are the ids of another, known without comparing them; facts do not matter."""
        return self._ids is other._ids

    def rows(self, ids: Any) -> NDArray[np.int64]:
        """Look up the rows of ids.

        Parameters
        ----------
        ids
            One id or m ids (repeats allowed).

        Returns
        -------
        NDArray[np.int64]
            Their rows, shape (m,); shape (1,) for a single id.

        Raises
        ------
        ValueError
            Naming the first id that is unknown.
        """
        return self.rows_of(self._coded(ids))

    def find(self, ids: Any) -> NDArray[np.int64]:
        """Look up the rows of ids as :meth:`rows` does, with -1 where an id is unknown."""
        distinct, codes = self._coded(ids)
        return self._search(distinct)[codes]

    def rows_of(self, coded: Coded) -> NDArray[np.int64]:
        """Look up ids that are encoded already, as :meth:`rows` does."""
        distinct, codes = coded
        rows = self._search(distinct)[codes]
        if len(rows) and rows.min() < 0:
            first = distinct[codes[np.argmax(rows < 0)]].item()
            hint = ""
            if len(self) and distinct.dtype.kind != self._ids.dtype.kind:
                hint = f" ({self._name} ids are {_KINDS[self._ids.dtype.kind]} here)"
            raise ValueError(f"unknown {self._name} id {shown(first)}{hint}")
        return rows

    def _coded(self, ids: Any) -> Coded:
        if isinstance(ids, Ids):
            return Coded(ids._ids, np.arange(len(ids)))
        single = isinstance(ids, str | bytes | int | float | np.generic | UUID | Decimal)
        if single or (isinstance(ids, np.ndarray) and ids.ndim == 0):
            ids = [ids]
        elif not (hasattr(ids, "__array__") or isinstance(ids, list | tuple)):
            if not isinstance(ids, Iterable):
                raise TypeError(f"{self._name} ids must be integers or strings, got {shown(ids)}")
            ids = list(ids)
        return encode(ids, self._name)

    def _search(self, distinct: IdArray) -> NDArray[np.int64]:
        if not len(distinct) or not len(self) or distinct.dtype.kind != self._ids.dtype.kind:
            return np.full(len(distinct), -1, dtype=np.int64)
        if self._numbered:
            numbers = distinct.astype(np.int64, copy=False)
            return np.where((numbers >= 0) & (numbers < len(self)), numbers, -1)
        place = np.minimum(np.searchsorted(self._sorted, distinct), len(self) - 1)
        rows = place if self._sorter is None else self._sorter[place]
        return np.where(self._sorted[place] == distinct, rows, -1).astype(np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, single: object) -> bool:
        if not isinstance(single, str | int | np.str_ | np.integer | UUID | Decimal) or isinstance(single, bool):
            return False
        if isinstance(single, Decimal) and single != single.to_integral_value():
            return False
        return bool(self.find([single])[0] >= 0)

    def __iter__(self) -> Iterator[int | str]:
        return iter(self._ids.tolist())

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> int | str: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[Any] | list[int]) -> IdArray: ...
    def __getitem__(self, rows: Any) -> Any:
        found = self._ids[rows]
        return found.item() if isinstance(found, np.generic) else found

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ids):
            return NotImplemented
        same_kind = self._ids.dtype.kind == other._ids.dtype.kind
        return self.are(other) or (same_kind and np.array_equal(self._ids, other._ids))

    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._ids, dtype=dtype) if copy else np.asarray(self._ids, dtype=dtype)

    def __repr__(self) -> str:
        listed = ", ".join(repr(one) for one in self._ids[:3].tolist())
        return f"Ids({len(self)} {self._name}s: {listed}{', ...' if len(self) > 3 else ''})"


def catalogue(ids: "Ids | ArrayLike", name: str) -> Ids:
    """Take a catalogue as it is, or make one of an array of ids."""
    return ids if isinstance(ids, Ids) else Ids(ids, name)
