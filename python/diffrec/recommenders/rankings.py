"""Lists of the best items for many people, a block of them at a time, and how well these lists predict."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffrec.data import Csr, Interactions, empty_matrix, union, without
from diffrec.data.streamed import owners_of_items
from diffrec.evaluation import Catalogue, Grouping, Report, measure
from diffrec.ranking import SharedScores
from diffrec.recommenders.cold import ColdItems
from diffrec.recommenders.guidance import Guidance
from diffrec.recommenders.limits import NO_LIMITS, Limits

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender

# Users scored at once. Large enough for efficient products, small enough that a block of scores stays small.
USER_BLOCK = 512
# Scores that are written out at once, where all of a block are: 512 MB.
_WRITTEN_OUT = 1 << 27


def users_at_once(items: int) -> int:
    """How many users to score at once where the scores of all items are written out."""
    return max(1, min(USER_BLOCK, _WRITTEN_OUT // max(items, 1)))


def blocks_of(rows: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Part rows of people into blocks that are scored at once: where each block stands among them, and its rows.

    Examples
    --------
    >>> [(where.start, where.stop, len(block)) for where, block in blocks_of(np.arange(600))]
    [(0, 512, 512), (512, 600, 88)]
    """
    for start in range(0, len(rows), USER_BLOCK):
        block = rows[start : start + USER_BLOCK]
        yield slice(start, start + len(block)), block


def best_items(
    model: "Recommender",
    histories: Interactions,
    rows: NDArray[np.int64],
    k: int,
    seen: Csr,
    limits: Limits = NO_LIMITS,
    guidance: Guidance | None = None,
    cold: ColdItems | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Best items of distinct rows (n,) and their scores, (n, k) each, a block of users at a time."""
    share = model._share
    if guidance is not None or cold is not None:
        share.require_whole("guidance, or what facts say of new items,")
    guided = None if guidance is None else model._guide(guidance)
    items = np.empty((len(rows), k), dtype=np.int32)
    values = np.empty(items.shape, dtype=np.float32)
    for where, all_of_block in blocks_of(rows):
        own = share.users(len(all_of_block))
        block = all_of_block[own]
        hidden = seen[block]
        if histories.n_dislikes:
            hidden = union(hidden, histories.dislikes[block])
        if cold is not None:
            hidden = cold.wider(hidden)
        limited = limits.of_users(slice(where.start + own.start, where.start + own.stop))
        best = limited.of_share(share).best(share.columns(hidden, hidden.shape[1]), k)
        scores = model._scores_of(histories, block) if guided is None else guided(histories.take(block), best)
        if cold is not None:
            scores = cold.beside(scores)
        items[where], values[where] = share.merged(best(scores), len(all_of_block), hidden.shape[1])
    return items, values


def popular_items(
    model: "Recommender", n: int, limits: Limits, k: int, n_items: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Lists (n, k) for people without a history: the items that most users have, of new ones after them none."""
    owners = np.zeros(n_items, dtype=np.float32)
    owners[: model._n_items] = owners_of_items(model.train_)
    return limits.best(empty_matrix(n, n_items), k)(SharedScores(n, owners))


def hidden_from(histories: Interactions, repeats: str) -> Csr:
    """Return what is not to be found for each user, (users, items): dislikes, and what they had if it is excluded."""
    return histories.dislikes if repeats == "include" else union(histories.matrix, histories.dislikes)


def to_find(histories: Interactions, later: Interactions, repeats: str) -> Csr:
    """Return what each user took later and is to be found, (users, items)."""
    return without(later.matrix, hidden_from(histories, repeats))


def measured(
    model: "Recommender",
    histories: Interactions,
    later: Interactions,
    hidden: Csr,
    k: Sequence[int],
    left_out: int = 0,
    catalogue: Catalogue | None = None,
    grouping: Grouping | None = None,
    guidance: Guidance | None = None,
) -> Report:
    """Rank the histories of users with relevant items, which are not ``hidden``, and say how well."""
    allowed = without(later.matrix, histories.dislikes)
    relevant = without(allowed, hidden)
    rows = np.flatnonzero(np.diff(relevant.indptr))
    if len(rows) == 0 and allowed.nnz:
        raise ValueError(
            f"all {allowed.nnz:,} interactions of test are with items that the user had before, which are "
            "neither recommended nor relevant; exclude_seen=False asks what is taken next, old or new"
        )
    if len(rows) == 0:
        raise ValueError("test must hold an interaction of a known user with a known item, got none")
    return measure(
        best_items(model, histories, rows, max(k), hidden, guidance=guidance)[0],
        relevant[rows],
        histories.users.ids[rows],
        k,
        catalogue=catalogue,
        users_without_relevant=histories.shape[0] - len(rows),
        interactions_left_out=left_out,
        repeats_left_out=allowed.nnz - relevant.nnz,
        dislikes_left_out=later.matrix.nnz - allowed.nnz,
        grouping=grouping,
    )
