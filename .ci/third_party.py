"""Write THIRD-PARTY-LICENSES: the licences of the Rust crates compiled into the wheel, as their sources have them.

With ``--check`` write nothing, and fail if the file is not what would be written, or a licence is not permissive.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FILE = ROOT / "THIRD-PARTY-LICENSES"
# Any one of these asks for its text and copyright notice to go along, and for nothing else.
PERMISSIVE = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "Apache-2.0", "Unlicense", "0BSD"}
# The first of these that a crate offers is used and copied.
TEXTS = ("LICENSE-MIT*", "license-mit*", "LICENSE*", "LICENCE*", "COPYING*")


def cargo(*arguments: str) -> str:
    """What cargo says of the crates in the lock file."""
    command = ["cargo", *arguments, "--locked", "--features", "python"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def compiled_in() -> list[dict[str, Any]]:
    """The crates whose code ends up in the module: neither those that only build it nor those that only test it."""
    tree = cargo("tree", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
    named = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    found = [p for p in packages if (p["name"], f"v{p['version']}") in named and p["source"] is not None]
    return sorted(found, key=lambda p: (p["name"], p["version"]))


def is_permissive(expression: str) -> bool:
    """Whether an SPDX expression is a choice with a permissive one in it; one with AND is for a person to read."""
    return "AND" not in expression.split() and any(
        choice in PERMISSIVE for choice in re.split(r"\s+OR\s+|/", expression.strip("()"))
    )


def text_of(package: dict[str, Any]) -> str:
    """The licence as the crate's source has it."""
    folder = Path(package["manifest_path"]).parent
    for pattern in TEXTS:
        for file in sorted(folder.glob(pattern)):
            return file.read_text(encoding="utf-8").strip()
    raise SystemExit(f"{package['name']} {package['version']} has no licence text in its source")


def written() -> str:
    """The whole file."""
    parts = ["The module diffrec._core contains code of the Rust crates below, under the licences that follow each."]
    for package in compiled_in():
        if not is_permissive(package["license"] or ""):
            raise SystemExit(f"{package['name']} has licence {package['license']}, which is not known to be permissive")
        title = f"{package['name']} {package['version']} ({package['license']})"
        parts.append(f"{'=' * len(title)}\n{title}\n{'=' * len(title)}\n\n{text_of(package)}")
    return "\n\n\n".join(parts) + "\n"


def main() -> None:
    """Write or check."""
    text = written()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{FILE.name} is not up to date: run make licenses")


if __name__ == "__main__":
    main()
