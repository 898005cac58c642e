"""Closed-form maps on held-out interactions and on test: the command behind tables in docs/experiments.md.

    python benches/anchors.py ml-1m_clean lastfm movietweetings --blind
    python benches/anchors.py gowalla --blind --joined
    python benches/anchors.py movietweetings

Each form is judged by the N@20 of what ``hold_out`` keeps from the train part of ``$DIFFREC_DATA/NAME.npz``, at rising
strengths up to the first that is worse; then it is fitted on all of train and ranks the test part. Leave one set out:
the form that was best, relative to the best form of each set, on all other sets. ``--keep FILE`` remembers what was
measured, so that sets can be added.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

import diffrec
from diffrec.data import hold_out

METRIC = "ndcg@20"
# Users that are judged while a strength is chosen.
JUDGED = 2_000
EXACT: Mapping[str, Mapping[str, Any]] = {
    "exact, even users": {"anchor_damping": 0.25},
    "exact, long histories weigh less": {"anchor_damping": 0.25, "anchor_row_damping": 0.3},
    "exact, long histories weigh least": {"anchor_damping": 0.25, "anchor_row_damping": 0.5},
    "exact, both damped": {"anchor_damping": 0.4, "anchor_row_damping": 0.3},
    "exact, both damped more": {"anchor_damping": 0.4, "anchor_row_damping": 0.5},
}
APPROXIMATE: Mapping[str, Mapping[str, Any]] = {
    "16 vectors, long histories weigh less": {"anchor_damping": 0.35, "anchor_row_damping": 0.25, "anchor_rank": 16},
    "32 vectors, long histories weigh less": {"anchor_damping": 0.35, "anchor_row_damping": 0.25, "anchor_rank": 32},
    "64 vectors, long histories weigh less": {"anchor_damping": 0.35, "anchor_row_damping": 0.25, "anchor_rank": 64},
    "16 vectors, long histories weigh least": {"anchor_damping": 0.35, "anchor_row_damping": 0.5, "anchor_rank": 16},
    "128 vectors, even users": {"anchor_damping": 0.25},
    "128 vectors, long histories weigh less": {"anchor_damping": 0.35, "anchor_row_damping": 0.25},
}
# With an order: what follows is forecast. Half-lives and clock scales are shares of the time from first to last.
FORECASTS: Mapping[str, Mapping[str, Any]] = {
    "forecast of 5": {"horizon": 5},
    "forecast of 20": {"horizon": 20},
    "forecast of 1 (TALE's single target)": {"horizon": 1},
    "forecast of 20, targets fade in 1/2": {"horizon": 20, "anchor_half_life": 1 / 2},
    "forecast of 20, targets fade in 1/4": {"horizon": 20, "anchor_half_life": 1 / 4},
    "forecast of 20, histories by the clock": {"horizon": 20, "time_scales": (1 / 200, 1 / 30, None)},
}
FADING = (10.0, 20.0, 40.0)
STRENGTHS = (3.0, 6.0, 12.0, 25.0, 50.0)
# Items, or users times items, up to which the exact forms are tried; as `fit` does.
FEW = 6_000


def main() -> None:
    """Measure every form on every set, then print the rows of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="names of ready-made splits")
    parser.add_argument("--blind", action="store_true", help="leave the times out")
    parser.add_argument("--joined", action="store_true", help="learn from train and valid together")
    parser.add_argument("--keep", type=Path, help="file of what was measured before; it is added to")
    arguments = parser.parse_args()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    if arguments.keep and arguments.keep.exists():
        found = json.loads(arguments.keep.read_text())
    for name in arguments.data:
        label = name + (" --blind" if arguments.blind else "")
        if label not in found:
            found[label] = measured(name, blind=arguments.blind, joined=arguments.joined)
            if arguments.keep:
                arguments.keep.write_text(json.dumps(found, indent=1))
    print("| set | form | strength | held out N@20 | test N@20 | seconds |")
    print("|---|---|---|---|---|---|")
    for label, forms in found.items():
        for form, row in sorted(forms.items(), key=lambda item: -item[1]["held"]):
            cells = f"{row['l2']:g} | {row['held']:.4f} | {row['test']:.4f} | {row['seconds']:.1f}"
            print(f"| `{label}` | {form} | {cells} |")
    print("\n| set | chosen on the other sets | its test N@20 | chosen on this set's held-out part | its test N@20 |")
    print("|---|---|---|---|---|")
    for label, forms in found.items():
        own = max(forms, key=lambda form: forms[form]["held"])
        elsewhere = best_elsewhere(found, label)
        print(f"| `{label}` | {elsewhere} | {forms[elsewhere]['test']:.4f} | {own} | {forms[own]['test']:.4f} |")


