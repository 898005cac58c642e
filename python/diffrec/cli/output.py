"""Printing: results on standard output, notes on standard error."""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from diffrec._processes import leads
from diffrec._shown import harmless

if TYPE_CHECKING:
    import numpy as np

    from diffrec.data.tables import Append, Block


def note(text: str, *, quiet: bool = False) -> None:
    """Say on standard error how things go."""
    if not quiet:
        print(harmless(text), file=sys.stderr, flush=True)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Say on standard error what is warned of, at once, each once and on a line; of processes the first does."""
    said: set[str] = set()

    def say(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            note(f"warning: {message}", quiet=not leads())

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = say
        yield


def show(text: str, values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result on standard output, as text or as one JSON object."""
    print(json.dumps(_known(values), indent=2, default=_plain, allow_nan=False) if as_json else harmless(text))


class _Harmless:
    """Standard output as a terminal that shows what is written, and does not obey it."""

    def write(self, text: str) -> int:
        return sys.stdout.write(harmless(text))

    def flush(self) -> None:
        sys.stdout.flush()


def standard_output() -> IO[str]:
    """Return where tables go that are written to no file: as they are, unless a terminal shows them."""
    shown: Any = _Harmless() if sys.stdout.isatty() else sys.stdout
    return cast(IO[str], shown)


def pairs(values: Mapping[str, object]) -> str:
    r"""Lay names and values out, a line each; further lines of a value stand below its first.

    Examples
    --------
    >>> print(pairs({"users": 60, "variant": "ease", "tried": "ease\nials"}))
    users    60
    variant  ease
    tried    ease
             ials
    """
    wide = max(map(len, values), default=0)
    below = "\n" + " " * (wide + 2)
    lines = {name: str(value).replace("\n", below) for name, value in values.items()}
    return "\n".join(f"{name:{wide}}  {line}".rstrip() for name, line in lines.items())


def _known(value: Any) -> Any:
    """A value with None for NaN, which is no JSON.

    Examples
    --------
    >>> _known({"ndcg@20": 0.5, "groups": [{"gap": float("nan")}]})
    {'ndcg@20': 0.5, 'groups': [{'gap': None}]}
    """
    if isinstance(value, Mapping):
        return {name: _known(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and value != value else value


def json_lines(stream: IO[str]) -> "Append":
    """Write a JSON object per row to an open stream."""

    def append(block: "Block") -> None:
        columns = [_numbers(column) for column in block.values()]
        for row in zip(*columns, strict=True):
            stream.write(json.dumps(dict(zip(block, row, strict=True))) + "\n")

    return append


def _numbers(column: "np.ndarray[Any, Any]") -> list[Any]:
    # A float32 as the shortest decimal that stands for it.
    exact = column.astype("U").astype("float64") if column.dtype == "float32" else column
    return list(exact.tolist())


def _plain(value: object) -> object:
    # Numbers and arrays of NumPy say what they are in Python.
    return value.tolist() if hasattr(value, "tolist") else str(value)
