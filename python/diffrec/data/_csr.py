"""From whatever holds a matrix to checked, canonical CSR; small matrices made of others."""

from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec import _core
from diffrec._memory import require_memory
from diffrec.data.events import Events

Csr: TypeAlias = "sparse.csr_array[np.float32, tuple[int, int]]"
# Users, or items: their numbers have 32 signed bits.
_MOST = 2**31 - 1
# Bytes that each takes without an entry: an id, a place in it, where its row begins. Few are not worth the question.
_BYTES, _LARGE = 32, 10**6
# Of whatever numbers.
_AnyCsr: TypeAlias = "sparse.csr_array[Any, tuple[int, int]]"
Entries: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]


class Parts(NamedTuple):
    """A canonical matrix of sums by cell, the newest time of each cell, and the events where a cell has several."""

    matrix: Csr
    times: NDArray[np.float64] | None
    events: Events | None = None


def stored_entries(matrix: Any, argument: str) -> tuple[Entries, tuple[int, int]]:
    """List rows, columns and values of the stored entries, explicit zeros included, in stored order.

    The structure is checked before any SciPy method sees it: SciPy's own checks let some corrupt arrays
    through, and its C++ loops then read out of bounds. So is the size: rows without entries take memory, too.
    """
    is_sparse: bool = sparse.issparse(matrix)
    if not is_sparse and not isinstance(matrix, np.ndarray):
        raise TypeError(f"{argument} must be a SciPy sparse matrix or a NumPy array, not {type(matrix).__name__}")
    if matrix.ndim != 2:
        raise ValueError(f"{argument} must have two dimensions, not shape {matrix.shape}")
    _require_numbers(matrix.dtype, argument)
    shape = (int(matrix.shape[0]), int(matrix.shape[1]))
    require_size(shape, argument)
    if not is_sparse:
        dense = np.asarray(matrix)
        rows, columns = np.nonzero(dense)
        return (rows, columns, dense[rows, columns]), shape
    of_format = _compressed_entries if matrix.format in ("csr", "csc", "bsr") else _coordinate_entries
    return of_format(matrix, argument, shape), shape


