"""Tables of facts about items or people that are not in the data: new ones."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.data._columns import guess, item_names, user_names
from diffrec.data._table import table_of
from diffrec.data.facts import fact_column, facts_file
from diffrec.data.ids import Ids


def fact_table(given: Any, kind: str, argument: str) -> tuple[Ids, dict[str, NDArray[Any]]]:
    """Read a table with a row for each item, or person: their ids in its order, and a column for each fact.

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
    table = facts_file(Path(given)) if isinstance(given, str | PathLike) else table_of(given, argument)
    name = guess(table.names, item_names() if kind == "item" else (*user_names(), "id"))
    if name is None:
        raise ValueError(
            f"no column of {argument} looks like the ids of {kind}s: call it {kind!r}; it has "
            f"{', '.join(map(repr, table.names))}"
        )
    columns = table.take(table.names)
    coded, bad = columns[name].ids(kind)
    if bad:
        raise ValueError(f"{argument} has {sum(len(one.rows) for one in bad)} rows without the id of {kind}s")
    ids = Ids(coded.distinct[coded.codes], kind)
    rows = np.arange(len(ids))
    info = {one: fact_column(column, rows) for one, column in columns.items() if one != name}
    for one, column in vectors.items():
        if len(column) != len(ids):
            raise ValueError(f"{argument}[{one!r}] has {len(column)} rows, and there are {len(ids)} {kind}s")
    return ids, info | vectors
