"""Limits of what may be recommended: to everyone, and to each user."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import shown
from diffrec.data import Csr, Ids, union
from diffrec.data._csr import assemble
from diffrec.ranking import Scores, top_k, top_k_among
from diffrec.recommenders.guidance import Best
from diffrec.recommenders.histories import say_unknown
from diffrec.training.share import Share

# Item ids, or for each user theirs.
ItemsOrByUser = Iterable[Any] | Mapping[Any, Iterable[Any]] | None


@dataclass(frozen=True)
class Limits:
    """Limits of the items that n users may be recommended.

    Attributes
    ----------
    denied : bool (items,) or None
        What nobody may.
    hidden : scipy.sparse CSR (n, items) or None
        What each may not.
    chosen : scipy.sparse CSR (n, items) or None
        What each may: nothing else is ranked.
    free : bool (n,) or None
        For whom ``chosen`` says nothing; None where it is for everyone.
    """

    denied: NDArray[np.bool_] | None = None
    hidden: "Csr | None" = None
    chosen: "Csr | None" = None
    free: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        items: Ids,
        users: NDArray[Any],
        allow: ItemsOrByUser = None,
        deny: ItemsOrByUser = None,
        candidates: Mapping[Any, Iterable[Any]] | None = None,
        *,
        known: Ids | None = None,
        strict: bool = False,
    ) -> "Limits":
        """Read what ``recommend`` was given.

        Parameters
        ----------
        items : Ids
            The model's.
        users : ndarray (n,)
            Ids of those who are asked about.
        allow, deny, candidates, strict
            As for ``Recommender.recommend``.
        known : Ids, optional
            All users of the model. Where it is given, a limit of somebody else, who is not asked about either, is
            warned of, or refused where ``strict``.

        Raises
        ------
        TypeError
            When ``candidates`` is no mapping.
        ValueError
            When a user has no candidates, nothing is left that is allowed, or an item or a user is unknown, where
            ``strict``.

        Examples
        --------
        >>> limits = Limits.of(Ids(["tea", "milk"]), np.array(["Ann", "Bob"]), deny={"Bob": ["tea"]})
        >>> limits.denied, limits.hidden.toarray().tolist()
        (None, [[0.0, 0.0], [1.0, 0.0]])
        """
        denied = hidden = chosen = free = None
        if isinstance(deny, Mapping):
            hidden = _by_user(items, users, "deny", deny, known, strict)
        elif deny is not None:
            denied = np.zeros(len(items), dtype=np.bool_)
            denied[_known(items, "deny", deny, strict)] = True
        if isinstance(allow, Mapping):
            chosen = _by_user(items, users, "allow", allow, known, strict)
            free = np.array([user not in allow for user in users.tolist()], dtype=np.bool_)
        elif allow is not None:
            allowed = np.zeros(len(items), dtype=np.bool_)
            allowed[_known(items, "allow", allow, strict)] = True
            denied = ~allowed if denied is None else denied | ~allowed
        if candidates is not None:
            if not isinstance(candidates, Mapping):
                raise TypeError(f"candidates must be a mapping of users to items, got {type(candidates).__name__}")
            if chosen is not None:
                raise ValueError("candidates and an allow for each user say the same: give one of them")
            lacking = [user for user in users.tolist() if user not in candidates]
            if lacking:
                raise ValueError(f"candidates must name items for every user, and has none for {shown(lacking[0])}")
            chosen = _by_user(items, users, "candidates", candidates, known, strict)
        return cls(denied, hidden, chosen, free)

    def of_users(self, places: slice) -> "Limits":
        """Return those of some of the n users."""
        hidden, chosen = (None if part is None else part[places] for part in (self.hidden, self.chosen))
        return Limits(self.denied, hidden, chosen, None if self.free is None else self.free[places])

    def of_share(self, share: Share) -> "Limits":
        """Return those of the items that are here, where a model is spread."""
        hidden, chosen = (
            None if part is None else share.columns(part, part.shape[1]) for part in (self.hidden, self.chosen)
        )
        return Limits(None if self.denied is None else share.rows(self.denied), hidden, chosen, self.free)

    def best(self, seen: Csr, k: int) -> Best:
        """Return what finds the best k items of the users' scores, without what is ``seen`` (n, items)."""
        if self.hidden is not None:
            seen = union(seen, self.hidden)
        everything = partial(top_k, k=k, seen=seen, denied=self.denied)
        if self.chosen is None:
            return everything
        among = partial(top_k_among, k=k, chosen=self.chosen, seen=seen, denied=self.denied)
        if self.free is None or not self.free.any():
            return among
        return partial(_either, self.free, everything, among)


