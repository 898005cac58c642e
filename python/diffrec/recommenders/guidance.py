"""Guidance of recommendations while they are made: items to prefer, novelty, and lists whose items differ."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import nearest, real, shown
from diffrec.data import Interactions
from diffrec.data.streamed import owners_of_items
from diffrec.evaluation.beyond_accuracy import surprise
from diffrec.ranking import Scores

# Scores of a batch of users -> their best items (n, k), -1 where there are fewer, and the scores of these.
Best = Callable[[Scores], tuple[NDArray[np.int32], NDArray[np.float32]]]


@dataclass(frozen=True, eq=False)
class Guidance:
    """The guidance that a call asks for, checked, in standard deviations of each user's own scores.

    Attributes
    ----------
    direction : float32 (items,) or None
        What is added to each item's predicted x_0: steering and novelty together.
    diversity : float
        What an item wholly like the others of its list loses.
    """

    direction: NDArray[np.float32] | None
    diversity: float

    @classmethod
    def of(
        cls,
        train: Interactions,
        steer: Mapping[Any, float] | None = None,
        tags: Mapping[Any, Iterable[Any]] | None = None,
        novelty: float = 0.0,
        diversity: float = 0.0,
    ) -> "Guidance | None":
        """Check what ``recommend`` was given; None where all of it weighs 0.

        Raises
        ------
        TypeError
            When something is of another kind than it should be.
        ValueError
            When a weight is not finite, diversity is below 0, or a name means nothing or more than one thing.

        Examples
        --------
        >>> import diffrec
        >>> data = diffrec.Interactions.from_arrays(["Ann", "Bob", "Bob"], ["tea", "tea", "milk"])
        >>> Guidance.of(data, {"milk": 2, "drinks": 0.5}, {"drinks": ["tea", "milk"]}).direction
        array([2.5, 0.5], dtype=float32)
        """
        novelty, diversity = real()("novelty", novelty), real(0)("diversity", diversity)
        direction = np.zeros(len(train.items))
        for rows, weight in _steered(train, steer, tags):
            direction[rows] += weight
        if novelty:
            # How many users there are shifts all of them alike.
            bits = surprise(owners_of_items(train), train.shape[0])
            # Where every item is as popular as any other there is nothing to tell them apart by.
            direction += novelty * (bits - bits.mean()) / (bits.std() or 1.0)
        if not direction.any() and not diversity:
            return None
        return cls(direction.astype(np.float32) if direction.any() else None, diversity)


def _steered(
    train: Interactions, steer: Mapping[Any, float] | None, tags: Mapping[Any, Iterable[Any]] | None
) -> list[tuple[NDArray[np.int64], float]]:
    """Rows of the items each name stands for, and its weight."""
    for argument, value in (("steer", steer), ("tags", tags)):
        if value is not None and not isinstance(value, Mapping):
            raise TypeError(f"{argument} must be a mapping, got {shown(value)}")
    tagged = {} if tags is None else {name: _tag(train, name, ids) for name, ids in tags.items()}
    found = []
    for name, weight in (steer or {}).items():
        meanings = [rows for rows in (tagged.get(name), _item(train, name), _fact(train, name)) if rows is not None]
        if not meanings:
            hint = nearest(name, [*map(str, tagged), *_facts(train), *train.items.ids[:1000].astype(str).tolist()])
            raise ValueError(f"steer names {name!r}, which is no item, tag or fact of an item{hint}")
        if any(not np.array_equal(rows, meanings[0]) for rows in meanings[1:]):
            raise ValueError(
                f"steer names {name!r}, which stands for more than one set of items among the ids of items, tags and "
                "facts of items: call the tag by another name"
            )
        found.append((meanings[0], real()(f"steer[{name!r}]", weight)))
    return found


def _item(train: Interactions, name: Any) -> NDArray[np.int64] | None:
    return train.items.rows(name) if name in train.items else None


def _tag(train: Interactions, name: Any, ids: Iterable[Any]) -> NDArray[np.int64]:
    try:
        return np.unique(train.items.rows(ids))
    except (ValueError, TypeError) as error:
        raise type(error)(f"tags[{name!r}]: {error}") from None


def _fact(train: Interactions, name: Any) -> NDArray[np.int64] | None:
    """Items of which a fact in text is this, alone or among others parted by ``|``."""
    if not isinstance(name, str):
        return None
    holds = np.zeros(len(train.items), dtype=np.bool_)
    for column in _texts(train):
        # Few facts stand for many items: each is looked at once.
        texts, which = np.unique(column, return_inverse=True)
        holds |= np.array([name == text or name in text.split("|") for text in texts.tolist()])[which]
    return np.flatnonzero(holds) if holds.any() else None


def _facts(train: Interactions) -> list[str]:
    return [part for column in _texts(train) for text in np.unique(column)[:1000].tolist() for part in text.split("|")]


def _texts(train: Interactions) -> list[NDArray[np.str_]]:
    return [column for column in train.item_info.values() if column.dtype.kind == "U"]
