"""TIFU-KNN: next baskets from the user's own item frequencies and those of like users."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec.checks import real, whole
from diffrec.data import Csr, Interactions, Takings, empty_matrix
from diffrec.data.stored import Stored
from diffrec.ranking import NO_ITEM, Scores, SharedScores, SparseScores, SumScores, top_k
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.explanation import Reasons
from diffrec.recommenders.histories import Reading
from diffrec.recommenders.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class TIFUKNNSettings(Settings):
    """Settings of TIFU-KNN; symbols and defaults are those of the paper."""

    neighbors: int = setting(300, whole(1), "number of most similar users whose frequencies are averaged", symbol="k")
    alpha: float = setting(
        0.7, real(0, 1), "weight of the user's own frequencies against the neighbours'", symbol="alpha"
    )
    group_size: int = setting(7, whole(1), "number of baskets in a group of successive baskets", symbol="m")
    within_decay: float = setting(
        0.9,
        real(0, 1, open_low=True),
        "weight of a basket, as a share of the weight of the next newer basket in its group",
        symbol="r_b",
    )
    group_decay: float = setting(
        0.7,
        real(0, 1, open_low=True),
        "weight of a group of baskets, as a share of the weight of the next newer group",
        symbol="r_g",
    )


class TIFUKNN(Recommender):
    """Temporal item frequencies of a user and of like users (Hu et al., SIGIR 2020, arXiv 2006.00556).

    A user's T baskets are binary vectors v_1 to v_T, in groups of m. A group's vector is the mean of
    ``r_b^(m - j) v_j``, j being the place in the group, and the user's vector u the mean over the k groups of
    ``r_g^(k - i)`` times that of group i (section 4.2). Scores are ``alpha u + (1 - alpha) v``, v being the mean of the
    nearest users' vectors by Euclidean distance (section 4.3).

    Groups are counted from the newest basket, so that the oldest group may be smaller; its mean is over what it has.
    Neighbours are users of the training data with a history, in which a known user is the nearest to itself.

    Examples
    --------
    >>> import diffrec
    >>> bought = diffrec.Interactions.from_arrays(
    ...     [0, 0, 1, 1, 2], ["tea", "tea", "tea", "milk", "salt"], timestamp=[1, 2, 1, 2, 1]
    ... )
    >>> TIFUKNN(neighbors=2).fit(bought).recommend([0], k=2, exclude_seen=False).items
    array([['tea', 'milk']], dtype='<U4')
    """

    variant: ClassVar[str] = "tifuknn"
    seedless: ClassVar[bool] = True
    settings_type = TIFUKNNSettings
    settings: TIFUKNNSettings
    _vectors: Csr
    _by_item: Csr
    _closeness: NDArray[np.float32]
    _without_history: NDArray[np.bool_]

    def _fit(self, train: Interactions, valid: Interactions | None) -> None:  # noqa: ARG002 - nothing to stop
        self._index(train)

    def _index(self, train: Interactions) -> None:
        self._vectors = self._read(train)
        self._by_item = sparse.csr_array(self._vectors.T)
        lengths = np.asarray(self._vectors.multiply(self._vectors).sum(axis=1), dtype=np.float32)
        self._closeness = lengths / np.float32(-2)
        self._without_history = np.diff(self._vectors.indptr) == 0

    def _reading(self) -> Reading:
        s = self.settings
        return Reading(
            f"the mean over the user's groups of {s.group_size} baskets, by {s.group_decay:g}^(newer groups), of the "
            f"mean over a group's baskets with the item, by {s.within_decay:g}^(newer baskets of the group)"
        )

    def _read(self, block: Interactions) -> Csr:
        s, takings = self.settings, Takings.of(block)
        baskets, m = takings.baskets[takings.owners], s.group_size
        group, place = takings.newer // m, takings.newer % m
        sizes = np.minimum(m, baskets - group * m)
        groups = -(-baskets // m)
        return takings.summed(s.group_decay**group * s.within_decay**place / (sizes * groups))

    def _neighbors(self, own: Csr) -> Csr:
        """Weights (n, users) of the nearest users, which sum to 1."""
        n = own.shape[0]
        # |u - v|^2 = |u|^2 - 2 (u v - |v|^2 / 2): the nearest have the greatest bracket.
        bracket = SumScores([SparseScores(own, self._by_item), SharedScores(n, self._closeness)])
        nearest, _ = top_k(
            bracket, self.settings.neighbors, empty_matrix(n, len(self._closeness)), self._without_history
        )
        found = nearest != NO_ITEM
        counts = found.sum(axis=1)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        weights = np.repeat(1 / np.maximum(counts, 1), counts).astype(np.float32)
        made: Csr = sparse.csr_array((weights, nearest[found], indptr), shape=(n, len(self._closeness)))
        made.sort_indices()
        return made

    def _scores(self, block: Interactions) -> Scores:
        alpha, own = self.settings.alpha, self._read(block)
        theirs = SparseScores(self._neighbors(own) * np.float32(1 - alpha), self._vectors)
        nothing = np.zeros(own.shape[1], dtype=np.float32)
        return SumScores([SharedScores(own.shape[0], nothing, own * np.float32(alpha)), theirs])

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002 - no slope
        # What a neighbour adds is parted among what made it one: in proportion to the products that their likeness
        # (u v) is the sum of. A neighbour with nothing in common is baseline.
        alpha, own = self.settings.alpha, self._read(one)
        weights = self._neighbors(own)
        theirs = self._vectors[weights.indices].astype(np.float64)
        alike = theirs[:, own.indices].toarray() * own.data
        totals = alike.sum(axis=1)
        said = (1 - alpha) * weights.data[:, None] * theirs[:, items].toarray()
        shares = alike / np.where(totals > 0, totals, 1)[:, None]
        itself = items[:, None] == own.indices
        return Reasons(alpha * itself * own.data + said.T @ shares, said[totals == 0].sum(axis=0), exact=False)

    def _state(self) -> dict[str, NDArray[np.float32]]:
        return {}  # all that is learnt is in the training data, which a file has

    def _restore(self, state: Stored) -> None:  # noqa: ARG002 - there is none
        self._index(self.train_)
