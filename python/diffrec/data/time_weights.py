"""Weights of interactions by their age in the user's history."""

from datetime import timedelta
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from diffrec import _core
from diffrec.checks import age, one_of, real, shown
from diffrec.data._csr import Csr, canonical
from diffrec.data.interactions import Interactions

Decay = Literal["linear", "exponential", "power"]


def time_weights(
    data: Interactions,
    kind: Decay = "linear",
    *,
    w_min: float = 0.1,
    w_max: float = 1.0,
    half_life: float | str | timedelta | np.timedelta64 | None = None,
) -> Csr:
    """Weigh each user's interactions by their age.

    The age of an interaction is the number of the user's newer baskets (distinct times) or, where ``half_life``
    is a ``timedelta``, the time from it to the user's newest one, or to ``data.now`` where that is set. A pair that
    repeats is as old as its newest event.

    Parameters
    ----------
    data
        Interactions with timestamps; in seconds if ``half_life`` is a ``timedelta``.
    kind
        ``"linear"``: from ``w_max`` for the newest down to ``w_min`` for the oldest, the weights of T-DiffRec
        (Wang et al., 2023, eq. 11). ``"exponential"``: ``w_min + (w_max - w_min) * 2 ** (-age / half_life)``.
        ``"power"``: ``w_min + (w_max - w_min) / (1 + age / half_life)``.
    w_min, w_max
        The weights' range, ``0 <= w_min <= w_max``.
    half_life
        Age at which half of the fall is done: a number of baskets, or clock time as a ``timedelta`` or ``"30d"``.
        ``"linear"`` needs none; a ``timedelta`` of any length makes it linear in clock time.

    Returns
    -------
    scipy.sparse.csr_array
        The weights as float32, with the pattern of ``data.matrix`` (a weight of 0 stays stored).

    Raises
    ------
    ValueError
        If there are no timestamps, ``kind`` is unknown, a number lies outside its range, or ``data.now`` is before an
        event.

    Examples
    --------
    >>> from diffrec.data import Interactions, time_weights
    >>> heard = Interactions.from_arrays([0, 0, 0], [0, 1, 2], timestamp=[30, 10, 20])
    >>> time_weights(heard, "exponential", w_min=0, half_life=1).toarray()
    array([[1.  , 0.25, 0.5 ]], dtype=float32)
    """
    one_of(get_args(Decay))("kind", kind)
    w_max = real(0)("w_max", w_max)
    w_min = real(0, w_max)("w_min", w_min)
    half_life = None if half_life is None else age("half_life", half_life)
    clock = isinstance(half_life, timedelta)
    length = half_life.total_seconds() if isinstance(half_life, timedelta) else half_life
    if length is None:
        if kind != "linear":
            raise ValueError(f"kind={kind!r} needs a half_life: a number of baskets or a timedelta")
        length = 1.0
    times = require_clock(data, f"a weight by age (kind={kind!r})")
    events = data.events if data.n_events > len(data) else None
    indptr = data.matrix.indptr.astype(np.int64) if events is None else events.indptr
    times = times if events is None or events.times is None else events.times

    def weigh(indptr: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.float32]:
        return _core.time_weights(indptr, times, kind, w_min, w_max, float(length), clock=clock)

    if clock and data.now is not None:
        require_past(data)
        # Now is one more event of every user, the newest, whose own weight is not wanted.
        last = np.insert(times, indptr[1:], data.now)
        longer = indptr + np.arange(len(indptr))
        weights = np.delete(weigh(longer, last), longer[1:] - 1)
    else:
        weights = weigh(indptr, times)
    if events is not None:
        of_events, weights = weights, np.empty(len(data), dtype=np.float32)
        # Of a cell's events the newest comes last, and what is written last stays.
        weights[data.cells_of_events()] = of_events
    return canonical(data.matrix.indptr.astype(np.int64), data.matrix.indices, weights, data.shape)


def require_clock(data: Interactions, what: str, instead: str = "") -> NDArray[np.float64]:
    """Return the times of interactions, (nnz,), or refuse those that have none: ``what`` needs them.

    Raises
    ------
    ValueError
        If there are no timestamps; ``instead`` is said behind it.
    """
    if data.timestamps is None:
        raise ValueError(f"{what} needs timestamps, and these interactions have none{instead}")
    return data.timestamps


def require_past(data: Interactions) -> None:
    """Refuse interactions that are looked at from a moment before one of them, naming its user."""
    if data.now is None or data.timestamps is None or not len(data):
        return
    newest = int(np.argmax(data.timestamps))
    if data.timestamps[newest] > data.now:
        user = np.searchsorted(data.matrix.indptr, newest, side="right") - 1
        raise ValueError(
            f"now={data.now:.10g} is before the newest event of user {shown(data.users[user])}, at "
            f"{data.timestamps[newest]:.10g}: ages are counted from now, and cannot be below 0"
        )
