"""Shuffled batches of sparse rows: as they are, or noised on their way out of the matrix."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from diffrec import _core
from diffrec.data import Csr, csr_arrays
from diffrec.data.sparse_rows import SparseRows
from diffrec.training.rows import HeldRows, InMemoryRows, Rows

CsrArrays: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


class SparseBatches:
    """Batches of sparse rows as ``SparseRows``.

    Parameters
    ----------
    rows : Rows or scipy.sparse CSR
        Where the rows come from: float32 (rows, columns), in memory or not.
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
    >>> [len(rows) for rows in SparseBatches(matrix, 2, torch.device("cpu"), np.random.default_rng(0))]
    [2, 1]
    """

    def __init__(
        self, rows: "Rows | Csr", batch_size: int, device: torch.device, generator: np.random.Generator
    ) -> None:
        self._rows: Rows = InMemoryRows(rows) if isinstance(rows, sparse.csr_array) else rows
        self._batch_size = batch_size
        self._device = device
        self._generator = generator

    def __len__(self) -> int:
        return -(-self._rows.shape[0] // self._batch_size)

    def state_dict(self) -> dict[str, Any]:
        """Return what the order of the next epochs depends on."""
        return {"order": self._generator.bit_generator.state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was asked for."""
        self._generator.bit_generator.state = state_dict["order"]

    def __iter__(self) -> Iterator[SparseRows]:
        """Yield n rows at a time."""
        for held, rows in self._parts():
            yield self._gathered(held, rows)

    def _parts(self) -> Iterator[tuple[HeldRows, NDArray[np.int64]]]:
        """Rows of an epoch's batches, in what is held of them all."""
        for held, order in self._rows.epoch(self._generator, self._batch_size):
            for start in range(0, len(order), self._batch_size):
                yield held, order[start : start + self._batch_size]

    def _gathered(self, held: HeldRows, rows: NDArray[np.int64]) -> SparseRows:
        batch = held.matrix[rows]
        gathered = SparseRows.from_csr(batch.indptr, batch.indices, batch.data, 0, len(rows), self._device)
        weights = held.weights(rows)
        return gathered if weights is None else replace(gathered, confidence=torch.from_numpy(weights).to(self._device))


class NoisedBatches(SparseBatches):
    """Sparse batches for a denoiser: each can be noised, and says what noise it was.

    On the processor the noise of a cell is a function of (seed, number of the batch, row, column), whatever the number
    of threads; on a GPU torch draws it there.

    Parameters
    ----------
    rows, batch_size, device, generator
        As for ``SparseBatches``.
    seed : int
        Of the noise.

    Examples
    --------
    >>> from scipy import sparse
    >>> matrix = sparse.csr_array(np.eye(3, dtype=np.float32))
    >>> batches = NoisedBatches(matrix, 3, torch.device("cpu"), np.random.default_rng(0), seed=0)
    >>> batch = next(batches.noised())
    >>> batch.noised(torch.ones(3), torch.zeros(3)).sum(dim=0)
    tensor([1., 1., 1.])
    """

    def __init__(
        self,
        rows: "Rows | Csr",
        batch_size: int,
        device: torch.device,
        generator: np.random.Generator,
        *,
        seed: int,
    ) -> None:
        super().__init__(rows, batch_size, device, generator)
        self.seed = seed
        self.columns = self._rows.shape[1]
        self._number = 0
        self._buffers: dict[torch.dtype, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what order and noise of the next epochs depend on."""
        return {**super().state_dict(), "number": self._number}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was asked for."""
        super().load_state_dict(state_dict)
        self._number = int(state_dict["number"])

    def noised(self) -> Iterator["NoisedBatch"]:
        """Yield an epoch's batches; what one made is overwritten by the next."""
        whole: HeldRows | None = None
        for held, rows in self._parts():
            if held is not whole:
                whole, arrays = held, csr_arrays(held.matrix)
            self._number += 1
            yield NoisedBatch(self, self._gathered(held, rows), arrays, rows, held.numbers[rows], self._number)

    def noise_from_csr(
        self,
        arrays: CsrArrays,
        rows: NDArray[np.int64],
        keys: NDArray[np.int64],
        number: int,
        dtype: torch.dtype,
        **noising: Any,
    ) -> Tensor:
        """Noised rows (n, columns), without another copy on the way; see ``_core.noised_rows`` for ``noising``."""
        n, columns = len(rows), self.columns
        if dtype not in self._buffers or self._buffers[dtype].numel() < n * columns:
            self._buffers[dtype] = torch.empty(n * columns, dtype=dtype)
        x_t = self._buffers[dtype][: n * columns].view(n, columns)
        # NumPy knows no bfloat16; the kernel writes its bits.
        bits = x_t.view(torch.uint16) if dtype == torch.bfloat16 else x_t
        _core.noised_rows(arrays, rows, out=bits.numpy(), seed=self.seed, step=number, keys=keys, **noising)
        return x_t


class NoisedBatch:
    """n rows x_0 of a matrix, and the noise that goes with them; made by ``NoisedBatches``.

    Attributes
    ----------
    x0 : SparseRows
        The rows themselves, on their device.
    """

    def __init__(
        self,
        batches: NoisedBatches,
        x0: SparseRows,
        arrays: CsrArrays,
        rows: NDArray[np.int64],
        keys: NDArray[np.int64],
        number: int,
    ) -> None:
        self.x0 = x0
        self._batches = batches
        self._arrays = arrays
        self._rows = rows
        self._keys = keys
        self._number = number
        self._noise: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x0)

    def noised(
        self,
        signal: Tensor,
        spread: Tensor,
        *,
        normalize: bool = False,
        dropout: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """``signal * x_0 + spread * noise``, then unit length if wanted, then dropout.

        Parameters
        ----------
        signal, spread : Tensor
            float32 (n,).
        normalize : bool
            Scale each row to unit length.
        dropout : float
            Share of the entries set to 0; the others grow to keep the mean.
        dtype : torch.dtype
            float32 or bfloat16.

        Returns
        -------
        Tensor
            (n, columns) of type ``dtype``.
        """
        if self.x0.values.device.type == "cpu":
            return self._batches.noise_from_csr(
                self._arrays,
                self._rows,
                self._keys,
                self._number,
                dtype,
                signal=signal.numpy(),
                spread=spread.numpy(),
                normalize=normalize,
                dropout=dropout,
            )
        x_t = self.x0.to_dense(self._batches.columns)
        self._noise = torch.randn_like(x_t)
        x_t = signal[:, None] * x_t + spread[:, None] * self._noise
        if normalize:
            x_t = functional.normalize(x_t)
        return functional.dropout(x_t, dropout).to(dtype)

    def subtract_x0(self, first: int, block: Tensor) -> None:
        """Subtract columns ``first : first + m`` of x_0 from ``block`` (n, m) in place."""
        self.x0.add_to(block, first, -1.0)

    def subtract_noise(self, first: int, block: Tensor) -> None:
        """Subtract columns ``first : first + m`` of the noise from ``block`` (n, m) in place."""
        if self._noise is not None:
            block -= self._noise[:, first : first + block.shape[1]]
            return
        noise = torch.empty(block.shape)
        _core.normal_rows(self._batches.seed, self._number, self._keys, first, noise.numpy())
        block -= noise
