"""From exceptions to exit codes and one line that says what to do."""

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable
from typing import ParamSpec

import typer

from diffrec.checks import unfit
from diffrec.cli import exit_code
from diffrec.cli.output import note

P = ParamSpec("P")

BAD_INPUT = 1
#: Where it is set, an error comes with the place in the code where it arose.
TRACEBACK = "DIFFREC_TRACEBACK"

# What the library raises where a file, a value or the machine does not allow what is asked, besides what cannot be
# fitted. Anything else is a mistake in diffrec, and comes with its traceback.
_EXPECTED = (TypeError, OSError, ImportError)


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command end with the documented exit codes."""
    options = [name for name in inspect.signature(command).parameters if name != "file"]

    @functools.wraps(command)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        try:
            command(*arguments, **named)
        except KeyboardInterrupt as interruption:
            note("interrupted")
            raise typer.Exit(exit_code(interruption)) from None
        except BrokenPipeError:
            # Whoever read standard output has gone: typer ends without a word.
            raise
        except Exception as error:
            if os.environ.get(TRACEBACK) or not isinstance(error, (*_EXPECTED, *unfit())):
                raise
            note(f"error: {in_options(one_line(error), options)}")
            raise typer.Exit(BAD_INPUT) from None

    return run


def one_line(error: BaseException) -> str:
    """Put an error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def in_options(message: str, options: Iterable[str]) -> str:
    """Write arguments as the command line has them; the library's messages name them as Python does.

    Examples
    --------
    >>> in_options("no column looks like the item: name it with item=; user='id' is there", ["user", "item"])
    "no column looks like the item: name it with --item; --user 'id' is there"
    >>> in_options("exclude_seen=False asks what is taken next", ["include_seen"])
    '--include-seen asks what is taken next'
    """
    options = list(options)
    if "include_seen" in options:
        message = message.replace("exclude_seen=False", "--include-seen")
    names = "|".join(map(re.escape, options))
    return re.sub(
        rf"(?<![\w.])({names})=(?=(['\"\w])?)",
        lambda m: f"--{m[1].replace('_', '-')}{' ' if m[2] else ''}",
        message,
    )
