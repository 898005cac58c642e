"""Shuffled batches of a sparse matrix's rows, dense or sparse."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from diffrec import _core
from diffrec.data import Csr
from diffrec.diffusion import SparseRows


class DenseBatches:
    """Batches of a CSR matrix's rows as float32 tensors; one batch is dense at a time, never the matrix.

    Parameters
    ----------
    matrix : scipy.sparse CSR
        float32 (rows, columns).
    batch_size : int
        Rows in a batch; the last batch of an epoch may be shorter.
    device : torch.device
        Where the batches are wanted.
    generator : numpy.random.Generator
        Shuffles the rows anew in every epoch.

    Examples
    --------
    >>> from scipy import sparse
    >>> matrix = sparse.csr_array(np.eye(3, dtype=np.float32))
    >>> batches = DenseBatches(matrix, 2, torch.device("cpu"), np.random.default_rng(0))
    >>> [tuple(batch.shape) for batch in batches]
    [(2, 3), (1, 3)]
    """

    def __init__(self, matrix: Csr, batch_size: int, device: torch.device, generator: np.random.Generator) -> None:
        self._indptr = matrix.indptr.astype(np.int64, copy=False)
        self._indices = matrix.indices.astype(np.int32, copy=False)
        self._data = matrix.data.astype(np.float32, copy=False)
        self._rows, self._columns = matrix.shape
        self._batch_size = min(batch_size, self._rows)
        self._device = device
        self._generator = generator
        self._buffer = torch.empty(self._batch_size * self._columns, pin_memory=device.type == "cuda")

    def __len__(self) -> int:
        return -(-self._rows // self._batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield (n, columns) batches; each is overwritten by the next."""
        order = self._generator.permutation(self._rows).astype(np.int64)
        for start in range(0, self._rows, self._batch_size):
            rows = order[start : start + self._batch_size]
            out = self._buffer[: len(rows) * self._columns].view(len(rows), self._columns)
            _core.dense_rows(self._indptr, self._indices, self._data, rows, out.numpy())
            # Blocking on purpose: the buffer is filled again as soon as the caller asks for the next batch.
            yield out.to(self._device)


class SparseBatches:
    """The same batches as ``SparseRows``, for models whose first layer is a sparse product.

    Parameters
    ----------
    matrix, batch_size, device, generator
        As for ``DenseBatches``, which draws the same rows from an equal generator.

    Examples
    --------
    >>> from scipy import sparse
    >>> matrix = sparse.csr_array(np.eye(3, dtype=np.float32))
    >>> [len(rows) for rows in SparseBatches(matrix, 2, torch.device("cpu"), np.random.default_rng(0))]
    [2, 1]
    """

    def __init__(self, matrix: Csr, batch_size: int, device: torch.device, generator: np.random.Generator) -> None:
        self._matrix = matrix
        self._batch_size = batch_size
        self._device = device
        self._generator = generator

    def __len__(self) -> int:
        return -(-self._matrix.shape[0] // self._batch_size)

    def __iter__(self) -> Iterator[SparseRows]:
        """Yield n rows at a time."""
        order = self._generator.permutation(self._matrix.shape[0])
        for start in range(0, len(order), self._batch_size):
            batch = self._matrix[order[start : start + self._batch_size]]
            yield SparseRows.from_csr(batch.indptr, batch.indices, batch.data, 0, batch.shape[0], self._device)
