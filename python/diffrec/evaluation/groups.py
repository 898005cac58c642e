"""Metrics by groups of users and of items: whom lists serve, and what they show."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffrec._shown import as_html, as_text
from diffrec.checks import nearest, whole
from diffrec.data import Csr, Ids, Interactions, owners_of, users_per_item
from diffrec.data.frames import Framed
from diffrec.evaluation.beyond_accuracy import hits_of

#: Standard errors to either side of a mean that hold it with 95% confidence.
Z = 1.96
#: Groups of one fact; what is rarer goes together.
MOST_GROUPS = 20
UNKNOWN, OTHERS = "unknown", "others"

#: Names of facts, or facts of users by name: for each user of the training data, or of those that a mapping names.
By: TypeAlias = "str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | None"


class Group(NamedTuple):
    """Some users, or some items, and how lists serve them.

    Attributes
    ----------
    label : str
        Which.
    size : int
        How many users were evaluated, or how many items there are.
    relevant : int
        Test interactions of these users, or with these items.
    means : dict
        Metric name -> mean over the users; of items recall@k, the share of the test interactions with them that stood
        in the lists, and exposure@k, the share of the lists' places that they took (Singh & Joachims 2018).
    errors : dict
        Metric name -> half width of the interval that holds the mean with 95% confidence (normal approximation over the
        users).
    """

    label: str
    size: int
    relevant: int
    means: dict[str, float]
    errors: dict[str, float]


@dataclass(frozen=True, eq=False, repr=False)
class Groups(Sequence[Group], Framed):
    """Figures of each group by one fact, of users or of items, as a report has them.

    Attributes
    ----------
    by : str
        The fact: "activity", "popularity", or a column.
    of : {"users", "items"}
        Whose.
    groups : list of Group
        By rising numbers, or the largest first. A text such as ``"rock|live"`` puts an item into two of them.

    Examples
    --------
    >>> import diffrec
    >>> train, valid, test = diffrec.datasets.synthetic(users=80, items=40, seed=1).split()
    >>> report = diffrec.fit(train, variant="itemknn").evaluate(test, seen=valid, k=5, by="activity", bins=2)
    >>> groups = report.groups["activity"]
    >>> len(groups), groups.of, sum(group.size for group in groups) == len(report.users)
    (2, 'users', True)
    """

    by: str
    of: Literal["users", "items"]
    groups: list[Group]

    def __getitem__(self, place: Any) -> Any:
        return self.groups[place]

    def __len__(self) -> int:
        return len(self.groups)

    def __repr__(self) -> str:
        return f"<Groups: {len(self)} of {self.of} by {self.by}>"

    def gap(self, metric: str) -> float:
        """Return how far the best served group is ahead of the worst: 0 where all are served alike.

        Raises
        ------
        KeyError
            When the metric was not measured.
        """
        means = [group.means[metric] for group in self.groups]
        return float(np.nanmax(means) - np.nanmin(means)) if np.isfinite(means).any() else float("nan")

    def columns(self) -> dict[str, list[Any]]:
        """A row per group: its label, size, test interactions, and each metric with its half width."""
        table: dict[str, list[Any]] = {
            self.by: [group.label for group in self.groups],
            self.of: [group.size for group in self.groups],
            "in test": [group.relevant for group in self.groups],
        }
        for metric in self._metrics():
            table[metric] = [group.means[metric] for group in self.groups]
            if metric in self.groups[0].errors:
                table[f"{metric} ±"] = [group.errors[metric] for group in self.groups]
        return table

    def __str__(self) -> str:
        """Lay the longest lists' figures out as a table, with the gap below."""
        return "\n".join([as_text(self._shown(), len(self), "groups"), self._gaps()])

    def _repr_html_(self) -> str:
        return as_html(self._shown(), f"by {self.by}, {self.of}\n{self._gaps()}")

    def _metrics(self) -> list[str]:
        return list(self.groups[0].means) if self.groups else []

    def _chosen(self) -> list[str]:
        """The metrics that are shown: those of the longest lists that say most."""
        longest = max((int(metric.partition("@")[2]) for metric in self._metrics()), default=0)
        names = ("recall", "ndcg") if self.of == "users" else ("recall", "exposure")
        return [name for name in (f"{one}@{longest}" for one in names) if name in self._metrics()]

    def _shown(self) -> dict[str, list[Any]]:
        table = self.columns()
        shown = {name: table[name] for name in (self.by, self.of, "in test")}
        for metric in self._chosen():
            errors = table.get(f"{metric} ±", [None] * len(self))
            shown[metric] = [
                f"{mean:.4f}" + ("" if error is None or np.isnan(error) else f" ± {error:.4f}")
                for mean, error in zip(table[metric], errors, strict=True)
            ]
        return shown

    def _gaps(self) -> str:
        return "largest gap: " + ", ".join(f"{metric} {self.gap(metric):.4f}" for metric in self._chosen())


