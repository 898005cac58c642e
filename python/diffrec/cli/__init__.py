"""The command line: ``diffrec``, or ``python -m diffrec``.

Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 the input is bad, and one line
says what to do; 2 the command is not written as it should be; 130 interrupted by Ctrl-C. A file that is written is
complete or what it was before.
"""

import signal
import sys
from importlib.util import find_spec
from types import FrameType

__all__ = ["main"]


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit."""
    if find_spec("typer") is None:
        raise SystemExit("error: the command line needs typer: pip install 'diffrec[cli]'")
    from diffrec.cli.app import app

    signal.signal(signal.SIGTERM, _terminate)
    app(prog_name="diffrec")


def _terminate(number: int, _frame: FrameType | None) -> None:
    # As an exception, so that what was begun is cleared away.
    sys.exit(128 + number)
