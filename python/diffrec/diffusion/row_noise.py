"""Noise at inference that belongs to its history: whoever else is in the batch, and in whatever order."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr
from torch import Tensor

from diffrec import _core


class RowNoise:
    """Standard normal numbers for n rows, each row's a function of the seed and of the row's key alone.

    Parameters
    ----------
    seed : int
        Of all draws.
    keys : int64 (n,)
        What tells the rows apart; rows with the same key get the same numbers.

    Examples
    --------
    >>> two, one = RowNoise(1, np.array([5, 6])), RowNoise(1, np.array([6]))
    >>> torch.equal(two.normal(torch.empty(2, 3))[1:], one.normal(torch.empty(1, 3)))
    True
    """

    def __init__(self, seed: int, keys: NDArray[np.int64]) -> None:
        self._seed = seed
        self._keys = np.ascontiguousarray(keys)
        self._draws = 0

    @classmethod
    def numbered(cls, n: int, seed: int = 0) -> "RowNoise":
        """Noise of n rows that are told apart by their numbers."""
        return cls(seed, np.arange(n, dtype=np.int64))

    def normal(self, like: Tensor) -> Tensor:
        """Fresh normals of the shape of ``like``, (n,) or (n, m), on its device."""
        self._draws += 1
        out = torch.empty(like.shape, device=like.device)
        self._write(self._draws, 0, out if out.ndim == 2 else out[:, None])
        return out

    def gamma(self, shape: float, like: Tensor) -> Tensor:
        """Fresh draws of the gamma distribution with this shape and scale 1, (n,) as ``like``."""
        # Its quantile at the normal's own place in its distribution.
        places = ndtr(self.normal(like).double().cpu().numpy())
        return torch.from_numpy(gammaincinv(shape, places)).to(like)

    def over_columns(self, first: int, out: Tensor) -> None:
        """Write the normals of columns ``first : first + m`` into ``out`` (n, m): the same at every call."""
        self._write(0, first, out)

    def _write(self, draw: int, first: int, out: Tensor) -> None:
        block = np.empty(tuple(out.shape), dtype=np.float32)
        _core.normal_rows(self._seed, draw, self._keys, first, block)
        out.copy_(torch.from_numpy(block))
