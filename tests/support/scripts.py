"""Scripts of this folder in processes of their own: what crashes, lingers or is limited there is not the tests'."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run(script: str, *arguments: object, timeout: float | None = None, **environment: str) -> list[str]:
    """Run ``tests/support/SCRIPT.py``; return the lines it printed, or fail with the last of what it said."""
    command = [sys.executable, str(HERE / f"{script}.py"), *map(str, arguments)]
    told = os.environ | {"PYTHONPATH": str(HERE.parent)} | environment
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout.splitlines()
