"""Measures of ranked lists besides hits in their first places: novelty, diversity, how they spread over the items.

Lists are ranked item rows, int (users, k), with -1 where a list is short; users without any item are left out of means.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffrec import _core
from diffrec.data import Csr, csr_arrays, owners_of, users_per_item


def self_information(histories: Csr) -> NDArray[np.float64]:
    """Return the surprise of each item to a user of these histories, in bits, float64 (items,).

    -log2 of the probability that a user has the item (Zhou et al. 2010), estimated as (users who have it + 1) / (users
    + 2), so that it is finite for an item that nobody has.

    Examples
    --------
    >>> from scipy import sparse
    >>> self_information(sparse.csr_array(np.array([[1, 0], [1, 0]])))
    array([0.4150375, 2.       ])
    """
    return surprise(users_per_item(histories), histories.shape[0])


def surprise(owners: NDArray[np.integer], users: int) -> NDArray[np.float64]:
    """Return ``self_information`` from how many of the users have each item, (items,)."""
    bits: NDArray[np.float64] = -np.log2((owners + 1) / (users + 2))
    return bits


def novelty(ranked: NDArray[np.integer], information: NDArray[np.float64]) -> float:
    """Mean ``self_information`` of what is recommended, averaged within lists, then over users.

    Examples
    --------
    >>> novelty(np.array([[0, 1], [1, -1]]), np.array([1.0, 3.0]))
    2.5
    """
    return _mean(novelty_of(ranked, information))


def novelty_of(ranked: NDArray[np.integer], information: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean ``self_information`` of each list, (users,); NaN for an empty one."""
    filled = ranked >= 0
    return _means_of_lists(np.where(filled, information[ranked], 0.0), filled)


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
    return _mean(diversity_of(ranked, vectors))


