"""Base class of the models that score by one matrix of items x items."""

from abc import abstractmethod
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec import _core
from diffrec.data import Csr, Interactions, csr_arrays, owners_of, unit_rows
from diffrec.data._csr import masked
from diffrec.data.stored import Stored
from diffrec.ranking import Scores, SparseScores
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.explanation import Reasons, linear_reasons
from diffrec.recommenders.rivals.item_sums import ItemSums, Sides, pays, pays_to_keep
from diffrec.recommenders.updating import Growth
from diffrec.training import require_memory


class ItemToItem(Recommender):
    """Scores an item by how much each item of a history speaks for it: ``history @ similarity``.

    Attributes
    ----------
    similarity_ : scipy.sparse CSR or ndarray
        float32 (items, items): row i says how much having item i speaks for each other item.
    """

    seedless: ClassVar[bool] = True
    similarity_: "Csr | NDArray[np.float32]"
    # What the similarity is made of, where updates are to count changed histories alone; no file has it.
    _sums: ItemSums | None = None
    _needs_exact_sums: ClassVar[bool] = False

    def _fit(self, train: Interactions, valid: Interactions | None) -> None:  # noqa: ARG002 - nothing to stop
        self.similarity_, self._sums = self._similarity(self._read(train)), None

    @abstractmethod
    def _similarity(self, matrix: Csr) -> "Csr | NDArray[np.float32]":
        """Learn from users x items."""

    def _sides(self, matrix: Csr) -> Sides | None:  # noqa: ARG002
        """L and R of users x items, whose product L'R is all that the similarity needs; None where more is needed.

        What one user adds to the product must be a matter of that user's history alone.
        """
        return None

    def _from_sums(self, sums: Csr, matrix: Csr) -> "Csr | NDArray[np.float32]":
        """Make the similarity of L'R, float64 (items, items), and users x items."""
        raise NotImplementedError

    def _update(self, growth: Growth) -> None:
        everyone = self._read(growth.train)
        all_sides = self._sides(everyone) if pays_to_keep(everyone) else None
        if all_sides is None:
            self._fit(growth.train, None)
            return
        before, after = self._read(growth.before), self._read(growth.after)
        if not pays((before, after), everyone):
            self._fit(growth.train, None)
            return
        held = cast(ItemToItem, growth.start.model)._sums
        if held is None:
            self._sums = ItemSums.of(all_sides, exact=self._needs_exact_sums)
        else:
            self._sums = held.changed(*cast(tuple[Sides, Sides], (self._sides(before), self._sides(after))))
        self.similarity_ = self._from_sums(self._sums.matrix, everyone)

    def _weighted(self, block: Interactions) -> Csr:
        """Weigh histories as they are multiplied with the similarity."""
        return self._read(block)

    def _scores(self, block: Interactions) -> Scores:
        return SparseScores(self._weighted(block), self.similarity_)

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002 - exact
        x = self._weighted(one)
        weights = self.similarity_[x.indices][:, items]
        weights = weights if isinstance(weights, np.ndarray) else weights.toarray()
        return linear_reasons(x, weights, self._n_items, x.indices)

    def _alike(self, rows: NDArray[np.int64]) -> Scores:
        # Two items without an entry in the matrix are not similar at all.
        return SparseScores(unit_rows(rows, self._n_items), self.similarity_, missing=-np.inf)

    def _state(self) -> dict[str, NDArray[Any]]:
        if isinstance(self.similarity_, np.ndarray):
            return {"similarity": self.similarity_}
        return dict(zip(("indptr", "indices", "data"), csr_arrays(self.similarity_), strict=True))

    def _restore(self, state: Stored) -> None:
        shape = (self._n_items, self._n_items)
        self.similarity_ = state.weights("similarity", shape) if "similarity" in state else state.csr(shape)


def nearest_items(
    matrix: Csr, left: NDArray[np.float32], right: NDArray[np.float32], neighbors: int, *, itself: bool = False
) -> Csr:
    """Keep the greatest entries in each row of ``L.T @ R``, never forming more of it than a few rows.

    Parameters
    ----------
    matrix : scipy.sparse CSR
        (users, items): the pattern of L and R.
    left, right : float32 (nnz,)
        Their values.
    neighbors : int
        How many entries to keep per row.
    itself : bool
        Whether an item takes a place among its own neighbours; it is left out of the result all the same.

    Returns
    -------
    scipy.sparse CSR
        float32 (items, items), sorted, with an empty diagonal.

    Raises
    ------
    MemoryError
        When the result could become larger than memory.
    """
    items = matrix.shape[1]
    indptr, indices, _ = csr_arrays(matrix)
    # An item has at most as many neighbours as its users have items.
    reach = np.bincount(indices, weights=np.repeat(np.diff(indptr), np.diff(indptr)), minlength=items)
    kept = np.minimum(reach, min(neighbors, items)).sum()
    # Beside the result, in 8 bytes per entry, stand pieces of it that are being put together.
    require_memory(int(kept) * 16, f"keeping {neighbors} neighbors for each of {items:,} items", "keep fewer neighbors")
    starts, columns, values = _core.nearest_items((indptr, indices, left), right, items, neighbors, itself=itself)
    similarity: Csr = sparse.csr_array((values, columns, starts), shape=(items, items))
    if itself:
        similarity = off_diagonal(similarity)
    return similarity


def off_diagonal(matrix: Csr) -> Csr:
    """The matrix without its diagonal."""
    return masked(matrix, matrix.indices != owners_of(matrix))
