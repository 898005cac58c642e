"""Ranking metrics of recommended lists, per user and on average."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffrec import _core
from diffrec._shown import as_html
from diffrec.data import Csr, csr_arrays, users_per_item
from diffrec.evaluation.beyond_accuracy import (
    average_precision,
    diversity_by_owners,
    gini,
    hits_of,
    novelty_of,
    serendipity_of,
    surprise,
)
from diffrec.evaluation.groups import Grouping, Groups

# In the order of the kernel's first axis.
_OF_KERNEL = ("precision", "recall", "recall_truncated", "ndcg", "mrr", "hit_rate")
# Metrics of each user's list, and metrics of all lists together.
USER_METRICS = (*_OF_KERNEL, "map", "novelty", "serendipity", "diversity")
LIST_METRICS = ("coverage", "gini")
METRICS = (*USER_METRICS, *LIST_METRICS)
# Those of which more is better, and which lists and what is relevant are enough for.
MAXIMISED = (*_OF_KERNEL, "map", "coverage")
# The two questions that a report may answer, in words.
_ASKED = {
    "discover": "what users discover: what they had before is neither recommended nor relevant",
    "next basket": "what users take next, old or new",
}


def parse_metric(name: str, known: Sequence[str] = METRICS) -> tuple[str, int]:
    """Split ``"ndcg@20"`` into its metric, one of those ``known``, and its k.

    Raises
    ------
    ValueError
        When the metric is unknown or k is not a positive whole number.

    Examples
    --------
    >>> parse_metric("ndcg@20")
    ('ndcg', 20)
    """
    metric, _, k = name.partition("@")
    if metric not in known or not k.isdecimal() or int(k) < 1:
        raise ValueError(f"metric must be one of {', '.join(known)} followed by @k, such as 'ndcg@20'; got {name!r}")
    return metric, int(k)


@dataclass(frozen=True, eq=False, repr=False)
class Report(Mapping[str, float]):
    """Metrics of one evaluation: ``report["ndcg@20"]`` is a mean over users, ``report.per_user["ndcg@20"]`` an array.

    Attributes
    ----------
    means : dict
        Metric name such as ``"recall@20"`` -> mean over the evaluated users.
    per_user : dict
        Metric name -> float64 (users evaluated,).
    users : ndarray
        Their ids, in the order of the arrays in ``per_user``.
    ranked : ndarray
        int32 (users evaluated, largest k), the lists that were measured: item rows, best first, -1 where one is short.
    users_without_relevant : int
        Users left out of the means because nothing is relevant for them.
    interactions_left_out : int
        Test interactions of users or items the model does not know, which were left out.
    repeats_left_out : int
        Test interactions with items that may not be recommended, since the user has them already: they are not relevant
        where the question is what a user discovers.
    dislikes_left_out : int
        Test interactions with items that the user disliked before, which are never recommended.
    groups : dict
        Fact -> its groups of users or items, with their figures, where ``evaluate`` was asked for them (``by=``).
    question : {"discover", "next basket", ""}
        Which question the figures answer: what users *discover* (``exclude_seen=True``), or all that they take next,
        old or new (False); empty where only lists were measured.
    """

    means: dict[str, float]
    per_user: dict[str, NDArray[np.float64]]
    users: NDArray[np.generic]
    ranked: NDArray[np.int32]
    users_without_relevant: int = 0
    interactions_left_out: int = 0
    repeats_left_out: int = 0
    dislikes_left_out: int = 0
    groups: dict[str, Groups] = field(default_factory=dict)
    question: str = ""

    def __getitem__(self, name: str) -> float:
        try:
            return self.means[name]
        except KeyError:
            raise KeyError(f"{name!r} was not measured; there are {', '.join(self.means)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.means)

    def __len__(self) -> int:
        return len(self.means)

    def __repr__(self) -> str:
        question = f" ({self.question})" if self.question else ""
        return f"<Report{question}: {len(self.means)} metrics of {len(self.users):,} users>"

    def __str__(self) -> str:
        """Lay the means out as a table, metrics by k."""
        ks, measured = self._laid_out()
        lines = ["metric".ljust(18) + "".join(f"@{k}".rjust(9) for k in ks)]
        lines += [m.ljust(18) + "".join(f"{self.means[f'{m}@{k}']:9.4f}" for k in ks) for m in measured]
        return "\n".join([*lines, self._of_whom(), *(f"\n{groups}" for groups in self.groups.values())])

    def _repr_html_(self) -> str:
        ks, measured = self._laid_out()
        columns = {f"@{k}": [self.means[f"{metric}@{k}"] for metric in measured] for k in ks}
        tables = [as_html({"metric": measured} | columns, self._of_whom())]
        return "".join([*tables, *(groups._repr_html_() for groups in self.groups.values())])

    def _laid_out(self) -> tuple[list[int], list[str]]:
        """The cuts and the metrics that were measured."""
        ks = sorted({parse_metric(name)[1] for name in self.means})
        return ks, [metric for metric in METRICS if f"{metric}@{ks[0]}" in self.means]

    def _of_whom(self) -> str:
        """Say what the means are over, and what is left out."""
        without = f"; {self.users_without_relevant:,} without relevant items left out"
        lines = [_ASKED[self.question]] if self.question else []
        lines.append(f"mean over {len(self.users):,} users" + (without if self.users_without_relevant else ""))
        if self.interactions_left_out:
            lines.append(f"{self.interactions_left_out:,} interactions of unknown users or items left out")
        if self.repeats_left_out:
            lines.append(f"{self.repeats_left_out:,} interactions with items that the users had before left out")
        if self.dislikes_left_out:
            lines.append(f"{self.dislikes_left_out:,} interactions with items that the users disliked before left out")
        return "\n".join(lines)


@dataclass(frozen=True)
class Catalogue:
    """Facts of the items that can be recommended, by which lists are judged beyond accuracy.

    Attributes
    ----------
    histories : scipy.sparse CSR (users, items)
        Who has what: items are alike that the same users have.
    """

    histories: Csr

    @property
    def owners(self) -> NDArray[np.int64]:
        """Count the users of each item, int64 (items,)."""
        return users_per_item(self.histories)


def measure(
    ranked: NDArray[np.int32],
    relevant: Csr,
    users: NDArray[np.generic],
    k: Sequence[int],
    *,
    catalogue: Catalogue | None = None,
    users_without_relevant: int = 0,
    interactions_left_out: int = 0,
    repeats_left_out: int = 0,
    dislikes_left_out: int = 0,
    grouping: Grouping | None = None,
) -> Report:
    """Compare ranked lists with relevant items.

    Parameters
    ----------
    ranked : int32 (users, length)
        Item rows, best first; -1 where a list is short.
    relevant : scipy.sparse CSR
        (users, items) with sorted indices; every stored entry is relevant.
    users : ndarray
        (users,) their ids, for the report.
    k : sequence of int
        Cuts, each at most ``length``.
    catalogue : Catalogue, optional
        Of the items, for novelty, serendipity and diversity.
    users_without_relevant, interactions_left_out, repeats_left_out, dislikes_left_out : int
        For the report.
    grouping : Grouping, optional
        How users and items are to be grouped.

    Returns
    -------
    Report
        precision = hits / k; recall = hits / relevant; recall_truncated = hits / min(k, relevant); ndcg with binary
        gains and the ideal list cut at k; mrr = 1 / rank of the first hit; hit_rate; map = mean over the relevant items
        of the precision at their ranks, 0 where one is not listed, over min(k, relevant) (Buckley & Voorhees 2000);
        coverage = share of all items that stand in some list; gini = how unevenly the lists' places are shared among
        all items, 0 for evenly (Gini 1912; Adomavicius & Kwon 2012). With a catalogue novelty, the mean
        ``self_information`` of a list; serendipity = hits, each weighted by the share of items that are more popular,
        / k (Castells, Vargas & Wang 2011); and diversity, the mean of 1 - cosine over a list's pairs (Ziegler et al.
        2005), an item's vector saying which users have it, whatever the recommender.

    Examples
    --------
    >>> from scipy import sparse
    >>> relevant = sparse.csr_array(np.array([[0, 1, 1, 0]], dtype=np.float32))
    >>> print(measure(np.array([[2, 0]], dtype=np.int32), relevant, np.array(["Ann"]), [1, 2]))
    metric                   @1       @2
    precision            1.0000   0.5000
    recall               0.5000   0.5000
    recall_truncated     1.0000   0.5000
    ndcg                 1.0000   0.6131
    mrr                  1.0000   1.0000
    hit_rate             1.0000   1.0000
    map                  1.0000   0.5000
    coverage             0.2500   0.5000
    gini                 0.7500   0.5000
    mean over 1 users
    """
    values = _core.ranking_metrics(ranked, csr_arrays(relevant), list(k))
    per_user = {f"{m}@{cut}": values[i, j] for i, m in enumerate(_OF_KERNEL) for j, cut in enumerate(k)}
    hits = hits_of(ranked, relevant)
    owners = None if catalogue is None else catalogue.owners
    for cut in k:
        per_user[f"map@{cut}"] = average_precision(hits[:, :cut], np.diff(relevant.indptr))
        if catalogue is not None and owners is not None:
            listed = ranked[:, :cut]
            per_user[f"novelty@{cut}"] = novelty_of(listed, surprise(owners, catalogue.histories.shape[0]))
            per_user[f"serendipity@{cut}"] = serendipity_of(listed, hits[:, :cut], owners)
    if catalogue is not None:
        for cut, values_of in zip(k, diversity_by_owners(ranked, catalogue.histories, k), strict=True):
            per_user[f"diversity@{cut}"] = values_of
    # Lists without items, or without pairs, say nothing of novelty and diversity.
    means = {name: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for name, v in per_user.items()}
    covered = _core.coverage(ranked, relevant.shape[1], list(k))
    means |= {f"coverage@{cut}": float(share) for cut, share in zip(k, covered, strict=True)}
    means |= {f"gini@{cut}": gini(ranked[:, :cut], relevant.shape[1]) for cut in k}
    left_out = (interactions_left_out, repeats_left_out, dislikes_left_out)
    groups = {} if grouping is None else grouping.groups(users, per_user, ranked, relevant)
    return Report(means, per_user, users, ranked, users_without_relevant, *left_out, groups)
