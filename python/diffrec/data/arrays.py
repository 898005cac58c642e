"""Interactions as named arrays of numbers, the form in which a file keeps them."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.data._csr import Parts, summed, without
from diffrec.data.events import Events
from diffrec.data.ids import Ids
from diffrec.data.interactions import Interactions
from diffrec.data.stored import Stored
from diffrec.data.tensor_file import checksum

#: Arrays that a reader who knows no events would overlook.
_EVENTS, _DISLIKES = "events", "dislikes"
# No value of an interaction is below it.
_LEAST = float(np.finfo(np.float32).smallest_subnormal)
# Text is held at the width of the longest entry. A table that is this many times larger than its text is refused: a
# small file could fill the memory by it.
_SPREAD = 256
_SMALL = 2**28
# Entries of text that are decoded at once.
_AT_ONCE = 1 << 14


def to_arrays(data: Interactions) -> dict[str, NDArray[Any]]:
    """Name the arrays that hold all of some interactions; :func:`from_stored` reads them back.

    Parameters
    ----------
    data
        What is to be kept.

    Returns
    -------
    dict
        ``indptr``, ``indices`` and ``data`` of the matrix, ``timestamps`` where there are any, the ids and the facts
        about the items (``users``, ``items``, ``item_info.NAME``; text as UTF-8 bytes and where each ends); where
        pairs repeat, the ``events``; and the ``dislikes`` where there are any.

    Raises
    ------
    ValueError
        If an id or a fact is so much longer than the others that no reader would make a table of them.

    Examples
    --------
    >>> list(to_arrays(Interactions.from_arrays([0, 1], ["tea", "salt"])))
    ['indptr', 'indices', 'data', 'users', 'items.utf8', 'items.ends']
    """
    arrays: dict[str, NDArray[Any]] = {
        "indptr": data.matrix.indptr.astype(np.int64),
        "indices": data.matrix.indices.astype(np.int32),
        "data": data.matrix.data,
    }
    if data.timestamps is not None:
        arrays["timestamps"] = data.timestamps
    disliked = data.dislike_parts
    if disliked is not None:
        arrays |= {
            f"{_DISLIKES}.indptr": disliked.matrix.indptr.astype(np.int64),
            f"{_DISLIKES}.items": disliked.matrix.indices.astype(np.int32),
            f"{_DISLIKES}.values": disliked.matrix.data,
        }
        if disliked.times is not None:
            arrays[f"{_DISLIKES}.times"] = disliked.times
    if data.n_events > len(data):
        events = data.events
        arrays |= {
            f"{_EVENTS}.indptr": events.indptr,
            f"{_EVENTS}.items": events.items,
            f"{_EVENTS}.values": events.values,
        }
        if events.times is not None:
            arrays[f"{_EVENTS}.times"] = events.times
    columns: dict[str, NDArray[Any]] = {"users": data.users.ids, "items": data.items.ids}
    columns |= {f"item_info.{name}": np.asarray(values) for name, values in data.item_info.items()}
    for name, values in columns.items():
        arrays |= _column_arrays(name, values)
    return arrays


def in_short(data: Interactions) -> str:
    """Say which interactions these are, by their sizes and a checksum of all that a file would keep of them.

    Examples
    --------
    >>> in_short(Interactions.from_arrays([0, 1], ["tea", "salt"]))
    '2 users x 2 items, 2 interactions, checksum ...'
    """
    sums = json.dumps({name: checksum(array) for name, array in to_arrays(data).items()}, sort_keys=True)
    digest = hashlib.blake2b(sums.encode(), digest_size=8).hexdigest()
    users, items = data.shape
    return f"{users:,} users x {items:,} items, {len(data):,} interactions, checksum {digest}"


def from_stored(stored: Stored, shape: tuple[int, int], item_info: list[str]) -> Interactions:
    """Make the interactions whose arrays these are.

    Parameters
    ----------
    stored
        As :func:`to_arrays` names them; others are not looked at.
    shape
        Users and items.
    item_info
        Names of the facts about the items.

    Raises
    ------
    ValueError
        If an array is missing, or they are no such interactions: the message names the array and what it holds.
    """
    users, items = shape
    matrix = stored.csr(shape, low=_LEAST, high=None)
    times = stored.take("timestamps", (matrix.nnz,), np.float64) if "timestamps" in stored else None
    parts = Parts(matrix, times)
    if f"{_EVENTS}.indptr" in stored:
        parts = _with_events(parts, stored.within(_EVENTS))
    dislikes = _dislikes(parts, stored.within(_DISLIKES)) if f"{_DISLIKES}.indptr" in stored else None
    return Interactions.of_parts(
        parts,
        Ids.owned(_column_from("users", stored, users, np.int64), "user"),
        Ids.owned(_column_from("items", stored, items, np.int64), "item"),
        {name: _column_from(f"item_info.{name}", stored, items) for name in item_info},
        dislikes,
    )


def _with_events(parts: Parts, stored: Stored) -> Parts:
    """The parts with their events, which must be in order and sum to the matrix."""
    matrix, times = parts.matrix, parts.times
    indptr = stored.take("indptr", matrix.indptr.shape, np.int64)
    items = stored.take("items", (None,), np.int32)
    values = stored.take("values", items.shape, low=_LEAST)
    stored.check_rows(indptr, items, matrix.shape[1])
    events = Events(indptr, items, None if times is None else stored.take("times", items.shape, np.float64), values)
    keys = (values, items) if events.times is None else (values, items, events.times)
    order = np.lexsort((*keys, events.owners))
    wrong = np.flatnonzero(order != np.arange(len(order)))
    # A stable sort leaves what is sorted where it is.
    if len(wrong):
        raise ValueError(f"'events': event {wrong[0]} is not in the order of user, time, item and value")
    found = summed(events, matrix.shape)
    same = found.events is not None and all(
        np.array_equal(getattr(found.matrix, name), getattr(matrix, name)) for name in ("indptr", "indices")
    )
    same = same and (times is None or np.array_equal(times, np.asarray(found.times)))
    if not (same and np.allclose(found.matrix.data, matrix.data)):
        raise ValueError("'events' are not those whose sums by pair the matrix holds")
    return found


def _dislikes(parts: Parts, stored: Stored) -> Parts:
    """Read the stored dislikes, which share no cell with the matrix."""
    shape = parts.matrix.shape
    matrix = stored.csr(shape, ("indptr", "items", "values"), low=_LEAST, high=None)
    times = stored.take("times", (matrix.nnz,), np.float64) if "times" in stored else None
    if without(matrix, parts.matrix).nnz < matrix.nnz:
        raise ValueError("'dislikes' and the matrix share a pair")
    return Parts(matrix, times)


def _column_arrays(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Numbers as they are; strings as their UTF-8 bytes, one after the other, and where each ends."""
    if values.dtype.kind in "iufb":
        return {name: np.ascontiguousarray(values)}
    texts = [str(value) for value in values]
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(value) for value in encoded], dtype=np.int64)
    _require_even(name, len(texts), max(map(len, texts), default=0), sum(map(len, encoded)))
    return {f"{name}.utf8": np.frombuffer(b"".join(encoded), dtype=np.uint8).copy(), f"{name}.ends": ends}


