"""Facts of items besides who took them: titles, categories, prices, from tables with a row per item."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffrec.data._columns import guess, item_names, user_names
from diffrec.data._encode import Coded, whole_characters
from diffrec.data._table import Column, Table, is_table, table_of
from diffrec.data.files import blamed_on, parquet_table
from diffrec.data.ids import Ids
from diffrec.data.report import counted
from diffrec.data.text import is_text, text_table

#: Facts in text that stand for an item, the likelier first.
TITLES = (
    "title", "name", "item_name", "item_title", "product_name", "product_title", "movie_title", "book_title",
    "track_name", "description", "product_description", "item_description",
)  # fmt: skip


class Facts(NamedTuple):
    """Columns of facts, an entry for each item, and what was not found."""

    info: dict[str, NDArray[Any]]
    note: str


def as_kept(column: ArrayLike, name: str) -> NDArray[Any]:
    """Bring facts into the form in which they are kept, which is one that a file has, too.

    Numbers get this machine's byte order and at most 64 bits; text that came as objects becomes text.

    Raises
    ------
    ValueError
        If a text holds half of a character, naming its place.

    Examples
    --------
    >>> as_kept(np.array([1.5, 2.0], dtype=">f8"), "price").dtype == np.float64
    True
    """
    facts = np.asarray(column)
    kind = facts.dtype.kind
    # pandas has text in arrays of objects.
    if kind == "U" or (kind in "OT" and all(isinstance(fact, str) for fact in facts.flat)):
        return whole_characters(facts.astype(np.str_, copy=False), lambda place: f"{name}[{place}]")
    return facts.astype(f"{kind}{min(facts.dtype.itemsize, 8)}", copy=False) if kind in "iuf" else facts


def holds_facts(items: Any) -> bool:
    """Whether what was given as items is a table of facts, or the file of one, rather than ids."""
    return isinstance(items, str | PathLike) or is_table(items)


def title_of(info: Mapping[str, NDArray[Any]]) -> str | None:
    """Name the column of facts that holds titles, or None."""
    return guess([name for name, column in info.items() if column.dtype.kind == "U"], TITLES)


def facts_of(items: Any, ids: Ids, item: str | None) -> Facts:
    """Read facts about items, or about users where the ids are theirs.

    Parameters
    ----------
    items
        A table with a row for each, or the path of one in ``.csv``, ``.tsv`` (also packed) or ``.parquet``.
    ids
        Those that there are; others are left out.
    item
        What the column of ids is called in the interactions: the one of that name holds them here, too, if there is
        one, else one that usually does.

    Returns
    -------
    Facts
        Text, numbers or booleans. Where an item has none: an empty text, or NaN. Of items that stand twice the first
        row counts. Lists become texts parted by ``|``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If no column holds ids, or the file is no such table.
    """
    source = str(items) if isinstance(items, str | PathLike) else "items"
    coded, without, columns = _read(items, ids.name, source, item)
    # Written from the last row to the first, so that the first of an item stays.
    first = np.full(len(coded.distinct), -1, dtype=np.int64)
    named = np.flatnonzero(coded.codes >= 0)[::-1]
    first[coded.codes[named]] = named
    found = _find(Ids.trusted(coded.distinct, "item"), ids)
    rows = np.where(found >= 0, first[found], -1) if len(first) else found
    info = {name: as_kept(_entries(column, rows), name) for name, column in columns.items()}
    return Facts(info, _note(source, ids.name, info, rows, len(coded.distinct), len(coded.codes) - without, without))


def fact_table(given: Any, kind: str, argument: str) -> tuple[Ids, dict[str, NDArray[Any]]]:
    """Read a table with a row for each item, or person, that is new: their ids in its order, a column for each fact.

    Parameters
    ----------
    given : frame, mapping of columns, or path of a .csv, .tsv or .parquet file
        One column holds ids and goes by a usual name; those of a mapping may be vectors, (n, width).
    kind : {"item", "user"}
        Whose facts.
    argument : str
        What it is called in messages.

    Raises
    ------
    ValueError
        When no column holds ids, one is missing, or stands twice.

    Examples
    --------
    >>> ids, facts = fact_table({"item_id": [7, 3], "title": ["tea", "milk"]}, "item", "cold_items")
    >>> ids.ids, facts["title"].tolist()
    (array([7, 3]), ['tea', 'milk'])
    """
    vectors: dict[str, NDArray[Any]] = {}
    if isinstance(given, Mapping):
        vectors = {name: np.asarray(column) for name, column in given.items() if np.ndim(column) == 2}
        given = {name: column for name, column in given.items() if name not in vectors}
    coded, without, columns = _read(given, kind, argument)
    if without:
        raise ValueError(f"{argument} has {without} rows without the id of {kind}s")
    ids = Ids(coded.distinct[coded.codes], kind)
    rows = np.arange(len(ids))
    info = {name: _entries(column, rows) for name, column in columns.items()}
    for name, column in vectors.items():
        if len(column) != len(ids):
            raise ValueError(f"{argument}[{name!r}] has {len(column)} rows, and there are {len(ids)} {kind}s")
    return ids, info | vectors


def _read(given: Any, kind: str, argument: str, name: str | None = None) -> tuple[Coded, int, dict[str, Column]]:
    """Read a table of facts: the ids in one of its columns, how many rows have none, and the other columns.

    The column is called ``name``, or else as one of such ids usually is.
    """
    table = _table_in(Path(given)) if isinstance(given, str | PathLike) else table_of(given, argument)
    usual = (*user_names(), "id") if kind == "user" else item_names()
    found = guess(table.names, [*([name] if name else []), *usual])
    if found is None:
        listed = ", ".join(map(repr, table.names))
        raise ValueError(
            f"no column of {argument} looks like the ids of {kind}s: call it {name or kind!r}; it has {listed}"
        )
    columns = table.take(table.names)
    coded, bad = columns.pop(found).ids(kind)
    return coded, sum(len(one.rows) for one in bad), columns


def _note(
    source: str, what: str, info: Mapping[str, Any], rows: NDArray[np.int64], distinct: int, n: int, without: int
) -> str:
    known = int(np.sum(rows >= 0))
    said = [f"{source}: {', '.join(map(repr, info)) or 'nothing'} of {known:,} of {counted(len(rows), what)}"]
    for number, which in (
        (distinct - known, f"of {what}s without interactions left out"),
        (n - distinct, f"left out that repeat {'an item' if what == 'item' else f'a {what}'}"),
        (without, "left out that name none"),
    ):
        said += [f"{counted(number, 'row')} {which}"] if number else []
    return "; ".join(said)


def _find(of: Ids, wanted: Ids) -> NDArray[np.int64]:
    """Find the places of the wanted ids among others, -1 for none; those of another kind are compared as written."""
    if of.ids.dtype.kind != wanted.ids.dtype.kind:
        texts, order = np.unique(of.ids.astype(np.str_), return_index=True)
        found = Ids.trusted(texts, "item").find(wanted.ids.astype(np.str_))
        return np.where(found >= 0, order[found], -1)
    return of.find(wanted)


def _table_in(file: Path) -> Table:
    """Read a file of facts as a table."""
    with blamed_on(file):
        if not file.exists():
            raise FileNotFoundError(f"{file} does not exist")
        if is_text(file):
            return table_of({name: _numbers(texts) for name, texts in text_table(file).items()})
        if file.is_dir() or file.suffix.lower() == ".parquet":
            return table_of(parquet_table(file))
        raise ValueError(f"{file}: facts about items are read from .csv, .tsv, .inter and .parquet files")


def _numbers(texts: list[str]) -> Any:
    """Texts that are all numbers as such; what is empty is nothing."""
    held = [text for text in texts if text]
    for kind in (int, float):
        try:
            if held and (kind is float or all(str(int(text)) == text for text in held)):
                return [kind(text) if text else None for text in texts]
        except ValueError:
            continue
    return [text or None for text in texts]


def _entries(column: Column, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return a column's entries in these rows; -1 for none."""
    held, values = column.rows, column.values
    if held is not None:
        place = np.full(column.length, -1, dtype=np.int64)
        place[held] = np.arange(len(held))
        rows = np.where(rows >= 0, place[rows], -1) if column.length else rows
    empty = rows < 0
    if values.dtype.kind not in "iufb" or (values.dtype.kind == "b" and empty.any()):
        values = _texts(values)
    if not len(values):
        return np.full(len(rows), "", dtype=np.str_)
    made: NDArray[Any] = values[rows]
    if not empty.any():
        return made
    if values.dtype.kind == "U":
        made[empty] = ""
        return made
    made = made.astype(np.float64)
    made[empty] = np.nan
    return made


def _texts(values: NDArray[Any]) -> NDArray[np.str_]:
    if values.dtype.kind == "M":
        days = values.astype("datetime64[D]")
        return np.datetime_as_string(days if (days == values).all() else values.astype("datetime64[s]")).astype(np.str_)
    return np.array([_text(one) for one in values.tolist()], dtype=np.str_)


def _text(one: Any) -> str:
    several = isinstance(one, list | tuple | set | np.ndarray)
    return "|".join(sorted(map(str, one)) if isinstance(one, set) else map(str, one)) if several else str(one)
