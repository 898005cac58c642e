"""Run the blocks of pages of documentation with whatever is installed: ``python run_page.py PAGE...``.

As the documentation runs them while it is built, but without what builds it: ``python`` blocks in one namespace, ``sh``
blocks by bash with the commands of this Python's environment, all in a folder of their own. The first that fails ends
it. ``PAGE:2`` runs the first two blocks, ``PAGE:python`` those of Python.
"""

import os
import re
import subprocess
import sys
import tempfile
import types
from contextlib import chdir
from pathlib import Path

BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def run(page: Path, which: str) -> int:
    """Run the blocks of a page, or some of them; return how many they were."""
    text = page.read_text(encoding="utf-8")
    module = types.ModuleType("__main__")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = [block for block in BLOCK.finditer(text) if which != "python" or block[1] == "python"]
    found = found[: int(which)] if which.isdecimal() else found
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for block in found:
            # Blank lines before it give errors the line numbers of the page.
            line = text[: block.start(2)].count("\n")
            if block[1] == "python":
                exec(compile("\n" * line + block[2], str(page), "exec"), module.__dict__)
                continue
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block[2]],
                env={**os.environ, "PATH": path},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{page}:{line + 1}: exit code {done.returncode}\n{done.stderr}")
    return len(found)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        name, _, which = argument.partition(":")
        # What a page prints is for its readers.
        with Path(os.devnull).open("w") as nowhere:
            out, sys.stdout = sys.stdout, nowhere
            try:
                count = run(Path(name).resolve(), which)
            finally:
                sys.stdout = out
        print(f"{count} blocks of {Path(name).name} ran", flush=True)
