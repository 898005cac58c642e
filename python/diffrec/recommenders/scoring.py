"""Scores of all or some items for many people, written out a block of users at a time."""

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from diffrec._tensors import Array, on_host, rows_like, tensor_of, without_gradients
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