@dataclass(frozen=True, eq=False)
class Grouping:
    """How users and items are to be grouped, checked against the training data before anything is ranked.

    Attributes
    ----------
    facts : dict
        Name -> whose, and a value for each user or item of the training data.
    users : Ids
        The users of the training data.
    bins : int
        Parts of facts that are numbers, at most.
    """

    facts: dict[str, tuple[Literal["users", "items"], NDArray[Any]]]
    users: Ids
    bins: int

    @classmethod
    def of(cls, train: Interactions, by: By, bins: int) -> "Grouping | None":
        """Find the facts; None where none are asked for.

        Raises
        ------
        TypeError
            When ``by`` is neither names nor mappings.
        ValueError
            When a fact is unknown, or has not a value for each user.
        """
        bins = whole(1)("bins", bins)
        if by is None:
            return None
        facts: dict[str, tuple[Literal["users", "items"], NDArray[Any]]] = {}
        for one in [by] if isinstance(by, str | Mapping) else by:
            if isinstance(one, Mapping):
                for name, values in one.items():
                    facts[str(name)] = ("users", _of_users(str(name), values, train.users))
            elif isinstance(one, str):
                facts[one] = _named(train, one)
            else:
                raise TypeError(f"by must be names of facts, or facts of users by name, got {one!r}")
        return cls(facts, train.users, bins)

    def groups(
        self, users: NDArray[Any], per_user: Mapping[str, NDArray[np.float64]], ranked: NDArray[np.int32], relevant: Csr
    ) -> dict[str, Groups]:
        """Group what was measured.

        Parameters
        ----------
        users : ndarray (n,)
            Ids of the users that were evaluated.
        per_user : mapping
            Metric name -> float64 (n,).
        ranked : int32 (n, k)
            Their lists.
        relevant : scipy.sparse CSR (n, items)
            What was relevant.
        """
        rows = self.users.rows(users)
        cuts = sorted({int(metric.partition("@")[2]) for metric in per_user})
        hits = hits_of(ranked, relevant)
        found = {}
        for name, (of, values) in self.facts.items():
            if of == "users":
                parts = parts_of(values[rows], self.bins)
                made = [_of_some_users(label, part, per_user, relevant) for label, part in parts]
            else:
                made = [
                    _of_some_items(label, part, ranked, hits, relevant, cuts)
                    for label, part in parts_of(values, self.bins)
                ]
            found[name] = Groups(name, of, made)
        return found


def parts_of(values: NDArray[Any], bins: int) -> list[tuple[str, NDArray[np.int64]]]:
    """Part facts into groups: a label and the places of each.

    Numbers go into at most ``bins`` parts of about as many each, equal ones together; texts by what they say, those of
    several parted by ``|``. What has no value is a group of its own, and so is together what few have.

    Examples
    --------
    >>> [(label, part.tolist()) for label, part in parts_of(np.array(["rock", "pop|live", "", "rock"]), 5)]
    [('rock', [0, 3]), ('live', [1]), ('pop', [1]), ('unknown', [2])]
    >>> [label for label, _ in parts_of(np.array([1, 9, 1, 5, 7, 1]), 3)]
    ['1', '5', '7–9']
    >>> [label for label, _ in parts_of(np.array([2024.0, 2025.0, 10000.0]), 3)]
    ['2024', '2025', '10,000']
    """
    if values.dtype.kind in "iuf":
        known = np.flatnonzero(np.isfinite(values)) if values.dtype.kind == "f" else np.arange(len(values))
        numbers = values[known]
        split = quantile_parts(numbers, bins) if len(known) else ()
        parts = [(_span(numbers[part]), known[part]) for part in split]
        without = np.setdiff1d(np.arange(len(values)), known)
    else:
        texts = values.astype(np.str_)
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts.tolist()):
            for one in {part.strip() for part in text.split("|")} - {""}:
                places.setdefault(one, []).append(place)
        order = sorted(places, key=lambda one: (-len(places[one]), one))
        parts = [(one, np.array(places[one])) for one in order[:MOST_GROUPS]]
        rest = sorted({place for one in order[MOST_GROUPS:] for place in places[one]})
        parts += [(OTHERS, np.array(rest))] if rest else []
        without = np.setdiff1d(np.arange(len(values)), [place for some in places.values() for place in some])
    return [*parts, *([(UNKNOWN, without)] if len(without) else [])]


def quantile_parts(values: NDArray[Any], bins: int) -> Iterator[NDArray[np.int64]]:
    """Part values at their quantiles into at most ``bins`` parts, equal values together; yield each part's places.

    Examples
    --------
    >>> [part.tolist() for part in quantile_parts(np.array([1, 9, 1, 5, 7, 1]), 3)]
    [[0, 2, 5], [3], [1, 4]]
    """
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf"))
    part_of = np.searchsorted(edges, values)
    for part in np.unique(part_of):
        yield np.flatnonzero(part_of == part)


def half_width(values: NDArray[np.float64]) -> float:
    """Half width of the interval that holds the mean of independent values with 95% confidence; NaN for one value."""
    return float("nan") if len(values) < 2 else float(Z * values.std(ddof=1) / np.sqrt(len(values)))


