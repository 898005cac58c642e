"""What stands beside the ids of an interaction: when it was, and how much it counts."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffrec.data._columns import text_times

#: Of what values can be.
_LARGEST = np.finfo(np.float32).max


def times_of(timestamp: ArrayLike) -> NDArray[np.float64]:
    """Return numbers as they are, and datetimes or ISO 8601 text as seconds since the epoch (UTC unless they say)."""
    times = np.asarray(timestamp)
    if times.ndim != 1:
        raise ValueError(f"timestamp must be one-dimensional, not of shape {times.shape}")
    if times.dtype.kind == "M":
        # Microseconds: nanoseconds since the epoch do not fit into a float64 exactly.
        seconds: NDArray[np.float64] = times.astype("datetime64[us]").astype(np.int64) / 1e6
        seconds[np.isnat(times)] = np.nan
        made = seconds
    elif times.dtype.kind == "U":
        made = text_times(times.tolist(), lambda row: f"timestamp[{row}]")
    elif times.dtype.kind == "O" and all(isinstance(one, date) for one in times):
        made = np.array([_seconds(one) for one in times], dtype=np.float64)
    elif times.dtype.kind in "iuf" or not len(times):
        made = times.astype(np.float64)
    else:
        raise ValueError(f"timestamp must hold numbers, datetimes or ISO 8601 text, not {times.dtype}")
    require_finite(made, "timestamp")
    return made


def moment_of(name: str, moment: float | date | str) -> float:
    """Return one time as ``times_of`` reads many, or raise naming the argument.

    Examples
    --------
    >>> moment_of("now", "1970-01-02")
    86400.0
    """
    if isinstance(moment, bool) or not isinstance(moment, date | str | int | float | np.generic):
        raise TypeError(f"{name} must be seconds since the epoch, a datetime or ISO 8601 text, got {moment!r}")
    try:
        return float(times_of(np.array([moment]))[0])
    except ValueError:
        raise ValueError(
            f"{name} must be seconds since the epoch, a datetime or ISO 8601 text, got {moment!r}"
        ) from None


def values_of(value: ArrayLike, *, signed: bool = False) -> NDArray[np.float32]:
    """Return values as float32; none may be not finite or, unless ``signed``, negative."""
    given = np.asarray(value)
    if given.ndim != 1 or (given.dtype.kind not in "biuf" and len(given)):
        raise ValueError(f"value must be a vector of numbers, not {given.dtype} of shape {given.shape}")
    return require_values(given, lambda row: f"value[{row}]", signed=signed)


def require_values(values: NDArray[Any], where: Callable[[int], str], *, signed: bool = False) -> NDArray[np.float32]:
    """Return values as float32, or raise naming ``where(position)`` of the first that is none."""
    with np.errstate(over="ignore", invalid="ignore"):
        made = np.asarray(values).astype(np.float32)
        bad = ~((made >= (-_LARGEST if signed else 0)) & (made < np.inf))
    if bad.any():
        first = int(np.argmax(bad))
        wanted = "values must be finite float32 numbers" + ("" if signed else ", not negative")
        hint = "; negatives='net' takes returns off what was bought, 'drop' leaves them out, 'dislike' keeps them apart"
        raise ValueError(f"{where(first)} is {values[first]}: {wanted}{hint if made[first] < 0 and not signed else ''}")
    return made


def require_finite(times: NDArray[np.float64], argument: str) -> None:
    """Raise naming the first time that is not finite."""
    bad = ~np.isfinite(times)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{argument}[{row}] is {times[row]}: times must be finite")


def _seconds(moment: date) -> float:
    if moment != moment:  # pandas' NaT is a datetime
        return np.nan
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
