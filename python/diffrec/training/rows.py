"""Sources of the rows that batches are made of: a matrix in memory, or blocks of one that are read in turn."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec.data import Csr, Interactions, columns_of
from diffrec.data.streamed import ParquetInteractions

# Interactions of some users -> their rows, and the confidence in the entries, if any.
ReadRows: TypeAlias = "Callable[[Interactions], tuple[Csr, Csr | None]]"


class HeldRows(NamedTuple):
    """Rows of a matrix that are in memory.

    Attributes
    ----------
    matrix : scipy.sparse CSR
        float32 (n, columns).
    confidence : scipy.sparse CSR, optional
        float32, of the same pattern: the weight of each stored entry's part of a loss; None for 1.
    numbers : ndarray
        int64 (n,), which rows of the whole they are: what the noise of a row is drawn by.
    """

    matrix: Csr
    confidence: "Csr | None"
    numbers: NDArray[np.int64]

    def of_items(self, items: int, first: int, size: int) -> "HeldRows":
        """Keep the columns ``first : first + size`` of ``items``."""
        confidence = None if self.confidence is None else columns_of(self.confidence, items, first, size)
        return HeldRows(columns_of(self.matrix, items, first, size), confidence, self.numbers)

    def take(self, rows: NDArray[np.int64]) -> "HeldRows":
        """Keep some of the rows, in the order given."""
        confidence = None if self.confidence is None else self.confidence[rows]
        return HeldRows(self.matrix[rows], confidence, self.numbers[rows])

    def weights(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return the confidence in the entries of some rows, if it is not 1."""
        return None if self.confidence is None else self.confidence[rows].data


class Rows(Protocol):
    """Protocol of a source of rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    def of_items(self, items: int, first: int, size: int) -> "Rows":
        """Return the columns ``first : first + size`` of all ``items`` that the rows have."""
        ...

    def epoch(self, generator: np.random.Generator, batch_size: int) -> Iterator[tuple[HeldRows, NDArray[np.int64]]]:
        """Yield rows in memory, and the order in which batches take some of them.

        Together every row comes once. All but the last order are a multiple of ``batch_size`` long.
        """
        ...


class InMemoryRows:
    """All rows, shuffled anew in every epoch.

    Parameters
    ----------
    matrix : scipy.sparse CSR
        float32 (rows, columns).
    confidence : scipy.sparse CSR, optional
        float32, of the same pattern: the weight of each stored entry's part of a loss.

    Examples
    --------
    >>> rows = InMemoryRows(sparse.csr_array(np.eye(3, dtype=np.float32)))
    >>> [order.tolist() for _, order in rows.epoch(np.random.default_rng(0), 2)]
    [[2, 0, 1]]
    """

    def __init__(self, matrix: Csr, confidence: "Csr | None" = None) -> None:
        self.held = HeldRows(matrix, confidence, np.arange(matrix.shape[0]))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.held.matrix.shape
        return int(rows), int(columns)

    def of_items(self, items: int, first: int, size: int) -> "InMemoryRows":
        """Return some of their columns."""
        held = self.held.of_items(items, first, size)
        return InMemoryRows(held.matrix, held.confidence)

    def epoch(self, generator: np.random.Generator, batch_size: int) -> Iterator[tuple[HeldRows, NDArray[np.int64]]]:  # noqa: ARG002
        """Yield all of them, in one order."""
        yield self.held, generator.permutation(self.shape[0]).astype(np.int64)


class StreamedRows:
    """Rows that are read a block at a time: blocks in a random order, and the rows of some of them shuffled together.

    Rows that do not fill a batch wait for the next blocks. Where all rows may be held, they are shuffled as those in
    memory are, and an epoch is the same to the bit.

    Parameters
    ----------
    blocks : ParquetInteractions
        Where they come from.
    read : callable
        Interactions of some users -> their rows, and the confidence in the entries, if any.
    columns : int
        Columns of the rows.
    """

    def __init__(self, blocks: ParquetInteractions, read: ReadRows, columns: int) -> None:
        self._blocks = blocks
        self._read = read
        self.shape = (blocks.shape[0], columns)

    def of_items(self, items: int, first: int, size: int) -> "StreamedRows":
        """Return some of their columns: no others are held of what is read."""

        def read(some: Interactions) -> "tuple[Csr, Csr | None]":
            rows = HeldRows(*self._read(some), np.arange(some.shape[0])).of_items(items, first, size)
            return rows.matrix, rows.confidence

        return StreamedRows(self._blocks, read, size)

    def epoch(self, generator: np.random.Generator, batch_size: int) -> Iterator[tuple[HeldRows, NDArray[np.int64]]]:
        """Yield what is held at a time, and its order."""
        blocks, held = self._blocks, self._blocks.held
        n = len(blocks.bounds) - 1
        order = np.arange(n) if self.shape[0] <= held else generator.permutation(n)
        waiting: list[HeldRows] = []
        for place, number in enumerate(order.tolist()):
            waiting.append(self._block(number))
            last = place == n - 1
            rows = sum(len(part.numbers) for part in waiting)
            following = 0 if last else int(np.diff(blocks.bounds)[order[place + 1]])
            if not last and rows + following <= held:
                continue
            together = _joined(waiting)
            shuffled = generator.permutation(rows).astype(np.int64)
            whole = rows if last else rows - rows % batch_size
            if whole:
                yield together, shuffled[:whole]
            waiting = [together.take(shuffled[whole:])]
            del together

    def _block(self, number: int) -> HeldRows:
        start, stop = self._blocks.bounds[number : number + 2]
        return HeldRows(*self._read(self._blocks.block(number)), np.arange(start, stop))


def rows_from(histories: Interactions | ParquetInteractions, read: ReadRows) -> Rows:
    """Return the rows of histories in memory, all at once, or of those in files, block by block."""
    if isinstance(histories, ParquetInteractions):
        return StreamedRows(histories, read, histories.shape[1])
    return InMemoryRows(*read(histories))


def _joined(parts: list[HeldRows]) -> HeldRows:
    if len(parts) == 1:
        return parts[0]
    confidence = [part.confidence for part in parts if part.confidence is not None]
    return HeldRows(
        sparse.vstack([part.matrix for part in parts], format="csr"),
        sparse.vstack(confidence, format="csr") if confidence else None,
        np.concatenate([part.numbers for part in parts]),
    )
