"""Random numbers that are a function of where they stand, made by torch on the device where they are wanted.

The kernels make the same numbers on the processor (``_core.normal_rows``); ``rust/noise.rs`` says where each bit goes.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_WORD = 0xFFFFFFFF
# Philox blocks side by side, each of four words: the kernels' vectors, which decide which word is whose.
_LANES = 16
_CHUNK = 4 * _LANES
# What is drawn at a place; each purpose has bits of its own.
_NORMAL, _UNIFORM, _SINGLE = 0, 1, 2
_UNIT = 2.0**-31


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four words for each counter.

    Words are int64, from 0 to 2^32 - 1.

    Examples
    --------
    >>> zero = torch.zeros(1, dtype=torch.int64)
    >>> [hex(int(word)) for word in philox((zero, zero, zero, zero), 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    a, b, c, d = counter
    low, high = seed & _WORD, (seed >> 32) & _WORD
    for _ in range(10):
        # A product of two words wraps around as a signed number, but has the right bits.
        first, second = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (
            ((second >> 32) & _WORD) ^ b ^ low,
            second & _WORD,
            ((first >> 32) & _WORD) ^ d ^ high,
            first & _WORD,
        )
        low, high = (low + 0x9E3779B9) & _WORD, (high + 0xBB67AE85) & _WORD
    return a, b, c, d


def uniform_at(seed: int, step: int, row: Tensor, column: Tensor) -> Tensor:
    """Uniform numbers in [0, 1), each a function of (seed, step, row, column), float64 (n,).

    Parameters
    ----------
    seed, step : int
        Of all, and of the draw.
    row, column : Tensor
        int64 (n,), below 2^32.

    Examples
    --------
    >>> place = torch.tensor([3]), torch.tensor([7])
    >>> bool(uniform_at(1, 2, *place) == uniform_at(1, 2, *place)), bool(uniform_at(1, 2, *place) < 1)
    (True, True)
    """
    upper = torch.full_like(row, _SINGLE << 24)
    return philox((column & _WORD, row & _WORD, torch.full_like(row, step & _WORD), upper), seed)[0].double() / 2.0**32


def normal_block(
    seed: int, step: int, rows: NDArray[np.int64] | Tensor, first: int, width: int, device: torch.device | str
) -> Tensor:
    """Standard normal noise of ``rows`` at columns ``first : first + width``, float32 (n, width), made on a device.

    That of ``_core.normal_rows``, but for rounding. Who asks for many blocks has the rows on the device already.

    Examples
    --------
    >>> from diffrec import _core
    >>> rows, out = np.array([5, 9]), np.empty((2, 100), dtype=np.float32)
    >>> _core.normal_rows(1, 2, rows, 30, out)
    >>> bool(np.allclose(normal_block(1, 2, rows, 30, 100, "cpu").numpy(), out, atol=1e-5))
    True
    """
    words = _words(_NORMAL, seed, step, rows, first, width, device)
    return _in_order([part for pair in (words[:2], words[2:]) for part in _box_muller(*pair)], first, width)


def kept_block(
    seed: int,
    step: int,
    rows: NDArray[np.int64] | Tensor,
    first: int,
    width: int,
    dropout: float,
    device: torch.device | str,
) -> Tensor:
    """Say of the cells of ``rows`` at columns ``first : first + width`` which dropout leaves, bool (n, width).

    They are those that ``_core.noised_rows`` leaves.
    """
    threshold = int(np.float32(dropout).astype(np.float64) * (1 << 31))
    words = _words(_UNIFORM, seed, step, rows, first, width, device)
    return _in_order([(word >> 1) >= threshold for word in words], first, width)


def _words(
    purpose: int,
    seed: int,
    step: int,
    rows: NDArray[np.int64] | Tensor,
    first: int,
    width: int,
    device: torch.device | str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four words of each block of the chunks that hold some columns, int64 (n, blocks)."""
    chunks = torch.arange(first // _CHUNK, -(-(first + width) // _CHUNK), device=device)
    lane = torch.arange(_LANES, device=device)
    block = ((chunks[:, None] * _LANES + lane).reshape(-1) & _WORD).expand(len(rows), -1)
    row = torch.as_tensor(rows).to(device)[:, None]
    upper = ((row >> 32) & _WORD) ^ (purpose << 24)
    b, c, d = ((part & _WORD).expand_as(block) for part in (row, torch.full_like(row, step), upper))
    return philox((block, b, c, d), seed)


def _in_order(parts: Sequence[Tensor], first: int, width: int) -> Tensor:
    """Four numbers of each block as columns: a chunk holds them one after the other, each for all lanes."""
    n = len(parts[0])
    chunks = torch.stack([part.view(n, -1, _LANES) for part in parts], dim=2)
    skip = first % _CHUNK
    return chunks.reshape(n, -1)[:, skip : skip + width]


def _box_muller(radius: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """Two independent standard normals from two words."""
    length = (-2.0 * torch.log(((radius >> 1).float() + 0.5) * _UNIT)).sqrt()
    # The upper two bits are the quarter of the turn, the others an angle from -45 to 45 degrees around its start.
    part = (turn << 2) & _WORD
    angle = torch.where(part >= 1 << 31, part - (1 << 32), part).float() * (math.pi / 2 / 2.0**32)
    quarter = turn >> 30
    sin, cos = angle.sin(), angle.cos()
    odd = (quarter & 1) == 1
    sin, cos = torch.where(odd, cos, sin), torch.where(odd, -sin, cos)
    sign = torch.where((quarter & 2) == 2, -1.0, 1.0)
    return length * cos * sign, length * sin * sign
