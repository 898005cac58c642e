"""What ranked lists are besides right: novel, diverse, spread over the catalogue.

Lists are ranked item rows, int (users, k), with -1 where a list is short; users without any item are left out of means.
"""

import numpy as np
from numpy.typing import NDArray

from diffrec import _core
from diffrec.data import Csr


def self_information(histories: Csr) -> NDArray[np.float64]:
    """How much of a surprise each item is to a user of these histories, in bits, float64 (items,).

    -log2 of the probability that a user has the item (Zhou et al. 2010), estimated as (users who have it + 1) / (users
    + 2), so that it is finite for an item that nobody has.

    Examples
    --------
    >>> from scipy import sparse
    >>> self_information(sparse.csr_array(np.array([[1, 0], [1, 0]])))
    array([0.4150375, 2.       ])
    """
    users, items = histories.shape
    have = np.bincount(histories.indices, minlength=items)
    bits: NDArray[np.float64] = -np.log2((have + 1) / (users + 2))
    return bits


def novelty(ranked: NDArray[np.integer], information: NDArray[np.float64]) -> float:
    """Mean ``self_information`` of what is recommended, averaged within lists, then over users.

    Examples
    --------
    >>> novelty(np.array([[0, 1], [1, -1]]), np.array([1.0, 3.0]))
    2.5
    """
    filled = ranked >= 0
    return _mean_of_lists(np.where(filled, information[ranked], 0.0), filled)


def intra_list_diversity(ranked: NDArray[np.integer], vectors: NDArray[np.floating]) -> float:
    """Mean of 1 - cosine over the pairs of a list, averaged over users (Ziegler et al. 2005).

    Parameters
    ----------
    ranked : int (users, k)
        Item rows. Lists of fewer than two items have no pairs and are left out.
    vectors : ndarray (items, width)
        What says how alike two items are. A vector of zeros is unlike everything.

    Examples
    --------
    >>> intra_list_diversity(np.array([[0, 1], [0, 2]]), np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]))
    0.5
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors, dtype=np.float64), where=lengths > 0)
    filled = ranked >= 0
    found = []
    # A few users at a time: their items' vectors would be as large as all scores.
    for start in range(0, len(ranked), 64):
        inside = filled[start : start + 64]
        listed = unit[ranked[start : start + 64]] * inside[:, :, None]
        # The squared length of the sum is the sum over all pairs, items with themselves included.
        alike = np.square(listed.sum(axis=1)).sum(axis=1) - np.square(listed).sum(axis=(1, 2))
        pairs = inside.sum(axis=1) * (inside.sum(axis=1) - 1)
        found.append(1.0 - alike[pairs > 0] / pairs[pairs > 0])
    every = np.concatenate(found) if found else np.empty(0)
    return float(every.mean()) if len(every) else float("nan")


def coverage(ranked: NDArray[np.int32], n_items: int) -> float:
    """Share of all items that stand in some list.

    Examples
    --------
    >>> coverage(np.array([[0, 1], [1, -1]], dtype=np.int32), 4)
    0.5
    """
    return float(_core.coverage(ranked, n_items, [ranked.shape[1]])[0])


def share(ranked: NDArray[np.integer], chosen: NDArray[np.bool_]) -> float:
    """Mean share of a list's items that are among the ``chosen`` (items,).

    Examples
    --------
    >>> share(np.array([[0, 1], [1, -1]]), np.array([True, False]))
    0.25
    """
    filled = ranked >= 0
    return _mean_of_lists((chosen[ranked] & filled).astype(np.float64), filled)


def _mean_of_lists(values: NDArray[np.float64], filled: NDArray[np.bool_]) -> float:
    counts = filled.sum(axis=1)
    some = counts > 0
    return float((values[some].sum(axis=1) / counts[some]).mean()) if some.any() else float("nan")
