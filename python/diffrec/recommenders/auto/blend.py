"""Rankings that go together, and their weights, found greedily on validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec.data import Csr, Interactions
from diffrec.evaluation.beyond_accuracy import hits_of
from diffrec.ranking import DenseScores, deviations, top_k
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.rankings import users_at_once

# Length of the lists that are judged, and of those that are kept of each candidate to blend them.
CUT, KEPT = 20, 200
# Of each candidate's list, how many items are ranked together in a blend.
_POOLED = 60
# Score of no item: below every real one, and finite, so that sums stay numbers.
_NOTHING = -1e9
# Parts of a blend at most, and the shares a new part is tried with.
MOST_PARTS, _SHARES = 4, (0.15, 0.3, 0.5, 0.7)
# The best candidates that may become parts: enough for the best of all kinds, of which there are up to 17, and for some
# second ones, without which stacks rank lower.
_CANDIDATES = 20
# Standard errors that the gain of one more part has to exceed; the gain of all of them together, a whole one.
_STEP = 0.25


@dataclass(frozen=True)
class Lists:
    """The best items of n users by one candidate, with scores on a scale that candidates share.

    Attributes
    ----------
    items : int32 (n, kept)
        Best first, -1 where there are fewer.
    scores : float32 (n, kept)
        In standard deviations of the user's scores of what is not in the history; -inf where there is no item.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    @torch.no_grad()
    def of(cls, model: Recommender, histories: Interactions, rows: NDArray[np.int64], hidden: Csr) -> "Lists":
        """Rank for the histories in ``rows``; what is in ``hidden`` (n, items) is not ranked."""
        kept = min(KEPT, histories.shape[1])
        items = np.empty((len(rows), kept), dtype=np.int32)
        scores = np.empty(items.shape, dtype=np.float32)
        step = users_at_once(histories.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            block = histories.take(rows[part])
            scored = DenseScores.of(model._scores(block))
            spread = deviations(scored, block.matrix).cpu().numpy()[:, None]
            items[part], values = top_k(scored, kept, hidden[part])
            # All alike: no opinion, but a list all the same.
            scores[part] = np.where(items[part] < 0, -np.inf, 0.0)
            np.divide(values, spread, out=scores[part], where=np.isfinite(values) & (spread > 0))
        return cls(items, scores)


def ndcg(hits: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """NDCG at ``CUT`` of each user: hits (n, CUT) in ranked order, and the number of relevant items (n,), above 0."""
    gains = 1 / np.log2(np.arange(CUT) + 2)
    ideal = np.cumsum(gains)[np.minimum(relevant, CUT) - 1]
    found: NDArray[np.float64] = hits[:, :CUT] @ gains[: hits.shape[1]] / ideal
    return found


@dataclass(frozen=True)
class Blend:
    """A weighted sum of candidates.

    Attributes
    ----------
    places : list of int
        Which candidates, the first the best one alone.
    weights : list of float
        Of each; they sum to 1.
    value : float
        Mean NDCG on validation.
    """

    places: list[int]
    weights: list[float]
    value: float


def best_blend(candidates: Sequence[Lists], relevant: Csr, families: Sequence[str] | None = None) -> Blend:
    """Find the candidates that rank best together (greedy ensemble selection, Caruana et al., ICML 2004).

    It begins with the best one. In each round the candidate and share with the largest gain are mixed in, as long as
    there is one to speak of. The last sum is kept whose mean gain over the best one alone, taken over the users, is
    larger than its standard error, which is what a bootstrap over the users would give.

    Parameters
    ----------
    candidates : sequence of Lists
        Of the same n users.
    relevant : scipy.sparse CSR
        (n, items), what they took, at least one item each.
    families : sequence of str, optional
        What kind each candidate is of: the best of each kind may become a part before any second one of a kind, for
        candidates of one kind err alike.

    Returns
    -------
    Blend

    Examples
    --------
    >>> from scipy import sparse
    >>> one = Lists(np.array([[0, 1, 2]], dtype=np.int32), np.array([[3.0, 2.0, 1.0]], dtype=np.float32))
    >>> other = Lists(one.items[:, ::-1].copy(), one.scores)
    >>> best_blend([other, one], sparse.csr_array(np.array([[1, 0, 0]])))
    Blend(places=[1], weights=[1.0], value=1.0)
    """
    counts = np.diff(relevant.indptr).astype(np.int64)
    alone = [ndcg(hits_of(one.items[:, :CUT], relevant), counts) for one in candidates]
    order = _spread(np.argsort([-found.mean() for found in alone], kind="stable").tolist(), families)
    pool = _Pool([candidates[place] for place in order], relevant, counts)
    places, weights = [0], [1.0]
    mixed = pool.scores[0]
    best = current = pool.judge(mixed)
    kept = places, weights, current
    while len(places) < min(MOST_PARTS, len(order)):
        found = [
            (pool.judge(torch.lerp(mixed, pool.scores[place], share)), place, share)
            for place in range(len(order))
            if place not in places
            for share in _SHARES
        ]
        # What gains most may do so by luck, and another surely: what can be kept goes before what cannot.
        judged, place, share = max(found, key=lambda one: (_exceeds(one[0] - best, 1.0), float(one[0].mean())))
        if not _exceeds(judged - current, _STEP):
            break
        mixed, current = torch.lerp(mixed, pool.scores[place], share), judged
        places, weights = [*places, place], [*(weight * (1 - share) for weight in weights), share]
        if _exceeds(current - best, 1.0):
            kept = places, weights, current
    places, weights, current = kept
    # Products of shares: what is beyond their few digits is of the arithmetic.
    return Blend([order[place] for place in places], [round(weight, 9) for weight in weights], float(current.mean()))


def _exceeds(gains: NDArray[np.float64], errors: float) -> bool:
    """Whether the mean gain is above so many of its standard errors."""
    return bool(gains.mean() > errors * gains.std() / np.sqrt(len(gains)))


def _spread(order: list[int], families: Sequence[str] | None) -> list[int]:
    """The candidates that may become parts, best first: the best of each family, then the best of the others."""
    firsts: dict[str, int] = {}
    for place in order:
        firsts.setdefault(str(place) if families is None else families[place], place)
    ahead = set(list(firsts.values())[:_CANDIDATES])
    rest = [place for place in order if place not in ahead][: _CANDIDATES - len(ahead)]
    chosen = ahead | set(rest)
    return [place for place in order if place in chosen]


class _Pool:
    """The items that any of several candidates lists high, for each user side by side.

    Attributes
    ----------
    scores : list of Tensor
        Each candidate's scores of them, float32 (n, width). An item that is not in its list is scored as the last one
        that is; where a user has fewer items than others stands a number below all.
    """

    def __init__(self, candidates: Sequence[Lists], relevant: Csr, counts: NDArray[np.int64]) -> None:
        items = np.sort(np.concatenate([one.items[:, :_POOLED] for one in candidates], axis=1), axis=1)
        first = items >= 0
        first[:, 1:] &= items[:, 1:] != items[:, :-1]
        width = int(first.sum(axis=1).max(initial=1))
        # What is taken once moves to the front, in rising order.
        pooled = np.take_along_axis(np.where(first, items, -1), np.argsort(~first, axis=1, kind="stable"), axis=1)
        pooled = pooled[:, :width]
        self._relevant = torch.from_numpy(hits_of(pooled, relevant))
        self._counts = counts
        self.scores = [torch.from_numpy(_looked_up(one, pooled, relevant.shape[1])) for one in candidates]

    def judge(self, scores: Tensor) -> NDArray[np.float64]:
        """NDCG of each user when the pool is ranked by ``scores``."""
        best = scores.topk(min(CUT, scores.shape[1]), dim=1).indices
        return ndcg(self._relevant.gather(1, best).numpy(), self._counts)


def _looked_up(lists: Lists, items: NDArray[np.int32], n_items: int) -> NDArray[np.float32]:
    """Scores of some items (n, width) by their place in lists; that of the last one where they are not in it."""
    n = len(items)
    row = np.arange(n)[:, None] * (n_items + 1)
    cells = (row + lists.items + 1).ravel()
    order = np.argsort(cells, kind="stable")
    wanted = row + items + 1
    place = np.searchsorted(cells[order], wanted.ravel()).clip(max=cells.size - 1)
    at = order[place]
    found = np.where((cells[at] == wanted.ravel()), lists.scores.ravel()[at], np.nan).reshape(items.shape)
    listed = np.isfinite(lists.scores)
    last = np.where(listed, lists.scores, np.inf).min(axis=1, keepdims=True)
    last = np.where(np.isfinite(last), last, 0.0)
    out: NDArray[np.float32] = np.where(np.isnan(found), last, found).astype(np.float32)
    out[items < 0] = _NOTHING
    return out
