"""Canonical CSR, its times and events, picked and put together anew."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffrec.data._csr import Parts, assemble, canonical, masked, owners_of, summed
from diffrec.data.events import Events

_Entries: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float64] | None]


def events_of(parts: Parts) -> Events:
    """Return the events, made anew where no cell has several."""
    if parts.events is not None:
        return parts.events
    indptr = parts.matrix.indptr.astype(np.int64)
    if parts.times is None:
        return Events(indptr, parts.matrix.indices, None, parts.matrix.data)
    order = _order(parts)
    return Events(indptr, parts.matrix.indices[order], parts.times[order], parts.matrix.data[order])


def cells_of(parts: Parts) -> NDArray[np.int64]:
    """Return where in ``matrix.data`` the cell of each event stands."""
    if parts.events is not None:
        width = parts.matrix.shape[1]
        cells = owners_of(parts.matrix) * width + parts.matrix.indices
        return np.searchsorted(cells, parts.events.owners * width + parts.events.items)
    return np.arange(parts.matrix.nnz) if parts.times is None else _order(parts)


def _order(parts: Parts) -> NDArray[np.int64]:
    assert parts.times is not None
    # Stable: what has one time stays in the order of the columns.
    return np.lexsort((parts.times, owners_of(parts.matrix)))


def newest_first(times: NDArray[np.float64] | None, n: int) -> NDArray[np.int64]:
    """Return the places of n entries, newest first; as they stand where there are no times.

    Examples
    --------
    >>> newest_first(np.array([3.0, 5.0, 3.0]), 3), newest_first(None, 2)
    (array([1, 0, 2]), array([0, 1]))
    """
    return np.arange(n) if times is None else np.argsort(-times, kind="stable")


def keep(parts: Parts, mask: NDArray[np.bool_]) -> Parts:
    """Keep the cells where the mask is true, with all of their events."""
    made = masked(parts.matrix, mask)
    times = None if parts.times is None else parts.times[mask]
    if parts.events is None:
        return Parts(made, times)
    events = _kept(parts.events, mask[cells_of(parts)])
    return Parts(made, times, events if len(events) > made.nnz else None)


def keep_events(parts: Parts, mask: NDArray[np.bool_]) -> Parts:
    """Keep the events where the mask, in their order, is true."""
    if parts.events is not None:
        return summed(_kept(parts.events, mask), parts.matrix.shape)
    of_cells = np.empty_like(mask)
    of_cells[cells_of(parts)] = mask
    return keep(parts, of_cells)


def _kept(events: Events, mask: NDArray[np.bool_]) -> Events:
    kept = np.concatenate([[0], np.cumsum(mask)])
    times = None if events.times is None else events.times[mask]
    return Events(kept[events.indptr], events.items[mask], times, events.values[mask])


def pick_rows(parts: Parts, rows: NDArray[np.int64]) -> Parts:
    """Gather rows, in the order given."""
    matrix = parts.matrix
    indptr, places = _ragged(matrix.indptr.astype(np.int64), rows)
    made = canonical(indptr, matrix.indices[places], matrix.data[places], (len(rows), matrix.shape[1]))
    times = None if parts.times is None else parts.times[places]
    events = parts.events
    if events is not None:
        indptr, places = _ragged(events.indptr, rows)
        moments = None if events.times is None else events.times[places]
        events = Events(indptr, events.items[places], moments, events.values[places])
    return Parts(made, times, events if events is not None and len(events) > made.nnz else None)


def _ragged(indptr: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bounds of the picked rows, and the places that their entries had before."""
    counts = np.diff(indptr)[rows]
    ends = np.cumsum(counts)
    places = np.arange(counts.sum()) + np.repeat(indptr[rows] - (ends - counts), counts)
    return np.concatenate([[0], ends]), places


def move(parts: Parts, rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> Parts:
    """Move row r to ``rows[r]`` and column c to ``columns[c]``; what would go to -1 is left out."""
    owners, items, values, times = _entries(parts)
    to_row, to_column = rows[owners], columns[items]
    kept = (to_row >= 0) & (to_column >= 0)
    left = None if times is None else times[kept]
    return assemble(to_row[kept], to_column[kept], values[kept], left, shape)


def add(parts: list[Parts]) -> Parts:
    """Join the events of matrices of one shape; the times stay if all have them."""
    rows, columns, values, times = zip(*map(_entries, parts), strict=True)
    moments = [part for part in times if part is not None]
    return assemble(
        np.concatenate(rows),
        np.concatenate(columns),
        np.concatenate(values),
        np.concatenate(moments) if len(moments) == len(parts) else None,
        parts[0].matrix.shape,
    )


def _entries(parts: Parts) -> _Entries:
    """Rows, columns, values and times of the events, in whatever order."""
    if parts.events is None:
        matrix = parts.matrix
        return owners_of(matrix), matrix.indices.astype(np.int64), matrix.data, parts.times
    events = parts.events
    return events.owners, events.items.astype(np.int64), events.values, events.times
