"""The table of a comparison on one split, and its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from diffrec._shown import as_html
from diffrec.comparison.intervals import CONFIDENCE
from diffrec.data.frames import Framed

# The recommenders that count as simple: counts and closed forms, and iALS, whose sweeps are closed forms.
SIMPLE = frozenset({"popularity", "topfreq", "tifuknn", "itemknn", "rp3beta", "ease", "ials"})


@dataclass(frozen=True)
class Row:
    """One recommender of a comparison.

    Attributes
    ----------
    name : str
        As given.
    variant : str
        Its variant.
    means, deviations : dict
        Metric -> mean and standard deviation over the seeds.
    difference : tuple of float
        Mean of its metric minus the best one's over the users, and the ends of the interval; zeros for the best itself.
    seconds : float
        Mean time to fit.
    peak_memory : int
        Largest peak of the process while fitting, in bytes.
    parameters : int
        Trained numbers; 0 for models that count and solve instead of training by gradients.
    """

    name: str
    variant: str
    means: dict[str, float]
    deviations: dict[str, float]
    difference: tuple[float, float, float]
    seconds: float
    peak_memory: int
    parameters: int


@dataclass(frozen=True, repr=False)
class Comparison(Sequence[Row], Framed):
    """The rows of a comparison, the best first.

    Attributes
    ----------
    rows : list of Row
        Sorted by the metric.
    metric : str
        What they are sorted and compared by.
    users : int
        Users the metric is a mean over.
    refused : dict
        Name -> why it could not be fitted, such as too little memory or data without times.
    """

    rows: list[Row]
    metric: str
    users: int
    refused: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, place: Any) -> Any:
        return self.rows[place]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def best(self) -> Row:
        """The row with the highest metric."""
        return self.rows[0]

    @property
    def verdict(self) -> str:
        """Who wins, said plainly; a win that may be luck is called one that may be luck."""
        best = self.best
        who = f"{best.name}, a simple rival," if best.variant in SIMPLE else best.name
        text = f"{who} wins with {self.metric} {best.means[self.metric]:.4f}"
        if len(self.rows) == 1:
            return text
        equal = [row.name for row in self.rows[1:] if row.difference[2] >= 0]
        if equal:
            return f"{text}, but its lead over {', '.join(equal)} may be luck"
        return f"{text}, ahead of {self.rows[1].name} by {-self.rows[1].difference[0]:.4f}"

    def columns(self) -> dict[str, list[Any]]:
        """The table as columns: name, variant, mean and deviation of each metric, the difference, time and memory."""
        table: dict[str, list[Any]] = {"name": [r.name for r in self], "variant": [r.variant for r in self]}
        for metric in self.best.means:
            table[metric] = [row.means[metric] for row in self]
            table[f"{metric} sd"] = [row.deviations[metric] for row in self]
        for place, end in enumerate(("difference", "difference low", "difference high")):
            table[end] = [row.difference[place] for row in self]
        for name in ("seconds", "peak_memory", "parameters"):
            table[name] = [getattr(row, name) for row in self]
        return table

    def __repr__(self) -> str:
        return f"<Comparison: {len(self)} recommenders by {self.metric}, {self.best.name} first>"

    def _repr_html_(self) -> str:
        columns: dict[str, list[Any]] = {"name": [row.name for row in self]}
        for metric in self.best.means:
            columns[metric] = [f"{row.means[metric]:.4f} ± {row.deviations[metric]:.4f}" for row in self]
        columns |= {
            "against the best": [self._gap(row) for row in self],
            "fit": [f"{row.seconds:.1f} s" for row in self],
            "memory": [f"{row.peak_memory / 1e9:.2f} GB" for row in self],
            "parameters": [f"{row.parameters:,}" for row in self],
        }
        return as_html(columns, "\n".join(self._said()))

    def _gap(self, row: Row) -> str:
        """How far a row is behind the best, with its interval."""
        middle, low, high = row.difference
        return "" if row is self.best else f"{middle:+.4f} [{low:+.4f}, {high:+.4f}]"

    def _said(self) -> list[str]:
        """List what was refused, and the verdict."""
        refused = [f"{name}: {why}" for name, why in self.refused.items()]
        over = f"mean over {self.users:,} users; intervals hold {CONFIDENCE:.0%} of resamplings"
        return [*refused, f"{self.verdict} ({over})"]

    def __str__(self) -> str:
        """Lay the table out, with the verdict below."""
        metrics = list(self.best.means)
        wide = max(len(row.name) for row in self)
        head = (
            "".join(f"{metric:>18}" for metric in metrics)
            + f"{'against the best':>28}{'fit':>10}{'memory':>10}{'parameters':>14}"
        )
        lines = [" " * wide + head]
        for row in self:
            cells = "".join(f"{row.means[m]:>9.4f} ± {row.deviations[m]:.4f}" for m in metrics)
            size = f"{row.seconds:>8.1f} s{row.peak_memory / 1e9:>7.2f} GB{row.parameters:>14,}"
            lines.append(f"{row.name:{wide}}{cells}{self._gap(row):>28}{size}")
        return "\n".join([*lines, *self._said()])
