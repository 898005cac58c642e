"""k-means clustering of embeddings."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffrec import _core
from diffrec.checks import real, whole


class KMeans(NamedTuple):
    """Groups of points, as `kmeans` finds them."""

    labels: NDArray[np.int32]
    """(points,): the group of each point."""
    centroids: NDArray[np.float32]
    """(k, coordinates): the mean of each group."""
    inertia: float
    """Sum of the squared distances of all points to their centroids, added up in float64."""
    iterations: int
    """Number of times that the centroids moved."""


def kmeans(
    points: ArrayLike,
    k: int,
    *,
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-4,
    balance: float | None = None,
    seed: int = 0,
    init: ArrayLike | None = None,
) -> KMeans:
    """Divide points into ``k`` groups so that the squared distances to the groups' means are small.

    Lloyd's algorithm [1]_ from start centroids drawn by the greedy form of k-means++ [2]_. A group that runs empty
    gets the point farthest from its centroid, so none is empty unless there are fewer distinct points than groups.
    The answer depends on ``seed`` but not on the number of threads, and Ctrl-C stops the search.

    Parameters
    ----------
    points : array_like (points, coordinates)
        Finite numbers; taken as float32.
    k : int
        Number of groups, from 1 to the number of points.
    n_init : int
        Searches from different start centroids, of which the one with the least inertia is returned; 1 with ``init``.
    max_iter : int
        Most times to move the centroids. Where it ends a search, every point is with its nearest centroid, but a
        centroid need not be quite the mean of its points.
    tol : float
        Stop once the squares of the centroids' steps add up to at most ``tol`` times the mean variance of a
        coordinate; 0 stops only when no point changes group any more.
    balance : float, optional
        The largest group may have at most ``balance`` times the mean size (but always the mean size rounded up);
        at least 1. A point may then be kept from its nearest centroid. None: groups of any size.
    seed : int
        Of the start centroids; from 0 to 2**64 - 1.
    init : array_like (k, coordinates), optional
        Start centroids, instead of drawn ones.

    Returns
    -------
    KMeans
        ``labels``, ``centroids``, ``inertia`` and ``iterations``.

    Raises
    ------
    TypeError
        If an argument is not a number or array of numbers as described.
    ValueError
        If one lies outside its range, or a point is NaN or infinite.

    References
    ----------
    .. [1] Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28 (1982).
    .. [2] Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA (2007).

    Examples
    --------
    >>> from diffrec.latent.kmeans import kmeans
    >>> found = kmeans([[0, 0], [9, 9], [0, 1], [9, 8]], 2)
    >>> found.labels[0] == found.labels[2] != found.labels[1] == found.labels[3]
    np.True_
    >>> found.centroids[found.labels[0]], found.inertia
    (array([0. , 0.5], dtype=float32), 1.0)
    >>> kmeans([[1], [2], [3], [50]], 2, balance=1).labels.tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """
    labels, centroids, inertia, iterations = _core.kmeans(
        _matrix("points", points),
        whole(1)("k", k),
        whole(1)("n_init", n_init),
        whole(1)("max_iter", max_iter),
        real(0)("tol", tol),
        None if balance is None else real(1)("balance", balance),
        whole(0, 2**64 - 1)("seed", seed),
        None if init is None else _matrix("init", init),
    )
    return KMeans(labels, centroids, inertia, iterations)


def _matrix(argument: str, values: ArrayLike) -> NDArray[np.float32]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument} must be an array of real numbers, not of {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"{argument} must have 2 dimensions (points, coordinates), not {array.ndim}")
    # A value that float32 cannot hold becomes infinite, and is refused with its place.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)
