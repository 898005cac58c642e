"""The arrays that tell an exported recommender of histories."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.data import Csr
from diffrec.recommenders import Recommender


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
    matrix, views = histories.matrix, model._reading().views
    lengths = np.diff(matrix.indptr)
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.empty(matrix.nnz, dtype=np.int64)
    times = np.zeros(matrix.nnz) if histories.timestamps is None else histories.timestamps
    place[np.lexsort((times, row))] = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths)
    shape = (len(lengths), int(lengths.max(initial=1)))
    history = np.full(shape, -1, dtype=np.int64)
    history[row, place] = matrix.indices
    weights = np.zeros((*shape, views or 1), dtype=np.float32)
    weights[row, place] = _weights(model._read(histories), matrix, row, views or 1)
    return Inputs(history, weights if views else weights[:, :, 0])


def _weights(read: Csr, matrix: Csr, row: NDArray[np.int64], views: int) -> NDArray[np.float32]:
    """The weights (nnz, views) of the interactions in ``matrix``, in the order in which they are stored."""
    n_items = matrix.shape[1]
    entries = read.tocoo()
    # An item's views are looked up by the cell it has in the matrix: those that say next to nothing are left out there.
    cells = row * n_items + matrix.indices
    view, item = np.divmod(entries.col.astype(np.int64), n_items)
    weights = np.zeros((matrix.nnz, views), dtype=np.float32)
    weights[np.searchsorted(cells, entries.row.astype(np.int64) * n_items + item), view] = entries.data
    return weights
