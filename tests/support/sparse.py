"""Random CSR arrays for property tests."""

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Csr = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


def csr_of(rows: list[dict[int, float]]) -> Csr:
    """Row pointer, sorted columns and values of rows given as {column: value}."""
    indptr = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    indices = np.array([column for row in rows for column in sorted(row)], np.int32)
    data = np.array([row[column] for row in rows for column in sorted(row)], np.float32)
    return indptr, indices, data


def row_sets(csr: Csr) -> list[set[int]]:
    indptr, indices, _ = csr
    return [set(indices[start:end].tolist()) for start, end in itertools.pairwise(indptr)]


@st.composite
def csr_arrays(draw: Any, columns: int, min_rows: int = 0, max_rows: int = 6) -> Csr:
    """A matrix of at most ``max_rows`` rows, empty rows and full rows among them."""
    row = st.dictionaries(st.integers(0, columns - 1), st.floats(0, 4, width=32)) if columns else st.just({})
    if columns:
        row = row | st.just(dict.fromkeys(range(columns), 1.0))
    return csr_of(draw(st.lists(row, min_size=min_rows, max_size=max_rows)))
