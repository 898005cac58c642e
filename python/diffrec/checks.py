"""Checks of what a person names, sets or passes: one wording for all of the library.

A check takes the name of an argument and its value, and returns the value to keep or raises an error that says both.
Most are made for their limits first: ``whole(1)("k", 20)``.
"""

import datetime
import difflib
import importlib
import math
import operator
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, cast

# Name and value of an argument -> the value to keep.
Check = Callable[[str, Any], Any]

# Items are numbered in 32 signed bits: there are not more of anything that is counted.
_COUNT = 2**31 - 1
# The widest layer and the most layers: more is a slip, or a file that means harm.
_WIDEST, _DEEPEST = 2**20, 100
# Characters that an error repeats of a value.
_LONGEST = 200
# What NumPy's units of time take.
_ATTOSECONDS = {
    **{unit: seconds * 10**18 for unit, seconds in (("W", 604800), ("D", 86400), ("h", 3600), ("m", 60), ("s", 1))},
    **{unit: 1000**power for power, unit in enumerate(("as", "fs", "ps", "ns", "us", "ms"))},
}
_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def nearest(name: object, options: Iterable[str]) -> str:
    """Say which option a mistyped name probably meant.

    Parameters
    ----------
    name
        What was given; anything but a string has no nearest option.
    options
        The names that exist.

    Returns
    -------
    str
        ``"; did you mean 'time'?"``, ready to be put at the end of a message, or an empty string.

    Examples
    --------
    >>> nearest("tiem", ["time", "random", "leave-last"])
    "; did you mean 'time'?"
    >>> nearest("qqq", ["time", "random"])
    ''
    """
    if not isinstance(name, str):
        return ""
    by_folded = {_folded(option): option for option in options}
    close = difflib.get_close_matches(_folded(name), by_folded, n=1, cutoff=0.5)
    return f"; did you mean {by_folded[close[0]]!r}?" if close else ""


def shown(value: object) -> str:
    """Write a value for an error, at any length and depth of it in a few words.

    Examples
    --------
    >>> shown("tiem"), shown(10**5000), len(shown("x" * 10**6))
    ("'tiem'", 'a whole number of 16610 bits', 203)
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits than Python writes, or lists in lists
        bits = value.bit_length() if isinstance(value, int) else None
        return f"a {type(value).__name__}" if bits is None else f"a whole number of {bits} bits"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def needed(module: str, what: str, package: str) -> Any:
    """Import an optional module, or say by ``what`` who needs it, and which package to install.

    Raises
    ------
    ImportError
        Where it is not installed.

    Examples
    --------
    >>> needed("no_such_module", "flying needs wings", "diffrec[wings]")
    Traceback (most recent call last):
    ImportError: flying needs wings: pip install "diffrec[wings]"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'{what}: pip install "{package}"') from error


def unfit() -> tuple[type[Exception], ...]:
    """Errors that say that settings cannot be fitted to these data on this machine, and others may.

    A full GPU and equations without an answer are errors of torch's own, if torch is there at all.
    """
    torch = sys.modules.get("torch")
    own = () if torch is None else (torch.cuda.OutOfMemoryError, torch.linalg.LinAlgError)
    return (ValueError, MemoryError, FloatingPointError, *own)


def whole(low: int, high: int | None = None, *, most: int = _COUNT) -> Check:
    """Accept whole numbers from ``low`` to ``high``, or up to ``most``, which nothing that is meant comes near.

    Examples
    --------
    >>> whole(1)("k", 20)
    20
    """

    def check(name: str, value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"{name} must be a whole number, got {shown(value)}") from None
        if isinstance(value, bool):
            raise TypeError(f"{name} must be a whole number, got {shown(value)}")
        if not low <= number <= (most if high is None else high):
            alone = f"at least {low}" if number < low else f"at most {most}"
            reach = alone if high is None else f"from {low} to {high}"
            raise ValueError(f"{name} must be {reach}, got {shown(value)}")
        return number

    return check