def _compressed_entries(matrix: Any, argument: str, shape: tuple[int, int]) -> Entries:
    by_column, in_blocks = matrix.format == "csc", matrix.format == "bsr"
    height, width = matrix.blocksize if in_blocks else (1, 1)
    major, minor = shape[::-1] if by_column else (shape[0] // height, shape[1] // width)
    indptr, indices = _check_structure(matrix, argument, (major, minor))
    if in_blocks:
        return _coordinate_entries(matrix, argument, shape)
    lines = np.repeat(np.arange(major, dtype=np.int64), np.diff(indptr))
    crossings = indices.astype(np.int64, copy=False)
    rows, columns = (crossings, lines) if by_column else (lines, crossings)
    return rows, columns, np.asarray(matrix.data)


def _coordinate_entries(matrix: Any, argument: str, shape: tuple[int, int]) -> Entries:
    coo = matrix.tocoo()
    coordinates = []
    for axis, (places, size) in enumerate(zip((coo.row, coo.col), shape, strict=True)):
        places = np.asarray(places).astype(np.int64)
        outside = (places < 0) | (places >= size)
        if len(places) != len(coo.data) or outside.any():
            what = f"holds {places[np.argmax(outside)]}" if outside.any() else f"has {len(places)} entries"
            raise ValueError(f"{argument}: axis {axis} of size {size} {what}, with {len(coo.data)} values")
        coordinates.append(places)
    return coordinates[0], coordinates[1], np.asarray(coo.data)


def require_size(shape: tuple[int, ...], argument: str) -> None:
    """Refuse a matrix that has more users or items than there can be, or than there is memory for, before it is made.

    A few bytes may claim any size.

    Examples
    --------
    >>> require_size((10**11, 5), "matrix")
    Traceback (most recent call last):
    ValueError: matrix has shape (100000000000, 5): at most 2147483647 users and as many items are possible
    """
    if max(shape) > _MOST:
        raise ValueError(f"{argument} has shape {shape}: at most {_MOST} users and as many items are possible")
    if sum(shape) > _LARGE:
        what = f"{argument} of shape {shape}"
        require_memory(_BYTES * sum(shape), what, "leave out users and items without interactions")


def align_times(times: Any, entries: Entries, shape: tuple[int, int], argument: str) -> NDArray[np.float64]:
    """Bring the times of a matrix of the same pattern into the order of the given entries."""
    rows, columns, _ = entries
    if isinstance(times, np.ndarray) and times.shape == shape:
        _require_numbers(times.dtype, argument)
        return np.asarray(times, dtype=np.float64)[rows, columns]
    if isinstance(times, np.ndarray) and times.ndim == 1:
        if times.shape != rows.shape:
            raise ValueError(f"{argument} must hold one time per stored entry, {len(rows)}, not {len(times)}")
        _require_numbers(times.dtype, argument)
        return times.astype(np.float64)
    (time_rows, time_columns, values), time_shape = stored_entries(times, argument)
    if time_shape != shape:
        raise ValueError(f"{argument} must have the matrix's shape {shape}, not {time_shape}")
    wanted, found = rows * shape[1] + columns, time_rows * shape[1] + time_columns
    if np.array_equal(wanted, found):
        return values.astype(np.float64)
    # The same cells may be stored in another order; a stable sort pairs repeated cells in theirs.
    wanted_order, found_order = np.argsort(wanted, kind="stable"), np.argsort(found, kind="stable")
    if not np.array_equal(wanted[wanted_order], found[found_order]):
        lone = np.setxor1d(wanted, found)
        cell = divmod(int(lone[0]), shape[1]) if len(lone) else None
        detail = f"({cell[0]}, {cell[1]}) is stored in one only" if cell else "a repeated entry is not repeated in both"
        raise ValueError(f"{argument} must have the matrix's pattern: {detail}")
    aligned = np.empty(len(wanted), dtype=np.float64)
    aligned[wanted_order] = values[found_order]
    return aligned


def assemble(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float32],
    times: NDArray[np.float64] | None,
    shape: tuple[int, int],
) -> Parts:
    """Make canonical CSR of checked entries, in whatever order: zeros are dropped, repeated cells are events."""
    kept = values != 0
    if not kept.all():
        rows, columns, values = rows[kept], columns[kept], values[kept]
        times = None if times is None else times[kept]
    cells = rows * shape[1] + columns
    if not np.all(cells[1:] > cells[:-1]):
        order = np.argsort(cells)  # stable or not: where two are the same, the order of events decides
        cells = cells[order]
        if (cells[1:] == cells[:-1]).any():
            return summed(sorted_events(rows, columns, values, times, shape[0]), shape)
        rows, columns, values = rows[order], columns[order], values[order]
        times = None if times is None else times[order]
    return Parts(canonical(_offsets(rows, shape[0]), columns.astype(np.int32), values, shape), times)


def sorted_events(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float32],
    times: NDArray[np.float64] | None,
    n_users: int,
) -> Events:
    """Put entries into the order of events, which does not depend on the order they come in."""
    if times is not None:
        times = times + 0.0  # -0.0 and 0.0 are one moment
    key = _event_key(rows, columns, times, n_users)
    if key is None:
        order = np.lexsort((values, columns, rows) if times is None else (values, columns, times, rows))
    else:
        order = np.argsort(key)
        if (values != values[:1]).any():
            order = _by_value_where_tied(order, key, values)
    return Events(
        _offsets(rows, n_users),
        columns[order].astype(np.int32),
        None if times is None else times[order],
        values[order],
    )


