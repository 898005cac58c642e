"""Answers of a model to what the page asks, in plain values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import flag, whole
from diffrec.data import Ids, Interactions
from diffrec.data._reshape import newest_first
from diffrec.data._summary import DATES
from diffrec.explore.facts import ItemFacts
from diffrec.explore.overview import Overview
from diffrec.recommenders import DiffRec, Explanation, Recommender
from diffrec.recommenders.pasts import Past, histories_of

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
    against : mapping of name to Recommender, optional
        Further models of the same items, to be looked at beside it.
    test : Interactions, optional
        What the model's users did later, by which the overview says how well each model predicts it.
    seen : Interactions, optional
        Not to be ranked besides, such as a validation part.
    pictures : bool
        Whether pictures of items may be fetched from where the items' facts say they are.

    Raises
    ------
    ValueError
        When another model does not know the same items, or ``people`` are looked at, whom ``test`` does not measure.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.Interactions.from_arrays(["Ann", "Bob", "Bob"], ["tea", "tea", "milk"])
    >>> explorer = Explorer(diffrec.fit(data, variant="itemknn"))
    >>> answer = explorer.recommend({"user": 0, "k": 1})
    >>> answer["history"][0]["label"], answer["top"][0]["label"]
    ('tea', 'milk')
    """

    def __init__(
        self,
        model: Recommender,
        people: Interactions | None = None,
        *,
        against: Mapping[str, Recommender] | None = None,
        test: Interactions | None = None,
        seen: Interactions | None = None,
        pictures: bool = False,
    ) -> None:
        if people is not None and test is not None:
            raise ValueError("test measures those the model learnt from, and people are others: give one of the two")
        self.model = model
        self.people = people
        self._shown = model.train_ if people is None else people
        self.against = dict(against or {})
        self.pictures = pictures
        for name, other in self.against.items():
            if set(other.train_.items) != set(model.train_.items):
                raise ValueError(f"{name} does not know the same items: it cannot be looked at beside {model!r}")
        self._test, self._seen = test, seen
        self._overview: Overview | None = None
        self._labels = [str(label) for label in model.train_.item_labels]
        self._facts = ItemFacts(model.train_.item_info, remote=pictures)
        # Whatever people may call them by: an item by its id, too, where it has a title.
        ids = [str(item) for item in model.train_.items.ids.tolist()]
        named_otherwise = [ids] if ids != self._labels else []
        self._found_by = {
            "users": [_lowered(self._users.ids)],
            "items": [_lowered(names) for names in (self._labels, *named_otherwise)],
        }

    @property
    def _users(self) -> Ids:
        return self._shown.users

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
            "guided": self.model.can_be_guided,
            "against": list(self.against),
            "filters": self._facts.filters(),
            "measured": self._test is not None,
            "pictures": self._facts.has_remote_pictures and not self.pictures,
        }

    def overview(self, order: str = "most") -> dict[str, Any]:
        """Return figures of each model, how long histories are, what is popular, and users in an order.

        Raises
        ------
        ValueError
            When the order is unknown, or needs a test set that is not there.
        """
        if self._overview is None:
            # Measured when it is first asked for: it takes a ranking of all users.
            own = self.model.variant + (" (this)" if self.model.variant in self.against else "")
            named = {own: self.model, **self.against} if self._test is not None else {}
            reports = {name: one.evaluate(self._test, seen=self._seen) for name, one in named.items()}
            self._overview = Overview(self._shown, reports)
        overview = self._overview
        users = overview.users(order)
        for one in users:
            one |= {"label": str(self._users[one["row"]]), "last": _moment(one["last"])}
        return {
            "figures": overview.figures(),
            "lengths": overview.lengths(),
            "popular": [{**self._item(row), "users": users_of} for row, users_of in overview.popular()],
            "deciding": overview.deciding,
            "users": users,
        }

    def search(self, kind: str, text: str) -> list[dict[str, Any]]:
        """Users or items whose name or id has ``text`` in it: first what is called so, then what begins with it.

        Raises
        ------
        ValueError
            When ``kind`` is neither "users" nor "items".
        """
        if kind not in self._found_by:
            raise ValueError(f"there is no {kind!r} to search; users and items are")
        wanted = text.strip().lower()

        def hits(is_hit: Callable[[str], bool]) -> list[int]:
            return _first(row for names in self._found_by[kind] for row, name in enumerate(names) if is_hit(name))

        rows = hits(lambda name: name.startswith(wanted))
        if wanted:
            rows = [*hits(lambda name: name == wanted), *rows, *hits(lambda name: wanted in name)]
        rows = list(dict.fromkeys(rows))[:_HITS]
        if kind == "items":
            return [self._item(row) for row in rows]
        return [{"row": row, "label": str(self._users[row])} for row in rows]

    def recommend(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Recommend to a user, or to whoever has a history.

        Parameters
        ----------
        asked : mapping
            ``user`` (a row) or ``history`` (items, oldest first); ``k``, 10 by default; ``deny`` (items); ``again``,
            whether what was taken before may be recommended again; ``where``, what facts must be; ``against``, the name
            of another model, asked the same; for a diffusion model ``novelty``, ``diversity`` and ``steer`` (pairs of
            item and weight).

        Returns
        -------
        dict
            ``history``: items, newest first, with ``time`` and ``count``. ``top``: items with ``score`` and ``why``, of
            which the latter is None for a model that cannot say. ``steps``: for each step of the reverse chain its best
            items' rows, and ``passing``: those of them that are not in ``top``, by row; empty where there is no chain.
            ``other``: items of the other model with their scores; None where none is asked.

        Raises
        ------
        ValueError
            When the user or an item does not exist.
        """
        k = whole(1, _LONGEST)("k", asked.get("k", 10))
        denied = self._rows("deny", asked.get("deny", []))
        whose, row, history = self._whose(asked)
        allowed = self._facts.allowed(asked.get("where", {}))
        ids = self.model.train_.items.ids
        steered = _pairs(asked.get("steer", []))
        liked = self._rows("steer", [row for row, _ in steered])
        choice: dict[str, Any] = {
            "deny": ids[denied] if len(denied) else None,
            "allow": None if allowed is None else ids[allowed],
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
            "history": history,
            "other": self._other(asked.get("against"), whose, k, choice),
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

    def _other(self, name: Any, whose: Any, k: int, choice: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Return what another model recommends to the same person, within the same limits and without guidance."""
        if name is None:
            return None
        if not isinstance(name, str) or name not in self.against:
            raise ValueError(f"against must be one of {', '.join(self.against) or 'no model'}, got {name!r}")
        other = self.against[name]
        # Whoever it does not know it is asked about by the history.
        if not isinstance(whose, Interactions) and whose[0] not in other.train_.users:
            histories, rows, _ = self.model._histories(whose)
            whose = histories.take(rows)
        top = other.recommend(whose, k, **{limit: choice[limit] for limit in ("deny", "allow", "exclude_seen")})
        _, items, scores = top[0]
        own = self.model.train_.items.rows(items).tolist() if len(items) else []
        return [{**self._item(row), "score": float(score)} for row, score in zip(own, scores, strict=True)]

    def _whose(self, asked: Mapping[str, Any]) -> tuple[Any, int | None, list[dict[str, Any]]]:
        """Return what to hand to the model, the user's row if any, and the history for people to read."""
        if asked.get("history") is not None:
            rows = self._rows("history", asked["history"])
            listed = [{**self._item(one), "time": None, "count": 1} for one in rows.tolist()[::-1]]
            return histories_of([Past(rows)], self.model.train_.items), None, listed
        row = whole(0, len(self._users) - 1)("user", asked.get("user"))
        one = self._shown.take([row])
        counts = np.bincount(one.cells_of_events(), minlength=len(one))
        history = [
            {
                **self._item(int(one.matrix.indices[place])),
                "time": None if one.timestamps is None else _moment(float(one.timestamps[place])),
                "count": int(counts[place]),
            }
            for place in newest_first(one.timestamps, len(one)).tolist()
        ]
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
            "facts": self._facts.said(row),
            "picture": self._facts.picture(row),
        }

    def _rows(self, name: str, given: Any) -> NDArray[np.int64]:
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise ValueError(f"{name} must be a list of items' rows, got {given!r}")
        rows = [whole(0, len(self._labels) - 1)(name, one) for one in given]
        return np.array(list(dict.fromkeys(rows)), dtype=np.int64)


def _pairs(given: Any) -> list[tuple[int, float]]:
    """Pairs of item and weight, the last of an item counting."""
    if not isinstance(given, Sequence) or not all(isinstance(one, Sequence) and len(one) == 2 for one in given):
        raise ValueError(f"steer must be a list of pairs of an item's row and a weight, got {given!r}")
    return list({row: (row, weight) for row, weight in given}.values())


def _moment(time: float | None) -> str | None:
    """A time for people to read: a date where it can be one."""
    if time is None:
        return None
    if not DATES[0] <= time <= DATES[1]:
        return f"{time:.10g}"
    moment = datetime.fromtimestamp(time, UTC)
    return f"{moment:%Y-%m-%d}" if time % 86400 == 0 else f"{moment:%Y-%m-%d %H:%M}"


def _lowered(names: Iterable[Any]) -> list[str]:
    return [str(name).lower() for name in names]


def _first(rows: Iterable[int]) -> list[int]:
    return [row for row, _ in zip(rows, range(_HITS), strict=False)]