def measured(name: str, *, blind: bool, joined: bool) -> dict[str, dict[str, Any]]:
    """By form: the best strength, N@20 on the held-out part and on test, and the seconds of all strengths together."""
    train, valid, test = diffrec.Split.read(Path(os.environ["DIFFREC_DATA"]) / f"{name}.npz")
    train = train.merge(valid) if joined else train
    if blind:
        train = diffrec.Interactions(train.matrix, None, train.users, train.items)
    learn, held = hold_out(train, 0.1, 0)
    held = some_users(held)
    users, items = train.shape
    if train.timestamps is not None:
        forms = {form: by_clock(settings, train) for form, settings in FORECASTS.items()}
        return {form: row_of(settings, FADING, train, learn, held, valid, test) for form, settings in forms.items()}
    forms = {}
    if items <= FEW or users * items <= FEW**2:
        forms |= {form: dict(settings) for form, settings in EXACT.items()}
    neighbors = min(max(40_000_000 // items, 50), 1000)
    forms |= {
        form: {**settings, "anchor_exact": 0, "anchor_neighbors": neighbors} for form, settings in APPROXIMATE.items()
    }
    return {form: row_of(settings, STRENGTHS, train, learn, held, valid, test) for form, settings in forms.items()}


def row_of(
    settings: Mapping[str, Any], strengths: Sequence[float], train: Any, learn: Any, held: Any, valid: Any, test: Any
) -> dict[str, Any]:
    """Choose the strength on what is held out, then fit on all of train for test."""
    started = time.perf_counter()
    tried: list[tuple[float, float]] = []
    for l2, anchor in zip(strengths, diffrec.Anchor(**settings).at_strengths(learn, strengths), strict=True):
        tried.append((anchor._validation(learn, held, METRIC), l2))
        if tried[-1] < max(tried):
            break
    seconds = time.perf_counter() - started
    value, l2 = max(tried)
    on_test = diffrec.Anchor(**settings, anchor_l2=l2).fit(train).evaluate(test, seen=valid)[METRIC]
    print(f"{dict(settings)}: l2 {l2:g}, held out {value:.4f}, test {on_test:.4f}, {seconds:.1f} s", flush=True)
    return {"l2": l2, "held": value, "test": on_test, "seconds": seconds}


def by_clock(settings: Mapping[str, Any], train: Any) -> dict[str, Any]:
    """Settings of a forecast, with shares of the time that the data spans made timedeltas."""
    span = timedelta(seconds=float(np.ptp(train.timestamps)))
    named: dict[str, Any] = {"objective": "forecast", "anchor_damping": 0.0, **settings}
    if "anchor_half_life" in named:
        named["anchor_half_life"] *= span
    if "time_scales" in named:
        named["time_scales"] = tuple(scale and scale * span for scale in named["time_scales"])
    return named


def best_elsewhere(found: Mapping[str, Mapping[str, Any]], label: str) -> str:
    """The form of this set that does best on the other sets that have it, relative to the best form of each."""
    others = [forms for other, forms in found.items() if other != label]

    def share(form: str) -> float:
        shares = [forms[form]["held"] / max(row["held"] for row in forms.values()) for forms in others if form in forms]
        return float(np.mean(shares)) if shares else 0.0

    return max(found[label], key=share)


def some_users(held: Any) -> Any:
    """The interactions of at most ``JUDGED`` users."""
    owners = np.flatnonzero(np.diff(held.matrix.indptr))
    if len(owners) <= JUDGED:
        return held
    kept = np.zeros(held.shape[0], dtype=np.bool_)
    kept[np.random.default_rng(0).choice(owners, JUDGED, replace=False)] = True
    return held.where(np.repeat(kept, np.diff(held.matrix.indptr)))


if __name__ == "__main__":
    main()
