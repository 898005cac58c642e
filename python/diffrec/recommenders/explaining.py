"""What every recommender says about why an item has the score it has."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.data import Interactions
from diffrec.ranking import Scores
from diffrec.recommenders.explanation import Explanation, Reasons
from diffrec.recommenders.settings import whole


class Explaining(ABC):
    """Explains scores; a subclass says where they come from (``_reasons``)."""

    train_: Interactions

    @abstractmethod
    def _histories(self, users: Any) -> tuple[Interactions, NDArray[np.int64], NDArray[Any]]:
        """Whose histories to score."""

    @abstractmethod
    def _scores_of(self, histories: Interactions, rows: NDArray[np.int64]) -> Scores:
        """Scores of distinct rows in rising order."""

    def _reasons(self, histories: Interactions, row: int, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002
        """Where the scores of some items come from for the user in a row of ``histories``."""
        raise TypeError(f"{type(self).__name__} cannot explain its scores: they are no function of a history alone")

    def explain(self, user: Any, item: Any, k: int | None = None, *, points: int = 1) -> Explanation:
        """Say which past items carried a score.

        Exact where the scores are linear in the history: "itemknn", "rp3beta", "ease", "ials", "anchor", and the anchor
        and the sparse correction of the diffusion models. Elsewhere a past item's part is the gradient of the score
        times the item's weight in the history, and what that leaves out is named.

        Parameters
        ----------
        user : id, row number, Interactions or matrix
            One user, as for ``recommend``.
        item : item id
            Whose score is to be explained, recommended or not.
        k : int, optional
            How many past items to name, those that count most; all by default.
        points : int
            Points at which a gradient is taken on the way from an empty history: more than 1 (such as 32) leave less to
            the remainder, for as many times the work.

        Returns
        -------
        Explanation
            Parts that sum to the score.

        Raises
        ------
        TypeError
            When the model does not say how its scores come about: "lightgcn".
        ValueError
            When the user or item is unknown, or more than one user is given.

        Examples
        --------
        >>> import diffrec
        >>> model = diffrec.fit(np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]]), variant="itemknn")
        >>> print(model.explain(3, 1))
        1 for 3 scores 0.6667, exactly:
          +0.6667  0
        """
        k = None if k is None else whole(1)("k", k)
        points = whole(1)("points", points)
        histories, rows, ids = self._histories(user)
        if len(rows) != 1:
            raise ValueError(f"user must be one user, got {len(rows)}")
        wanted = self.train_.items.rows(item)
        if len(wanted) != 1:
            raise ValueError(f"item must be one item, got {len(wanted)}")
        return self._explain(histories, int(rows[0]), ids[0], wanted, k, points)[0]

    def _explain(
        self,
        histories: Interactions,
        row: int,
        user: Any,
        items: NDArray[np.int64],
        k: int | None = None,
        points: int = 1,
    ) -> list[Explanation]:
        """Explanations of some items' scores for one user."""
        reasons = self._reasons(histories, row, items, points)
        scores = self._scores_of(histories, np.array([row]))
        ids, matrix = self.train_.items.ids, histories.matrix
        past = ids[matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]]
        return [
            reasons.about(place, (_plain(user), _plain(ids[item])), float(scores.block(item, item + 1)), past, k)
            for place, item in enumerate(items.tolist())
        ]


def _plain(value: Any) -> Any:
    """An id as Python has it."""
    return value.item() if isinstance(value, np.generic) else value
