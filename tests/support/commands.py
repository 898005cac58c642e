"""The command line, called within the tests' process."""

from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from diffrec.cli.app import app

#: Columns of help and of usage errors; wide enough that no line of theirs is broken.
_WIDE = {"COLUMNS": "400", "TERMINAL_WIDTH": "400", "NO_COLOR": "1"}


def run(*arguments: Any, stdin: str | None = None) -> Result:
    """Run a command, whatever its exit code."""
    return CliRunner(env=_WIDE).invoke(app, [str(one) for one in arguments], input=stdin, prog_name="diffrec")


def succeed(*arguments: Any, stdin: str | None = None) -> str:
    """Run a command that is to succeed; its standard output."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


def fail(code: int, *arguments: Any) -> str:
    """Run a command that is to fail with this exit code; what it said, if code is 1 on one line."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    if code == 1:
        assert result.stderr.splitlines()[-1].startswith("error: ")
    return result.stderr


def leftovers(folder: Path) -> list[str]:
    """Hidden files: what a write that failed must not leave."""
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]
