"""The most popular items: what every recommender has to beat."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import age, optional
from diffrec.data import Interactions, time_weights
from diffrec.data.stored import Stored
from diffrec.data.time_weights import require_clock, require_past
from diffrec.ranking import Scores, SharedScores
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.explanation import Reasons
from diffrec.recommenders.histories import Reading
from diffrec.recommenders.settings import Settings, setting

# Share of the scores that is left however long nothing has happened: all fade alike, and of what fades further the
# differences would be lost in single precision.
_LEFT = 2.0**-40


@dataclass(frozen=True, kw_only=True)
class PopularitySettings(Settings):
    """Settings of popularity."""

    half_life: float | timedelta | None = setting(
        None,
        optional(age),
        "age after which an interaction counts half: a timedelta before the newest interaction of all, or a number of "
        "the user's newer baskets; None counts every one as 1",
    )


class Popularity(Recommender):
    """Ranks items by how many users have them, the same for everyone but for what each has seen.

    With ``half_life`` it ranks by what is popular now: an interaction counts ``2^(-age / half_life)``.

    Examples
    --------
    >>> model = Popularity().fit(np.array([[1, 0, 1], [0, 0, 1]]))
    >>> model.recommend([1], k=2).items
    array([[0, 1]])
    """

    variant: ClassVar[str] = "popularity"
    seedless: ClassVar[bool] = True
    settings_type = PopularitySettings
    settings: PopularitySettings
    _counts: NDArray[np.float32]

    def _fit(self, train: Interactions, valid: Interactions | None) -> None:  # noqa: ARG002 - nothing to stop
        counts = np.bincount(train.matrix.indices, self._weights(train), minlength=train.shape[1])
        self._counts = counts.astype(np.float32)

    def _weights(self, train: Interactions) -> NDArray[np.floating] | None:
        """Weigh every interaction by its age, (nnz,)."""
        half_life = self.settings.half_life
        if half_life is None or len(train) == 0:
            return None
        times = require_clock(train, f"half_life={half_life!r}")
        if isinstance(half_life, timedelta):
            weights: NDArray[np.float64] = np.exp2((times - times.max()) / half_life.total_seconds())
            return weights
        return time_weights(train, "exponential", w_min=0.0, half_life=half_life).data

    def _reading(self) -> Reading:
        return Reading(by_clock=isinstance(self.settings.half_life, timedelta))

    def _scores(self, block: Interactions) -> Scores:
        return SharedScores(block.shape[0], self._counts_at(block.now))

    def _counts_at(self, now: float | None) -> NDArray[np.float32]:
        half_life, times = self.settings.half_life, self.train_.timestamps
        if now is None or not isinstance(half_life, timedelta) or times is None:
            return self._counts
        require_past(self.train_.as_of(now))
        # All ages grow alike, and so all scores fall alike.
        faded: float = 2.0 ** ((float(times.max()) - now) / half_life.total_seconds())
        return self._counts * np.float32(max(faded, _LEFT))

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002
        # Nobody's past has a say: all of a score is baseline.
        return Reasons(
            np.zeros((len(items), len(one))),
            self._counts_at(one.now)[items].astype(np.float64),
            exact=True,
        )

    def _state(self) -> dict[str, NDArray[np.float32]]:
        return {"counts": self._counts}

    def _restore(self, state: Stored) -> None:
        self._counts = state.take("counts", (self._n_items,), low=0)
