"""Facts of items on the page: what is said beside a name, what lists may be narrowed by, and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import nearest
from diffrec.data.facts import title_of

#: Facts in text that lead to a picture, the likelier first.
IMAGES = ("image", "image_url", "img", "img_url", "picture", "picture_url", "thumbnail", "cover", "poster", "photo")
# Longest choice of a filter; a text that is another for most items is no category.
_CHOICES = 200


class ItemFacts:
    """The facts of a model's items, for people to read and to choose by.

    Parameters
    ----------
    info : mapping of str to ndarray (items,)
        ``Interactions.item_info``.
    remote : bool
        Whether pictures may be fetched from elsewhere; those within the data always may.

    Examples
    --------
    >>> facts = ItemFacts({"genre": np.array(["rock|live", "pop", "rock"]), "price": np.array([5.0, np.nan, 9.5])})
    >>> facts.said(0), facts.said(1)
    ({'genre': 'rock|live', 'price': '5'}, {'genre': 'pop'})
    >>> facts.allowed({"genre": "rock", "price": [6, None]}).tolist()
    [False, False, True]
    """

    def __init__(self, info: Mapping[str, NDArray[Any]], *, remote: bool = False) -> None:
        title = title_of(info)
        kept = {name: values for name, values in info.items() if name != title and values.dtype.kind in "Uibf"}
        self._images = next((kept.pop(name) for name in IMAGES if name in kept and kept[name].dtype.kind == "U"), None)
        self._remote = remote
        self._said = {name: [_said(value) for value in values.tolist()] for name, values in kept.items()}
        self._numbers = {name: values.astype(np.float64) for name, values in kept.items() if values.dtype.kind in "if"}
        self._tags = {name: [_tags(text) for text in self._said[name]] for name in kept if name not in self._numbers}

    def said(self, row: int) -> dict[str, str]:
        """Return the facts about an item, by name."""
        return {name: values[row] for name, values in self._said.items() if values[row]}

    def picture(self, row: int) -> str | None:
        """Where a picture of an item is, if the page may show it."""
        if self._images is None:
            return None
        address = str(self._images[row]).strip()
        allowed = ("data:image/", "https://", "http://") if self._remote else ("data:image/",)
        return address if address.startswith(allowed) else None

    @property
    def has_remote_pictures(self) -> bool:
        """Whether there are pictures that lie elsewhere."""
        return self._images is not None and any(str(one).startswith("http") for one in self._images.tolist())

    def filters(self) -> list[dict[str, Any]]:
        """Return what narrows lists: numbers by their ends, texts by their choices, the most frequent first."""
        found: list[dict[str, Any]] = []
        for name, values in self._numbers.items():
            known = values[np.isfinite(values)]
            if len(known) and known.min() < known.max():
                found.append({"name": name, "kind": "number", "low": float(known.min()), "high": float(known.max())})
        for name, tags in self._tags.items():
            counts: dict[str, int] = {}
            for one in tags:
                for tag in one:
                    counts[tag] = counts.get(tag, 0) + 1
            if 1 < len(counts) <= max(2, len(tags) // 2):
                choices = sorted(counts, key=lambda tag: (-counts[tag], tag))[:_CHOICES]
                found.append({"name": name, "kind": "text", "choices": choices})
        return found

    def allowed(self, where: Any) -> NDArray[np.bool_] | None:
        """Mark the items that are as a filter wants them; None where it wants nothing.

        Parameters
        ----------
        where : mapping of fact to wish
            A text, or the ends of a number, None for an open one.

        Raises
        ------
        ValueError
            When there is no such fact, or the wish is none.
        """
        if not isinstance(where, Mapping):
            raise ValueError(f"where must be an object of facts and wishes, got {where!r}")
        mask = None
        for name, wish in where.items():
            if name not in self._said:
                raise ValueError(f"there is no fact {name!r}{nearest(name, self._said)}")
            own = self._within(name, wish) if name in self._numbers else self._tagged(name, wish)
            mask = own if mask is None else mask & own
        return mask

    def _within(self, name: str, wish: Any) -> NDArray[np.bool_]:
        ends = list(wish) if isinstance(wish, Sequence) and not isinstance(wish, str) else []
        numbers = [end for end in ends if end is not None]
        if len(ends) != 2 or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in numbers):
            raise ValueError(f"{name} must be two numbers, the least and the most, got {wish!r}")
        values, (low, high) = self._numbers[name], ends
        # What is not known lies nowhere.
        inside: NDArray[np.bool_] = np.isfinite(values)
        if low is not None:
            inside &= values >= low
        if high is not None:
            inside &= values <= high
        return inside

    def _tagged(self, name: str, wish: Any) -> NDArray[np.bool_]:
        if not isinstance(wish, str):
            raise ValueError(f"{name} must be a text, got {wish!r}")
        return np.array([wish in tags for tags in self._tags[name]], dtype=np.bool_)


def _said(fact: Any) -> str:
    """A fact for people to read; nothing where there is none."""
    if isinstance(fact, float):
        return "" if fact != fact else f"{fact:.10g}"
    return str(fact)


def _tags(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split("|")) - {""}
