"""Ranking by what a user takes most often, which every next-basket recommender has to beat."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import age, optional, real
from diffrec.data import Csr, Interactions, Takings, users_per_item, with_values
from diffrec.data.stored import Stored
from diffrec.data.time_weights import require_clock
from diffrec.ranking import Scores, SharedScores
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.explanation import Reasons
from diffrec.recommenders.histories import VALUES, Reading
from diffrec.recommenders.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class TopFreqSettings(Settings):
    """Settings of TopFreq."""

    half_life: float | timedelta | None = setting(
        None,
        optional(age),
        "age after which a basket counts half: a number of the user's newer baskets, or a timedelta before the user's "
        "newest one; None counts every basket as 1",
    )
    popularity: float = setting(
        0.1,
        real(0),
        "weight, in the score of an item that the user had, of the share of all users who have the item",
    )


class TopFreq(Recommender):
    """Ranks what a user took before by how often, and all else below it by popularity.

    The personal top frequency of next-basket recommendation, filled by the global one (Li et al., "A next basket
    recommendation reality check", TOIS 2023, have it as GP-TopFreq). With p_i the share of users who have item i and
    f_ui the user's baskets with it, each counted ``2^(-age / half_life)``, item i scores
    ``1 + f_ui + popularity * p_i`` where the user had it and p_i where not.

    Without timestamps f_ui is the value of the interaction, such as a count.

    Examples
    --------
    >>> import diffrec
    >>> bought = diffrec.Interactions.from_arrays([0, 0, 0, 1], ["tea", "milk", "tea", "salt"], timestamp=[1, 1, 2, 1])
    >>> TopFreq().fit(bought).recommend([0], k=3, exclude_seen=False).items
    array([['tea', 'milk', 'salt']], dtype='<U4')
    """

    variant: ClassVar[str] = "topfreq"
    seedless: ClassVar[bool] = True
    settings_type = TopFreqSettings
    settings: TopFreqSettings
    _shares: NDArray[np.float32]

    def _fit(self, train: Interactions, valid: Interactions | None) -> None:  # noqa: ARG002 - nothing to stop
        self._shares = (users_per_item(train.matrix) / train.shape[0]).astype(np.float32)

    def _reading(self) -> Reading:
        half_life = self.settings.half_life
        if half_life is None:
            counted = "the number of the user's baskets that it is in; without timestamps the interaction's value"
        else:
            counted = f"the sum of 2^(-age / {half_life}) over the user's baskets that it is in"
        return Reading(f"1 and {counted}", by_clock=isinstance(half_life, timedelta))

    def _read(self, block: Interactions) -> Csr:
        half_life = self.settings.half_life
        if block.timestamps is None and len(block):
            if half_life is not None:
                require_clock(block, f"half_life={half_life!r}")
            counted = VALUES.weights(block)
        else:
            takings = Takings.of(block)
            counted = takings.summed(np.ones(len(takings.cells)) if half_life is None else takings.faded(half_life))
        return with_values(counted, 1 + counted.data)

    def _scores(self, block: Interactions) -> Scores:
        return SharedScores(block.shape[0], self._shares, self._beyond(self._read(block)))

    def _beyond(self, read: Csr) -> Csr:
        """Return the scores of the items that users had beyond the items' shares of users, (n, items)."""
        beyond = read.data + np.float32(self.settings.popularity - 1) * self._shares[read.indices]
        return with_values(read, beyond)

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002 - exact
        own = self._beyond(self._read(one))
        itself = items[:, None] == own.indices
        return Reasons(itself * own.data.astype(np.float64), self._shares[items].astype(np.float64), exact=True)

    def _state(self) -> dict[str, NDArray[np.float32]]:
        return {"shares": self._shares}

    def _restore(self, state: Stored) -> None:
        self._shares = state.take("shares", (self._n_items,), low=0, high=1)
