"""Interactions as named arrays of numbers, the form in which a file keeps them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec import _core
from diffrec.data._csr import Parts, canonical, summed
from diffrec.data.events import Events
from diffrec.data.ids import Ids
from diffrec.data.interactions import Interactions

#: Arrays that a reader who knows no events would overlook.
_EVENTS = "events."
_DISLIKES = "dislikes."


def to_arrays(data: Interactions) -> dict[str, NDArray[Any]]:
    """Name the arrays that hold all of some interactions; :func:`from_arrays_dict` reads them back.

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
            f"{_DISLIKES}indptr": disliked.matrix.indptr.astype(np.int64),
            f"{_DISLIKES}items": disliked.matrix.indices.astype(np.int32),
            f"{_DISLIKES}values": disliked.matrix.data,
        }
        if disliked.times is not None:
            arrays[f"{_DISLIKES}times"] = disliked.times
    if data.n_events > len(data):
        events = data.events
        arrays |= {
            f"{_EVENTS}indptr": events.indptr,
            f"{_EVENTS}items": events.items,
            f"{_EVENTS}values": events.values,
        }
        if events.times is not None:
            arrays[f"{_EVENTS}times"] = events.times
    columns: dict[str, NDArray[Any]] = {"users": data.users.ids, "items": data.items.ids}
    columns |= {f"item_info.{name}": np.asarray(values) for name, values in data.item_info.items()}
    for name, values in columns.items():
        arrays |= _column_arrays(name, values)
    return arrays


def holds_events(data: Interactions) -> bool:
    """Whether matrix and timestamps do not say everything, so that a reader has to know of events or dislikes."""
    return data.n_events > len(data) or data.n_dislikes > 0


def from_arrays_dict(arrays: dict[str, NDArray[Any]], shape: tuple[int, int], item_info: list[str]) -> Interactions:
    """Make the interactions whose arrays these are.

    Parameters
    ----------
    arrays
        As :func:`to_arrays` names them; others are not looked at.
    shape
        Users and items.
    item_info
        Names of the facts about the items.

    Raises
    ------
    KeyError
        If an array is missing.
    ValueError
        If the arrays are no such interactions.
    """
    _core.check_csr(arrays["indptr"], arrays["indices"], arrays["data"], shape)
    parts = Parts(canonical(arrays["indptr"], arrays["indices"], arrays["data"], shape), arrays.get("timestamps"))
    if f"{_EVENTS}indptr" in arrays:
        indptr, items, values = (arrays[f"{_EVENTS}{name}"] for name in ("indptr", "items", "values"))
        _core.check_csr(indptr, items, values, shape)
        parts = summed(Events(indptr, items, arrays.get(f"{_EVENTS}times"), values), shape)
    dislikes = None
    if f"{_DISLIKES}indptr" in arrays:
        indptr, items, values = (arrays[f"{_DISLIKES}{name}"] for name in ("indptr", "items", "values"))
        _core.check_csr(indptr, items, values, shape)
        dislikes = Parts(canonical(indptr, items, values, shape), arrays.get(f"{_DISLIKES}times"))
    return Interactions.of_parts(
        parts,
        Ids(_column_from("users", arrays), "user"),
        Ids(_column_from("items", arrays), "item"),
        {name: _column_from(f"item_info.{name}", arrays) for name in item_info},
        dislikes,
    )


def _column_arrays(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Numbers as they are; strings as their UTF-8 bytes, one after the other, and where each ends."""
    if values.dtype.kind in "iufb":
        return {name: np.ascontiguousarray(values)}
    encoded = [str(value).encode() for value in values]
    ends = np.cumsum([len(value) for value in encoded], dtype=np.int64)
    return {f"{name}.utf8": np.frombuffer(b"".join(encoded), dtype=np.uint8).copy(), f"{name}.ends": ends}


def _column_from(name: str, arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    if name in arrays:
        return arrays[name]
    text, ends = arrays[f"{name}.utf8"].tobytes(), arrays[f"{name}.ends"].tolist()
    return np.array([text[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)], dtype=np.str_)
