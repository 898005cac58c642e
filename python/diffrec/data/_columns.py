"""Recognition of the columns of a table by their names."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import nearest
from diffrec.data._encode import Coded

#: Names a column may go by, the likelier first; compared without case, blanks, dashes and underscores.
_NAMES = {
    "user": (
        "user_id", "user", "uid", "user_name", "customer_id", "customer", "customer_unique_id", "customer_no",
        "customer_number", "customer_code", "customer_key", "cust_id", "client_id", "client", "member_id", "member",
        "account_id", "account", "buyer_id", "buyer", "shopper_id", "subscriber_id", "profile_id", "reviewer_id",
        "reader_id", "listener_id", "viewer_id", "player_id", "steam_id", "student_id", "patient_id", "visitor_id",
        "visitor", "person_id", "household_id", "household_key", "device_id", "anonymous_id", "email", "session_id",
    ),
    "item": (
        "item_id", "item", "iid", "movie_id", "movie", "product_id", "product", "sku", "stock_code", "product_code",
        "product_sku", "item_code", "item_no", "item_number", "item_sku", "asin", "parent_asin", "article_id",
        "article", "article_no", "track_id", "track", "song_id", "song", "artist_id", "artist", "album_id", "book_id",
        "book", "isbn", "ean", "gtin", "upc", "barcode", "business_id", "content_id", "video_id", "film_id", "show_id",
        "news_id", "post_id", "page_id", "document_id", "doc_id", "game_id", "app_id", "course_id", "recipe_id",
        "anime_id", "listing_id", "hotel_id", "offer_id", "venue_id", "poi_id", "location_id", "title",
    ),
    "timestamp": (
        "timestamp", "time", "ts", "datetime", "date", "unix_timestamp", "unix_time", "unix_review_time",
        "event_time", "event_timestamp", "event_date", "interaction_time", "time_stamp", "date_time",
        "ordered_at", "order_date", "order_time", "order_datetime", "order_timestamp", "order_purchase_timestamp",
        "purchased_at", "purchase_date", "purchase_time", "bought_at", "sold_at", "sale_date", "sales_date",
        "invoice_date", "invoice_time", "transaction_date", "transaction_time", "transaction_dt", "t_dat",
        "visited_at", "visit_date", "visit_time", "viewed_at", "view_time", "clicked_at", "click_time", "played_at",
        "watched_at", "listened_at", "read_at", "rated_at", "rating_date", "reviewed_at", "review_date",
        "review_time", "occurred_at", "happened_at", "logged_at", "added_at", "date_added", "created_at", "created",
        "created_on", "created_date", "creation_date", "create_time", "day", "when",
    ),
}  # fmt: skip
#: What names of other columns of times have in them, as a whole word.
_TIME_WORDS = frozenset({"date", "time", "timestamp", "datetime", "at", "day", "ts", "when", "dt"})


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

    @property
    def used(self) -> dict[str, str]:
        """Part -> column, of those there are."""
        return {part: name for part, name in self._asdict().items() if name is not None}

    def unused(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The other columns."""
        return tuple(column for column in columns if column not in self)


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


def guess(columns: Iterable[object], names: Iterable[str]) -> str | None:
    """Pick the column that goes by the likeliest of the names; frames may have numbers for names, which go by none."""
    folded: dict[str, str] = {}
    for column in columns:
        if isinstance(column, str):
            folded.setdefault(_folded(column), column)
    return next((folded[_folded(name)] for name in names if _folded(name) in folded), None)


def item_names() -> tuple[str, ...]:
    """Names that a column of items' ids goes by in a table of facts: there a title is none, and an id is one."""
    return (*(name for name in _NAMES["item"] if name != "title"), "id")


def user_names() -> tuple[str, ...]:
    """Names that a column of users goes by, the likelier first."""
    return _NAMES["user"]


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


def names_a_time(column: str) -> bool:
    """Whether a column's name says that it holds times.

    Examples
    --------
    >>> [names_a_time(name) for name in ("updatedAt", "ShipDate", "delivery_time", "category", "rating")]
    [True, True, True, False, False]
    """
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", column.split(":")[0])
    return names_its_column("timestamp", column) or bool(_TIME_WORDS & set(re.findall(r"[a-z]+", words.lower())))
