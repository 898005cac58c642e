"""Whose histories are to be scored, and what a model reads of them: from what a caller hands over to aligned rows."""

import warnings
from dataclasses import dataclass
from datetime import timedelta
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec.checks import shown
from diffrec.data import Csr, Decay, Ids, Interactions, binary, time_weights
from diffrec.data._encode import encode
from diffrec.data._table import is_table
from diffrec.data.time_weights import require_clock


@dataclass(frozen=True)
class Ageing:
    """Weights by age; see ``diffrec.data.time_weights``; ``asked_by`` is the setting that asks, and its value."""

    kind: Decay
    w_min: float
    w_max: float
    half_life: float | timedelta
    asked_by: str

    def __str__(self) -> str:
        named = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("w_min", "w_max", "half_life"))
        return f"the weights by age of diffrec.data.time_weights(history, {self.kind!r}, {named})"


@dataclass(frozen=True)
class Reading:
    """A model's reading of each item of a history: the weights that it gives the item.

    Attributes
    ----------
    meaning : str
        The weights, in words.
    values : bool
        Whether the interactions' values are part of them.
    views : int, optional
        Weights for each item; None for one, without an axis of its own.
    ageing : Ageing, optional
        Weights by age that are part of them.
    by_clock : bool
        Whether an age is a time by the clock, which the moment of serving changes.
    """

    meaning: str = "1 for every item"
    values: bool = False
    views: int | None = None
    ageing: Ageing | None = None
    by_clock: bool = False

    @classmethod
    def of(cls, *, values: bool, ageing: Ageing | None = None) -> "Reading":
        """Read one weight for each item: the value of the interaction, or 1, times its weight by age."""
        own = VALUES if values else cls()
        if ageing is None:
            return own
        meaning = f"{own.meaning}; times {ageing}" if values else str(ageing)
        return cls(meaning, values, ageing=ageing, by_clock=isinstance(ageing.half_life, timedelta))

    def require_times(self, block: Interactions) -> None:
        """Refuse histories without times where age counts, by the setting that has it count."""
        if self.ageing is not None and len(block):
            require_clock(block, self.ageing.asked_by)

    def weights(self, block: Interactions) -> Csr:
        """The weights of n histories, (n, items), where there is one for each item.

        Raises
        ------
        ValueError
            When age counts and the interactions have no timestamps.
        """
        own = block.matrix if self.values else binary(block.matrix)
        self.require_times(block)
        ageing = self.ageing
        if ageing is None or len(block) == 0:
            return own
        aged = time_weights(block, ageing.kind, w_min=ageing.w_min, w_max=ageing.w_max, half_life=ageing.half_life)
        return sparse.csr_array((own.data * aged.data, own.indices, own.indptr), shape=own.shape)


# Frames between a warning and the caller of a public method, about: it is shown with a line of the caller's.
_OUTSIDE = 6
_HAND_OVER = "hand over the histories of those to recommend to, as Interactions"
VALUES = Reading("the value of each interaction, such as a count or a rating; 1 where the model learnt from none", True)


@dataclass(frozen=True)
class Asked:
    """Who is asked about: histories over the model's items, and whose rows are wanted in them.

    Attributes
    ----------
    histories : Interactions
        What the model was fitted on, or those of people it never saw.
    rows : int64 (n,)
        Their rows; below 0, each another number, for people unknown, who get what is popular.
    ids : ndarray (n,)
        Their ids.
    """

    histories: Interactions
    rows: NDArray[np.int64]
    ids: NDArray[Any]

    @classmethod
    def of(cls, users: Any, train: Interactions, *, unknown: str = "error", strict: bool = False) -> "Asked":
        """Find the histories to score.

        Parameters
        ----------
        users
            As for ``Recommender.recommend``.
        train : Interactions
            What the model was fitted on.
        unknown : {"error", "skip", "popular"}
            What becomes of ids that the model does not know.
        strict : bool
            Refuse histories with items that the model does not know, instead of leaving these items out.
        """
        if users is None:
            return cls(train, np.arange(train.shape[0], dtype=np.int64), train.users.ids)
        if is_histories(users):
            strangers = fold_in(users, train.items, strict=strict)
            return cls(strangers, np.arange(strangers.shape[0], dtype=np.int64), strangers.users.ids)
        if unknown == "error":
            rows = user_rows(users, learnt_from(train, _HAND_OVER).users)
            return cls(train, rows, train.users.ids[rows])
        distinct, codes = encode(_listed(users), "user")
        wanted = distinct[codes]
        rows = _found(wanted, train.users)
        if unknown == "skip":
            rows = rows[rows >= 0]
            return cls(train, rows, train.users.ids[rows])
        strange = rows < 0
        # Numbers and text may meet here: row numbers beyond the rows, where ids are text.
        ids = wanted.astype(np.result_type(wanted, train.users.ids), copy=True)
        ids[~strange] = train.users.ids[rows[~strange]]
        rows[strange] = -1 - np.arange(np.sum(strange))
        return cls(train, rows, ids)


def learnt_from(train: Interactions, instead: str) -> Interactions:
    """Return the histories that a model was fitted on, if it keeps them.

    Raises
    ------
    ValueError
        When it keeps none, as it learnt from files; ``instead`` says who needs them or what to do.
    """
    if not len(train.users):
        raise ValueError(
            f"this model keeps no histories of the users it learnt from, for they were in files: {instead}"
        )
    return train


