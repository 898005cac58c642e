"""The table of the latest saved run of the benchmarks, or what changed since the runs before it.

    python -m benches.table
    python -m benches.table --compare

``make bench`` saves its runs in ``.benchmarks/``. A time is the least of its rounds, the one that other work on the
machine disturbed least; diffrec's beside a baseline's is from the rounds that alternated with the baseline's.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STORAGE = Path(__file__).parents[1] / ".benchmarks"
# A change up to this share may be noise.
NOISE = 0.1
OURS = "diffrec"


@dataclass(frozen=True)
class Timed:
    """One library's time in an entry; of a baseline also diffrec's beside it, and what that is to be."""

    seconds: float
    ours: float | None
    at_least: float | None
    at_most: float | None


#: Entry -> library -> its time.
Run = dict[str, dict[str, Timed]]


def measured(saved: dict[str, Any]) -> Run:
    """The times in what pytest-benchmark saves of a run."""
    run: Run = {}
    for bench in saved["benchmarks"]:
        facts = bench["extra_info"]
        timed = Timed(bench["stats"]["min"], facts["ours"], facts["at_least"], facts["at_most"])
        run.setdefault(bench["group"], {})[facts["library"]] = timed
    return run


def ratios(run: Run) -> str:
    """Lay out diffrec's times beside every baseline's, as a Markdown table."""
    rows = [("what", "diffrec", "baseline", "its time", "ratio", "asked for")]
    for what, times in run.items():
        for library, timed in times.items():
            if timed.ours is not None:
                cells = duration(timed.ours), library, duration(timed.seconds)
                rows.append((what, *cells, *verdict(timed, timed.ours)))
    note = "Ratio: the baseline's time over diffrec's; where at most is asked for, diffrec's over the baseline's."
    return f"{markdown(rows)}\n\n{note}"


def verdict(timed: Timed, ours: float) -> tuple[str, str]:
    """Ratio and what was asked for, marked where it was missed."""
    if timed.at_most is not None:
        ratio = ours / timed.seconds
        met, asked = ratio <= timed.at_most, f"at most {timed.at_most:g}"
    else:
        ratio, least = timed.seconds / ours, timed.at_least
        met, asked = least is None or ratio >= least, "" if least is None else f"at least {least:g}"
    return f"{ratio:.2f}", asked if met else f"{asked}: missed"


def changes(runs: list[Run]) -> str:
    """Compare the times of the last run with each entry's latest time in the runs before."""
    rows = [("what", "library", "old", "new", "change", "")]
    for what, times in runs[-1].items():
        for library, new in times.items():
            old = next((run[what][library] for run in reversed(runs[:-1]) if library in run.get(what, {})), None)
            if old is None:
                rows.append((what, library, "", duration(new.seconds), "", "new"))
                continue
            change = new.seconds / old.seconds - 1
            mark = "" if abs(change) <= NOISE else "slower" if change > 0 else "faster"
            rows.append((what, library, duration(old.seconds), duration(new.seconds), f"{100 * change:+.1f}%", mark))
    return f"{markdown(rows)}\n\nMarked: changes of more than {NOISE:.0%}."


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    return f"{seconds:.3g} s" if seconds >= 0.9995 else f"{1000 * seconds:.3g} ms"


def markdown(rows: list[tuple[str, ...]]) -> str:
    """Rows, the first of them the heading, as an aligned table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def saved_runs() -> list[Path]:
    """Files of the saved runs, the oldest first; their names begin with a running number."""
    return sorted(STORAGE.glob("*/*_*.json"), key=lambda path: int(path.name.partition("_")[0]))


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", action="store_true", help="the latest run beside the ones before")
    compare = parser.parse_args().compare
    runs = [measured(json.loads(path.read_text())) for path in saved_runs()]
    needed = 2 if compare else 1
    if len(runs) < needed:
        parser.exit(1, f"`make bench` has saved {len(runs)} runs in {STORAGE}; needed are {needed}\n")
    print(changes(runs) if compare else ratios(runs[-1]))


if __name__ == "__main__":
    main()