def diversity_of(ranked: NDArray[np.integer], vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean of 1 - cosine over the pairs of each list, (users,); NaN for one without pairs."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors, dtype=np.float64), where=lengths > 0)
    filled = ranked >= 0
    found = np.full(len(ranked), np.nan)
    # A few users at a time: their items' vectors would be as large as all scores.
    for start in range(0, len(ranked), 64):
        inside = filled[start : start + 64]
        listed = unit[ranked[start : start + 64]] * inside[:, :, None]
        # The squared length of the sum is the sum over all pairs, items with themselves included.
        alike = np.square(listed.sum(axis=1)).sum(axis=1) - np.square(listed).sum(axis=(1, 2))
        pairs = inside.sum(axis=1) * (inside.sum(axis=1) - 1)
        found[start : start + 64] = 1.0 - np.divide(alike, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return found


def diversity_by_owners(ranked: NDArray[np.integer], histories: Csr, cuts: Sequence[int]) -> list[NDArray[np.float64]]:
    """Mean of 1 - cosine over the pairs of the first k of each list, where items are alike that the same users have.

    The vector of an item says who has it: the cosine of two is ``|A and B| / sqrt(|A| |B|)``, A and B being their
    users (Ziegler et al. 2005, with the similarity of item-based neighbours, Sarwar et al. 2001). It is the same for
    every recommender, so that lists of different ones can be compared.

    Parameters
    ----------
    ranked : int (users, length)
        Item rows.
    histories : scipy.sparse CSR
        (any users, items), who has what.
    cuts : sequence of int
        For each k, how many of a list are looked at.

    Returns
    -------
    list of ndarray
        For each k (users,); NaN for a list without pairs.

    Examples
    --------
    >>> from scipy import sparse
    >>> had = sparse.csr_array(np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]], dtype=np.float32))
    >>> two, three = diversity_by_owners(np.array([[0, 1, 2]]), had, [2, 3])
    >>> two.round(4), three.round(4)  # 1 - sqrt(2 / 3), and the mean over three pairs
    (array([0.1835]), array([0.4251]))
    """
    indptr, indices, _ = csr_arrays(histories)
    unit = (1 / np.sqrt(users_per_item(histories).clip(1))).astype(np.float32)[indices]
    lists = np.ascontiguousarray(ranked, dtype=np.int32)
    alike = _core.pair_sums((indptr, indices, unit), unit, histories.shape[1], lists)
    found = []
    for k in cuts:
        listed = (ranked[:, :k] >= 0).sum(axis=1)
        pairs = listed * (listed - 1) / 2
        sums = alike[:, :k].sum(axis=1)
        found.append(1.0 - np.divide(sums, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))
    return found


def hits_of(ranked: NDArray[np.integer], relevant: Csr) -> NDArray[np.bool_]:
    """Mark the places of lists (users, k) whose items are stored in ``relevant`` (users, items).

    Examples
    --------
    >>> from scipy import sparse
    >>> hits_of(np.array([[2, 0, -1]]), sparse.csr_array(np.array([[0, 1, 1]])))
    array([[ True, False, False]])
    """
    users, items = relevant.shape
    cells = owners_of(relevant) * items + relevant.indices
    wanted = np.arange(users)[:, None] * items + ranked
    if len(cells) == 0:
        return np.zeros(ranked.shape, dtype=np.bool_)
    place = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
    hits: NDArray[np.bool_] = (cells[place] == wanted) & (ranked >= 0)
    return hits


def average_precision(hits: NDArray[np.bool_], relevant: NDArray[np.integer]) -> NDArray[np.float64]:
    """Average precision of lists of k, (users,), from their hits (users, k) and how much is relevant, (users,).

    Examples
    --------
    >>> average_precision(np.array([[True, False, True]]), np.array([5])).round(4)
    array([0.5556])
    """
    k = hits.shape[1]
    precisions = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    reachable = np.minimum(relevant, k)
    total = (precisions * hits).sum(axis=1)
    found: NDArray[np.float64] = np.full(len(hits), np.nan)
    np.divide(total, reachable, out=found, where=reachable > 0)
    return found


def serendipity_of(
    ranked: NDArray[np.integer], hits: NDArray[np.bool_], owners: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Hits of each list, each weighted by the share of items that more users have, over k: (users,).

    Examples
    --------
    >>> serendipity_of(np.array([[0, 2]]), np.array([[True, True]]), np.array([9, 5, 1, 1]))
    array([0.25])
    """
    more_popular = len(owners) - np.searchsorted(np.sort(owners), owners, side="right")
    weight = more_popular / len(owners)
    found: NDArray[np.float64] = (hits * weight[ranked]).sum(axis=1) / ranked.shape[1]
    return found


def gini(ranked: NDArray[np.integer], n_items: int) -> float:
    """Return the Gini index of the items' shares of all places: 0 where all are alike, near 1 where a few have all.

    Examples
    --------
    >>> gini(np.array([[0, 1], [2, 3]]), 4), gini(np.array([[0], [0]]), 4)
    (0.0, 0.75)
    """
    listed = np.sort(np.bincount(ranked[ranked >= 0], minlength=n_items)).astype(np.float64)
    if listed.sum() == 0:
        return float("nan")
    rank = np.arange(1, n_items + 1)
    return float(((2 * rank - n_items - 1) * listed).sum() / (n_items * listed.sum()))


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
    return _mean(_means_of_lists((chosen[ranked] & filled).astype(np.float64), filled))


def _means_of_lists(values: NDArray[np.float64], filled: NDArray[np.bool_]) -> NDArray[np.float64]:
    counts = filled.sum(axis=1)
    means: NDArray[np.float64] = np.full(len(counts), np.nan)
    np.divide(values.sum(axis=1), counts, out=means, where=counts > 0)
    return means


def _mean(of_users: NDArray[np.float64]) -> float:
    """Mean over the users who have a value."""
    some = of_users[np.isfinite(of_users)]
    return float(some.mean()) if len(some) else float("nan")
