"""``--set name=value`` and the other words that shape a fit, checked before any data is read."""

import datetime
import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

import diffrec
from diffrec.checks import duration, nearest, stretch
from diffrec.recommenders import VARIANTS
from diffrec.recommenders.diffrec.presets import preset_settings
from diffrec.recommenders.fit import AUTO, require_settings
from diffrec.recommenders.settings import a_device

_PARAMETERS = inspect.signature(diffrec.fit).parameters
DEFAULT_VARIANT: str = _PARAMETERS["variant"].default
DEFAULT_BUDGET: str = _PARAMETERS["budget"].default
#: What ``--variant`` may name.
NAMES = (AUTO, *VARIANTS)

# Arguments of ``diffrec.fit`` that ``--set`` cannot give, and what can.
_ELSEWHERE = {
    "data": "FILE", "valid": "--valid FILE", "progress": "--quiet", "callbacks": "Python",
    "checkpoint": "--checkpoint FILE", "every": "--every TIME", "distributed": "torchrun", "init": "Python",
}  # fmt: skip
_WORDS = {"none": None, "null": None, "true": True, "false": False}
_NUMBERS = (int, float)


def fit_arguments(settings: Sequence[str] | None, **options: Any) -> dict[str, Any]:
    """Collect what ``diffrec.fit`` is to be told: options that were given (not None), and those of ``--set``.

    Raises
    ------
    typer.BadParameter
        When something is unknown, impossible or said twice.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in parse_settings(settings).items():
        if name in given:
            raise typer.BadParameter(f"{name} is set twice", param_hint="--set")
        given[name] = value
    require_possible(given)
    return given


def parse_settings(settings: Sequence[str] | None) -> dict[str, Any]:
    """Read ``name=value`` texts.

    Examples
    --------
    >>> parse_settings(["dims=600,200", "lr=1e-4", "normalize=true", "group_balance=none"])
    {'dims': (600, 200), 'lr': 0.0001, 'normalize': True, 'group_balance': None}
    """
    values: dict[str, Any] = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not name or not equals:
            raise typer.BadParameter(f"{text!r} is not of the form name=value, such as dims=600", param_hint="--set")
        if name in values:
            raise typer.BadParameter(f"{name} is set twice", param_hint="--set")
        values[name] = parse_value(value.strip())
    return values


def parse_value(text: str) -> Any:
    """Read a value by its form.

    Parameters
    ----------
    text : str
        A number, ``true``, ``false``, ``none``, several of them separated by commas (in parentheses or not), a
        stretch of time such as ``30d`` or ``12h``, ``@FILE.npy`` for the array in a file, or else a word.

    Examples
    --------
    >>> parse_value("600"), parse_value("(600,)"), parse_value("()"), parse_value("cosine")
    (600, (600,), (), 'cosine')
    >>> parse_value("12h")
    datetime.timedelta(seconds=43200)
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if text.startswith("@"):
        return _array(Path(text[1:]))
    inside = re.fullmatch(r"\((.*)\)|\[(.*)\]", text)
    if inside or "," in text:
        listed = text if inside is None else (inside[1] if inside[2] is None else inside[2])
        return tuple(parse_value(part.strip()) for part in listed.split(",") if part.strip())
    for number in _NUMBERS:
        try:
            return number(text)
        except ValueError:
            pass
    seconds = stretch(text)
    try:
        return text if seconds is None else datetime.timedelta(seconds=seconds)
    except OverflowError:  # longer than any: the setting refuses it by its name
        return text


def require_possible(arguments: Mapping[str, Any]) -> None:
    """Refuse what ``diffrec.fit`` would refuse whatever the data.

    Raises
    ------
    typer.BadParameter
        Naming the option.
    """
    for name, instead in _ELSEWHERE.items():
        if name in arguments:
            raise typer.BadParameter(f"{name} is no setting; {instead} gives it", param_hint="--set")
    variant = arguments.get("variant", DEFAULT_VARIANT)
    if variant not in NAMES:
        hint = nearest(variant, NAMES)
        raise typer.BadParameter(f"{variant!r} is none of {', '.join(NAMES)}{hint}", param_hint="--variant")
    if "device" in arguments:
        _checked("--device", a_device, "device", arguments["device"])
    if "budget" in arguments:
        _checked("--budget", duration, "budget", arguments["budget"])
    _checked("--preset", preset_settings, arguments.get("preset"), "diffrec" if variant == AUTO else variant)
    _checked("--set", lambda: require_settings(**arguments))


def whole_numbers(text: str, option: str) -> list[int]:
    """Read positive whole numbers separated by commas.

    Examples
    --------
    >>> whole_numbers("10,20", "--k")
    [10, 20]
    """
    numbers = text.split(",")
    if not all(number.strip().isdecimal() and int(number) > 0 for number in numbers):
        raise typer.BadParameter(f"{text!r} must be whole numbers above 0 separated by commas", param_hint=option)
    return [int(number) for number in numbers]


def _checked(option: str, check: Any, *arguments: Any) -> Any:
    try:
        return check(*arguments)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _array(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise typer.BadParameter(f"@{path} is not the .npy file of an array: {error}", param_hint="--set") from None
