"""Canonical CSR and its times, picked and put together anew."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffrec.data._csr import Csr, assemble, canonical

Timed: TypeAlias = tuple[Csr, NDArray[np.float64] | None]


def owners_of(matrix: Csr) -> NDArray[np.int64]:
    """Return the row of each stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def keep(matrix: Csr, times: NDArray[np.float64] | None, mask: NDArray[np.bool_]) -> Timed:
    """Keep the entries where the mask is true."""
    kept = np.concatenate([[0], np.cumsum(mask)])
    made = canonical(kept[matrix.indptr], matrix.indices[mask], matrix.data[mask], matrix.shape)
    return made, None if times is None else times[mask]


def pick_rows(matrix: Csr, times: NDArray[np.float64] | None, rows: NDArray[np.int64]) -> Timed:
    """Gather rows, in the order given."""
    indptr = matrix.indptr.astype(np.int64)
    counts = np.diff(indptr)[rows]
    ends = np.cumsum(counts)
    places = np.arange(counts.sum()) + np.repeat(indptr[rows] - (ends - counts), counts)
    shape = (len(rows), matrix.shape[1])
    made = canonical(np.concatenate([[0], ends]), matrix.indices[places], matrix.data[places], shape)
    return made, None if times is None else times[places]


def move(
    matrix: Csr,
    times: NDArray[np.float64] | None,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    shape: tuple[int, int],
) -> Timed:
    """Move row r to ``rows[r]`` and column c to ``columns[c]``; what would go to -1 is left out."""
    to_row, to_column = rows[owners_of(matrix)], columns[matrix.indices]
    kept = (to_row >= 0) & (to_column >= 0)
    left = None if times is None else times[kept]
    return assemble(to_row[kept], to_column[kept], matrix.data[kept], left, shape)


def add(parts: list[Timed]) -> Timed:
    """Sum matrices of one shape; the times stay, the newest where entries meet, if all have them."""
    times = [moments for _, moments in parts if moments is not None]
    return assemble(
        np.concatenate([owners_of(matrix) for matrix, _ in parts]),
        np.concatenate([matrix.indices for matrix, _ in parts]).astype(np.int64),
        np.concatenate([matrix.data for matrix, _ in parts]),
        np.concatenate(times) if len(times) == len(parts) else None,
        parts[0][0].shape,
    )
