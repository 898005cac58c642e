"""Whom candidates are judged by, and what of their histories is held out."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffrec.data import Csr, Interactions, has_clock, has_order, hold_out
from diffrec.data._csr import Parts
from diffrec.data._reshape import keep
from diffrec.recommenders.rankings import hidden_from, to_find

# Share of each history that is held out while searching: enough that what pays only for the very next interaction does
# not win.
HOLDOUT = 0.2
# How many users at most candidates are judged by.
_JUDGED = 4_000
# What is recommended now is taken soon: where users share a clock, candidates are judged by those whose held-out
# interactions are the newest, this share of them, and at least so many.
_NEWEST, _ENOUGH = 1 / 3, 1_000
# Share of the rows that go on after what is held out, above which that was drawn from all of the time. (Of two events
# drawn, half.)
_GO_ON = 0.25
# Who came once has no before and after. Where so few of the users came twice, by share and by number, what they took
# next is no word for the others.
_RARE, _FEW = 0.05, 500


def parted(train: Interactions, seed: int) -> tuple[Interactions, Interactions]:
    """Part histories into what is learnt from and what is to be found: the newest baskets, or some drawn at random.

    Drawn where there is no order, and where hardly anybody came twice: these have no times then, so that no candidate
    reads an order of the few.
    """
    if has_order(train):
        baskets = train.events.baskets().counts
        twice, users = int((baskets > 1).sum()), int((baskets > 0).sum())
        if twice < min(_FEW, _RARE * users):
            dislikes = None if train.dislike_parts is None else Parts(train.dislike_parts.matrix, None)
            once = Parts(train.matrix, None)
            train = Interactions.of_parts(once, train.users, train.items, train.item_info, dislikes)
    return hold_out(train, HOLDOUT, seed)


def newcomers(train: Interactions) -> tuple[Interactions, Interactions]:
    """Part the data at one moment of the clock: what was known then, and what those took who came afterwards."""
    known, _, later = train.split(by="global-time", valid=0, test=HOLDOUT)
    return known, _of_users(later, np.diff(known.matrix.indptr) == 0)


@dataclass(frozen=True)
class Judged:
    """Users that candidates are judged by.

    Attributes
    ----------
    learn : Interactions
        What candidates are fitted to: what was held out of users that nobody is judged by is in it again.
    valid : Interactions
        What the judged users took later.
    rows : int64 (n,)
        Their rows, rising.
    hidden, relevant : CSR (n, items)
        What is not to be found for each of them, and what is.
    """

    learn: Interactions
    valid: Interactions
    rows: NDArray[np.int64]
    hidden: Csr
    relevant: Csr

    @classmethod
    def of(cls, learn: Interactions, valid: Interactions, repeats: str, seed: int, *, final: bool) -> "Judged":
        """Choose the users.

        Parameters
        ----------
        learn, valid : Interactions
            What candidates may be fitted to, and what they are to find.
        repeats : str
            Whether what a user had before is to be found again; see ``Settings.repeats``.
        seed : int
            Of a draw, where there are more than enough.
        final : bool
            Whether ``learn`` is everything: then nothing is put back.
        """
        relevant = to_find(learn, valid, repeats)
        rows = held = np.flatnonzero(np.diff(relevant.indptr))
        begins = _begins(learn, valid, rows)
        if begins is not None:
            rows = held = _newest(rows, begins)
        if len(rows) > _JUDGED:
            rows = np.sort(np.random.default_rng(seed).choice(rows, _JUDGED, replace=False))
        chosen = np.zeros(learn.shape[0], dtype=np.bool_)
        if not final:
            # What others did before these were asked was known by then; what came at the same time was not.
            chosen[rows if begins is None else held] = True
            learn = learn.merge(_of_users(valid, ~chosen))
            chosen[:] = False
        chosen[rows] = True
        hidden = hidden_from(learn, repeats)[rows]
        return cls(learn, _of_users(valid, chosen), rows, hidden, relevant[rows])


def _of_users(data: Interactions, chosen: NDArray[np.bool_]) -> Interactions:
    """The interactions and dislikes of some of the users, who keep their rows."""
    part, dislikes = data.where(np.repeat(chosen, np.diff(data.matrix.indptr))), data.dislike_parts
    if dislikes is None:
        return part
    return part.with_dislikes(keep(dislikes, np.repeat(chosen, np.diff(dislikes.matrix.indptr))))


def _begins(learn: Interactions, valid: Interactions, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """When what is held out begins in each row, by a clock of all users.

    None without a clock, and where many rows go on after it: a validation part that was drawn from all of the time says
    what it is like to be asked at any moment, not of late.
    """
    past, times = learn.events, valid.events.times
    if past.times is None or times is None or not has_clock(learn.merge(valid)):
        return None
    begins = times[valid.events.indptr[rows]]
    told = rows[np.diff(past.indptr)[rows] > 0]
    goes_on = past.times[past.indptr[told + 1] - 1] > times[valid.events.indptr[told]]
    return None if goes_on.sum() > _GO_ON * len(told) else begins


def _newest(rows: NDArray[np.int64], begins: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rows whose held-out interactions begin last."""
    latest = np.argsort(-begins, kind="stable")[: max(math.ceil(_NEWEST * len(rows)), _ENOUGH)]
    return np.sort(rows[latest])
