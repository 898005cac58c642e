"""Write ``python/diffrec/_fit.pyi``: ``diffrec.fit`` as type checkers see it, with the settings of each variant.

A setting is declared once, in the class of its recommender; this makes keywords of them. ``--check`` only says whether
the file is what would be written.
"""

import argparse
import dataclasses
import datetime
import inspect
import subprocess
import sys
import types
import typing
from pathlib import Path
from typing import Any

from diffrec.recommenders.registry import VARIANTS
from diffrec.recommenders.settings import Settings

STUB = Path(__file__).parents[1] / "python/diffrec/_fit.pyi"
# What their checks take besides what is kept.
WIDER = {
    "time_limit": "str | float | datetime.timedelta | None",
    "parts": "Sequence[str | tuple[str, Mapping[str, Any]]]",
}
# What an omitted variant is, where settings are named.
FORMS = ("diffrec", "t-diffrec", "l-diffrec", "lt-diffrec")
HEAD = '''"""``diffrec.fit`` for type checkers: variants, their settings and classes; written by .ci/fit_types.py."""

import datetime
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, overload

from diffrec.distributed import World
from diffrec.recommenders import (
    {classes},
    Recommender,
)
from diffrec.training import Callback

class _OfEveryFit(TypedDict, total=False):
    valid: Any
    preset: str | None
    device: str
    seed: int
    progress: bool
    callbacks: Sequence[Callback]
    budget: str | float | datetime.timedelta | None
    repeats: str
    init: Recommender | None
    checkpoint: str | os.PathLike[str] | None
    every: str | float | datetime.timedelta
    distributed: str | World

'''
OVERLOAD = """@overload
def fit(data: Any, *, variant: Literal[{variants}]{default}, **settings: Unpack[{of}]) -> {kind}: ...
"""


def main() -> None:
    """Write the stub, or compare it with what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = formatted(stub())
    if not parser.parse_args().check:
        STUB.write_text(text)
    elif STUB.read_text() != text:
        raise SystemExit(f"{STUB} is not what {__file__} writes; run it")


def stub() -> str:
    """The whole file."""
    kinds = {name: variant.kind for name, variant in VARIANTS.items()}
    classes: dict[type, str] = {Settings: "_OfEveryFit"}
    parts = [HEAD.format(classes=",\n    ".join(sorted({kind.__name__ for kind in kinds.values()})))]
    for kind in kinds.values():
        for base in reversed(kind.settings_type.__mro__[:-1]):
            if base not in classes:
                classes[base] = f"_{base.__name__}"
                parts.append(keywords(base, classes))
    parts.append(
        OVERLOAD.format(variants='"auto"', default=" = ...", of="_OfEveryFit", kind="Recommender"),
    )
    others = [(name,) for name in kinds if name not in FORMS]
    for names in (FORMS, *others):
        kind = kinds[names[0]]
        chosen = ("auto", *names) if names is FORMS else names
        parts.append(
            OVERLOAD.format(
                variants=", ".join(f'"{name}"' for name in chosen),
                default=" = ..." if names is FORMS else "",
                of=classes[kind.settings_type],
                kind=kind.__name__,
            )
        )
    return "".join(parts)


def keywords(kind: type, classes: dict[type, str]) -> str:
    """The settings that a class adds to those it extends, as optional keywords."""
    (base,) = kind.__bases__
    inherited = {field.name for field in dataclasses.fields(base)}
    own = [
        f"    {name}: {WIDER.get(name) or written(annotation)}\n"
        for name, annotation in inspect.get_annotations(kind).items()
        if name not in inherited
    ]
    return f"class {classes[kind]}({classes[base]}, total=False):\n{''.join(own) or '    pass'}\n"


def written(annotation: Any) -> str:
    """A type as source has it; a sequence of widths is taken for what is kept as a tuple, and so is one width."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(written(one) for one in arguments)
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is tuple:
        return ("int | " if arguments[0] is int else "") + f"Sequence[{written(arguments[0])}]"
    if annotation in (type(None), None):
        return "None"
    # A length of time may be a text such as "30d".
    named = {Any: "Any", datetime.timedelta: "datetime.timedelta | str"}
    return named[annotation] if annotation in named else str(annotation.__name__)


def formatted(text: str) -> str:
    """The text as ruff has it."""
    ruff = Path(sys.executable).with_name("ruff")
    for command in ((ruff, "check", "--fix-only", "--quiet"), (ruff, "format", "--quiet")):
        done = subprocess.run(
            [*map(str, command), "--stdin-filename", str(STUB), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        text = done.stdout
    return text


if __name__ == "__main__":
    main()