def recall_of_items(
    ranked: NDArray[np.int32], hits: NDArray[np.bool_], relevant: Csr, part: NDArray[np.int64]
) -> tuple[int, float, float]:
    """Recall of some items: the hits on them over the test interactions with them.

    Parameters
    ----------
    ranked : int32 (users, k)
        Lists.
    hits : bool (users, k)
        Which of them are relevant.
    relevant : scipy.sparse CSR (users, items)
        What was relevant.
    part : int64 (m,)
        Rows of the items.

    Returns
    -------
    relevant : int
        Test interactions with these items.
    recall, error : float
        And the half width of its 95% interval over the users; NaN where nothing is relevant, or to one user alone.

    Examples
    --------
    >>> from scipy import sparse
    >>> relevant = sparse.csr_array([[1, 1, 0], [0, 1, 1]])
    >>> lists = np.array([[0], [2]], dtype=np.int32)
    >>> total, recall, _ = recall_of_items(lists, np.array([[True], [True]]), relevant, np.array([0, 1]))
    >>> total, round(recall, 4)  # of items 0 and 1: three test interactions, one of them in a list
    (3, 0.3333)
    """
    inside = np.zeros(relevant.shape[1], dtype=np.bool_)
    inside[part] = True
    users = owners_of(relevant)
    wanted = np.bincount(users, inside[relevant.indices].astype(np.float64), relevant.shape[0])
    # A place without an item is no hit.
    found = (hits & inside[ranked]).sum(axis=1)
    total = wanted.sum()
    if not total:
        return 0, float("nan"), float("nan")
    recall = found.sum() / total
    # A ratio of two sums over independent users (Cochran 1977, eq. 6.13).
    n = int((wanted > 0).sum())
    error = Z * np.sqrt(np.square(found - recall * wanted).sum() * n / (n - 1)) / total if n > 1 else float("nan")
    return int(total), float(recall), float(error)


def _of_some_users(
    label: str, part: NDArray[np.int64], per_user: Mapping[str, NDArray[np.float64]], relevant: Csr
) -> Group:
    means, errors = {}, {}
    for metric, values in per_user.items():
        # Lists without items, or without pairs, say nothing of novelty and diversity.
        some = values[part][np.isfinite(values[part])]
        means[metric] = float(some.mean()) if len(some) else float("nan")
        errors[metric] = half_width(some)
    return Group(label, len(part), int(np.diff(relevant.indptr)[part].sum()), means, errors)


def _of_some_items(
    label: str,
    part: NDArray[np.int64],
    ranked: NDArray[np.int32],
    hits: NDArray[np.bool_],
    relevant: Csr,
    cuts: Iterable[int],
) -> Group:
    means, errors, total = {}, {}, 0
    for cut in cuts:
        listed = ranked[:, :cut]
        total, means[f"recall@{cut}"], errors[f"recall@{cut}"] = recall_of_items(listed, hits[:, :cut], relevant, part)
        means[f"exposure@{cut}"] = float(np.isin(listed, part).sum() / max(1, (listed >= 0).sum()))
    return Group(label, len(part), total, means, errors)


def _named(train: Interactions, name: str) -> tuple[Literal["users", "items"], NDArray[Any]]:
    if name == "activity":
        return "users", np.diff(train.matrix.indptr)
    if name == "popularity":
        return "items", users_per_item(train.matrix)
    if name not in train.item_info:
        names = ("activity", "popularity", *train.item_info)
        raise ValueError(
            f"by must be one of {', '.join(names)}, or facts of users by name, got {name!r}{nearest(name, names)}"
        )
    return "items", np.asarray(train.item_info[name])


def _of_users(name: str, values: Any, users: Ids) -> NDArray[Any]:
    """A fact of users as an array in the order of the training data; text, or numbers with NaN for none."""
    listed = [values.get(user) for user in users] if isinstance(values, Mapping) else list(values)
    if len(listed) != len(users):
        raise ValueError(f"by[{name!r}] must have a value for each of {len(users):,} users, got {len(listed):,}")
    listed = [one if _is_known(one) else None for one in listed]
    held = [one for one in listed if one is not None]
    if not held and isinstance(values, Mapping):
        raise ValueError(f"by[{name!r}] names no user of the training data, such as {users[0]!r}")
    if all(isinstance(one, int | float | np.number) and not isinstance(one, bool) for one in held):
        return np.array([np.nan if one is None else one for one in listed], dtype=np.float64)
    return np.array(["" if one is None else str(one) for one in listed])


def _is_known(fact: Any) -> bool:
    """Whether there is a fact: NaN, NaT and pandas' NA are none."""
    return fact is not None and (isinstance(fact, str) or str(fact) not in ("nan", "NaT", "<NA>"))


def _span(values: NDArray[Any]) -> str:
    low, high = (_number(value.item()) for value in (values.min(), values.max()))
    return low if low == high else f"{low}–{high}"  # noqa: RUF001 - a range


def _number(value: float) -> str:
    """A number as people write it: commas from five digits on, for four may be a year."""
    return f"{value:.10g}" if abs(value) < 10_000 else f"{value:,.10g}"
