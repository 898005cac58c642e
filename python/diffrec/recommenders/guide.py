"""Guidance at work: what it adds to the scores at every step, in torch."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.ranking import AddedScores, LinearScores, Scores
from diffrec.recommenders.guidance import Best, Guidance

# Lists looked at while one is made diverse, over all steps of the chain together.
_LOOKS = 10


class Guide:
    """Guidance of one call, made ready once: the directions over the items that it moves predicted x_0 along.

    Parameters
    ----------
    guidance : Guidance
        What is asked.
    vectors : Tensor
        float32 (items, width), whose cosine says how alike two items are.
    steps : int
        Steps of the chain.

    Attributes
    ----------
    directions : Tensor
        float32 (items, e): where they are asked for the direction of steering and novelty, and the items' vectors at
        unit length, whose combinations say how alike every item is to a list.
    """

    def __init__(self, guidance: Guidance, vectors: Tensor, steps: int) -> None:
        columns = []
        if guidance.direction is not None:
            columns.append(torch.from_numpy(guidance.direction).to(vectors.device)[:, None])
        self._steady = len(columns)
        if guidance.diversity:
            columns.append(functional.normalize(vectors))
        self.directions = torch.cat(columns, dim=1)
        self._diversity = guidance.diversity
        self._looks = math.ceil(_LOOKS / steps) if guidance.diversity else 0

    def start(self, unit: Tensor, best: Best) -> Callable[[Scores], Tensor]:
        """Return the function that gives the guidance of a block of users at every step.

        Parameters
        ----------
        unit : Tensor
            float32 (n,), the standard deviation of each user's scores.
        best : callable
            Finds their lists.

        Returns
        -------
        callable
            Scores that predicted x_0 is -> what to add to it along the directions, (n, e).
        """
        steady = unit.new_zeros(len(unit), self.directions.shape[1])
        steady[:, : self._steady] = unit[:, None]
        if not self._looks:
            return lambda _: steady
        return _Spreading(self.directions, steady, self._steady, self._diversity * unit, best, self._looks)


class _Spreading:
    """Pushes lists apart within: away from what a list already holds, step after step.

    A list p is a distribution over items, at most 1/k on each. The one wanted maximises ``<x, p> - lambda/2 |V' p|^2``:
    scores against how alike its items are to each other (Rao's quadratic entropy), V the items' vectors at unit length.
    Frank and Wolfe's method (1956) finds it by linear problems only, which are rankings: the best k items of
    ``x - lambda V c``, with ``c`` the mean vector of the lists so far, the later ones counting more. The reverse steps
    are its iterations, and the gradient ``-lambda V c`` is what is added to predicted x_0.
    """

    def __init__(
        self, directions: Tensor, steady: Tensor, first: int, strength: Tensor, best: Best, looks: int
    ) -> None:
        self._directions, self._best = directions, best
        self._steady, self._first, self._strength, self._looks = steady, first, strength, looks
        self._covered = torch.zeros_like(steady)
        self._seen = 0

    def __call__(self, predicted: Scores) -> Tensor:
        for _ in range(self._looks):
            guided = AddedScores(predicted, LinearScores(self._now(), self._directions))
            listed = self._mean_vectors(self._best(guided)[0])
            self._covered += (listed - self._covered) * (2 / (self._seen + 2))
            self._seen += 1
        return self._now()

    def _now(self) -> Tensor:
        return self._steady - self._strength[:, None] * self._covered

    def _mean_vectors(self, ranked: NDArray[np.int32]) -> Tensor:
        filled = ranked >= 0
        counts = filled.sum(axis=1)
        weights = np.repeat(1 / np.maximum(counts, 1), counts)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = SparseRows.from_csr(offsets, ranked[filled], weights, 0, len(ranked), self._directions.device)
        mean = rows @ self._directions
        mean[:, : self._first] = 0
        return mean
