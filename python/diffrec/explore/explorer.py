"""Answers of a model to what the page asks, in plain values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import flag
from diffrec.data import Ids, Interactions
from diffrec.data.facts import title_of
from diffrec.recommenders import DiffRec, Explanation, Recommender
from diffrec.recommenders.typed import Past, histories_of

# Hits of a search, and past items named as reasons.
_HITS = 20
_REASONS = 6
# Points of the reasons' gradients: enough that little is left unexplained.
_POINTS = 16
# Longest list the page may ask for.
_LONGEST = 100


class Explorer:
    """A fitted model and the people to look at.

    Everything is named by its row, as numbers from 0; ids are for people to read.

    Parameters
    ----------
    model : Recommender
        Fitted.
    people : Interactions, optional
        Histories over the model's items; by default those it was fitted on.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.Interactions.from_arrays(["Ann", "Bob", "Bob"], ["tea", "tea", "milk"])
    >>> explorer = Explorer(diffrec.fit(data, variant="itemknn"))
    >>> answer = explorer.recommend({"user": 0, "k": 1})
    >>> answer["history"][0]["label"], answer["top"][0]["label"]
    ('tea', 'milk')
    """

    def __init__(self, model: Recommender, people: Interactions | None = None) -> None:
        self.model = model
        self.people = people
        facts = model.train_.item_info
        self._labels = [str(label) for label in model.train_.item_labels]
        title = title_of(facts)
        self._facts = {
            name: [_said(value) for value in values.tolist()]
            for name, values in facts.items()
            if name != title and values.dtype.kind in "Uibf"
        }
        self._found_by = {"users": _lowered(self._users.ids), "items": _lowered(self._labels)}

    @property
    def _users(self) -> Ids:
        return (self.people or self.model.train_).users

    def about(self) -> dict[str, Any]:
        """Return what the page has to know when it opens."""
        train = self.model.train_
        return {
            "model": repr(self.model),
            "variant": self.model.variant,
            "users": len(self._users),
            "items": len(train.items),
            "interactions": len(train),
            "known": self.people is None,
            "guided": isinstance(self.model, DiffRec),
        }

    def search(self, kind: str, text: str) -> list[dict[str, Any]]:
        """Users or items whose name has ``text`` in it, those that begin with it first.

        Raises
        ------
        ValueError
            When ``kind`` is neither "users" nor "items".
        """
        if kind not in self._found_by:
            raise ValueError(f"there is no {kind!r} to search; users and items are")
        wanted = text.strip().lower()
        names = self._found_by[kind]
        begins = _first(row for row, name in enumerate(names) if name.startswith(wanted))
        within = _first(row for row, name in enumerate(names) if wanted in name) if wanted else []
        rows = list(dict.fromkeys(begins + within))[:_HITS]
        if kind == "items":
            return [self._item(row) for row in rows]
        return [{"row": row, "label": str(self._users[row])} for row in rows]

    def recommend(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Recommend to a user, or to whoever has a history.

        Parameters
        ----------
        asked : mapping
            ``user`` (a row) or ``history`` (items, oldest first); ``k``, 10 by default; ``deny`` (items); ``again``,
            whether what was taken before may be recommended again; for a diffusion model ``novelty``, ``diversity`` and
            ``steer`` (pairs of item and weight).

        Returns
        -------
        dict
            ``history``: items, newest first where that is known. ``top``: items with ``score`` and ``why``, of which
            the latter is None for a model that cannot say. ``steps``: for each step of the reverse chain its best
            items' rows, and ``passing``: those of them that are not in ``top``, by row; empty where there is no chain.

        Raises
        ------
        ValueError
            When the user or an item does not exist.
        """
        k = _whole("k", asked.get("k", 10), 1, _LONGEST + 1)
        denied = self._rows("deny", asked.get("deny", []))
        whose, row, history = self._whose(asked)
        ids = self.model.train_.items.ids
        steered = _pairs(asked.get("steer", []))
        liked = self._rows("steer", [row for row, _ in steered])
        choice: dict[str, Any] = {
            "deny": ids[denied] if len(denied) else None,
            "exclude_seen": not flag("again", asked.get("again", False)),
            "novelty": asked.get("novelty", 0),
            "diversity": asked.get("diversity", 0),
            "steer": {self.model.train_.items[row]: weight for row, weight in steered},
        }
        top = self.model.recommend(whose, k, **choice)
        rows = top.item_rows[0][top.item_rows[0] >= 0].astype(np.int64)
        reasons = self._reasons(whose, rows)
        steps, listed = self._steps(whose, k, choice), set(rows.tolist())
        return {
            "user": None if row is None else str(self._users[row]),
            "history": [self._item(one) for one in history],
            "top": [
                {**self._item(one), "score": float(score), "why": None if reasons is None else reasons[place]}
                for place, (one, score) in enumerate(zip(rows.tolist(), top.scores[0], strict=False))
            ],
            "steps": steps,
            "passing": {one: self._item(one) for step in steps for one in step if one not in listed},
            "denied": [self._item(one) for one in denied.tolist()],
            "steered": [
                {**self._item(one), "weight": weight} for one, (_, weight) in zip(liked.tolist(), steered, strict=True)
            ],
        }

    def _whose(self, asked: Mapping[str, Any]) -> tuple[Any, int | None, list[int]]:
        """Return what to hand to the model, the user's row if any, and the history for people to read."""
        if asked.get("history") is not None:
            rows = self._rows("history", asked["history"])
            return histories_of([Past(rows)], self.model.train_.items), None, rows.tolist()[::-1]
        row = _whole("user", asked.get("user"), 0, len(self._users))
        source = self.people or self.model.train_
        one = source.take([row])
        order = np.arange(len(one)) if one.timestamps is None else np.argsort(-one.timestamps, kind="stable")
        history = one.matrix.indices[order].tolist()
        return (self.model.train_.users.ids[[row]] if self.people is None else one), row, history

    def _reasons(self, whose: Any, items: NDArray[np.int64]) -> list[dict[str, Any]] | None:
        histories, rows, ids = self.model._histories(whose)
        try:
            found = self.model._explain(histories, int(rows[0]), ids[0], items, _REASONS, _POINTS)
        except TypeError:
            return None
        known = self.model.train_.items
        return [self._why(why, known) for why in found]

    def _why(self, why: Explanation, known: Ids) -> dict[str, Any]:
        past = known.rows(why.items).tolist() if len(why.items) else []
        return {
            "items": [
                {"row": row, "label": self._labels[row], "part": float(part)}
                for row, part in zip(past, why.contributions, strict=True)
            ],
            "others": why.others,
            "baseline": why.baseline,
            "remainder": why.remainder,
            "exact": why.exact,
        }

    def _steps(self, whose: Any, k: int, choice: Mapping[str, Any]) -> list[list[int]]:
        if not isinstance(self.model, DiffRec) or not self.model.has_chain:
            return []
        return [
            [row for row in rows if row >= 0]
            for rows in self.model.reverse_steps(whose, k, **choice).item_rows.tolist()
        ]

    def _item(self, row: int) -> dict[str, Any]:
        """An item for people to read; its id where the label is another."""
        label, name = self._labels[row], str(self.model.train_.items[row])
        return {
            "row": row,
            "label": label,
            "id": None if name == label else name,
            "facts": {fact: values[row] for fact, values in self._facts.items() if values[row]},
        }

    def _rows(self, name: str, given: Any) -> NDArray[np.int64]:
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise ValueError(f"{name} must be a list of items' rows, got {given!r}")
        rows = [_whole(name, one, 0, len(self._labels)) for one in given]
        return np.array(list(dict.fromkeys(rows)), dtype=np.int64)


def _pairs(given: Any) -> list[tuple[int, float]]:
    """Pairs of item and weight, the last of an item counting."""
    if not isinstance(given, Sequence) or not all(isinstance(one, Sequence) and len(one) == 2 for one in given):
        raise ValueError(f"steer must be a list of pairs of an item's row and a weight, got {given!r}")
    return list({row: (row, weight) for row, weight in given}.values())


def _whole(name: str, value: Any, low: int, end: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < end:
        raise ValueError(f"{name} must be a whole number from {low} to {end - 1}, got {value!r}")
    return value


def _said(fact: Any) -> str:
    """A fact for people to read; nothing where there is none."""
    if isinstance(fact, float):
        return "" if fact != fact else f"{fact:.10g}"
    return str(fact)


def _lowered(names: Iterable[Any]) -> list[str]:
    return [str(name).lower() for name in names]


def _first(rows: Iterable[int]) -> list[int]:
    return [row for row, _ in zip(rows, range(_HITS), strict=False)]
