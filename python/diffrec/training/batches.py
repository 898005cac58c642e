"""Shuffled batches of sparse rows: as they are, or noised on their way out of the matrix."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
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
from diffrec.diffusion.counter_noise import kept_block, normal_block
from diffrec.diffusion.item_products import columns_at_once
from diffrec.diffusion.part import Part, Whole
from diffrec.training.rows import HeldRows, InMemoryRows, Rows

CsrArrays: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


class Shuffled:
    """Batches in an order that is drawn anew in every epoch; a fit goes on in the one that it was stopped in."""

    _shuffle: np.random.Generator
    # How many batches, of cuts epochs, there have been, where what is drawn depends on it.
    _number: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what the next epochs depend on."""
        order = {"order": self._shuffle.bit_generator.state}
        return order if self._number is None else order | {"number": self._number}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was asked for."""
        self._shuffle.bit_generator.state = state_dict["order"]
        if self._number is not None:
            self._number = int(state_dict["number"])


class SparseBatches(Shuffled):
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
    part : Part, optional
        Where the work of a batch is spread: the items that the columns are, and which rows of each batch are yielded.

    Examples
    --------
    >>> from scipy import sparse
    >>> matrix = sparse.csr_array(np.eye(3, dtype=np.float32))
    >>> [len(rows) for rows in SparseBatches(matrix, 2, torch.device("cpu"), np.random.default_rng(0))]
    [2, 1]
    """

    def __init__(
        self,
        rows: "Rows | Csr",
        batch_size: int,
        device: torch.device,
        generator: np.random.Generator,
        part: Part | None = None,
    ) -> None:
        self._rows: Rows = InMemoryRows(rows) if isinstance(rows, sparse.csr_array) else rows
        self.part: Part = part or Whole(self._rows.shape[1])
        self._batch_size = batch_size
        self._device = device
        self._shuffle = generator

    def __len__(self) -> int:
        return -(-self._rows.shape[0] // self._batch_size)

    def __iter__(self) -> Iterator[SparseRows]:
        """Yield n rows at a time."""
        for held, rows in self._parts():
            yield self._gathered(held, rows)

    def _parts(self) -> Iterator[tuple[HeldRows, NDArray[np.int64]]]:
        """Rows of an epoch's batches, in what is held of them all."""
        for held, order in self._rows.epoch(self._shuffle, self._batch_size):
            for start in range(0, len(order), self._batch_size):
                rows = order[start : start + self._batch_size]
                yield held, rows[self.part.begin(len(rows))]

    def _gathered(self, held: HeldRows, rows: NDArray[np.int64]) -> SparseRows:
        batch = held.matrix[rows]
        gathered = SparseRows.from_csr(batch.indptr, batch.indices, batch.data, 0, len(rows), self._device)
        weights = held.weights(rows)
        return gathered if weights is None else replace(gathered, confidence=torch.from_numpy(weights).to(self._device))


class NoisedBatches(SparseBatches):
    """Sparse batches for a denoiser: each can be noised, and says what noise it was.

    On the processor the noise of a cell is a function of (seed, number of the batch, row, column), whatever the number
    of threads, or of processes that it is spread over; on a GPU torch draws it there, unless it is spread.

    Parameters
    ----------
    rows, batch_size, device, generator, part
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
        part: Part | None = None,
        *,
        seed: int,
    ) -> None:
        super().__init__(rows, batch_size, device, generator, part)
        self.seed = seed
        self.columns = self._rows.shape[1]
        self._number: int = 0
        self._buffers: dict[torch.dtype, Tensor] = {}

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
        if dtype not in (torch.float32, torch.bfloat16):
            return self.noise_from_csr(arrays, rows, keys, number, torch.float32, **noising).to(dtype)
        n, columns = len(rows), self.columns
        if dtype not in self._buffers or self._buffers[dtype].numel() < n * columns:
            self._buffers[dtype] = torch.empty(n * columns, dtype=dtype)
        x_t = self._buffers[dtype][: n * columns].view(n, columns)
        # NumPy knows no bfloat16; the kernel writes its bits.
        bits = x_t.view(torch.uint16) if dtype == torch.bfloat16 else x_t
        first = self.part.first
        _core.noised_rows(
            arrays, rows, out=bits.numpy(), seed=self.seed, step=number, keys=keys, first=first, **noising
        )
        return x_t


class NoisedBatch:
    """n rows x_0 of a matrix, and the noise that goes with them; made by ``NoisedBatches``.

    Attributes
    ----------
    x0 : SparseRows
        The rows themselves, on their device.
    part : Part
        The items and the rows of the whole batch that they are.
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
        self.part = batches.part
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
            noising: dict[str, Any] = {"signal": signal.numpy(), "spread": spread.numpy()}
            # The kernel knows the items that are here, and their lengths in single precision.
            if normalize and (self.part.spread or dtype.itemsize > 4):
                return self._scaled(noising, dropout, dtype)
            return self._from_csr(dtype, **noising, normalize=normalize, dropout=dropout)
        if self.part.by_place:
            return self.noised_by_place(signal, spread, normalize=normalize, dropout=dropout, dtype=dtype)
        x_t = self.x0.to_dense(self._batches.columns)
        self._noise = torch.randn_like(x_t)
        x_t = signal[:, None] * x_t + spread[:, None] * self._noise
        if normalize:
            x_t = functional.normalize(x_t)
        return functional.dropout(x_t, dropout).to(dtype)

    def _from_csr(self, dtype: torch.dtype, **noising: Any) -> Tensor:
        """Noise by the kernel, on the processor."""
        return self._batches.noise_from_csr(self._arrays, self._rows, self._keys, self._number, dtype, **noising)

    def noised_by_place(
        self, signal: Tensor, spread: Tensor, *, normalize: bool, dropout: float, dtype: torch.dtype
    ) -> Tensor:
        """``noised`` as the kernel has it, made by torch where the rows are, a block of columns at a time."""
        batches, device, columns = self._batches, self.x0.values.device, self._batches.columns
        first, place = self.part.first, (batches.seed, self._number, self._keys_there)
        scaled, step = self.x0.scaled(signal), columns_at_once(len(self))
        blocks = [slice(start, min(start + step, columns)) for start in range(0, columns, step)]

        def noised(block: slice) -> Tensor:
            x_t = spread[:, None] * normal_block(*place, first + block.start, block.stop - block.start, device)
            scaled.add_to(x_t, block.start, 1.0)
            return x_t

        factor = signal.new_full((len(self), 1), 1 / (1 - dropout))
        if normalize:
            # Made twice, rather than kept wider than it is wanted.
            squares = signal.new_zeros(len(self))
            for block in blocks:
                squares += noised(block).square().sum(dim=1)
            self.part.add(squares)
            factor /= squares.sqrt().clamp(min=1e-12)[:, None]
        out = torch.empty(len(self), columns, dtype=dtype, device=device)
        for block in blocks:
            x_t = noised(block).mul_(factor)
            if dropout > 0:
                x_t *= kept_block(*place, first + block.start, block.stop - block.start, dropout, device)
            out[:, block] = x_t
        return out

    @cached_property
    def _keys_there(self) -> Tensor:
        """The keys of the rows on the device, handed over once and not for every block of columns."""
        return torch.from_numpy(self._keys).to(self.x0.values.device)

    def _scaled(self, noising: dict[str, Any], dropout: float, dtype: torch.dtype) -> Tensor:
        """Noise to unit length over the items of all parts, which is known once all have seen theirs."""
        wide = max(dtype, torch.float32, key=lambda one: one.itemsize)
        squares = self._from_csr(wide, **noising, normalize=False, dropout=0.0).square().sum(dim=1)
        self.part.add(squares)
        x_t = self._from_csr(wide, **noising, normalize=False, dropout=dropout)
        return x_t.div_(squares.sqrt().clamp(min=1e-12)[:, None]).to(dtype)

    def subtract_x0(self, first: int, block: Tensor) -> None:
        """Subtract columns ``first : first + m`` of x_0 from ``block`` (n, m) in place."""
        self.x0.add_to(block, first, -1.0)

    def subtract_noise(self, first: int, block: Tensor) -> None:
        """Subtract columns ``first : first + m`` of the noise from ``block`` (n, m) in place."""
        if self._noise is not None:
            block -= self._noise[:, first : first + block.shape[1]]
            return
        seed, at = self._batches.seed, self.part.first + first
        if block.device.type != "cpu":
            block -= normal_block(seed, self._number, self._keys_there, at, block.shape[1], block.device)
            return
        noise = torch.empty(block.shape, dtype=torch.float32)
        _core.normal_rows(seed, self._number, self._keys, at, noise.numpy())
        block -= noise
