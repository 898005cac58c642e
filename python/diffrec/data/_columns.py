"""Which column is which, and how the entries of one become ids, times and values."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import nearest
from diffrec.data._encode import Coded

#: Names a column may go by, the likelier first; compared without case, blanks, dashes and underscores.
_NAMES = {
    "user": (
        "user_id", "user", "uid", "user_name", "customer_id", "customer", "client_id", "member_id",
        "account_id", "reviewer_id", "visitor_id", "person_id", "session_id",
    ),
    "item": (
        "item_id", "item", "iid", "movie_id", "movie", "product_id", "product", "sku", "stock_code", "asin",
        "parent_asin", "article_id", "track_id", "song_id", "artist_id", "book_id", "isbn", "business_id",
        "content_id", "video_id", "news_id", "game_id", "course_id", "poi_id", "location_id", "title",
    ),
    "timestamp": (
        "timestamp", "time", "ts", "datetime", "date", "unix_timestamp", "unix_time", "unix_review_time",
        "event_time", "created_at", "purchased_at", "invoice_date",
    ),
}  # fmt: skip


class Columns(NamedTuple):
    """One entry per interaction."""

    user: Coded
    item: Coded
    timestamp: NDArray[np.float64] | None
    value: NDArray[Any] | None


class Names(NamedTuple):
    """The column that holds each part, or None where there is none."""

    user: str
    item: str
    timestamp: str | None
    value: str | None


def choose(columns: Sequence[str], asked: Sequence[object], source: str) -> Names:
    """Find the columns asked for (user, item, timestamp, value; None guesses, but never the value).

    Raises
    ------
    TypeError
        If a column's name is not a string.
    ValueError
        Listing the columns that exist, if one is missing or cannot be guessed.
    """
    listed = ", ".join(repr(column) for column in columns)
    found: dict[str, str | None] = dict.fromkeys(("user", "item", "timestamp", "value"))
    for part, name in zip(found, asked, strict=True):
        if name is None:
            continue
        if not isinstance(name, str):
            raise TypeError(f"{part} must name a column of {source}, not be {name!r}")
        if name not in columns:
            raise ValueError(f"{part}={name!r} is no column of {source}, which has {listed}{nearest(name, columns)}")
        found[part] = name
    for part, names in _NAMES.items():
        if found[part] is None:
            free = [column for column in columns if column not in found.values()]
            found[part] = guess(free, names)
        if found[part] is None and part != "timestamp":
            raise ValueError(f"no column of {source} looks like the {part}: name it with {part}=; it has {listed}")
    users, items = found["user"], found["item"]
    assert users is not None
    assert items is not None
    taken = [name for name in found.values() if name is not None]
    if len(set(taken)) < len(taken):
        raise ValueError(f"one column of {source} cannot be two things: {found}")
    return Names(users, items, found["timestamp"], found["value"])


def guess(columns: Iterable[str], names: Iterable[str]) -> str | None:
    """Pick the column that goes by the likeliest of the names."""
    folded: dict[str, str] = {}
    for column in columns:
        folded.setdefault(_folded(column), column)
    return next((folded[_folded(name)] for name in names if _folded(name) in folded), None)


def looks_like_header(cells: Iterable[str]) -> bool:
    """Whether a line holds names that columns of users, items or times go by."""
    known = {_folded(name) for names in _NAMES.values() for name in names}
    return any(_folded(cell) in known for cell in cells)


def names_its_column(part: str, cell: str) -> bool:
    """Whether a cell is a name that a column of users, items or times goes by."""
    return guess([cell], _NAMES[part]) is not None


def _folded(column: str) -> str:
    # RecBole's atomic files write "user_id:token".
    return "".join(letter for letter in column.split(":")[0].lower() if letter.isalnum())


def text_times(entries: Sequence[str], where: Callable[[int], str], numbers: bool | None = None) -> NDArray[np.float64]:
    """Read times in ISO 8601 as seconds since the epoch (UTC unless they say); numbers stay as they are.

    ``where(position)`` names an entry that is neither. All are of the kind of the first, unless ``numbers`` says which.
    """
    if numbers is None:
        numbers = len(entries) > 0 and is_number(entries[0])
    if numbers:
        return as_floats(entries, float, where, "a number, as the first one is")
    return as_floats(entries, _iso_seconds, where, "a number or an ISO 8601 time")


def as_floats(
    entries: Sequence[str], read: Callable[[str], float], where: Callable[[int], str], wanted: str
) -> NDArray[np.float64]:
    """Read every entry, or raise naming ``where(position)`` of the first that cannot be read."""
    try:
        return np.array(list(map(read, entries)), dtype=np.float64)
    except ValueError:
        for place, entry in enumerate(entries):
            try:
                read(entry)
            except ValueError:
                raise ValueError(f"{where(place)} is {entry!r}, not {wanted}") from None
        raise


def is_number(entry: str) -> bool:
    """Whether a text is a number."""
    try:
        float(entry)
    except ValueError:
        return False
    return True


def _iso_seconds(entry: str) -> float:
    moment = datetime.fromisoformat(entry.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
