"""What an exported recommender has to be told of a history, and the arrays that tell it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.data import Interactions, TimeScale
from diffrec.recommenders import EASE, IALS, DiffRec, ItemKNN, Recommender, RP3beta

_ONES = "1 for every item"
_VALUES = "the value of each interaction, such as a count or a rating; 1 where the model learnt from none"


@dataclass(frozen=True)
class Reads:
    """What a model reads of each item of a history.

    Attributes
    ----------
    meaning : str
        The weights, in words.
    values : bool
        Whether the interactions' values are part of them.
    views : int, optional
        Weights for each item; None for one, without an axis of its own.
    """

    meaning: str
    values: bool = False
    views: int | None = None


class Inputs(NamedTuple):
    """A batch of n histories.

    Attributes
    ----------
    history : ndarray
        int64 (n, length), the item rows of each history, oldest first, then -1.
    weights : ndarray
        float32 (n, length), or (n, length, views): what the model reads of each item, 0 where there is none.
    """

    history: NDArray[np.int64]
    weights: NDArray[np.float32]


def reads_of(model: Recommender) -> Reads:
    """Say what a recommender reads of each item."""
    if isinstance(model, DiffRec):
        s = model.settings
        if s.objective == "forecast":
            views = "; ".join(map(_view, s.time_scales))
            return Reads(f"{len(s.time_scales)} for each item, its age being the number of newer ones: {views}",
                         views=len(s.time_scales))  # fmt: skip
        value = _ONES if s.binarize else _VALUES
        if s.time_weights is None:
            return Reads(value, values=not s.binarize)
        named = ", ".join(f"{name}={getattr(s, name)!r}" for name in ("w_min", "w_max", "half_life"))
        weights = f"the weights by age of diffrec.data.time_weights(history, {s.time_weights!r}, {named})"
        return Reads(weights if s.binarize else f"{_VALUES}; times {weights}", values=not s.binarize)
    binary = isinstance(model, EASE | RP3beta) and model.settings.binarize
    if isinstance(model, ItemKNN | EASE | RP3beta | IALS) and not binary:
        return Reads(_VALUES, values=True)
    return Reads(_ONES)


def inputs(model: Recommender, users: Any = None) -> Inputs:
    """Make what the exported model takes, of histories.

    Parameters
    ----------
    model : Recommender
        Fitted; its settings say how interactions are weighed.
    users : ids, row numbers, Interactions, matrix or data frame, optional
        Whose histories, as for ``recommend``.

    Returns
    -------
    Inputs
        ``history`` and ``weights``; the histories are as long as the longest of them.

    Raises
    ------
    ValueError
        When a user or item is unknown, or there are no timestamps and the model needs them.

    Examples
    --------
    >>> import diffrec
    >>> model = diffrec.fit(np.array([[1, 1, 0], [0, 1, 0]]), variant="itemknn")
    >>> inputs(model, np.array([[1, 0, 3], [0, 1, 0]])).history
    array([[ 0,  2],
           [ 1, -1]])
    """
    histories, rows, _ = model._histories(users)
    histories = histories.take(rows) if users is not None else histories
    matrix, reads = histories.matrix, reads_of(model)
    lengths = np.diff(matrix.indptr)
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.empty(matrix.nnz, dtype=np.int64)
    times = np.zeros(matrix.nnz) if histories.timestamps is None else histories.timestamps
    place[np.lexsort((times, row))] = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths)
    shape = (len(lengths), int(lengths.max(initial=1)))
    history = np.full(shape, -1, dtype=np.int64)
    history[row, place] = matrix.indices
    weights = np.zeros((*shape, reads.views or 1), dtype=np.float32)
    weights[row, place] = _weights(model, histories, row, reads)
    return Inputs(history, weights if reads.views else weights[:, :, 0])


def _weights(model: Recommender, histories: Interactions, row: NDArray[np.int64], reads: Reads) -> NDArray[np.float32]:
    """The weights (nnz, views) of the interactions, in the order in which they are stored."""
    matrix = histories.matrix
    n, n_items = matrix.shape
    if not isinstance(model, DiffRec):
        return matrix.data[:, None] if reads.values else np.ones((matrix.nnz, 1), dtype=np.float32)
    vectors = model._vectors(histories, 0, n)[0].tocoo()
    # An item's views are looked up by the cell it has in the matrix: those that say next to nothing are left out there.
    cells = row * n_items + matrix.indices
    view, item = np.divmod(vectors.col.astype(np.int64), n_items)
    weights = np.zeros((matrix.nnz, reads.views or 1), dtype=np.float32)
    weights[np.searchsorted(cells, vectors.row.astype(np.int64) * n_items + item), view] = vectors.data
    return weights


def _view(scale: TimeScale) -> str:
    if scale is None:
        return "1 / sqrt(number of items)"
    if isinstance(scale, timedelta):
        return f"exp(-seconds before the newest / {scale.total_seconds():g})"
    return f"exp(-age / {scale:g})"
