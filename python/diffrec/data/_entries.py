"""Times and values of interactions: when each was, and how much it counts."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffrec.checks import shown
from diffrec.data._times import in_seconds, times_of_text, unit_notes

#: Of what values can be.
_LARGEST = np.finfo(np.float32).max


def times_of(timestamp: ArrayLike, where: Callable[[int], str] | None = None) -> NDArray[np.float64]:
    """Return datetimes, text and numbers as seconds since the epoch (UTC unless they say), as :func:`read_times` does.

    ``where(position)`` names one that is none.

    Raises
    ------
    ValueError
        If one is no time or not finite.
    """
    return require_times(np.asarray(timestamp), where).seconds


class TimesRead(NamedTuple):
    """Times in seconds since the epoch, NaN for what is none; what was done to them, and what one should be."""

    seconds: NDArray[np.float64]
    notes: list[str]
    wanted: str = "time"


def read_times(times: NDArray[Any], name: str, dayfirst: bool | None = None) -> TimesRead:
    """Read a vector of datetimes, text or numbers.

    Numbers are seconds where they may be, else milliseconds, microseconds or nanoseconds; see ``in_seconds``.

    Raises
    ------
    ValueError
        If it holds something else, or nothing says whether day or month come first.
    """
    if times.dtype.kind == "M":
        # Microseconds: nanoseconds since the epoch do not fit into a float64 exactly.
        seconds: NDArray[np.float64] = times.astype("datetime64[us]").astype(np.int64) / 1e6
        seconds[np.isnat(times)] = np.nan
        return TimesRead(seconds, [])
    if times.dtype.kind in "OUT":
        entries = times.tolist()
        if all(isinstance(one, str) for one in entries):
            return TimesRead(*times_of_text(entries, dayfirst, name))
        if all(isinstance(one, date) for one in entries):
            return TimesRead(np.array([_seconds(one) for one in entries], dtype=np.float64), [])
        if all(isinstance(one, Real | Decimal) and not isinstance(one, bool) for one in entries):
            times = np.array([float(one) for one in entries], dtype=np.float64)
    if times.dtype.kind in "iuf" or not len(times):
        seconds, unit = in_seconds(times.astype(np.float64))
        return TimesRead(seconds, unit_notes(name, unit), "finite number")
    raise ValueError(f"{name} must hold numbers, datetimes or text that is a time, not {times.dtype}")


def moment_of(name: str, moment: float | date | str) -> float:
    """Return one time as ``times_of`` reads many, or raise naming the argument.

    Examples
    --------
    >>> moment_of("now", "1970-01-02")
    86400.0
    """
    if isinstance(moment, bool) or not isinstance(moment, date | str | int | float | np.generic):
        raise TypeError(f"{name} must be seconds since the epoch, a datetime or ISO 8601 text, got {shown(moment)}")
    try:
        return float(times_of(np.array([moment]))[0])
    except ValueError:
        raise ValueError(
            f"{name} must be seconds since the epoch, a datetime or ISO 8601 text, got {shown(moment)}"
        ) from None


def require_times(times: NDArray[Any], where: Callable[[int], str] | None = None) -> TimesRead:
    """Read a vector of times as ``read_times`` does, or raise naming the first entry that is none."""
    if times.ndim != 1:
        raise ValueError(f"timestamp must be one-dimensional, not of shape {times.shape}")
    read = read_times(times, "timestamp")
    bad = ~np.isfinite(read.seconds)
    if bad.any():
        row = int(np.argmax(bad))
        name = f"timestamp[{row}]" if where is None else where(row)
        raise ValueError(f"{name} is {times[row]!s}, no {read.wanted}: times must be finite")
    return read


def values_of(
    value: ArrayLike, where: Callable[[int], str] | None = None, *, signed: bool = False, netted: bool = True
) -> NDArray[np.float32]:
    """Return values as float32; none may be not finite or, unless ``signed``, negative.

    ``where(position)`` names one that is; ``netted`` says whether whoever calls could set ``negatives``.
    """
    given = np.asarray(value)
    if given.ndim != 1 or (given.dtype.kind not in "biuf" and len(given)):
        raise ValueError(f"value must be a vector of numbers, not {given.dtype} of shape {given.shape}")
    return require_values(given, where or (lambda row: f"value[{row}]"), signed=signed, netted=netted)


def require_values(
    values: NDArray[Any], where: Callable[[int], str], *, signed: bool = False, netted: bool = True
) -> NDArray[np.float32]:
    """Return values as float32, or raise naming ``where(position)`` of the first that is none; as ``values_of``."""
    with np.errstate(over="ignore", invalid="ignore"):
        made = np.asarray(values).astype(np.float32)
        bad = ~((made >= (-_LARGEST if signed else 0)) & (made < np.inf))
    if bad.any():
        first = int(np.argmax(bad))
        wanted = "values must be finite float32 numbers" + ("" if signed else ", not negative")
        hint = "; negatives='net' takes returns off what was bought, 'drop' leaves them out, 'dislike' keeps them apart"
        raise ValueError(
            f"{where(first)} is {values[first]}: {wanted}{hint if made[first] < 0 and netted and not signed else ''}"
        )
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
