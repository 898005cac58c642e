"""Train, valid and test parts of a set of interactions."""

from os import PathLike
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import one_of, real
from diffrec.data._csr import assemble
from diffrec.data._reshape import owners_of
from diffrec.data.files import part_times, read_split
from diffrec.data.ids import Ids
from diffrec.data.interactions import Interactions

WAYS = ("time", "random", "leave-last")


class Split(NamedTuple):
    """Three parts of the same users and items.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> watched = Interactions.from_arrays([0] * 10, range(10), timestamp=range(10))
    >>> train, valid, test = watched.split(by="time", valid=0.1, test=0.2)
    >>> test.matrix.indices
    array([8, 9], dtype=int32)
    """

    train: Interactions
    valid: Interactions
    test: Interactions

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Split":
        """Read a ready-made split.

        Parameters
        ----------
        path
            A ``.npz`` file of ``shape`` (users, items) and, for each part, an (n, 2) array of user and item
            numbers: ``train``, ``valid``, ``test``. Times may stand beside them in ``train_time`` and so on
            and are kept as they are. A file without any gives each interaction its place in the file, train
            first, as its time.

        Returns
        -------
        Split
            Parts of the same users and items, whose ids are the numbers from 0.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file holds no split, or a number lies outside the shape.
        """
        file = read_split(path)
        users, items = Ids.numbered(file.shape[0], "user"), Ids.numbered(file.shape[1], "item")
        times = part_times(file)
        parts = []
        for name, (rows, columns, _) in file.parts.items():
            ones = np.ones(len(rows), dtype=np.float32)
            parts.append(Interactions(*assemble(rows, columns, ones, times[name], file.shape), users, items))
        return cls(*parts)


def split(data: Interactions, by: str = "time", valid: float = 0.1, test: float = 0.2, seed: int = 0) -> Split:
    """Part each user's interactions; :meth:`Interactions.split` says how."""
    one_of(WAYS)("by", by)
    valid = real(0, 1, open_high=True)("valid", valid)
    test = real(0, 1, open_high=True)("test", test)
    if valid + test >= 1:
        raise ValueError(f"valid + test must stay below 1, not {valid} + {test}")
    if by != "random" and data.timestamps is None:
        raise ValueError(f"by={by!r} needs timestamps; these interactions have none (by='random' does not)")
    counts = np.diff(data.matrix.indptr).astype(np.int64)
    if by == "leave-last":
        in_test = ((counts >= 2) & (test > 0)).astype(np.int64)
        in_valid = ((counts - in_test >= 2) & (valid > 0)).astype(np.int64)
    else:
        in_test, in_valid = _share(counts, test), _share(counts, valid)
    in_test = np.minimum(in_test, np.maximum(counts - 1, 0))
    in_valid = np.minimum(in_valid, np.maximum(counts - 1 - in_test, 0))

    age = _ages(data, None if by == "random" else data.timestamps, seed)
    test_cut, valid_cut = (np.repeat(cut, counts) for cut in (in_test, in_test + in_valid))
    is_test = age < test_cut
    is_valid = (age < valid_cut) & ~is_test
    return Split(data.where(~(is_test | is_valid)), data.where(is_valid), data.where(is_test))


def _share(counts: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    # 1e-9: shares such as 0.7 * 5 must not miss a half by the last bit.
    shares: NDArray[np.int64] = np.floor(counts * share + 0.5 + 1e-9).astype(np.int64)
    return shares


def _ages(data: Interactions, times: NDArray[np.float64] | None, seed: int) -> NDArray[np.int64]:
    """Count, for each interaction, the user's interactions that come after it."""
    counts = np.diff(data.matrix.indptr).astype(np.int64)
    owner = owners_of(data.matrix)
    lot = np.random.default_rng(seed).random(len(owner))
    order = np.lexsort((lot, owner) if times is None else (lot, times, owner))
    from_newest: NDArray[np.int64] = (
        np.repeat(data.matrix.indptr[1:].astype(np.int64), counts) - 1 - np.arange(len(owner))
    )
    ages: NDArray[np.int64] = np.empty(len(owner), dtype=np.int64)
    ages[order] = from_newest
    return ages
