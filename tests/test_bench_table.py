from typing import Any

from benches import table


def saved(entry: str, **seconds: float) -> dict[str, Any]:
    """What pytest-benchmark saves, as far as it is read."""
    asked = {"SciPy": (3, None), "read": (None, 1.5)}
    return {
        "benchmarks": [
            {
                "group": entry,
                "stats": {"min": time},
                "extra_info": {
                    "library": library,
                    "ours": None if library == "diffrec" else seconds["diffrec"],
                    "at_least": asked.get(library, (None, None))[0],
                    "at_most": asked.get(library, (None, None))[1],
                },
            }
            for library, time in seconds.items()
        ]
    }


def cells(text: str) -> list[list[str]]:
    """The rows of a table below its heading."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:] if line.startswith("|")]


def test_each_baseline_has_its_ratio_and_whether_it_is_as_asked() -> None:
    run = table.measured(saved("rows", diffrec=0.002, SciPy=0.005, read=0.001, other=2.0))
    assert cells(table.ratios(run)) == [
        ["rows", "2 ms", "SciPy", "5 ms", "2.50", "at least 3: missed"],
        ["rows", "2 ms", "read", "1 ms", "2.00", "at most 1.5: missed"],
        ["rows", "2 ms", "other", "2 s", "1000.00", ""],
    ]
    met = table.measured(saved("rows", diffrec=0.001, SciPy=0.003, read=0.001))
    assert [row[-1] for row in cells(table.ratios(met))] == ["at least 3", "at most 1.5"]


def test_a_run_is_compared_with_the_latest_that_has_the_entry() -> None:
    runs = [
        table.measured(saved(entry, **seconds))
        for entry, seconds in [
            ("rows", {"diffrec": 9.0}),
            ("rows", {"diffrec": 1.0, "SciPy": 4.0}),
            ("lists", {"diffrec": 7.0}),
            ("rows", {"diffrec": 0.5, "SciPy": 4.2, "new": 1.0}),
        ]
    ]
    assert cells(table.changes(runs)) == [
        ["rows", "diffrec", "1 s", "500 ms", "-50.0%", "faster"],
        ["rows", "SciPy", "4 s", "4.2 s", "+5.0%", ""],
        ["rows", "new", "", "1 s", "", "new"],
    ]
