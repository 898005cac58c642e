"""Whether what was exported ranks as the model does."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.data import Interactions, unit_rows
from diffrec.export.inputs import inputs
from diffrec.recommenders import Recommender

#: How far scores may be apart; as a share of them where they are above 1.
TOLERANCE = 1e-4
# Histories that are compared.
_COMPARED = 16

# history (n, length), weights -> items (n, k), scores (n, k)
RunFn = Callable[[NDArray[np.int64], NDArray[np.float32]], tuple[NDArray[np.int64], NDArray[np.float32]]]


def require_agreement(model: Recommender, run: RunFn, k: int, *, exclude_seen: bool) -> None:
    """Compare some training histories' lists with ``model.recommend``.

    Parameters
    ----------
    model : Recommender
        Fitted.
    run : callable
        The exported model.
    k : int
        Length of its lists.
    exclude_seen : bool
        Whether it leaves out what is in a history.

    Raises
    ------
    RuntimeError
        When scores are further apart than ``TOLERANCE``, or items are in another order than scores that far apart
        account for.
    """
    histories = _some_histories(model.train_)
    top = model.recommend(histories, k, exclude_seen=exclude_seen)
    items, scores = run(*inputs(model, histories))
    problem = disagreement(items, scores, top.item_rows, top.scores)
    if problem is not None:
        raise RuntimeError(f"the exported model does not rank as the model does: {problem}")


def _some_histories(train: Interactions) -> Interactions:
    """Histories to compare by; one item each where the model was learnt from files, which keeps nobody's."""
    users, items = train.shape
    if users:
        return train.take(np.unique(np.linspace(0, users - 1, _COMPARED).astype(np.int64)))
    each = unit_rows(np.arange(min(_COMPARED, items)), items)
    return Interactions.from_csr(each, None if train.timestamps is None else each).with_ids(items=train.items)


def disagreement(
    items: NDArray[Any], scores: NDArray[np.float32], expected_items: NDArray[Any], expected_scores: NDArray[np.float32]
) -> str | None:
    """Say where ranked lists (n, k) differ by more than rounding; None where they do not.

    Two lists agree where their scores do and every item has in both a score that agrees: items may change places only
    where their scores are as good as equal.

    Examples
    --------
    >>> items, scores = np.array([[2, 0, 1]]), np.array([[3.0, 1.00001, 1.0]], dtype=np.float32)
    >>> disagreement(np.array([[2, 1, 0]]), scores, items, scores) is None
    True
    >>> disagreement(np.array([[0, 2, 1]]), scores, items, scores)
    'place 1 of list 0 has item 0 with score 3, which scores 1.00001'
    """
    there = np.isfinite(expected_scores)
    if not np.array_equal(there, items >= 0) or not np.array_equal(there, np.isfinite(scores)):
        return "lists end at other places"
    with np.errstate(invalid="ignore"):
        allowed = TOLERANCE * np.maximum(1, np.abs(expected_scores))
        apart = np.where(there, np.abs(scores - expected_scores), 0) > np.where(there, allowed, np.inf)
    for row, place in np.argwhere(apart):
        right = expected_scores[row, place]
        return f"place {place + 1} of list {row} scores {scores[row, place]:g} where {right:g} is right"
    for row, place in np.argwhere((items != expected_items) & there):
        found = np.flatnonzero(expected_items[row] == items[row, place])
        # An item that the right list lacks may have tied with that list's last item.
        right = expected_scores[row, found[0] if len(found) else -1]
        if abs(right - scores[row, place]) > TOLERANCE * max(1, abs(right)):
            known = f"scores {right:g}" if len(found) else f"is not among the {items.shape[1]} best"
            item = f"item {items[row, place]} with score {scores[row, place]:g}"
            return f"place {place + 1} of list {row} has {item}, which {known}"
    return None
