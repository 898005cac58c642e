"""The numbers behind the pictures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffrec.evaluation import LIST_METRICS, Report
from diffrec.evaluation.groups import half_width


def by_k(report: Report, metric: str, k: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return a metric's means at each k, and half widths of 95% intervals, None for metrics of all lists together.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=80, items=40, seed=1).split()
    >>> report = diffrec.fit(data.train, variant="popularity").evaluate(data.test, k=[5, 10])
    >>> means, errors = by_k(report, "recall", [5, 10])
    >>> bool(means[0] == report["recall@5"]), errors.shape
    (True, (2,))
    """
    names = [f"{metric}@{cut}" for cut in k]
    means = np.array([report[name] for name in names])
    if metric in LIST_METRICS:
        return means, None
    return means, np.array([half_width(report.per_user[name]) for name in names])


def step_ranks(
    scores: NDArray[np.float32], items: NDArray[np.int64], candidates: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Ranks of some items at each step among the candidates, from 1: by score, equal ones by row.

    Parameters
    ----------
    scores : float32 (steps, items)
        Of all items.
    items : int64 (k,)
        Rows of the items, candidates themselves.
    candidates : bool (items,)
        Who is ranked.

    Returns
    -------
    ndarray
        int64 (steps, k).

    Examples
    --------
    >>> scores = np.array([[0.1, 0.9, 0.5, 0.5]], dtype=np.float32)
    >>> step_ranks(scores, np.array([2, 3]), np.array([True, False, True, True]))
    array([[1, 2]])
    """
    rows = np.flatnonzero(candidates)
    order = np.argsort(-scores[:, rows], axis=1, kind="stable")
    ranks = np.empty(order.shape, dtype=np.int64)
    np.put_along_axis(ranks, order, np.arange(1, len(rows) + 1)[None, :], axis=1)
    return ranks[:, np.searchsorted(rows, items)]


def principal_plane(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (n, width) on the plane that keeps most of their variance, (n, 2), and what share each axis keeps, (2,).

    An axis points to where its largest component is positive. Of points on a line the second axis is 0.

    Examples
    --------
    >>> plane, share = principal_plane(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))
    >>> plane.round(6).tolist(), share.round(6).tolist()
    ([[-5.0, 0.0], [0.0, 0.0], [5.0, 0.0]], [1.0, 0.0])
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    scatter = centred.T @ centred
    variances, axes = np.linalg.eigh(scatter)
    order = np.argsort(-variances)[:2]
    axes = axes[:, order]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None, :], axis=0)
    plane = centred @ (axes * np.where(largest < 0, -1.0, 1.0))
    shares = variances[order].clip(min=0) / max(float(np.trace(scatter)), np.finfo(float).tiny)
    missing = (0, 2 - len(order))
    return np.pad(plane, ((0, 0), missing)), np.pad(shares, missing)
