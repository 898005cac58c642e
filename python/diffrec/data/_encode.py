"""From ids of any kind to codes: the sorted distinct ids, and the place of each entry's id among them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import shown

#: int64 or str, one-dimensional.
IdArray: TypeAlias = NDArray[Any]

#: A table over the span of integer ids beats sorting them while it stays within this multiple of their
#: number.
_TABLE_SPAN = 4
#: From here on neighbouring integers share one float64, so different ids would fall together.
_FLOAT_LIMIT = 2.0**53
#: Of code points, those that are halves of a pair.
_HALVES = (0xD800, 0xDFFF)


class Coded(NamedTuple):
    """Ids as codes: entry i has the id ``distinct[codes[i]]``."""

    distinct: IdArray
    codes: NDArray[np.int64]


def encode(ids: Any, name: str, rows: NDArray[np.int64] | None = None) -> Coded:
    """Find the sorted distinct ids and, for each entry, the place of its id among them.

    Whole numbers kept as floats or decimals become integers, and UUIDs text; booleans, fractions, mixed or missing
    ids are refused with the offending entry's row, of ``rows`` where these are some of many.

    Examples
    --------
    >>> encode([30, 10, 30], "user")
    Coded(distinct=array([10, 30]), codes=array([1, 0, 1]))
    """
    array = _vector(ids, name)
    if array.dtype.kind in "OUST":
        return _encode_objects(array.tolist(), name, rows)
    return _encode_integers(_integers(array, name))


def id_array(ids: Any, name: str) -> IdArray:
    """Bring ids into one of the two forms they are kept in; :func:`encode` says what is refused."""
    array = _vector(ids, name)
    if array.dtype.kind == "U":
        return _whole_ids(np.array(array, dtype=np.str_), name)
    if array.dtype.kind in "OST":
        distinct, codes = _encode_objects(array.tolist(), name)
        return distinct[codes]
    return _integers(array, name)


class Coder:
    """Encodes ids that come as text, chunk by chunk, so that a file is never held as a list of strings.

    The ids are integers if every entry is one that comes back as it went in: no leading zero, plus or blank. An empty
    text is no id, and has the code -1.
    """

    def __init__(self) -> None:
        # Looking a text up gives a new one the next number, without a step of Python per entry.
        self._place: defaultdict[str, int] = defaultdict(count().__next__)
        self._codes: list[NDArray[np.int64]] = []

    def add(self, distinct: Sequence[str], codes: NDArray[np.int64]) -> None:
        """Take in the next entries: distinct texts, and for each entry the place of its own among them."""
        places = np.fromiter(map(self._place.__getitem__, distinct), dtype=np.int64, count=len(distinct))
        self._codes.append(places[codes])

    def finish(self, name: str) -> Coded:
        """Return the ids of all chunks as codes."""
        texts = [text for text in self._place if text]
        numbers = _as_numbers(texts)
        distinct = _text_array(texts, name) if numbers is None else numbers
        order = np.argsort(distinct, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        if "" in self._place:
            rank = np.insert(rank, self._place[""], -1)
        return Coded(distinct[order], rank[np.concatenate([np.empty(0, dtype=np.int64), *self._codes])])


def still_used(coded: Coded, kept: NDArray[np.bool_]) -> Coded:
    """Keep some entries, and of the ids those that still occur."""
    codes = coded.codes[kept]
    used = np.zeros(len(coded.distinct), dtype=np.bool_)
    used[codes] = True
    return Coded(coded.distinct[used], (np.cumsum(used) - 1)[codes])


def _vector(ids: Any, name: str) -> NDArray[Any]:
    if isinstance(ids, list | tuple) and any(isinstance(one, str) for one in ids):
        # np.asarray would turn a list of mixed numbers and strings into strings without a word.
        array = np.empty(len(ids), dtype=object)
        array[:] = ids
    else:
        try:
            array = np.asarray(ids)
        except ValueError:
            raise ValueError(f"{name} ids must be one-dimensional, not lists of several lengths") from None
    if array.ndim != 1:
        raise ValueError(f"{name} ids must be one-dimensional, not of shape {array.shape}")
    if not len(array) and array.dtype.kind in "fO":
        return np.empty(0, dtype=np.int64)
    if array.dtype.kind not in "iufOUST":
        raise TypeError(f"{name} ids must be integers or strings, not {array.dtype}")
    return array


def _integers(array: NDArray[Any], name: str) -> NDArray[np.int64]:
    if array.dtype.kind == "u" and len(array) and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"the {name} id {array.max()} does not fit into 64 signed bits")
    if array.dtype.kind == "f":
        bad = ~whole_numbers(array)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(f"{name} ids must be integers or strings; row {row} holds {shown(array[row].item())}")
    return array.astype(np.int64)


def whole_numbers(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which floats or decimals are whole, and small enough that no two integers share one float."""
    if array.dtype.kind == "O":
        return np.array([one.is_finite() and one == one.to_integral_value() for one in array.tolist()], dtype=np.bool_)
    whole: NDArray[np.bool_] = (np.trunc(array) == array) & (np.abs(array) < _FLOAT_LIMIT)
    return whole


