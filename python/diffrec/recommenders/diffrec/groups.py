"""Item embeddings for L-DiffRec, and the groups that k-means finds in them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import svds
from torch import Tensor

from diffrec.checks import nearest
from diffrec.data import Interactions, users_per_item, with_values
from diffrec.latent.kmeans import kmeans
from diffrec.recommenders.updating import Start

# What items are embedded by when no embeddings are given.
LEARNT_EMBEDDINGS = ("svd", "lightgcn")
WIDTH = 64


def embeddings(name: str, value: Any) -> Any:
    """Accept None, the name of a way to learn embeddings, or a finite array (items, width)."""
    if value is None:
        return None
    if isinstance(value, str):
        if value not in LEARNT_EMBEDDINGS:
            names = ", ".join(map(repr, LEARNT_EMBEDDINGS))
            raise ValueError(f"{name} must be {names} or an array, got {value!r}{nearest(value, LEARNT_EMBEDDINGS)}")
        return value
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "iuf" or array.shape[1] == 0:
        raise ValueError(f"{name} must be numbers of shape (items, width), got {array.dtype} of shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return value


def svd_embeddings(data: Interactions, width: int = WIDTH, seed: int = 0) -> NDArray[np.float32]:
    """Embed items by the leading right singular vectors of the normalised matrix.

    Each interaction counts 1 / sqrt(user's interactions * item's interactions), as in one propagation of LightGCN; an
    item is its row of V, scaled by the singular values.

    Parameters
    ----------
    data : Interactions
        The training data.
    width : int
        Length of an embedding; fewer where the matrix has no more.
    seed : int
        Of the start vector.

    Returns
    -------
    ndarray
        float32 (items, width).
    """
    matrix = data.matrix
    users, items = matrix.shape
    width = min(width, users - 1, items - 1)
    if width < 1:
        return np.ones((items, 1), dtype=np.float32)
    per_user = np.diff(matrix.indptr)
    per_item = users_per_item(matrix)
    values = 1.0 / np.sqrt(np.repeat(per_user, per_user) * per_item[matrix.indices])
    normalised = with_values(matrix, values)
    start = np.random.default_rng(seed).standard_normal(min(users, items))
    _, singular, right = svds(normalised, k=width, v0=start)
    return np.ascontiguousarray((singular[:, None] * right).T, dtype=np.float32)


def check_groups(groups: int, items: int) -> None:
    """Refuse more groups than items."""
    if groups > items:
        raise ValueError(f"groups must be at most the number of items, {items}, got {groups}")


def require_used(group_of_item: Tensor, groups: int) -> None:
    """Refuse a group without items; ``group_of_item`` is int64 (items,), each below ``groups``."""
    sizes = torch.bincount(group_of_item, minlength=groups)
    if not bool((sizes > 0).all()):
        raise ValueError(f"group {int(sizes.argmin())} of the items has none")


def group_items(
    data: Interactions,
    groups: int,
    item_embeddings: Any,
    *,
    balance: float | None = None,
    seed: int,
    **training: Any,
) -> Tensor:
    """Cluster the items by their embeddings.

    Parameters
    ----------
    data : Interactions
        The training data, from which embeddings are learnt where none are given.
    groups : int
        How many clusters.
    item_embeddings : None, str or ndarray (items, width)
        See ``DiffRecSettings.item_embeddings``.
    balance : float, optional
        The largest group may hold at most this multiple of the mean: an encoder's size grows with the square of its
        group's, so that one huge group would undo what grouping saves.
    seed : int
        Of the embeddings and of k-means.
    **training
        Settings that embeddings are trained with, where they are: ``device``, ``deterministic``.

    Returns
    -------
    Tensor
        int64 (items,), the group of each item.

    Raises
    ------
    ValueError
        When there are more groups than items, or the embeddings are of another number of items.
    """
    items = data.shape[1]
    check_groups(groups, items)
    if groups == 1:
        return torch.zeros(items, dtype=torch.int64)
    clusters = kmeans(embed_items(data, item_embeddings, seed, **training), groups, balance=balance, seed=seed)
    return torch.from_numpy(clusters.labels.astype(np.int64))


def grown_groups(of_item: NDArray[np.int64], start: Start) -> NDArray[np.int64]:
    """Put new items into the groups that there are: those of the items that they are most like.

    Parameters
    ----------
    of_item : int64 (model's items,)
        The groups in the model that a fit begins at.
    start : Start
        What is known of the items.

    Returns
    -------
    ndarray
        int64 (items,), the group of each item; of what is like none, the smallest.
    """
    sizes = np.bincount(of_item)
    votes = np.stack([start.likeness @ (of_item == group) for group in range(len(sizes))], axis=1)
    chosen = np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), sizes.argmin())
    groups = of_item[start.items]
    groups[start.items < 0] = chosen
    return groups


def embed_items(data: Interactions, item_embeddings: Any, seed: int, **training: Any) -> NDArray[np.float32]:
    """Return the vectors that items are grouped by, float32 (items, width); parameters as of ``group_items``."""
    if item_embeddings is None or (isinstance(item_embeddings, str) and item_embeddings == "svd"):
        return svd_embeddings(data, seed=seed)
    if isinstance(item_embeddings, str):
        from diffrec.recommenders.rivals.lightgcn import LightGCN

        model = LightGCN(seed=seed, progress=False, **training).fit(data)
        return model._item_vectors().cpu().numpy()
    array = np.ascontiguousarray(item_embeddings, dtype=np.float32)
    if len(array) != data.shape[1]:
        raise ValueError(f"item_embeddings must have a row per item, {data.shape[1]}, got shape {array.shape}")
    return array
