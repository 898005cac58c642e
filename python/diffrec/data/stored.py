"""Arrays from a file that anyone may have written, handed out only as what they are expected to be."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from diffrec import _core
from diffrec._tensors import Array, on_host
from diffrec.data._csr import Csr, canonical

#: Products of two weights, summed over any number of items, stay within float32; a fit that exceeds it has diverged.
LARGEST_WEIGHT = 1e15


class Stored:
    """Named arrays; who takes one says what it must be, so that nothing made of them has to be checked again.

    Every method that takes one raises ``ValueError`` with the array's name and what is wrong with it.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As they were read. Parts of a name are parted by dots.

    Examples
    --------
    >>> stored = Stored({"map.left": np.zeros((2, 3), dtype=np.float32)})
    >>> stored.within("map").take("left", (2, None)).shape
    (2, 3)
    >>> stored.take("map.left", (3, 2))
    Traceback (most recent call last):
    ValueError: 'map.left' has shape (2, 3), expected (3, 2)
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._prefix = ""
        self._taken: set[str] = set()

    @classmethod
    def of_state(cls, state: Mapping[str, Array]) -> Self:
        """Take what a recommender would write into a file."""
        return cls({name: on_host(values) for name, values in state.items()})

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._arrays

    def within(self, part: str) -> Self:
        """The arrays whose names begin with ``part`` and a dot, by the rest of their names."""
        inner = type(self)(self._arrays)
        inner._prefix, inner._taken = f"{self._prefix}{part}.", self._taken
        return inner

    def take(
        self,
        name: str,
        shape: tuple[int | None, ...],
        dtype: DTypeLike = np.float32,
        *,
        low: float | None = None,
        high: float | None = None,
        missing: bool = False,
    ) -> NDArray[Any]:
        """Hand out an array.

        Parameters
        ----------
        name : str
            Its name here.
        shape : tuple of int or None
            None for any length.
        dtype : dtype
            Its exact type; real numbers must be finite.
        low, high : float, optional
            What its values must lie between, both included.
        missing : bool
            Whether NaN may stand for what is not there.
        """
        array = self._any(name)
        full = self._prefix + name
        if array.dtype != np.dtype(dtype):
            raise ValueError(f"{full!r} holds {array.dtype}, expected {np.dtype(dtype)}")
        fits = array.ndim == len(shape) and all(
            want in (None, got) for got, want in zip(array.shape, shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if want is None else str(want) for want in shape)
            raise ValueError(f"{full!r} has shape {array.shape}, expected ({wanted}{',' * (len(shape) == 1)})")
        # By their extremes, which NaN and infinities are: an array that lies in a file need not be held for that.
        if array.dtype.kind == "f" and array.size and not np.isfinite([array.min(), array.max()]).all():
            wrong = np.isinf(array) if missing else ~np.isfinite(array)
            if wrong.any():
                self._refuse(full, array, wrong, "a finite number")
        if low is not None and array.size and array.min() < low:
            self._refuse(full, array, array < low, f"at least {low:g}")
        if high is not None and array.size and array.max() > high:
            self._refuse(full, array, array > high, f"at most {high:g}")
        return array

    def weights(self, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
        """Hand out learnt numbers, none beyond ``LARGEST_WEIGHT``."""
        return self.take(name, shape, low=-LARGEST_WEIGHT, high=LARGEST_WEIGHT)

    def column(self, name: str, n: int) -> NDArray[Any]:
        """Hand out any numbers or truth values, one for each of ``n``."""
        array = self._any(name)
        if array.shape[:1] != (n,) or array.dtype.kind not in "iufb":
            raise ValueError(
                f"{self._prefix + name!r} holds {array.dtype} of shape {array.shape}, expected {n} numbers"
            )
        return array

    def csr(
        self,
        shape: tuple[int, int],
        names: tuple[str, str, str] = ("indptr", "indices", "data"),
        *,
        low: float = -LARGEST_WEIGHT,
        high: float | None = LARGEST_WEIGHT,
    ) -> Csr:
        """Make a float32 matrix of three arrays; columns ascend within a row, and values lie between the limits.

        Nothing of SciPy sees them before they are known to be such a matrix: its loops trust their arrays.
        """
        indptr = self.take(names[0], (shape[0] + 1,), np.int64)
        indices = self.take(names[1], (None,), np.int32)
        data = self.take(names[2], indices.shape, low=low, high=high)
        self.check_rows(indptr, indices, shape[1])
        falls = np.flatnonzero(indices[1:] <= indices[:-1]) + 1
        starts = np.zeros(len(indices) + 1, dtype=np.bool_)
        starts[indptr] = True
        wrong = falls[~starts[falls]]
        if len(wrong):
            raise ValueError(
                f"{self._prefix + names[1]!r}[{wrong[0]}] is {indices[wrong[0]]} after {indices[wrong[0] - 1]}, "
                "expected columns that ascend within their row"
            )
        return canonical(indptr, indices, data, shape)

    def check_rows(self, indptr: NDArray[np.int64], indices: NDArray[np.int32], columns: int) -> None:
        """Raise unless the entries are shared out to rows in order and lie in these columns."""
        try:
            # The values have been looked at: ones stand in for them.
            ones = np.ones(len(indices), dtype=np.float32)
            _core.check_csr((indptr, indices, ones), (len(indptr) - 1, columns))
        except ValueError as error:
            raise ValueError(f"{self._prefix.removesuffix('.') or 'matrix'!r}: {error}") from None

    def refuse_others(self) -> None:
        """Raise if an array was not taken: whoever wrote it meant something else."""
        others = [name for name in self._arrays if name.startswith(self._prefix) and name not in self._taken]
        if others:
            raise ValueError(f"{others[0]!r} is not expected")

    def _any(self, name: str) -> NDArray[Any]:
        full = self._prefix + name
        if full not in self._arrays:
            raise ValueError(f"lacks {full!r}")
        self._taken.add(full)
        return self._arrays[full]

    def _refuse(self, name: str, array: NDArray[Any], wrong: NDArray[np.bool_], expected: str) -> None:
        place = np.unravel_index(int(np.argmax(wrong)), array.shape)
        at = ", ".join(map(str, place))
        raise ValueError(f"{name!r}[{at}] is {array[place].item()}, expected {expected}")