def _encode_integers(array: NDArray[np.int64]) -> Coded:
    if not len(array):
        return Coded(array, array)
    low, high = int(array.min()), int(array.max())
    span = high - low + 1
    if span <= _TABLE_SPAN * len(array) + 1024:
        shifted = array - low
        used = np.zeros(span, dtype=np.bool_)
        used[shifted] = True
        place = np.cumsum(used, dtype=np.int64) - 1
        return Coded(np.flatnonzero(used).astype(np.int64) + low, place[shifted])
    distinct, codes = np.unique(array, return_inverse=True)
    return Coded(distinct, codes.reshape(-1).astype(np.int64, copy=False))


def _encode_objects(entries: list[Any], name: str, rows: NDArray[np.int64] | None = None) -> Coded:
    types = set(map(type, entries))
    if all(issubclass(one, bytes) for one in types):
        return _encode_objects([entry.decode() for entry in entries], name) if types else _encode_text(entries, name)
    if all(issubclass(one, str) for one in types):
        return _encode_text(entries, name)
    if all(issubclass(one, UUID) for one in types):
        return _encode_text(list(map(str, entries)), name)
    if all(issubclass(one, Decimal) for one in types):
        return _encode_objects([_whole(entry, row, name) for row, entry in enumerate(entries)], name, rows)
    if all(issubclass(one, int | np.integer) and one is not bool for one in types):
        try:
            return _encode_integers(np.array([int(entry) for entry in entries], dtype=np.int64))
        except OverflowError:
            raise ValueError(f"{name} ids must fit into 64 signed bits") from None
    wanted = str if isinstance(entries[0], str) else int
    odd = (row for row, one in enumerate(entries) if not isinstance(one, wanted) or isinstance(one, bool))
    row = next(odd)
    place = row if rows is None else rows[row]
    raise TypeError(f"{name} ids must be all integers or all strings; row {place} holds {shown(entries[row])}")


def _whole(number: Decimal, row: int, name: str) -> int:
    if not number.is_finite() or number != number.to_integral_value():
        raise ValueError(f"{name} ids must be integers or strings; row {row} holds {number}")
    return int(number)


def _encode_text(entries: list[str], name: str) -> Coded:
    # Hashing once per entry is several times faster than sorting them as wide fixed-length strings.
    distinct = sorted(set(entries))
    place = {entry: code for code, entry in enumerate(distinct)}
    codes = np.fromiter(map(place.__getitem__, entries), dtype=np.int64, count=len(entries))
    return Coded(_text_array(distinct, name), codes)


def _text_array(distinct: Iterable[str], name: str) -> NDArray[np.str_]:
    listed = list(distinct)
    for entry in listed:
        if entry.endswith("\0"):
            raise ValueError(f"the {name} id {shown(entry)} ends with a zero character, which NumPy drops")
    return _whole_ids(np.array(listed, dtype=np.str_), name)


def whole_characters(texts: NDArray[np.str_], named: Callable[[int], str]) -> NDArray[np.str_]:
    r"""Return texts that files can hold, or raise ``ValueError`` naming the first with half of a character.

    Python lets half of a pair of UTF-16 stand alone, where bytes were read as what they are not; no file takes it.

    Examples
    --------
    >>> whole_characters(np.array(["tea", "\ud800"]), lambda place: f"item {place}")
    Traceback (most recent call last):
    ValueError: item 1 is '\ud800', of which a part is half of a character: no file could hold it
    """
    texts = np.asarray(texts, dtype=texts.dtype.newbyteorder("="))
    codes = np.ascontiguousarray(texts).reshape(-1).view(np.uint32)
    if codes.max(initial=0) >= _HALVES[0]:  # few texts have such a character
        halves = ((codes >= _HALVES[0]) & (codes <= _HALVES[1])).reshape(texts.size, -1).any(axis=1)
        if halves.any():
            place = int(np.argmax(halves))
            said = shown(texts.flat[place].item())
            raise ValueError(f"{named(place)} is {said}, of which a part is half of a character: no file could hold it")
    return texts


def _whole_ids(ids: NDArray[np.str_], name: str) -> NDArray[np.str_]:
    return whole_characters(ids, lambda _: f"the {name} id")


def _as_numbers(entries: Sequence[str]) -> NDArray[np.int64] | None:
    try:
        numbers = list(map(int, entries))
        if list(map(str, numbers)) != list(entries):
            return None
        return np.array(numbers, dtype=np.int64)
    except (ValueError, OverflowError):
        return None
