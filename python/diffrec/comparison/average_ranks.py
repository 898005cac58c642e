"""Comparisons on several data sets, and the recommenders' average ranks over them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffrec._shown import as_html, as_text
from diffrec.comparison.table import Comparison
from diffrec.data.frames import Framed


@dataclass(frozen=True, eq=False, repr=False)
class Comparisons(Mapping[str, Comparison], Framed):
    """One comparison of the same recommenders for each data set: ``comparisons["shop"]`` is that of a set.

    Attributes
    ----------
    tables : dict
        Data set -> its comparison.
    metric : str
        What decides.

    Examples
    --------
    >>> import diffrec
    >>> sets = {f"world {seed}": diffrec.datasets.synthetic(users=60, items=40, seed=seed) for seed in (0, 1)}
    >>> table = diffrec.compare(sets, ["popularity", "itemknn"], k=[5], metric="ndcg@5", progress=False)
    >>> sorted(table.average_ranks.values())
    [1.0, 2.0]
    """

    tables: dict[str, Comparison]
    metric: str

    def __getitem__(self, name: str) -> Comparison:
        try:
            return self.tables[name]
        except KeyError:
            raise KeyError(f"{name!r} was not compared on; there are {', '.join(self.tables)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    @property
    def by_set(self) -> dict[str, dict[str, float]]:
        """Recommender -> data set -> mean of the metric; NaN where it could not be fitted."""
        found = {name: {row.name: row.means[self.metric] for row in table} for name, table in self.tables.items()}
        tables = self.tables.values()
        names = dict.fromkeys(name for table in tables for name in (*(row.name for row in table), *table.refused))
        return {one: {name: of_set.get(one, float("nan")) for name, of_set in found.items()} for one in names}

    @property
    def average_ranks(self) -> dict[str, float]:
        """Recommender -> mean over the data sets of its rank there, the best first (Demsar 2006, section 3.2.2).

        The best of a set has rank 1, equals share the mean of their ranks, and what could not be fitted comes last.
        """
        means = self.by_set
        ranks: dict[str, list[float]] = {one: [] for one in means}
        for name in self.tables:
            values = {one: -np.inf if np.isnan(of_sets[name]) else of_sets[name] for one, of_sets in means.items()}
            for one, value in values.items():
                better = sum(other > value for other in values.values())
                equal = sum(other == value for other in values.values())
                ranks[one].append(better + (equal + 1) / 2)
        average = {one: float(np.mean(of_sets)) for one, of_sets in ranks.items()}
        return dict(sorted(average.items(), key=lambda pair: pair[1]))

    @property
    def verdict(self) -> str:
        """Who is best on average, and on how many of the sets."""
        ranks = self.average_ranks
        best = min(ranks.values())
        leaders = [name for name, rank in ranks.items() if rank == best]
        firsts = [name for name, table in self.tables.items() if table.best.name in leaders]
        has = "has" if len(leaders) == 1 else "share"
        first = f"first on {len(firsts)} of {len(self)} sets"
        return f"{' and '.join(leaders)} {has} the best average rank, {best:.2f} by {self.metric}, {first}"

    def columns(self) -> dict[str, list[Any]]:
        """A row per recommender, the best on average first: its mean on each data set, and its average rank."""
        ranks, means = self.average_ranks, self.by_set
        table: dict[str, list[Any]] = {"name": list(ranks)}
        table |= {name: [means[one][name] for one in ranks] for name in self.tables}
        return table | {"average rank": list(ranks.values())}

    def __repr__(self) -> str:
        best = next(iter(self.average_ranks))
        return f"<Comparisons: {len(self)} data sets by {self.metric}, {best} first>"

    def __str__(self) -> str:
        """Lay the table out, with what is said of each set below."""
        return "\n".join([as_text(self._shown(), len(self.average_ranks), "recommenders"), *self._said()])

    def _repr_html_(self) -> str:
        return as_html(self._shown(), "\n".join(self._said()))

    def _shown(self) -> dict[str, list[Any]]:
        """The table as it is shown: the best of a set marked, ranks with two digits."""
        table = self.columns()
        for name, of_set in self.tables.items():
            best = of_set.best.name
            table[name] = [
                "—" if np.isnan(value) else f"{value:.4f}" + ("*" if one == best else "")
                for one, value in zip(table["name"], table[name], strict=True)
            ]
        return table | {"average rank": [f"{rank:.2f}" for rank in table["average rank"]]}

    def _said(self) -> list[str]:
        return [self.verdict, *(f"{name}: {table.verdict}" for name, table in self.tables.items())]
