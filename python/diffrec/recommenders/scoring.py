"""Scores of many people, and vectors whose inner products they are, a block of users at a time."""

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffrec._tensors import Array, on_host, rows_like, tensor_of, without_gradients
from diffrec.data import Interactions, empty_matrix
from diffrec.ranking import Factors
from diffrec.recommenders.histories import fold_in
from diffrec.recommenders.rankings import blocks_of

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender


def scores_of(
    model: "Recommender", users: Any, items: Any, now: float | date | str | None, *, as_tensor: bool
) -> Array:
    """Score every item, or some, for each user; see ``Recommender.score``."""
    model._share.require_whole("score")
    histories, rows, _ = model._histories(users)
    columns = None if items is None else model.train_.items.rows(items)
    distinct, place = np.unique(rows, return_inverse=True)
    histories = model._as_of(histories, now, distinct)
    taken = tensor_of if as_tensor else on_host
    out: Any = None
    for where, rows_of_block in blocks_of(distinct):
        with without_gradients():
            block = model._scores_of(histories, rows_of_block).block(0, model._n_items)
        block = taken(block if columns is None else block[:, columns])
        if len(block) == len(distinct):
            out = block  # nothing to put it together with: handed on as it is
            break
        if out is None:
            out = rows_like(block, len(distinct))
        out[where] = block
    if out is None:
        out = taken(np.empty((0, model._n_items if columns is None else len(columns)), dtype=np.float32))
    if len(rows) != len(distinct) or np.any(np.diff(place) < 0):
        out = out[place]
    return out  # type: ignore[no-any-return]


def factors_of(model: "Recommender", histories: Interactions, rows: NDArray[np.int64]) -> Factors:
    """Vectors of some rows of histories and of all items.

    Raises
    ------
    TypeError
        When the model's scores are no inner products, naming its variant.
    """
    factors = model._scores_of(histories, rows).factors()
    if factors is None:
        raise TypeError(
            f"{model.variant} has no vectors of users and items: its scores are no inner products, here of {model!r}"
        )
    return factors


def item_vectors_of(model: "Recommender") -> NDArray[np.float32]:
    """The items' vectors, (items, width)."""
    # They are the same whoever is scored, such as somebody without a history: a model from files keeps no others.
    nobody = fold_in(empty_matrix(1, model._n_items), model.train_.items)
    return factors_of(model, nobody, np.zeros(1, dtype=np.int64)).items


def user_vectors_of(model: "Recommender", users: Any) -> NDArray[np.float32]:
    """Vectors of n users, (n, width), scored a block of them at a time."""
    histories, rows, _ = model._histories(users)
    if not len(rows):
        return np.empty((0, item_vectors_of(model).shape[1]), dtype=np.float32)
    distinct, place = np.unique(rows, return_inverse=True)
    parts = [factors_of(model, histories, block).users for _, block in blocks_of(distinct)]
    found: NDArray[np.float32] = np.concatenate(parts)[place]
    return found