def real(low: float = -math.inf, high: float = math.inf, *, open_low: bool = False, open_high: bool = False) -> Check:
    """Accept finite numbers between ``low`` and ``high``, each included unless said to be open.

    Examples
    --------
    >>> real(0, 1, open_high=True)("valid", 0.1)
    0.1
    """

    def check(name: str, value: Any) -> float:
        # NumPy has a number for a time of some units, too, nanoseconds among them.
        if isinstance(value, bool | str) or _is_of_numpy(value) or not hasattr(value, "__float__"):
            raise TypeError(f"{name} must be a number, got {shown(value)}")
        try:
            number = float(value)
        except (TypeError, ValueError):  # an array of several
            raise TypeError(f"{name} must be a number, got {shown(value)}") from None
        except OverflowError:  # a whole number beyond all of them
            number = math.inf if value > 0 else -math.inf
        below = number <= low if open_low else number < low
        above = number >= high if open_high else number > high
        if not math.isfinite(number) or below or above:
            reach = []
            if low > -math.inf:
                reach.append(f"{'above' if open_low else 'at least'} {low:g}")
            if high < math.inf:
                reach.append(f"{'below' if open_high else 'at most'} {high:g}")
            raise ValueError(f"{name} must be {' and '.join(reach) or 'finite'}, got {shown(value)}")
        return number

    return check


def flag(name: str, value: Any) -> bool:
    """Accept True and False."""
    if value is True or value is False:
        return value
    raise TypeError(f"{name} must be True or False, got {shown(value)}")


def one_of(options: Iterable[str | None]) -> Check:
    """Accept one of the named options."""
    options = tuple(options)

    def check(name: str, value: Any) -> str | None:
        if not (value is None or isinstance(value, str)) or value not in options:
            names = ", ".join(map(repr, options))
            hint = nearest(value, [option for option in options if option])
            raise ValueError(f"{name} must be one of {names}, got {shown(value)}{hint}")
        return value

    return check


def width(name: str, value: Any) -> int:
    """Accept the width of a layer."""
    return cast(int, whole(1, most=_WIDEST)(name, value))


def layers(name: str, value: Any) -> int:
    """Accept a number of layers, one on top of the other."""
    return cast(int, whole(1, most=_DEEPEST)(name, value))


def widths(at_least_one: bool = True) -> Check:
    """Accept a sequence of layer widths, or one width; kept as a tuple."""

    def check(name: str, value: Any) -> tuple[int, ...]:
        values = [value] if not isinstance(value, Iterable) or isinstance(value, str) else list(value)
        if at_least_one and not values:
            raise ValueError(f"{name} must name at least one width, got {shown(value)}")
        if len(values) > _DEEPEST:
            raise ValueError(f"{name} must name at most {_DEEPEST} widths, got {len(values)}")
        checked = tuple(width(name, one) for one in values)
        # A tuple is kept as it is: scikit-learn's clone() wants to see the object it passed.
        return value if isinstance(value, tuple) and value == checked else checked

    return check


def age(name: str, value: Any) -> float | datetime.timedelta:
    """Accept a positive number of baskets, or a positive time: a timedelta, also NumPy's, or a text such as ``"30d"``.

    Examples
    --------
    >>> age("half_life", 5), age("half_life", "12h")
    (5.0, datetime.timedelta(seconds=43200))
    """
    value = _clock(value)
    if isinstance(value, str) or _is_of_numpy(value):
        raise TypeError(
            f"{name} must be a number of baskets, or a time: a timedelta or a text such as '12h' or '30d'; "
            f"got {shown(value)}"
        )
    if isinstance(value, datetime.timedelta):
        if value <= datetime.timedelta():
            raise ValueError(f"{name} must be above 0, got {shown(value)}")
        return value
    return cast(float, real(0, open_low=True)(name, value))