def _by_value_where_tied(
    order: NDArray[np.int64], key: NDArray[np.int64], values: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Put entries of the same key into the order of their values: few as a rule, and each key's stand side by side."""
    held = key[order]
    same = held[1:] == held[:-1]
    places = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    tied = order[places]
    order[places] = tied[np.lexsort((values[tied], key[tied]))]
    return order


def _event_key(
    rows: NDArray[np.int64], columns: NDArray[np.int64], times: NDArray[np.float64] | None, n_users: int
) -> NDArray[np.int64] | None:
    """Number events in their order where that takes no more than 63 bits: one sort is faster than one for each part."""
    if not len(rows):
        return None
    width = int(columns.max()) + 1
    if times is None:
        return rows * width + columns if n_users * width < 2**63 else None
    low, high = times.min(), times.max()
    # Whole seconds, or whatever they are, that a float64 can count.
    if not (max(abs(low), abs(high)) < 2**53 and (times == np.trunc(times)).all()):
        return None
    span = int(high - low) + 1
    return (rows * span + (times - low).astype(np.int64)) * width + columns if n_users * span * width < 2**63 else None


def summed(events: Events, shape: tuple[int, int]) -> Parts:
    """Sum events by cell; they themselves are kept only where a cell has several."""
    cells = events.owners * shape[1] + events.items
    order = np.argsort(cells, kind="stable")
    cells, values = cells[order], events.values[order]
    times = None if events.times is None else events.times[order]
    starts = np.flatnonzero(np.concatenate([[True], cells[1:] != cells[:-1]])) if len(cells) else np.empty(0, np.intp)
    repeats = len(starts) < len(cells)
    if repeats:
        with np.errstate(over="ignore"):
            values = np.add.reduceat(values.astype(np.float64), starts).astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("the summed values of a repeated interaction do not fit into float32")
        # Within a cell the newest event comes last.
        times = None if times is None else times[np.append(starts[1:], len(cells)) - 1]
    rows, columns = np.divmod(cells[starts], shape[1])
    matrix = canonical(_offsets(rows, shape[0]), columns.astype(np.int32), values, shape)
    return Parts(matrix, times, events if repeats else None)


def _offsets(rows: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=indptr[1:])
    return indptr


def canonical(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float32], shape: tuple[int, int]
) -> Csr:
    """Wrap arrays known to be canonical, so that SciPy never sorts or sums them again."""
    index_type = np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64
    made: Csr = sparse.csr_array((data, indices, indptr.astype(index_type)), shape=shape)
    made.has_sorted_indices = True
    made.has_canonical_format = True
    return made


def _check_structure(
    matrix: Any, argument: str, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int32] | NDArray[np.int64]]:
    indptr, indices = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    if np.ndim(matrix.data) != (3 if matrix.format == "bsr" else 1):
        raise ValueError(f"{argument}.data has the wrong shape {np.shape(matrix.data)}")
    for name, array in (("indptr", indptr), ("indices", indices)):
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError(f"{argument}.{name} must be a vector of integers, not {array.dtype} {array.shape}")
    if indices.dtype not in (np.int32, np.int64):
        indices = indices.astype(np.int64)
    indptr, indices = np.ascontiguousarray(indptr, dtype=np.int64), np.ascontiguousarray(indices)
    try:
        # The values are looked at later, with their cell named: ones stand in for them here.
        _core.check_csr((indptr, indices, np.ones(len(matrix.data), dtype=np.float32)), shape)
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from None
    return indptr, indices


def _require_numbers(dtype: Any, argument: str) -> None:
    if np.dtype(dtype).kind not in "biuf":
        raise ValueError(f"{argument} must hold real numbers, not {dtype}")


def csr_arrays(matrix: Csr) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """``indptr``, ``indices`` and ``data`` in the types the kernels take; copied only where they have others."""
    return (
        matrix.indptr.astype(np.int64, copy=False),
        matrix.indices.astype(np.int32, copy=False),
        matrix.data.astype(np.float32, copy=False),
    )