def _column_from(name: str, stored: Stored, n: int, numbers: Any = None) -> NDArray[Any]:
    if name in stored:
        return stored.column(name, n) if numbers is None else stored.take(name, (n,), numbers)
    text = stored.take(f"{name}.utf8", (None,), np.uint8)
    ends = stored.take(f"{name}.ends", (n,), np.int64, low=0, high=len(text))
    if np.any(ends[1:] < ends[:-1]) or (ends[-1] if n else 0) != len(text):
        raise ValueError(f"'{name}.ends' must never fall, and end at the {len(text)} bytes of '{name}.utf8'")
    _require_even(name, n, int(np.diff(ends, prepend=0).max(initial=0)), len(text))
    try:
        longest = max((int(lengths.max(initial=0)) for _, _, lengths in _decoded(text, ends)), default=0)
        table = np.zeros(n, dtype=f"U{max(longest, 1)}")
        cells = table.view(np.uint32).reshape(n, table.itemsize // 4)
        for rows, codes, lengths in _decoded(text, ends):
            # A mask is filled row by row, which is the order of the text.
            cells[rows][np.arange(cells.shape[1]) < lengths[:, None]] = codes
    except UnicodeDecodeError as error:
        raise ValueError(f"'{name}.utf8' is no UTF-8: {error}") from None
    return table


def _decoded(
    text: NDArray[np.uint8], ends: NDArray[np.int64]
) -> Iterator[tuple[slice, NDArray[np.uint32], NDArray[np.int64]]]:
    """Decode entries a block at a time: the block's rows, its code points, and how many each row has of them.

    Raises
    ------
    UnicodeDecodeError
        If an entry is no UTF-8; one that begins within a character is none either.
    """
    for start in range(0, len(ends), _AT_ONCE):
        rows = slice(start, min(start + _AT_ONCE, len(ends)))
        first = int(ends[start - 1]) if start else 0
        places = np.concatenate([[0], ends[rows] - first])
        block = text[first : first + places[-1]]
        begins = (block & 0xC0) != 0x80  # all bytes of a character but its first are 10......
        within = np.flatnonzero(~begins[places[:-1][places[:-1] < len(block)]])
        if len(within):
            raise UnicodeDecodeError("utf-8", b"", int(first), int(first), "an entry begins within a character")
        codes = np.frombuffer(block.tobytes().decode().encode("utf-32-le"), dtype="<u4")
        yield rows, codes, np.diff(np.concatenate([[0], np.cumsum(begins)])[places])


def _require_even(name: str, n: int, longest: int, total: int) -> None:
    """Refuse text whose longest entry makes a table out of all proportion to it."""
    table, stored = 4 * n * longest, 8 * n + total
    if table > max(_SMALL, _SPREAD * stored):
        raise ValueError(
            f"{name!r} has {n} entries of {total} bytes together, of which the longest has {longest}: "
            f"a table of them would take {table:,} bytes"
        )
