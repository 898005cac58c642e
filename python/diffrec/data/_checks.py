"""Small checks shared by everything that takes names and numbers from a person."""

import difflib
import math
from collections.abc import Iterable


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


def one_of(argument: str, value: object, options: Iterable[str]) -> None:
    """Raise ``ValueError`` naming the argument, its value and the options unless the value is one of them."""
    options = tuple(options)
    if not (isinstance(value, str) and value in options):
        listed = ", ".join(repr(option) for option in options)
        raise ValueError(f"{argument} must be one of {listed}, not {value!r}{nearest(value, options)}")


def finite(argument: str, value: object, low: float, high: float, *, open_high: bool = False) -> float:
    """Return a number in ``[low, high]``, or ``[low, high)``, as a float, or raise naming the argument."""
    if isinstance(value, bool) or not hasattr(value, "__float__") or isinstance(value, str):
        raise TypeError(f"{argument} must be a number, not {value!r}")
    number = float(value)
    inside = low <= number < high if open_high else low <= number <= high
    if not inside or not math.isfinite(number):
        closing = ")" if open_high else "]"
        raise ValueError(f"{argument} must lie in [{low:g}, {high:g}{closing}, not {value!r}")
    return number


def _folded(name: str) -> str:
    return name.lower().replace("_", "-")
