"""From what a caller hands over to aligned, checked interactions."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch.utils.dlpack import from_dlpack

from diffrec.data import Ids, Interactions
from diffrec.data.frames import is_frame


def as_interactions(data: Any, name: str, *, allow_empty: bool = False) -> Interactions:
    """Take Interactions as they are; make them of a frame or a matrix (SciPy, NumPy, torch, or DLPack).

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
    if is_frame(data):
        try:
            return Interactions.from_frame(data)
        except ValueError as error:
            raise ValueError(
                f"{name}: {error}; columns are named in Interactions.from_frame(frame, user=, item=)"
            ) from None
    if hasattr(data, "__dlpack__"):
        return Interactions.from_csr(_matrix(data), allow_empty=allow_empty)
    raise TypeError(f"{name} must be Interactions, a user x item matrix or a data frame, got {type(data).__name__}")


def _matrix(tensor: Any) -> Any:
    """A tensor of any library as a matrix of SciPy or NumPy."""
    if isinstance(tensor, torch.Tensor) and tensor.layout is not torch.strided:
        entries = tensor.detach().cpu().to_sparse().coalesce()
        return sparse.coo_array(
            (entries.values().numpy(), tuple(entries.indices().numpy())), shape=tuple(entries.shape)
        )
    strided = tensor.detach() if isinstance(tensor, torch.Tensor) else from_dlpack(tensor)
    return strided.cpu().numpy()


def is_histories(users: Any) -> bool:
    """Whether ``users`` holds histories of people, not the ids of some."""
    return (
        isinstance(users, Interactions)
        or sparse.issparse(users)
        or is_frame(users)
        or (hasattr(users, "__dlpack__") and getattr(users, "ndim", 1) == 2)
    )


def fold_in(users: Any, items: Ids) -> Interactions:
    """Histories of people the model never saw, over the model's items."""
    histories = as_interactions(users, "users", allow_empty=True)
    if isinstance(users, Interactions) or is_frame(users):
        known, left_out = histories.align(histories.users, items)
        if left_out:
            unknown = histories.items.ids[items.find(histories.items) < 0]
            raise ValueError(f"users holds histories with unknown item {unknown[0].item()!r}")
        return known
    if histories.shape[1] != len(items):
        raise ValueError(f"users must have {len(items)} columns, one per item, got shape {histories.shape}")
    return histories.with_ids(items=items)


def user_rows(users: Any, ids: Ids) -> NDArray[np.int64]:
    """Rows of users given by id, or by row number where the ids are strings."""
    wanted = np.atleast_1d(np.asarray(users))
    if wanted.ndim != 1:
        raise ValueError(f"users must be a sequence of ids, got an array of shape {wanted.shape}")
    if wanted.dtype.kind in "iu" and ids.ids.dtype.kind == "U":
        outside = (wanted < 0) | (wanted >= len(ids))
        if outside.any():
            raise ValueError(f"users holds row {wanted[np.argmax(outside)]}; rows lie in [0, {len(ids)})")
        return wanted.astype(np.int64)
    return ids.rows(users)


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
    by_id = isinstance(data, Interactions) or is_frame(data)
    other = as_interactions(data, name)
    if not by_id:
        if other.shape != train.shape:
            raise ValueError(f"{name} must have the shape of the training data, {train.shape}, got {other.shape}")
        return other.with_ids(train.users, train.items), 0
    return other.align(train.users, train.items)
