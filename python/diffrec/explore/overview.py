"""The page's first view: figures of the models, how long histories are, whom to look at."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import one_of
from diffrec.data import Interactions, owners_of, users_per_item
from diffrec.evaluation import Report

#: Orders of the users; the last two where something is there to be measured by.
ORDERS = ("most", "fewest", "best", "worst")
# Users and items that are listed, bars of the histogram.
_LISTED, _POPULAR, _BARS = 30, 10, 12
METRICS = ("recall", "ndcg", "hit_rate", "coverage", "novelty")


class Overview:
    """Counts of the people that are looked at, and how well each model predicts what they took later.

    Parameters
    ----------
    people : Interactions
        The histories.
    reports : mapping of name to Report
        Of each model; empty where nothing is known of later.
    """

    def __init__(self, people: Interactions, reports: Mapping[str, Report]) -> None:
        self._people, self._reports = people, reports
        self._lengths = np.diff(people.matrix.indptr)
        self._newest = _newest(people)
        self._served: NDArray[np.float64] | None = None
        if reports:
            first = next(iter(reports.values()))
            self._served = np.full(people.shape[0], np.nan)
            self._served[people.users.rows(first.users)] = first.per_user[_deciding(first)]

    def figures(self) -> list[dict[str, Any]]:
        """Means of each model, by metric."""
        return [
            {
                "name": name,
                "users": len(report.users),
                "means": {
                    metric: _plain(report.means[metric])
                    for metric in report.means
                    if metric.partition("@")[0] in METRICS
                },
            }
            for name, report in self._reports.items()
        ]

    def lengths(self) -> list[dict[str, int]]:
        """Bars: from and to which length, and how many histories are so long."""
        longest = int(self._lengths.max(initial=0))
        # Each bar is as much longer than the one before as that was than its own: most histories are short.
        edges = np.unique(np.geomspace(1, longest + 1, _BARS + 1).round().astype(np.int64)).tolist()
        bars = []
        for low, end in itertools.pairwise([0, *edges]):
            users = int(np.sum((self._lengths >= low) & (self._lengths < end)))
            if users:
                bars.append({"low": low, "high": end - 1, "users": users})
        return bars

    def popular(self) -> list[tuple[int, int]]:
        """The items that most have, by row, and how many do."""
        owners = users_per_item(self._people.matrix)
        return [(int(row), int(owners[row])) for row in np.argsort(-owners, kind="stable")[:_POPULAR]]

    def users(self, order: Any) -> list[dict[str, Any]]:
        """Users to look at: by row, how much they have, when they were last seen, how well they are served.

        Raises
        ------
        ValueError
            When ``order`` is none of ``ORDERS``, or there is nothing to measure by.
        """
        one_of(ORDERS)("order", order)
        served = self._served
        if order in ("best", "worst"):
            if served is None:
                raise ValueError(f"order {order!r} needs a test set to measure by")
            known = np.flatnonzero(np.isfinite(served))
            rows = known[np.argsort(-served[known] if order == "best" else served[known], kind="stable")]
        else:
            rows = np.argsort(-self._lengths if order == "most" else self._lengths, kind="stable")
        return [
            {
                "row": int(row),
                "count": int(self._lengths[row]),
                "last": None if self._newest is None else _plain(self._newest[row]),
                "served": None if served is None else _plain(served[row]),
            }
            for row in rows[:_LISTED].tolist()
        ]

    @property
    def deciding(self) -> str | None:
        """The metric that users are ordered by."""
        return _deciding(next(iter(self._reports.values()))) if self._reports else None


def _deciding(report: Report) -> str:
    return max((metric for metric in report.per_user if metric.startswith("ndcg@")), key=lambda one: int(one[5:]))


def _newest(people: Interactions) -> NDArray[np.float64] | None:
    """When each was last seen, in seconds; NaN for who never was."""
    if people.timestamps is None:
        return None
    newest = np.full(people.shape[0], -np.inf)
    np.maximum.at(newest, owners_of(people.matrix), people.timestamps)
    newest[~np.isfinite(newest)] = np.nan
    return newest


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
