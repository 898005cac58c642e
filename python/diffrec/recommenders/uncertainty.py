"""How far scores and ranks differ between chains with noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diffrec.data import Csr, Ids
from diffrec.data.frames import make_frame
from diffrec.ranking import NO_ITEM, MeanScores, Scores, ranks_at, scores_at, top_k
from diffrec.recommenders.top import Top


@dataclass(frozen=True, eq=False)
class Uncertainty:
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

    def columns(self) -> dict[str, NDArray[Any]]:
        """One entry per item of a user: columns user, item, score, score_std, rank and rank_std."""
        filled = self.item_rows != NO_ITEM
        numbers = {"score": self.scores, "score_std": self.score_stds, "rank": self.ranks, "rank_std": self.rank_stds}
        return {
            "user": np.repeat(self.users, self.items.shape[1])[filled.ravel()],
            "item": self.items[filled],
            **{name: values[filled] for name, values in numbers.items()},
        }

    def to_frame(self, backend: Literal["pandas", "polars", "pyarrow"] = "pandas", *, like: Any = None) -> Any:
        """Return ``columns`` as a data frame of an installed library; see ``Top.to_frame``."""
        return make_frame(self.columns(), backend, like)


def read_chains(
    parts: Sequence[Scores],
    k: int,
    items: NDArray[np.int64] | None,
    seen: Csr,
    rows: NDArray[np.int64],
    denied: NDArray[np.bool_] | None,
) -> tuple[NDArray[Any], ...]:
    """Read some items' scores and ranks in every chain.

    Parameters
    ----------
    parts : sequence of Scores
        A chain's scores of n users each.
    k : int
        How many items, where none are given.
    items : int64 (k,), optional
        Which.
    seen, rows, denied
        What is not ranked; see ``top_k``.

    Returns
    -------
    tuple of ndarray
        Item rows int32 (n, k), then float32 (n, k): scores and ranks, each mean before deviation.
    """
    n = len(rows)
    ranked = (
        top_k(MeanScores(parts), k, seen, rows, denied)[0] if items is None else np.tile(items.astype(np.int32), (n, 1))
    )
    found: list[NDArray[Any]] = [ranked]
    # Sums in float64: chains differ by little of what a score is.
    scores = torch.stack([scores_at(part, ranked) for part in parts]).double()
    places = torch.stack([ranks_at(part, ranked, seen, rows, denied) for part in parts]).double()
    for values in (scores, places):
        for read in (values.mean(dim=0), values.std(dim=0)):
            numbers = read.float().cpu().numpy()
            numbers[ranked == NO_ITEM] = np.nan
            found.append(numbers)
    return tuple(found)
