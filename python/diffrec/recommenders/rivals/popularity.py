"""The most popular items: what every recommender has to beat."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec.data import Interactions
from diffrec.ranking import LinearScores, Scores
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.explanation import Reasons
from diffrec.training import TrainingReport


class Popularity(Recommender):
    """Ranks items by how many users have them, the same for everyone but for what each has seen.

    Examples
    --------
    >>> model = Popularity().fit(np.array([[1, 0, 1], [0, 0, 1]]))
    >>> model.recommend([1], k=2).items
    array([[0, 1]])
    """

    variant: ClassVar[str] = "popularity"
    deterministic: ClassVar[bool] = True
    _counts: Tensor

    def _fit(self, train: Interactions, valid: Interactions | None) -> None:  # noqa: ARG002 - nothing to stop
        counts = np.bincount(train.matrix.indices, minlength=train.shape[1])
        self._counts = torch.from_numpy(counts.astype(np.float32))
        self.training_ = TrainingReport()

    def _scores(self, block: Interactions) -> Scores:
        return LinearScores(torch.ones(block.shape[0], 1), self._counts[:, None])

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002
        # Nobody's past has a say: all of a score is baseline.
        return Reasons(
            np.zeros((len(items), len(one))),
            self._counts[torch.from_numpy(items)].double().numpy(),
            exact=True,
        )

    def _state(self) -> dict[str, Tensor]:
        return {"counts": self._counts}

    def _restore(self, state: dict[str, Tensor]) -> None:
        self._counts = state["counts"]
