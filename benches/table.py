"""The table of the latest saved run of the benchmarks, or what changed since the runs before it.

    python -m benches.table
    python -m benches.table --compare

``make bench`` saves its runs in ``.benchmarks/``. A time is the least of an entry's rounds: the one that other work on
the machine disturbed least.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STORAGE = Path(__file__).parents[1] / ".benchmarks"
# A change up to this share may be noise.
NOISE = 0.1
OURS = "diffrec"


@dataclass(frozen=True)
class Timed:
    """One library's time in an entry, and what is asked of diffrec's beside it."""

    seconds: float
    at_least: float | None = None
    at_most: float | None = None


#: Entry -> library -> its time.
Run = dict[str, dict[str, Timed]]


def measured(saved: dict[str, Any]) -> Run:
    """The times in what pytest-benchmark saves of a run."""
    run: Run = {}
    for bench in saved["benchmarks"]:
        facts = bench["extra_info"]
        timed = Timed(bench["stats"]["min"], facts["at_least"], facts["at_most"])
        run.setdefault(bench["group"], {})[facts["library"]] = timed
    return run


def ratios(run: Run) -> str:
    """Lay out diffrec's times beside every baseline's, as a Markdown table."""
    rows = [("what", "diffrec", "baseline", "its time", "ratio", "asked for")]
    for what, times in run.items():
        ours = times.get(OURS)
        for library, theirs in times.items():
            if library != OURS:
                rows.append((what, duration(ours), library, duration(theirs), *verdict(ours, theirs)))
    note = "Ratio: the baseline's time over diffrec's; where at most is asked for, diffrec's over the baseline's."
    return f"{markdown(rows)}\n\n{note}"


def verdict(ours: Timed | None, theirs: Timed) -> tuple[str, str]:
    """Ratio and what was asked for, marked where it was missed."""
    wanted, sign = (theirs.at_least, "at least") if theirs.at_most is None else (theirs.at_most, "at most")
    asked = "" if wanted is None else f"{sign} {wanted:g}"
    if ours is None:
        return "", asked
    ratio = theirs.seconds / ours.seconds if theirs.at_most is None else ours.seconds / theirs.seconds
    met = wanted is None or (ratio >= wanted if theirs.at_most is None else ratio <= wanted)
    return f"{ratio:.2f}", asked if met else f"{asked}: missed"


def changes(runs: list[Run]) -> str:
    """Compare the times of the last run with each entry's latest time in the runs before."""
    rows = [("what", "library", "old", "new", "change", "")]
    for what, times in runs[-1].items():
        for library, new in times.items():
            old = next((run[what][library] for run in reversed(runs[:-1]) if library in run.get(what, {})), None)
            if old is None:
                rows.append((what, library, "", duration(new), "", "new"))
                continue
            change = new.seconds / old.seconds - 1
            mark = "" if abs(change) <= NOISE else "slower" if change > 0 else "faster"
            rows.append((what, library, duration(old), duration(new), f"{100 * change:+.1f}%", mark))
    return f"{markdown(rows)}\n\nMarked: changes of more than {NOISE:.0%}."


def duration(time: Timed | None) -> str:
    """A time to three digits."""
    if time is None:
        return ""
    return f"{time.seconds:.3g} s" if time.seconds >= 0.9995 else f"{1000 * time.seconds:.3g} ms"


def markdown(rows: list[tuple[str, ...]]) -> str:
    """Rows, the first of them the heading, as an aligned table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def saved_runs() -> Iterator[Path]:
    """Files of the saved runs, the oldest first; their names begin with a running number."""
    return iter(sorted(STORAGE.glob("*/[0-9]*.json"), key=lambda path: path.name))


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", action="store_true", help="the latest run beside the ones before")
    compare = parser.parse_args().compare
    runs = [measured(json.loads(path.read_text())) for path in saved_runs()]
    if len(runs) < 1 + compare:
        parser.exit(1, f"{len(runs)} saved runs in {STORAGE}; `make bench` makes one\n")
    print(changes(runs) if compare else ratios(runs[-1]))


if __name__ == "__main__":
    main()
