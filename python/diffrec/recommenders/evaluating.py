"""How well a model predicts what its users took later; of histories in files a block of users at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from diffrec.data import empty_like, union, without
from diffrec.data.streamed import ParquetInteractions, streamed
from diffrec.evaluation import By, Catalogue, Grouping, Report
from diffrec.recommenders.histories import align
from diffrec.recommenders.rankings import measured

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender


def evaluated(
    model: "Recommender", test: Any, seen: Any, exclude_seen: bool, k: Sequence[int], by: By, bins: int
) -> Report:
    """Measure a fitted model; see ``Recommender.evaluate``."""
    report = _report(model, test, seen, exclude_seen, k, by, bins)
    return replace(report, question="discover" if exclude_seen else "next basket")


def _report(
    model: "Recommender", test: Any, seen: Any, exclude_seen: bool, k: Sequence[int], by: By, bins: int
) -> Report:
    train = model._fitted().train_
    if streamed(test, "test") is not None:
        if seen is not None or by is not None:
            raise ValueError("seen and by are for interactions in memory, and test is in files")
        return evaluate_files(model, test, exclude_seen, k)
    grouping = Grouping.of(train, by, bins)
    relevant, left_out = align(test, train, "test")
    hidden = train.matrix
    if not exclude_seen:
        if seen is not None:
            raise ValueError("seen names what is not to be ranked, and with exclude_seen=False everything is")
        hidden = empty_like(hidden)
    elif seen is not None:
        hidden = union(hidden, align(seen, train, "seen")[0].matrix)
    return measured(model, train, relevant, hidden, k, left_out, Catalogue(train.matrix), grouping)


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
