"""Why an item has the score it has: which past items carried it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec._shown import as_html
from diffrec.data import Csr, Interactions
from diffrec.data.frames import Framed


@dataclass(frozen=True, eq=False)
class Explanation(Framed):
    """A score as a sum over the user's past items.

    ``contributions.sum() + others + baseline + remainder`` is ``score``.

    Attributes
    ----------
    user, item
        Ids: whose score of what.
    score : float
        What ``model.score`` says.
    items : ndarray (m,)
        Ids of past items, the largest contribution in either direction first.
    contributions : ndarray (m,)
        float64, how much each added to the score.
    others : float
        What all further past items added together.
    baseline : float
        The score when every past item weighs 0, such as an item's bias.
    remainder : float
        What no single item accounts for: 0 but for rounding where the model is linear; otherwise what the gradient
        misses of the curvature, and the noise of a chain with noise.
    exact : bool
        Whether the model is linear in the history, so that a contribution is what the item adds. Otherwise it is the
        gradient of the score times the item's weight in the history ("gradient x input").

    Examples
    --------
    >>> why = Explanation("Ann", "tea", 0.75, np.array(["milk"]), np.array([0.5]), 0.0, 0.25, 0.0, True)
    >>> print(why)
    'tea' for 'Ann' scores 0.7500, exactly:
      +0.5000  'milk'
      +0.2500  baseline: with nothing in the history
    >>> why.to_frame()["contribution"].tolist()
    [0.5]
    """

    user: Any
    item: Any
    score: float
    items: NDArray[Any]
    contributions: NDArray[np.float64]
    others: float
    baseline: float
    remainder: float
    exact: bool

    def columns(self) -> dict[str, NDArray[Any]]:
        """Columns item and contribution, a row per past item."""
        return {"item": self.items, "contribution": self.contributions}

    def __str__(self) -> str:
        lines = [self._said(), *(f"  {value:+.4f}  {name}" for value, name in self._parts(repr))]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        values, names = zip(*self._parts(str), strict=True)
        return as_html({"part": names, "adds": [f"{value:+.4f}" for value in values]}, self._said())

    def _said(self) -> str:
        how = "exactly" if self.exact else "by gradient x input"
        return f"{self.item!r} for {self.user!r} scores {self.score:.4f}, {how}:"

    def _parts(self, written: Callable[[Any], str]) -> list[tuple[float, str]]:
        """List the terms whose sum the score is, each with its name."""
        parts = [(value, written(name)) for name, value in zip(self.items.tolist(), self.contributions, strict=True)]
        named = (
            (self.others, "all other past items"),
            (self.baseline, "baseline: with nothing in the history"),
            (self.remainder, "remainder: " + ("rounding" if self.exact else "what gradient x input leaves out")),
        )
        # A contribution that rounds to 0 gets no line.
        return parts + [(value, name) for value, name in named if abs(value) >= 5e-5]


@dataclass(frozen=True)
class Reasons:
    """The contributions of the entries of one user's history to the scores of some items.

    Attributes
    ----------
    contributions : float64 (m, n)
        Of the n past items to each of m items.
    baseline : float64 (m,)
        Scores when every past item weighs 0.
    exact : bool
        Whether the two sum to the scores.
    past : int (n,), optional
        The past items, rising, where they are others than those of the history: with what the user dislikes.
    """

    contributions: NDArray[np.float64]
    baseline: NDArray[np.float64]
    exact: bool
    past: NDArray[np.integer] | None = None

    def plus(self, other: "Reasons", scale: float) -> "Reasons":
        """Reasons of ``scores + scale * other's scores``."""
        return Reasons(
            self.contributions + scale * other.contributions,
            self.baseline + scale * other.baseline,
            self.exact and other.exact,
            self.past,
        )

    def over(self, past: NDArray[np.integer], history: NDArray[np.integer]) -> "Reasons":
        """Contributions of more past items: 0 of those that are new.

        Parameters
        ----------
        past : int (p,)
            Rows of past items, rising, which hold all that there are.
        history : int (h,)
            Rows of the items of the history.
        """
        contributions = np.zeros((len(self.contributions), len(past)))
        contributions[:, np.searchsorted(past, history if self.past is None else self.past)] = self.contributions
        return replace(self, contributions=contributions, past=past)

    def about(
        self,
        row: int,
        named: tuple[Any, Any],
        score: float,
        past: NDArray[Any],
        k: int | None,
    ) -> Explanation:
        """The explanation of one of the m items: the ``k`` past items that count most, all by default.

        Parameters
        ----------
        row : int
            Which of the m.
        named : tuple
            Ids of user and item.
        score : float
            Its score.
        past : ndarray (n,)
            Ids of the past items.
        k : int, optional
            How many of them to name.
        """
        contributions = self.contributions[row]
        order = np.argsort(-np.abs(contributions), kind="stable")
        baseline = float(self.baseline[row])
        return Explanation(
            *named,
            score,
            past[order[:k]],
            contributions[order[:k]],
            0.0 if k is None else float(contributions[order[k:]].sum()),
            baseline,
            score - baseline - float(contributions.sum()),
            self.exact,
        )


def explanations(
    reasons: Reasons,
    user: Any,
    items: NDArray[np.int64],
    scores: Sequence[float],
    one: Interactions,
    k: int | None,
) -> list[Explanation]:
    """Put reasons into words: an explanation for each of some items.

    Parameters
    ----------
    reasons : Reasons
        Of the m items.
    user
        Id of whom they are scored for.
    items : int64 (m,)
        Rows of the items.
    scores : sequence of float
        What the model says of each.
    one : Interactions
        The user's history, alone.
    k : int, optional
        How many past items to name; all by default.
    """
    ids = one.items.ids
    past = ids[one.matrix.indices if reasons.past is None else reasons.past]
    return [
        reasons.about(place, (_plain(user), _plain(ids[item])), scores[place], past, k)
        for place, item in enumerate(items.tolist())
    ]


def past_items(one: Interactions) -> NDArray[np.integer]:
    """The items of one user's history and of what the user dislikes, rising."""
    return np.union1d(one.matrix.indices, one.dislikes.indices) if one.n_dislikes else one.matrix.indices


def linear_reasons(x: Csr, weights: NDArray[np.float32], n_items: int, past: NDArray[np.integer]) -> Reasons:
    """Reasons of a linear map's scores: what an entry adds is its value times its weight.

    Parameters
    ----------
    x : scipy.sparse CSR
        (1, views * items): the history as the map sees it, one or more views of the items side by side.
    weights : float32 (entries, m)
        From each entry of ``x`` to each of the items whose scores are to be explained.
    n_items : int
        Number of items.
    past : int (n,)
        The items of the history, and perhaps others, rising.
    """
    added = weights.T.astype(np.float64) * x.data.astype(np.float64)
    return Reasons(folded(added, x.indices % n_items, past), np.zeros(weights.shape[1]), exact=True, past=past)


def folded(added: NDArray[np.float64], columns: NDArray[np.integer], past: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sum what entries add (m, entries) by the past item each is of: (m, n)."""
    out = np.zeros((len(past), len(added)))
    np.add.at(out, np.searchsorted(past, columns), added.T)
    return out.T


def _plain(value: Any) -> Any:
    """An id as Python has it."""
    return value.item() if isinstance(value, np.generic) else value