def as_interactions(data: Any, name: str, *, allow_empty: bool = False) -> Interactions:
    """Take Interactions as they are; make them of a table or a matrix (SciPy, NumPy, torch, or DLPack).

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
        return _of_matrix(data, name, allow_empty)
    if is_table(data):
        try:
            return Interactions.from_frame(data)
        except (ValueError, TypeError) as error:
            named = "columns are named in Interactions.from_frame(frame, user=, item=)"
            if name == "users":
                named += "; users that the model knows are named by their ids alone, without a frame around them"
            raise _kind(error)(f"{name}: {error}; {named}") from None
    if hasattr(data, "__dlpack__"):
        return _of_matrix(data, name, allow_empty)
    raise TypeError(
        f"{name} must be Interactions, a user x item matrix, a data frame, a Hugging Face data set or a mapping of "
        f"columns, got {type(data).__name__}{_instead_of(data)}"
    )


def _instead_of(data: Any) -> str:
    """Say what to make of a path, and of lists."""
    if isinstance(data, str | PathLike):
        return f": read a file by Interactions.read({str(data)!r})"
    if isinstance(data, list | tuple):
        return ": of columns make Interactions.from_arrays(users, items), of rows a matrix, numpy.array(rows)"
    return ""


def _of_matrix(matrix: Any, name: str, allow_empty: bool) -> Interactions:
    try:
        return Interactions.from_csr(matrix, allow_empty=allow_empty)
    except (ValueError, TypeError) as error:
        raise _kind(error)(f"{name}: {error}") from None


def _kind(error: Exception) -> type[Exception]:
    return TypeError if isinstance(error, TypeError) else ValueError


def is_histories(users: Any) -> bool:
    """Whether ``users`` holds histories of people, not the ids of some."""
    return (
        isinstance(users, Interactions)
        or sparse.issparse(users)
        or is_table(users)
        or (hasattr(users, "__dlpack__") and getattr(users, "ndim", 1) == 2)
    )


def fold_in(users: Any, items: Ids, *, strict: bool = False) -> Interactions:
    """Put histories of people the model never saw on the model's items.

    Items that the model does not know are left out with one warning that counts them, or refused where ``strict``.
    """
    histories = as_interactions(users, "users", allow_empty=True)
    if histories.items.are(items):
        return histories
    if isinstance(users, Interactions) or is_table(users):
        known, left_out = histories.align(histories.users, items)
        if left_out:
            strange = histories.items.ids[items.find(histories.items) < 0]
            say_unknown(
                "users", strange[0].item(), f"{left_out:,} of {len(histories):,} interactions are with items", strict
            )
        return known.as_of(histories.now)
    if histories.shape[1] != len(items):
        raise ValueError(f"users must have {len(items)} columns, one per item, got shape {histories.shape}")
    return histories.with_ids(items=items)


def say_unknown(argument: str, first: object, counted: str, strict: bool) -> None:
    """Warn once of items or users that the model does not know, by the first of them, or refuse them.

    Raises
    ------
    ValueError
        Where ``strict``.
    """
    text = f"{argument}: {counted} that the model does not know, such as {shown(first)}"
    if strict:
        raise ValueError(text)
    warnings.warn(f"{text}: left out", stacklevel=_OUTSIDE)


def user_rows(users: Any, ids: Ids) -> NDArray[np.int64]:
    """Rows of users given by id, or by row number where the ids are strings."""
    wanted = _listed(users)
    if not _are_rows(wanted, ids):
        return ids.rows(users)
    rows = _found(wanted, ids)
    if (rows < 0).any():
        raise ValueError(f"users holds row {wanted[np.argmax(rows < 0)]}; rows lie in [0, {len(ids)})")
    return rows


def _listed(users: Any) -> NDArray[Any]:
    wanted = np.atleast_1d(np.asarray(users))
    if wanted.ndim != 1:
        raise ValueError(f"users must be a sequence of ids, got an array of shape {wanted.shape}")
    return wanted


def _are_rows(wanted: NDArray[Any], ids: Ids) -> bool:
    """Whether users are given by row number: integers, where the ids are strings."""
    return wanted.dtype.kind in "iu" and ids.ids.dtype.kind == "U"


def _found(wanted: NDArray[Any], ids: Ids) -> NDArray[np.int64]:
    """Rows of users given by id or row number, -1 where there is no such user."""
    if not _are_rows(wanted, ids):
        return ids.find(wanted)
    return np.where((wanted >= 0) & (wanted < len(ids)), wanted, -1).astype(np.int64)


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
    by_id = isinstance(data, Interactions) or is_table(data)
    other = as_interactions(data, name)
    if not by_id:
        if other.shape != train.shape:
            raise ValueError(f"{name} must have the shape of the training data, {train.shape}, got {other.shape}")
        return other.with_ids(train.users, train.items), 0
    return other.align(train.users, train.items)


def validation_part(valid: Any, train: Interactions) -> Interactions:
    """Bring a validation part onto the rows and columns of ``train``, of which it must hold something.

    Raises
    ------
    ValueError
        When it holds nothing of a known user and item.
    """
    aligned, _ = align(valid, train, "valid")
    if len(aligned) == 0:
        raise ValueError("valid must hold an interaction of a user and an item of the data, got none")
    return aligned