NO_LIMITS = Limits()


def _either(
    free: NDArray[np.bool_], everything: Best, among: Best, scores: Scores
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Best items of all there are for the ``free``, of their own for the others."""
    of_all, own = everything(scores), among(scores)
    items, values = (np.where(free[:, None], one, other) for one, other in zip(of_all, own, strict=True))
    return items, values


def _by_user(
    items: Ids,
    users: NDArray[Any],
    argument: str,
    given: Mapping[Any, Iterable[Any]],
    known_users: Ids | None,
    strict: bool,
) -> Csr:
    """The items of each user as cells; a user who is not named has none."""
    _require_ids(argument, given, users)
    if known_users is not None and len(users):
        _require_somebody(argument, given, users, known_users, strict)
    rows, ids = [], []
    for place, user in enumerate(users.tolist()):
        own = listed(argument, given.get(user, ()))
        rows += [place] * len(own)
        ids += own.tolist()
    found = items.find(ids) if ids else np.empty(0, dtype=np.int64)
    known = found >= 0
    if not known.all():
        _say(argument, ids, found, strict)
    cells = np.unique(np.array(rows, dtype=np.int64)[known] * len(items) + found[known])
    owner, item = np.divmod(cells, max(len(items), 1))
    return assemble(owner, item, np.ones(len(cells), dtype=np.float32), None, (len(users), len(items)))[0]


def _require_ids(argument: str, given: Mapping[Any, Iterable[Any]], users: NDArray[Any]) -> None:
    """Refuse row numbers where ids are text, and the like: they would be nobody's, and limit nothing."""
    text = users.dtype.kind == "U"
    strange = [user for user in given if isinstance(user, str) != text] if len(users) else []
    if strange:
        kind = "text" if text else "numbers"
        raise TypeError(f"{argument} must name users by their ids, which are {kind}, got {shown(strange[0])}")


def _require_somebody(argument: str, given: Mapping[Any, Any], users: NDArray[Any], known: Ids, strict: bool) -> None:
    """Say which names are nobody's: neither of those asked about nor known; such a limit limits nothing."""
    asked = set(users.tolist())
    others = [name for name in given if name not in asked]
    try:
        rows = known.find(others)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{argument} must name users by their ids: {error}") from None
    strange = [name for name, row in zip(others, rows.tolist(), strict=True) if row < 0]
    if strange:
        say_unknown(argument, strange[0], f"{len(strange):,} of {len(given):,} users are ones", strict)


def _known(items: Ids, argument: str, given: Iterable[Any], strict: bool) -> NDArray[np.int64]:
    """Rows of the items that the model knows."""
    ids = listed(argument, given)
    if len(ids) == 0:
        return np.empty(0, dtype=np.int64)
    found = items.find(ids)
    if (found < 0).all() and argument == "allow":
        raise ValueError(
            f"allow names no item that the model knows, such as {shown(items[0])}; got {shown(ids[0].item())}"
        )
    if (found < 0).any():
        _say(argument, ids, found, strict)
    return found[found >= 0]


def listed(argument: str, ids: Any) -> NDArray[Any]:
    """One id, or a column or sequence of them, as an array."""
    if isinstance(ids, str | int) or hasattr(ids, "__array__"):
        return np.atleast_1d(np.asarray(ids))
    if isinstance(ids, bytes) or not isinstance(ids, Iterable):
        raise TypeError(f"{argument} must hold item ids, got {shown(ids)}")
    try:
        return np.array(list(ids))
    except ValueError:
        raise ValueError(f"{argument} must hold item ids one after the other, got lists of several lengths") from None


def _say(argument: str, ids: Any, found: NDArray[np.int64], strict: bool) -> None:
    strange = np.asarray(ids)[found < 0]
    say_unknown(argument, strange[0].item(), f"{len(strange):,} of {len(ids):,} items are ones", strict)


def require_for_all(**given: Any) -> None:
    """Refuse items by user where a limit is the same for all of them.

    Raises
    ------
    TypeError
        Naming the argument.
    """
    for name, items in given.items():
        if isinstance(items, Mapping):
            raise TypeError(f"{name} must be item ids, the same for all users, got a mapping")
