"""Item nearest neighbours."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import flag, one_of, real, whole
from diffrec.data import Csr, owners_of, with_values
from diffrec.recommenders.histories import Reading
from diffrec.recommenders.rivals.item_sums import Sides, largest
from diffrec.recommenders.rivals.item_to_item import ItemToItem, nearest_items, off_diagonal
from diffrec.recommenders.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class ItemKNNSettings(Settings):
    """Settings of item nearest neighbours."""

    neighbors: int = setting(
        100,
        whole(1),
        "number of most similar items kept for each item; the item itself is one of them, as in `implicit`",
    )
    weighting: str = setting(
        "cosine", one_of(("cosine", "bm25")), "weights of the entries of the compared item vectors: 'cosine' or 'bm25'"
    )
    bm25_k1: float = setting(
        1.2,
        real(0, open_low=True),
        "how slowly the weights of 'bm25' level off as an interaction's value grows; lower values level off sooner",
    )
    bm25_b: float = setting(
        0.75, real(0, 1), "how strongly 'bm25' holds back popular items: 0 for not at all, 1 for in full"
    )
    binarize: bool = setting(False, flag, "count every interaction as 1, whatever its value")


class ItemKNN(ItemToItem):
    """Scores an item by its similarity to what the user has (Sarwar et al. 2001).

    ``"cosine"`` compares the columns of the matrix; ``"bm25"`` weighs them as documents of terms first (Robertson &
    Zaragoza 2009), which holds popular items and very active users back.

    Examples
    --------
    >>> model = ItemKNN(neighbors=2).fit(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0]]))
    >>> model.recommend([3], k=1).items
    array([[1]])
    """

    variant: ClassVar[str] = "itemknn"
    settings_type = ItemKNNSettings
    settings: ItemKNNSettings

    def _reading(self) -> Reading:
        return Reading.of(values=not self.settings.binarize)

    def _similarity(self, matrix: Csr) -> Csr:
        s = self.settings
        values = bm25(matrix, s.bm25_k1, s.bm25_b) if s.weighting == "bm25" else cosine(matrix)
        return nearest_items(matrix, values, values, s.neighbors, itself=True)

    def _sides(self, matrix: Csr) -> Sides | None:
        # BM25 weighs a user's item by the lengths of all items.
        return Sides(matrix, matrix.data) if self.settings.weighting == "cosine" else None

    def _from_sums(self, sums: Csr, matrix: Csr) -> Csr:  # noqa: ARG002 - the sums say it all
        lengths = np.sqrt(np.maximum(sums.diagonal(), 1e-30))
        cosines = with_values(sums, sums.data / (lengths[owners_of(sums)] * lengths[sums.indices]))
        return off_diagonal(largest(cosines, self.settings.neighbors, itself=True))


def cosine(matrix: Csr) -> NDArray[np.float32]:
    """Values of the matrix with its columns scaled to length 1, so that their products are cosines."""
    squares = np.bincount(matrix.indices, weights=matrix.data.astype(np.float64) ** 2, minlength=matrix.shape[1])
    scaled: NDArray[np.float32] = (matrix.data / np.sqrt(squares)[matrix.indices]).astype(np.float32)
    return scaled


def bm25(matrix: Csr, k1: float, b: float) -> NDArray[np.float32]:
    """Values of the matrix weighed by BM25, items being the documents and users the terms.

    ``value * (k1 + 1) / (value + k1 * (1 - b + b * length / mean length)) * ln(items / (1 + items of the user))``, the
    length of an item being the sum of its values.
    """
    items = matrix.shape[1]
    values = matrix.data.astype(np.float64)
    length = np.bincount(matrix.indices, weights=values, minlength=items)
    held_back = k1 * (1.0 - b + b * length / length.mean())[matrix.indices]
    per_user = np.diff(matrix.indptr)
    rarity = np.repeat(np.log(items) - np.log1p(per_user), per_user)
    weighed: NDArray[np.float32] = (values * (k1 + 1.0) / (held_back + values) * rarity).astype(np.float32)
    return weighed
