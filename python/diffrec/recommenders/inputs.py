"""From what a caller hands over to aligned, checked interactions."""

from typing import Any

import numpy as np
from scipy import sparse

from diffrec.data import Interactions


def as_interactions(data: Any, name: str, *, allow_empty: bool = False) -> Interactions:
    """Take Interactions as they are; make them of a matrix or a frame.

    Raises
    ------
    TypeError
        When ``data`` is none of these.
    """
    if isinstance(data, Interactions):
        if len(data) == 0 and not allow_empty:
            raise ValueError(f"{name} holds no interactions")
        return data
    if sparse.issparse(data) or isinstance(data, np.ndarray):
        return Interactions.from_csr(data, allow_empty=allow_empty)
    if hasattr(data, "columns"):
        return Interactions.from_frame(data)
    raise TypeError(f"{name} must be Interactions, a user x item matrix or a data frame, got {type(data).__name__}")


def align(data: Any, train: Interactions, name: str) -> tuple[Interactions, int]:
    """Bring further interactions onto the rows and columns of ``train``.

    Returns
    -------
    aligned : Interactions
        With the shape of ``train``.
    left_out : int
        How many interactions had a user or item that ``train`` does not know.

    Raises
    ------
    ValueError
        When ``data`` is a matrix of another shape.
    """
    by_id = isinstance(data, Interactions) or hasattr(data, "columns")
    other = as_interactions(data, name)
    if not by_id:
        if other.shape != train.shape:
            raise ValueError(f"{name} must have the shape of the training data, {train.shape}, got {other.shape}")
        return Interactions(other.matrix, other.timestamps, train.users, train.items), 0
    return other.align(train.users, train.items)
