"""Answers of models: ranked lists, and how sure they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from diffrec._shown import SHOWN, as_html, as_text
from diffrec.data import Ids
from diffrec.data.frames import Framed
from diffrec.ranking import NO_ITEM


class Listed(NamedTuple):
    """One user's list, without the places that hold no item.

    Attributes
    ----------
    user
        The user's id.
    items : ndarray (m,)
        Ids of the items, best first.
    scores : ndarray (m,)
        float32.
    """

    user: Any
    items: NDArray[Any]
    scores: NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Top(Framed):
    """The best k items of n users, best first.

    ``len`` counts the users; ``for user, items, scores in top`` goes through their lists, ``top[0]`` is the first of
    them and ``top[:5]`` a ``Top`` of five.

    Attributes
    ----------
    users : ndarray (n,)
        Ids of the users, as they went in.
    items : ndarray (n, k)
        Ids of the items. Where a user has fewer than k candidates: -1 for integer ids, "" for strings.
    scores : ndarray (n, k)
        float32, -inf where there is no item.
    item_rows : ndarray (n, k)
        int32, the items as columns of the matrix; -1 where there is no item.
    titles : ndarray (items,), optional
        What people call the model's items; empty where nothing is known.
    of_items : bool
        Whether ``users`` holds items instead, each with those that are like it.

    Examples
    --------
    >>> from diffrec.data import Ids
    >>> rows, scores = np.array([[1, -1]], dtype=np.int32), np.array([[0.5, -np.inf]], dtype=np.float32)
    >>> top = Top.of(np.array(["Ann"]), rows, scores, Ids(["tea", "milk"]))
    >>> top.items
    array([['milk', '']], dtype='<U4')
    >>> [(user, items.tolist()) for user, items, _ in top]
    [('Ann', ['milk'])]
    >>> print(top)
    user  item  rank   score
    Ann   milk     1  0.5000
    """

    users: NDArray[Any]
    items: NDArray[Any]
    scores: NDArray[np.float32]
    item_rows: NDArray[np.int32]
    titles: NDArray[Any] | None = None
    of_items: bool = False

    @classmethod
    def of(
        cls,
        users: NDArray[Any],
        rows: NDArray[np.int32],
        scores: NDArray[np.float32],
        ids: Ids,
        titles: NDArray[Any] | None = None,
        *,
        of_items: bool = False,
    ) -> "Top":
        """Name the item rows (n, k) by their ids."""
        missing = rows == NO_ITEM
        items = ids.ids[np.where(missing, 0, rows)]
        items[missing] = "" if items.dtype.kind == "U" else NO_ITEM
        return cls(users, items, scores, rows, titles, of_items)

    def __len__(self) -> int:
        return len(self.users)

    def __iter__(self) -> Iterator[Listed]:
        return (self[place] for place in range(len(self)))

    @overload
    def __getitem__(self, place: int) -> Listed: ...
    @overload
    def __getitem__(self, place: "slice | Sequence[int] | NDArray[Any]") -> "Top": ...
    def __getitem__(self, place: Any) -> "Listed | Top":
        """One user's list by its place, or the lists of several."""
        if isinstance(place, int | np.integer):
            filled = self.item_rows[place] != NO_ITEM
            user = self.users[place]
            return Listed(
                user.item() if isinstance(user, np.generic) else user,
                self.items[place][filled],
                self.scores[place][filled],
            )
        chosen = place if isinstance(place, slice) else np.asarray(place)
        parts = {name: getattr(self, name)[chosen] for name in ("users", "items", "scores", "item_rows")}
        return replace(self, **parts)

    def __repr__(self) -> str:
        return f"<Top: {self._about()}>"

    def _about(self) -> str:
        n, k = self.items.shape
        if self.of_items:
            return f"{k:,} item{'s' * (k != 1)} like each of {n:,}"
        return f"the best {k:,} of {n:,} user{'s' * (n != 1)}"

    def __str__(self) -> str:
        """Lay the first lists out as a table."""
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        columns, total, what = self._shown()
        return as_html(columns, self._about(), total, what)

    def _shown(self) -> tuple[dict[str, NDArray[Any]], int, str]:
        """The first rows, with titles where they say more than ids do; how many rows there are, and of what."""
        k = max(1, self.items.shape[1])
        first = self[: -(-SHOWN // k)].columns(titles=True)
        if np.array_equal(first["title"], first["item"].astype(np.str_)):
            del first["title"]
        total = int(np.sum(self.item_rows != NO_ITEM))
        what = "similar items" if self.of_items else "recommendations"
        return {name: column[:SHOWN] for name, column in first.items()}, total, what

    def columns(self, *, titles: bool = False) -> dict[str, NDArray[Any]]:
        """One entry per recommendation: columns user, item, rank (from 1) and score; places without item left out.

        With ``titles`` a column title follows the item: what people call it, or its id where nothing is known. Lists of
        ``similar_items`` have a column like for user: the item that those of its list are like.
        """
        n, k = self.items.shape
        filled = self.item_rows != NO_ITEM
        return {
            "like" if self.of_items else "user": np.repeat(self.users, k)[filled.ravel()],
            "item": self.items[filled],
            **({"title": self._titled(filled)} if titles else {}),
            "rank": np.tile(np.arange(1, k + 1), n)[filled.ravel()],
            "score": self.scores[filled],
        }

    def _titled(self, filled: NDArray[np.bool_]) -> NDArray[Any]:
        ids = self.items[filled].astype(np.str_)
        if self.titles is None:
            return ids
        titles = self.titles[self.item_rows[filled]]
        return np.where(titles == "", ids, titles)


@dataclass(frozen=True, eq=False, repr=False)
class Uncertainty(Framed):
    """Scores and ranks of k items for n users: means over several noisy chains, and standard deviations.

    Attributes
    ----------
    users : ndarray (n,)
        Ids of the users, as they went in.
    items : ndarray (n, k)
        Ids of the items: the best by mean score first, or those asked for. Where a user has fewer than k candidates:
        -1 for integer ids, "" for strings.
    item_rows : ndarray (n, k)
        int32, the items as columns of the matrix; -1 where there is no item.
    scores, score_stds : ndarray (n, k)
        float32, NaN where there is no item. Standard deviations divide by the number of chains less one.
    ranks, rank_stds : ndarray (n, k)
        float32, the same of the item's place among all candidates, the best being 1.
    chains : int
        How many.

    Examples
    --------
    >>> from diffrec.data import Ids
    >>> one = np.array([[1.0]], dtype=np.float32)
    >>> numbers = [2 * one, one / 2, one, 0 * one]
    >>> sure = Uncertainty.of(np.array(["Ann"]), np.array([[1]]), numbers, Ids(["tea", "milk"]), chains=8)
    >>> sure.to_frame("polars").row(0)
    ('Ann', 'milk', 2.0, 0.5, 1.0, 0.0)
    """

    users: NDArray[Any]
    items: NDArray[Any]
    item_rows: NDArray[np.int32]
    scores: NDArray[np.float32]
    score_stds: NDArray[np.float32]
    ranks: NDArray[np.float32]
    rank_stds: NDArray[np.float32]
    chains: int

    @classmethod
    def of(
        cls, users: NDArray[Any], rows: NDArray[np.int32], numbers: Sequence[NDArray[np.float32]], ids: Ids, chains: int
    ) -> "Uncertainty":
        """Name the item rows (n, k) by their ids; ``numbers`` are the four arrays beside them."""
        scores, score_stds, ranks, rank_stds = numbers
        named = Top.of(users, rows, scores, ids)
        return cls(users, named.items, rows, scores, score_stds, ranks, rank_stds, chains)

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        return f"<Uncertainty: {self.items.shape[1]:,} items of {len(self):,} users over {self.chains} chains>"

    def __str__(self) -> str:
        """Lay the first items out as a table."""
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        columns, total, what = self._shown()
        return as_html(columns, f"means and standard deviations over {self.chains} chains", total, what)

    def _shown(self) -> tuple[dict[str, NDArray[Any]], int, str]:
        table = self.columns()
        return {name: column[:SHOWN] for name, column in table.items()}, len(table["item"]), "items"

    def columns(self) -> dict[str, NDArray[Any]]:
        """One entry per item of a user: columns user, item, score, score_std, rank and rank_std."""
        filled = self.item_rows != NO_ITEM
        numbers = {"score": self.scores, "score_std": self.score_stds, "rank": self.ranks, "rank_std": self.rank_stds}
        return {
            "user": np.repeat(self.users, self.items.shape[1])[filled.ravel()],
            "item": self.items[filled],
            **{name: values[filled] for name, values in numbers.items()},
        }
