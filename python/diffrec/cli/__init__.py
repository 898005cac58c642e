"""The command line: ``diffrec``, or ``python -m diffrec``.

Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 the input is bad, and one line
says what to do; 2 the command is not written as it should be; 130 interrupted by Ctrl-C; 143 asked to end (SIGTERM). A
file that is written is complete or what it was before.
"""

import signal
import sys
from importlib.util import find_spec
from types import FrameType

__all__ = ["main"]


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit."""
    if find_spec("typer") is None:
        raise SystemExit('error: the command line needs typer: pip install "diffrec[cli]"')
    try:
        signal.signal(signal.SIGTERM, _terminate)
        from diffrec.cli.app import app

        app(prog_name="diffrec")
    except KeyboardInterrupt as interruption:
        # Before a command has begun, which says so itself.
        sys.exit(exit_code(interruption))


class Terminated(KeyboardInterrupt):
    """The process was asked to end, which it does as when it is interrupted."""


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Return the exit code of a process that was interrupted, or asked to end."""
    # Training that is interrupted says so by an exception of its own, raised from the other.
    asked = isinstance(interruption, Terminated) or isinstance(interruption.__cause__, Terminated)
    return 128 + (signal.SIGTERM if asked else signal.SIGINT)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
