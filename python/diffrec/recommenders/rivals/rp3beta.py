"""A random walk of three steps over the graph of users and items."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import flag, real, whole
from diffrec.data import Csr, Interactions, owners_of, with_values
from diffrec.recommenders.histories import Reading
from diffrec.recommenders.rivals.item_sums import Sides, largest
from diffrec.recommenders.rivals.item_to_item import ItemToItem, nearest_items
from diffrec.recommenders.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class RP3betaSettings(Settings):
    """Settings of RP3beta; symbols are those of the paper."""

    alpha: float = setting(
        1.0, real(0, open_low=True), "power to which the probability of each step of the walk is raised", symbol="alpha"
    )
    beta: float = setting(
        0.2,
        real(0),
        "power of an item's popularity that its score is divided by; higher values hold popular items back more",
        symbol="beta",
    )
    neighbors: int = setting(
        1000, whole(1), "number of other items kept for each item: those that the walk reaches most likely"
    )
    binarize: bool = setting(True, flag, "count every interaction as 1, whatever its value")


class RP3beta(ItemToItem):
    """Scores an item by how likely a random walk user - item - user - item ends there (Paudel et al. 2017).

    Each step goes to a neighbour in the graph with probability in proportion to the value of the interaction, raised
    to ``alpha``; the result is divided by the item's popularity raised to ``beta`` (Paudel, Christoffel, Newell &
    Bernstein: "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive Applications", TiiS 7(1)).
    The last two steps depend on no user: they are the similarity of the items, of which ``neighbors`` are kept per row.

    Examples
    --------
    >>> model = RP3beta(beta=0).fit(np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0]]))
    >>> model.similarity_.toarray()
    array([[0.  , 0.25, 0.  ],
           [0.25, 0.  , 0.25],
           [0.  , 0.5 , 0.  ]], dtype=float32)
    >>> model.recommend([2], k=1).scores  # one item, from which one of two steps leads to item 1 in half of all cases
    array([[0.25]], dtype=float32)
    """

    variant: ClassVar[str] = "rp3beta"
    settings_type = RP3betaSettings
    settings: RP3betaSettings

    def _reading(self) -> Reading:
        return Reading.of(values=not self.settings.binarize)

    def _similarity(self, matrix: Csr) -> Csr:
        s = self.settings
        popularity = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
        to_user = (matrix.data / popularity[matrix.indices]) ** s.alpha
        to_item = step(matrix, s.alpha)
        walk = nearest_items(matrix, to_user.astype(np.float32), to_item.astype(np.float32), s.neighbors)
        walk.data *= (popularity[walk.indices] ** -s.beta).astype(np.float32)
        return walk

    def _sides(self, matrix: Csr) -> Sides:
        # Of the step to a user what depends on no other user: the item's popularity divides whole rows.
        alpha = self.settings.alpha
        left = with_values(matrix, matrix.data**alpha)
        return Sides(left.astype(np.float32), step(matrix, alpha).astype(np.float32))

    def _from_sums(self, sums: Csr, matrix: Csr) -> Csr:
        s = self.settings
        popularity = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
        walked = with_values(sums, sums.data * popularity[owners_of(sums)] ** -s.alpha)
        walk = largest(walked, s.neighbors, itself=False)
        walk.data *= (popularity[walk.indices] ** -s.beta).astype(np.float32)
        return walk

    def _weighted(self, block: Interactions) -> Csr:
        weights = self._read(block)
        return with_values(weights, step(weights, self.settings.alpha).astype(np.float32))


def step(matrix: Csr, alpha: float) -> NDArray[np.float64]:
    """Probability of each step from a row's user to one of its items, raised to ``alpha``."""
    rows = owners_of(matrix)
    total = np.bincount(rows, weights=matrix.data, minlength=matrix.shape[0])
    stepped: NDArray[np.float64] = (matrix.data / total[rows]) ** alpha
    return stepped
