"""Settings: plain keyword names with defaults, checked when set.

A recommender's settings are a frozen dataclass whose fields are made by :func:`setting`. One table of fields serves the
checks, ``get_params``, the saved file and the documentation.
"""

import dataclasses
import datetime
import inspect
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast

from diffrec.data._checks import nearest
from diffrec.training import Callback

T = TypeVar("T")
# Takes a setting's name and value; returns the value to keep or raises naming both.
Check = Callable[[str, Any], Any]


_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def setting(default: T, check: Check, doc: str, *, symbol: str = "", saved: bool = True) -> T:
    """Declare one setting.

    Parameters
    ----------
    default
        Its value where none is given.
    check : callable
        Takes name and value; returns the value to keep or raises.
    doc : str
        One line on what it means.
    symbol : str
        What the model's paper calls it, as in LaTeX but for backslashes: ``"T"``, ``"alpha_min"``; "" for what is not
        in the paper.
    saved : bool
        Whether a model's file keeps it. What is not saved may be an array, or say nothing about the model: it does not
        tell two settings apart.
    """
    return field(
        default=default, compare=saved, metadata={"check": check, "doc": doc, "symbol": symbol, "saved": saved}
    )


def whole(low: int, high: int | None = None) -> Check:
    """Accept whole numbers from ``low`` to ``high``."""

    def check(name: str, value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"{name} must be a whole number, got {value!r}") from None
        if isinstance(value, bool):
            raise TypeError(f"{name} must be a whole number, got {value!r}")
        if number < low or (high is not None and number > high):
            reach = f"at least {low}" if high is None else f"from {low} to {high}"
            raise ValueError(f"{name} must be {reach}, got {value!r}")
        return number

    return check


def real(low: float, high: float = math.inf, *, open_low: bool = False, open_high: bool = False) -> Check:
    """Accept finite numbers between ``low`` and ``high``, each included unless said to be open."""

    def check(name: str, value: Any) -> float:
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            raise TypeError(f"{name} must be a number, got {value!r}")
        number = float(value)
        below = number <= low if open_low else number < low
        above = number >= high if open_high else number > high
        if not math.isfinite(number) or below or above:
            reach = f"{'above' if open_low else 'at least'} {low:g}"
            if high < math.inf:
                reach += f" and {'below' if open_high else 'at most'} {high:g}"
            raise ValueError(f"{name} must be {reach}, got {value!r}")
        return number

    return check


def flag(name: str, value: Any) -> bool:
    """Accept True and False."""
    if value is True or value is False:
        return value
    raise TypeError(f"{name} must be True or False, got {value!r}")


def one_of(options: Iterable[str | None]) -> Check:
    """Accept one of the named options."""
    options = tuple(options)

    def check(name: str, value: Any) -> str | None:
        if value not in options:
            names = ", ".join(map(repr, options))
            hint = nearest(value, [option for option in options if option])
            raise ValueError(f"{name} must be one of {names}, got {value!r}{hint}")
        return cast(str | None, value)

    return check


def widths(at_least_one: bool = True) -> Check:
    """Accept a sequence of layer widths, or one width; kept as a tuple."""

    def check(name: str, value: Any) -> tuple[int, ...]:
        values = [value] if not isinstance(value, Iterable) or isinstance(value, str) else list(value)
        if at_least_one and not values:
            raise ValueError(f"{name} must name at least one width, got {value!r}")
        checked = tuple(whole(1)(name, width) for width in values)
        # A tuple is kept as it is: scikit-learn's clone() wants to see the object it passed.
        return value if isinstance(value, tuple) and value == checked else checked

    return check


def age(name: str, value: Any) -> float | datetime.timedelta:
    """Accept a positive number of interactions, or a positive timedelta."""
    if isinstance(value, datetime.timedelta):
        if value <= datetime.timedelta():
            raise ValueError(f"{name} must be above 0, got {value!r}")
        return value
    return cast(float, real(0, open_low=True)(name, value))


def duration(name: str, value: Any) -> float:
    """Accept a positive length of time, as ``"90s"``, ``"5min"``, ``"1h"``, seconds or a timedelta; return seconds.

    Examples
    --------
    >>> duration("budget", "5min")
    300.0
    """
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if isinstance(value, str):
        parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", value.lower())
        if parts is None or parts[2] not in _UNITS:
            raise ValueError(f"{name} must be a time such as '90s', '5min' or '1h', got {value!r}")
        value = float(parts[1]) * _UNITS[parts[2]]
    return cast(float, real(0, open_low=True)(name, value))


def optional(check: Check) -> Check:
    """Accept None besides what ``check`` accepts."""
    return lambda name, value: None if value is None else check(name, value)


def anything(_name: str, value: T) -> T:
    """Accept any value: what it must be is checked where it is used."""
    return value


def _callables(name: str, value: Any) -> tuple[Callback, ...]:
    if not isinstance(value, Iterable) or not all(map(callable, value)):
        raise TypeError(f"{name} must be a sequence of functions of an EpochRecord, got {value!r}")
    return tuple(value)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings every recommender has."""

    seed: int = setting(0, whole(0, 2**63 - 1), "seed of every random draw")
    device: str = setting("auto", anything, "'auto' (a GPU when there is one), 'cpu' or 'cuda'", saved=False)
    progress: bool = setting(True, flag, "show a progress bar on a terminal", saved=False)
    callbacks: Sequence[Callback] = setting((), _callables, "called with every EpochRecord", saved=False)

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, f.metadata["check"](f.name, getattr(self, f.name)))
        self.check_together()

    def check_together(self) -> None:
        """Raise ``ValueError`` where settings that are fine alone are impossible together."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Make from keyword values; a name that is no setting is a ``TypeError`` that suggests the nearest."""
        cls._refuse_unknown(values)
        return cls(**values)

    def replaced(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with some values changed, checked as when set."""
        self._refuse_unknown(values)
        return dataclasses.replace(self, **values)

    def values(self, *, saved_only: bool = False) -> dict[str, Any]:
        """Return the settings by name; with ``saved_only`` those that belong into a model's file."""
        return {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata["saved"] or not saved_only
        }

    @classmethod
    def signature(cls) -> inspect.Signature:
        """Return the settings as keyword parameters with their defaults."""
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter(f.name, kind, default=f.default) for f in dataclasses.fields(cls)])

    @classmethod
    def description(cls) -> str:
        """Return a docstring section with a line per setting, symbols in brackets."""
        lines = []
        for f in dataclasses.fields(cls):
            symbol = f" [{f.metadata['symbol']}]" if f.metadata["symbol"] else ""
            lines.append(f"{f.name} : default {f.default!r}\n    {f.metadata['doc']}{symbol}")
        return "Settings\n--------\n" + "\n".join(lines)

    @classmethod
    def _refuse_unknown(cls, values: Mapping[str, Any]) -> None:
        names = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise TypeError(f"{name!r} is not a setting{nearest(name, names)} (settings: {', '.join(names)})")
