"""A safetensors file read with nothing taken on trust: arrays and metadata, or what is wrong with it.

The format is a length of 8 bytes, a header of JSON, and the arrays one after the other (huggingface/safetensors). Its
own reader maps the file into memory, takes the last of two entries of one name, and knows no checksums.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Field = TypeVar("Field", bool, int, str, list[Any], dict[str, Any])

# A header holds names, shapes and settings; parsing takes up to about 20 times its size.
HEADER_LIMIT = 2**22
_METADATA = "__metadata__"
# Bytes that are read at once where an array is only looked through.
_PIECE = 1 << 24
_TYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "U32": np.uint32,
    "I32": np.int32, "U64": np.uint64, "I64": np.int64, "F16": np.float16, "F32": np.float32, "F64": np.float64,
}  # fmt: skip
# By the width and the byte order of the numbers: types of several names are one, and others are none.
_NAMES = {np.dtype(kind).str: name for name, kind in _TYPES.items()}


@runtime_checkable
class InPieces(Protocol):
    """Protocol of an array that is nowhere whole: written piece by piece, in order."""

    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102 - as of an array
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield its content from the beginning; each piece is read before the next is asked for."""
        ...


def read_tensors(path: Path, *, mapped: str | None = None) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Read the metadata and the arrays of a safetensors file.

    Every claim of the header is held against the size of the file before anything of that size is allocated. Arrays
    whose names begin with ``mapped`` stay in the file, for who wants a part of them; nobody may change it meanwhile.

    Raises
    ------
    ValueError
        When it is no such file, or is cut short or damaged.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or file.read(1) != b"{":
            raise ValueError("it does not begin as a safetensors file does")
        file.seek(8)
        if length > size - 8:
            raise ValueError(f"its first 8 bytes promise a header of {length:,} bytes, and it has {size:,}")
        if length > HEADER_LIMIT:
            raise ValueError(f"its header has {length:,} bytes, more than the {HEADER_LIMIT:,} that one may have")
        header = parse_json(file.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is no JSON object")
        metadata = header.pop(_METADATA, {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("its metadata does not map names to text")
        places = {name: _place(name, entry) for name, entry in header.items()}
        _require_whole(places, size - 8 - length)
        # In the order of the file; nothing lies between them.
        ordered = sorted(places, key=lambda name: places[name][0])
        stays = {name for name in ordered if mapped is not None and name.startswith(mapped)}
        arrays = {}
        for name in ordered:
            if name not in stays:
                file.seek(8 + length + places[name][0])
                arrays[name] = _array(file, name, *places[name][1:])
        return metadata, arrays | {name: _mapped(path, 8 + length, *places[name][:3]) for name in stays}


def in_order(arrays: Mapping[str, "NDArray[Any] | InPieces"]) -> "list[tuple[str, NDArray[Any] | InPieces]]":
    """Return arrays in the order of a file: the widest types first, as the format asks for, so that all are aligned."""
    return sorted(arrays.items(), key=lambda one: (-one[1].dtype.itemsize, one[0]))


def write_tensors(path: Path, arrays: Mapping[str, "NDArray[Any] | InPieces"], metadata: dict[str, str]) -> None:
    """Write arrays one after the other: into the file that is there, and without a copy of them.

    Raises
    ------
    ValueError
        If one holds what such a file cannot: the message names it.
    """
    header: dict[str, Any] = {_METADATA: metadata}
    end = 0
    ordered = in_order(arrays)
    for name, array in ordered:
        if array.dtype.str not in _NAMES:
            raise ValueError(f"{name!r} holds {array.dtype}, of which a file has none")
        start, end = end, end + math.prod(array.shape) * array.dtype.itemsize
        header[name] = {"dtype": _NAMES[array.dtype.str], "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            for piece in pieces_of(array):
                file.write(_bytes(piece).data)


def parse_json(text: str | bytes) -> Any:
    """Parse JSON without what Python allows beyond it: NaN, infinity, and the last of two values of one name.

    Examples
    --------
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: 'a' stands twice in its header
    """
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"its header is no JSON: {error}") from None


def pieces_of(array: "NDArray[Any] | InPieces") -> "Iterator[NDArray[Any]]":
    """Yield an array's content piece by piece; one that is whole is a piece, and one that lies in a file many."""
    if isinstance(array, np.memmap):
        flat = array.reshape(-1)
        step = max(1, _PIECE // array.itemsize)
        yield from (np.array(flat[start : start + step]) for start in range(0, flat.size, step))
    elif isinstance(array, np.ndarray):
        yield array
    else:
        yield from array.pieces()


def checksum(array: "NDArray[Any] | InPieces") -> str:
    """Sum up an array's type, shape and content in 32 hexadecimal digits (BLAKE2b).

    Examples
    --------
    >>> checksum(np.zeros((2, 3))) == checksum(np.zeros((3, 2)))
    False
    """
    digest = hashlib.blake2b(f"{array.dtype.str} {array.shape} ".encode(), digest_size=16)
    for piece in pieces_of(array):
        digest.update(_bytes(piece).data)
    return digest.hexdigest()


def sealed(header: Mapping[str, Any], arrays: Mapping[str, "NDArray[Any] | InPieces"]) -> str:
    """Write a header as JSON, with checksums of the arrays beside it and of itself; no array is copied.

    Examples
    --------
    >>> arrays = {"x": np.zeros(3)}
    >>> require_unchanged(parse_json(sealed({"epoch": 5}, arrays)), arrays)
    >>> require_unchanged(parse_json(sealed({"epoch": 5}, arrays)), {"x": np.ones(3)})
    Traceback (most recent call last):
    ValueError: 'x' is not what was written: the checksum differs
    """
    full = {**header, "checksums": {name: checksum(array) for name, array in arrays.items()}}
    return json.dumps(full | {"checksum": _checksum_of(full)}, allow_nan=False)


def require_unchanged(header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise ``ValueError`` unless a header and arrays are those that were sealed."""
    if _checksum_of(header) != field(header, "checksum", str):
        raise ValueError("its header is not the one that was written: the checksum differs")
    sums = field(header, "checksums", dict)
    for name in sums.keys() | arrays.keys():
        if name not in arrays or name not in sums:
            raise ValueError(f"lacks {name!r}" if name not in arrays else f"{name!r} is not expected")
        if checksum(arrays[name]) != sums[name]:
            raise ValueError(f"{name!r} is not what was written: the checksum differs")


def field(header: Any, name: str, kind: type[Field]) -> Field:
    """Return the header's value under a name, refused where it is of another type."""
    value = header.get(name) if isinstance(header, dict) else None
    if type(value) is not kind:
        raise ValueError(f"{name!r} of its header is {str(value)[:200]}, expected {kind.__name__}")
    return value


def _checksum_of(header: dict[str, Any]) -> str:
    rest = {name: value for name, value in header.items() if name != "checksum"}
    return hashlib.blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=16).hexdigest()


def _place(name: str, entry: Any) -> tuple[int, tuple[int, ...], type[np.generic], int]:
    """Start, shape, type and end of an array."""
    try:
        dtype, shape, (start, end) = _TYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"its header describes {name!r} as {str(entry)[:200]}") from None
    counts = (*shape, start, end)
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts) or len(shape) > 8:
        raise ValueError(f"its header describes {name!r} as {str(entry)[:200]}")
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if needed != end - start:
        raise ValueError(f"{name!r} of shape {shape} needs {needed} bytes, and has {end - start}")
    return start, shape, dtype, end


def _require_whole(places: dict[str, tuple[int, tuple[int, ...], type[np.generic], int]], size: int) -> None:
    """Raise unless the arrays lie one after the other, and nothing is missing or left."""
    reached = 0
    for start, end, name in sorted((place[0], place[-1], name) for name, place in places.items()):
        if start != reached:
            raise ValueError(f"{name!r} begins at byte {start} of the arrays, and those before it end at {reached}")
        reached = end
    if reached != size:
        raise ValueError(f"its arrays have {size:,} bytes, and its header describes {reached:,}")


def _array(file: BinaryIO, name: str, shape: tuple[int, ...], dtype: type[np.generic], _end: int) -> NDArray[Any]:
    array: NDArray[Any] = np.empty(shape, dtype)
    into = _bytes(array)
    if len(into) and file.readinto(into.data) != len(into):  # type: ignore[attr-defined]
        raise ValueError(f"it ends within {name!r}")
    if array.dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{name!r} holds truth values that are neither 0 nor 1")
    return array


def _mapped(path: Path, after: int, start: int, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    if not math.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", after + start, shape)


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands twice in its header")
        found[name] = value
    return found


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"its header holds {constant}, which is no JSON")
