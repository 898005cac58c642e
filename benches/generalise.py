"""How far the automatic choice is from the best candidate, on each set: the command behind a table in docs/results.md.

    DIFFREC_DATA=folder python benches/generalise.py movietweetings lastfm:blind --budget 5min

For each set, ``fit(train)`` alone is measured on the test part, and so is every candidate of its table: maps, rivals,
and what is handed out fitted to the whole train part, other denoisers as the search trained them, given whole
histories. Regret is what the best candidate has more, as a share of it: below 0 where the stack is better than any.
Beside it stands what would have been handed out had the choice been made on the other sets: the kind of candidate
with the best mean share of each set's best there (leave one set out). A kind is a candidate but for what depends on
the size of the data or on how long it trained; of several of a kind the best one on a set stands for it.

``NAME:blind`` leaves the times out. ``NAME/leave-last`` parts the train part again, by that rule of ``split``: another
question to the same data; ``shop/RULE`` asks it of generated people. ``--with-valid`` hands the validation part to the
choice. ``--maps`` trains no denoiser, and ``--without IDEA`` takes one idea of the choice away: what it is worth, in a
minute.
"""

import argparse
import gc
import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

import diffrec
from diffrec.checks import duration
from diffrec.data import has_order
from diffrec.recommenders.auto import blend, candidates, choose, judged
from diffrec.recommenders.auto.candidates import Candidate
from diffrec.recommenders.registry import make

METRIC = "ndcg@20"
# Ideas of the choice, and what is set where it is to do without.
IDEAS: dict[str, tuple[Any, str, Any]] = {
    "stack": (blend, "MOST_PARTS", 1),
    "newest": (judged, "_NEWEST", 1.0),
    "spans": (candidates, "_SPANS", ()),
    "fifth": (judged, "HOLDOUT", 0.1),
    "places": (blend, "_CANDIDATES", 12),
    "families": (blend, "_spread", lambda order, _: order[: blend._CANDIDATES]),
}


def main() -> None:
    """Measure each set, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="NAME[:blind|/RULE]")
    parser.add_argument("--budget", default="10min")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", choices=IDEAS, help="take an idea of the choice away")
    parser.add_argument("--maps", action="store_true", help="train no denoiser")
    parser.add_argument("--alone", action="store_true", help="hand out only, and measure no candidate")
    parser.add_argument("--with-valid", action="store_true", help="choose on the validation part")
    arguments = parser.parse_args()
    if arguments.without:
        module, name, value = IDEAS[arguments.without]
        assert hasattr(module, name)
        setattr(module, name, value)
    if arguments.maps:
        choose._train_denoisers = lambda *_: None  # type: ignore[assignment]
    found = {name: measured(name, arguments) for name in arguments.sets}
    if arguments.alone:
        return
    print("| set | handed out | N@20 | best candidate | N@20 | regret | chosen on the others | N@20 | asked, taken |")
    print("|---|---|---|---|---|---|---|---|---|")
    of_kinds = {name: one.kinds for name, one in found.items()}
    for name, one in found.items():
        best, most = max(one.tested, key=lambda row: row[1])
        other = elsewhere(name, of_kinds)
        cells = [name, one.handed_out, f"{one.value:.4f}", str(best), f"{most:.4f}"]
        cells += [f"{1 - one.value / most:+.1%}", other, f"{of_kinds[name].get(other, float('nan')):.4f}"]
        print("| " + " | ".join([*cells, f"{arguments.budget}, {one.seconds:.0f} s"]) + " |")


@dataclass(frozen=True)
class Measured:
    """What is handed out for a set, its test metric, the seconds it took, and every candidate with its metric.

    ``span`` is how much time lies between the first event that candidates were made for and the last.
    """

    handed_out: str
    value: float
    seconds: float
    tested: list[tuple[Candidate, float]]
    span: float

    @property
    def kinds(self) -> dict[str, float]:
        """The best metric of each kind of candidate."""
        best: dict[str, float] = {}
        for candidate, value in self.tested:
            kind = label(candidate, self.span)
            best[kind] = max(value, best.get(kind, 0.0))
        return best


def parts(name: str) -> diffrec.Split:
    """Read or make a set as it was asked for."""
    base, _, rule = name.partition("/")
    base, _, blind = base.partition(":")
    if base == "shop":
        return diffrec.datasets.synthetic(users=3_000, items=1_500).split(by=rule or "time")
    train, valid, test = diffrec.Split.read(Path(os.environ["DIFFREC_DATA"]) / f"{base}.npz")
    if blind or not has_order(train):
        train = diffrec.Interactions(train.matrix, None, train.users, train.items)
    return train.split(by=rule, seed=1) if rule else diffrec.Split(train, valid, test)


def measured(name: str, arguments: argparse.Namespace) -> Measured:
    """Choose for a set, and test what is handed out and every candidate."""
    train, valid, test = parts(name)
    budget, seed = arguments.budget, arguments.seed

    def tested(model: diffrec.Recommender) -> float:
        return model.evaluate(test, seen=valid, k=20)[METRIC]

    named: dict[str, Any] = {"seed": seed, "device": "auto", "progress": False, "callbacks": (), "repeats": "exclude"}
    started = time.perf_counter()
    found = choose.begun(train, valid if arguments.with_valid else None, started + duration("budget", budget), named)
    choose.table(found)
    model = choose.handed_out(found, train, named)
    seconds = time.perf_counter() - started
    value = tested(model)
    text = str(model.training_.facts["chosen"])
    print(f"{name}: {METRIC} {value:.4f} in {seconds:.0f} s; {text}", flush=True)
    fitted = {text.partition(f": {METRIC}")[0]: model}
    if isinstance(model, diffrec.Stack):
        told = [str(Candidate(variant, dict(settings))) for variant, settings in model.settings.parts]
        fitted = dict(zip(told, model.parts_, strict=True))
    rows: list[tuple[Candidate, float]] = []
    for trial in [] if arguments.alone else found.trials:
        whole = fitted.get(str(trial.candidate))
        if whole is None and trial.model is not None:
            whole = choose.knowing(trial.model, train)
        if whole is None:
            whole = make(trial.candidate.variant, **trial.candidate.settings, **named).fit(train)
        rows.append((trial.candidate, tested(whole)))
        print(f"  {trial.candidate}: held out {trial.value:.4f}, test {rows[-1][1]:.4f}", flush=True)
        gc.collect()
    times = found.learn.timestamps
    span = 0.0 if times is None else float(np.ptp(times))
    return Measured("stack" if isinstance(model, diffrec.Stack) else model.variant, value, seconds, rows, span)


def label(candidate: Candidate, span: float) -> str:
    """A candidate's name without what depends on the size of the data or on how long it trained; times as its parts."""
    of_size = {"anchor_neighbors", "epochs", "anchor_scale", "dims", "holdout"}
    kept = {
        name: f"1/{span / value.total_seconds():.0f}" if isinstance(value, timedelta) else value
        for name, value in candidate.settings.items()
        if name not in of_size
    }
    return str(Candidate(candidate.variant, kept))


def elsewhere(name: str, sets: dict[str, dict[str, float]]) -> str:
    """The candidate of a set that did best on the other ones, as a mean share of the best there."""
    shares: dict[str, list[float]] = {one: [] for one in sets[name]}
    for other, rows in sets.items():
        if other != name:
            for one in shares:
                shares[one].append(rows.get(one, 0.0) / max(rows.values()))
    return max(shares, key=lambda one: float(np.mean(shares[one] or [0.0])))


if __name__ == "__main__":
    main()