def owners_of(matrix: _AnyCsr) -> NDArray[np.int64]:
    """Return the row of each stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def users_per_item(matrix: _AnyCsr) -> NDArray[np.int64]:
    """Count the users of each item, int64 (items,)."""
    return np.bincount(matrix.indices, minlength=matrix.shape[1])


def with_values(matrix: _AnyCsr, values: NDArray[Any]) -> Csr:
    """Return a matrix with the same cells and other values, (nnz,)."""
    return sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def masked(matrix: Csr, mask: NDArray[np.bool_]) -> Csr:
    """Keep the cells of a canonical matrix where a mask (nnz,) is true."""
    kept = np.concatenate([[0], np.cumsum(mask)])
    return canonical(kept[matrix.indptr], matrix.indices[mask], matrix.data[mask], matrix.shape)


def binary(matrix: Csr) -> Csr:
    """Return a matrix with the same cells, each of value 1."""
    return with_values(matrix, np.ones(matrix.nnz, dtype=np.float32))


def unit_rows(columns: NDArray[np.int64], width: int) -> Csr:
    """A matrix whose row i has a 1 in ``columns[i]`` and nothing else."""
    n = len(columns)
    return canonical(np.arange(n + 1), columns.astype(np.int32), np.ones(n, dtype=np.float32), (n, width))


def rows_times(matrix: Csr, factors: NDArray[np.float32]) -> Csr:
    """Multiply each row by its factor, (rows,)."""
    return with_values(matrix, matrix.data * np.repeat(factors, np.diff(matrix.indptr)))


def columns_of(matrix: Csr, items: int, first: int, size: int) -> Csr:
    """Columns ``first : first + size`` of each of the views of ``items`` columns that a matrix has side by side.

    Examples
    --------
    >>> two_views = sparse.csr_array(np.array([[1, 2, 3, 4, 5, 6]], dtype=np.float32))
    >>> columns_of(two_views, 3, 1, 2).toarray()
    array([[2., 3., 5., 6.]], dtype=float32)
    """
    view, item = np.divmod(matrix.indices, max(items, 1))
    own = (item >= first) & (item < first + size)
    before = np.concatenate([[0], np.cumsum(own)])
    indices = (view[own] * size + item[own] - first).astype(np.int32)
    shape = (matrix.shape[0], matrix.shape[1] // max(items, 1) * size)
    return sparse.csr_array((matrix.data[own], indices, before[matrix.indptr]), shape=shape)


def empty_matrix(rows: int, columns: int) -> Csr:
    """A matrix without entries."""
    return cast(Csr, sparse.csr_array((rows, columns), dtype=np.float32))


def empty_like(matrix: Csr) -> Csr:
    """A matrix of the same shape without entries."""
    return empty_matrix(*matrix.shape)


def union(one: Csr, other: Csr) -> Csr:
    """The cells stored in either matrix, with sorted indices; one of the two itself where the other has none."""
    if not (one.nnz and other.nnz):
        return one if one.nnz else other
    both: Csr = sparse.csr_array(one + other)
    both.sort_indices()
    return both


def without(matrix: Csr, other: Csr) -> Csr:
    """The cells of a matrix that are not stored in another of its shape."""
    if not (matrix.nnz and other.nnz):
        return matrix
    cells, taken = (owners_of(m) * m.shape[1] + m.indices for m in (matrix, other))
    # Rows stand in order, and so do cells where those of a row do: they need not be sorted to be searched.
    if not other.has_sorted_indices:
        taken.sort()
    kept = taken.take(np.searchsorted(taken, cells), mode="clip") != cells
    return matrix if kept.all() else masked(matrix, kept)


def row_keys(matrix: Csr) -> NDArray[np.int64]:
    """A number for each row that depends on its columns alone: what noise of a history is drawn by.

    Examples
    --------
    >>> keys = row_keys(sparse.csr_array(np.array([[1, 0, 1], [0, 1, 0], [5, 0, 5]], dtype=np.float32)))
    >>> keys[0] == keys[2], keys[0] == keys[1]
    (np.True_, np.False_)
    """
    # SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) of every column, summed by row; unsigned numbers wrap around.
    mixed = (matrix.indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed ^ (mixed >> np.uint64(31)))])
    keys: NDArray[np.int64] = (total[matrix.indptr[1:]] - total[matrix.indptr[:-1]]).view(np.int64)
    return keys
