"""Evaluation of histories in files: users do not depend on each other, so a block of them is measured at a time."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from os import PathLike
from typing import Any

import numpy as np

from diffrec.data import empty_like, union, without
from diffrec.data.streamed import ParquetInteractions
from diffrec.evaluation import Report
from diffrec.recommenders.rankings import measured


def reports_of(
    model: Any,
    train: ParquetInteractions,
    later: ParquetInteractions,
    masked: Sequence[ParquetInteractions],
    exclude_seen: bool,
    k: Sequence[int],
) -> Iterator[Report]:
    """Measure a block of users after another.

    Parameters
    ----------
    model : Recommender
        Fitted.
    train, later : ParquetInteractions
        The histories, and what is to be predicted.
    masked : sequence of ParquetInteractions
        What is not to be ranked besides the histories.
    exclude_seen : bool
        Whether what is in a history may not be recommended.
    k : sequence of int
        Cuts.
    """
    for start, stop in pairwise(train.bounds.tolist()):
        seen, relevant = train.users(start, stop), later.users(start, stop)
        hidden = seen.matrix if exclude_seen else empty_like(seen.matrix)
        if exclude_seen:
            for part in masked:
                hidden = union(hidden, part.users(start, stop).matrix)
        if without(relevant.matrix, hidden).nnz:
            yield measured(model, seen, relevant, hidden, k)


def evaluate_files(
    model: Any, test: str | PathLike[str] | ParquetInteractions, exclude_seen: bool, k: Sequence[int]
) -> Report:
    """Measure how well the test part of a folder is predicted from its train part; see ``Recommender.evaluate``."""
    later = test if isinstance(test, ParquetInteractions) else ParquetInteractions(test, "test")
    train, valid = (ParquetInteractions(later.path, part) for part in ("train", "valid"))
    if later.part == "train":
        raise ValueError("test must be a part that comes after train, got train itself")
    if later.items != model.train_.items:
        raise ValueError("test must be of the model's items, as the folder that it was fitted on is")
    masked = [valid] if later.part == "test" else []
    reports = list(reports_of(model, train, later, masked, exclude_seen, k))
    if not reports:
        raise ValueError("test must hold an interaction of a user with a history and an item new to them, got none")
    per_user = {name: np.concatenate([one.per_user[name] for one in reports]) for name in reports[0].per_user}
    users = np.concatenate([one.users for one in reports])
    return Report(
        means={name: float(values.mean()) for name, values in per_user.items()},
        per_user=per_user,
        users=users,
        ranked=np.concatenate([one.ranked for one in reports]),
        users_without_relevant=train.shape[0] - len(users),
        repeats_left_out=sum(one.repeats_left_out for one in reports),
    )