def span(name: str, value: Any) -> datetime.timedelta:
    """Accept a positive time, as ``age`` does."""
    value = _clock(value)
    if not isinstance(value, datetime.timedelta):
        raise TypeError(f"{name} must be a timedelta, or a text such as '12h' or '30d', got {shown(value)}")
    age(name, value)
    return value


def duration(name: str, value: Any) -> float:
    """Accept a positive length of time, as ``"90s"``, ``"5min"``, ``"1h"``, seconds or a timedelta; return seconds.

    Examples
    --------
    >>> duration("budget", "5min")
    300.0
    """
    value = _clock(value)
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    seconds = stretch(value) if isinstance(value, str) else value
    if seconds is None or _is_of_numpy(value):
        raise ValueError(f"{name} must be a time such as '90s', '5min' or '1h', got {shown(value)}")
    return cast(float, real(0, open_low=True)(name, seconds))


def stretch(text: str) -> float | None:
    """Read a length of time such as ``"12h"`` or ``"1.5 d"``, in seconds; None where the text is something else.

    Examples
    --------
    >>> stretch("5min"), stretch("2w"), stretch("fast")
    (300.0, 1209600.0, None)
    """
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
    return None if parts is None or parts[2] not in _SECONDS else float(parts[1]) * _SECONDS[parts[2]]


def _clock(value: Any) -> Any:
    """Return times that others write, as NumPy's and ``"30d"``, as a timedelta, where one can be; all else as it is."""
    try:
        if isinstance(value, str):
            seconds = stretch(value)
            return value if seconds is None else datetime.timedelta(seconds=seconds)
        # What has no unit, years, months and NaT are no lengths of time.
        if _is_of_numpy(value) and not sys.modules["numpy"].isnat(value):
            unit, count = sys.modules["numpy"].datetime_data(value.dtype)
            if unit in _ATTOSECONDS:
                # By integers of Python, which do not overflow.
                return datetime.timedelta(
                    microseconds=int(value.astype("int64")) * count * _ATTOSECONDS[unit] // 10**12
                )
    except OverflowError:  # longer than any timedelta
        return value
    return value


def _is_of_numpy(value: Any) -> bool:
    """Whether a value is a length of time of NumPy's, which checks of the command line do not wait for."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.timedelta64)


def optional(check: Check) -> Check:
    """Accept None besides what ``check`` accepts."""
    return lambda name, value: None if value is None else check(name, value)


def cuts(name: str, value: Any) -> list[int]:
    """Accept one length of ranked lists, or a sequence of at least one; return them as a list.

    Examples
    --------
    >>> cuts("k", 5), cuts("k", (10, 20))
    ([5], [10, 20])
    """
    values = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if not values:
        raise ValueError(f"{name} must name at least one cut, got {shown(value)}")
    return [whole(1)(name, cut) for cut in values]


def each(check: Check, what: str, *, least: int = 1) -> Check:
    """Accept a sequence whose entries ``check`` accepts, at least so many of ``what``; kept as a tuple.

    Examples
    --------
    >>> each(age, "time constants")("time_scales", [1, 5])
    (1.0, 5.0)
    """

    def check_all(name: str, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise TypeError(f"{name} must be a sequence of {what}, got {shown(value)}")
        checked = tuple(check(name, one) for one in value)
        if len(checked) < least:
            raise ValueError(f"{name} must be a sequence of {what} with at least {least} of them, got {shown(value)}")
        # A tuple is kept as it is: scikit-learn's clone() wants to see the object it passed.
        return value if isinstance(value, tuple) and value == checked else checked

    return check_all


def functions(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """Accept a sequence of functions; kept as a tuple."""
    if not isinstance(value, Iterable) or not all(map(callable, value)):
        raise TypeError(f"{name} must be a sequence of functions, got {shown(value)}")
    return tuple(value)


def _folded(name: str) -> str:
    return name.lower().replace("_", "-")
