"""How far the automatic choice is from the best candidate, on each set: the command behind a table in docs/results.md.

    DIFFREC_DATA=folder python benches/generalise.py movietweetings lastfm:blind --budget 5min

For each set, ``fit(train)`` alone is measured on the test part, and so is every candidate of its table: maps and rivals
fitted to the whole train part, denoisers as the search trained them, given whole histories. Regret is what the best
candidate has more, as a share of it: below 0 where the stack is better than any. Beside it stands what would have been
handed out had the choice been made on the other sets: the candidate with the best mean share of each set's best there
(leave one set out).

``NAME:blind`` leaves the times out. ``NAME/leave-last`` parts the train part again, by that rule of ``split``: another
question to the same data; ``shop/RULE`` asks it of generated people. ``--with-valid`` hands the validation part to the
choice. ``--maps`` trains no denoiser, and ``--without IDEA`` takes one idea of the choice away: what it is worth, in a
minute.
"""

import argparse
import gc
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import diffrec
from diffrec.checks import duration
from diffrec.data import has_order
from diffrec.recommenders.auto import blend, candidates, choose, search
from diffrec.recommenders.auto.candidates import Candidate
from diffrec.recommenders.registry import make

METRIC = "ndcg@20"
# Ideas of the choice, and what is set where it is to do without.
IDEAS: dict[str, tuple[Any, str, Any]] = {
    "stack": (blend, "MOST_PARTS", 1),
    "newest": (search, "_NEWEST", 1.0),
    "spans": (candidates, "_SPANS", ()),
    "fifth": (choose, "HOLDOUT", 0.1),
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
    for name, (chosen, value, seconds, tested) in found.items():
        best = max(tested, key=lambda one: tested[one])
        other = elsewhere(name, {set_: rows for set_, (_, _, _, rows) in found.items()})
        cells = [name, chosen, f"{value:.4f}", best, f"{tested[best]:.4f}"]
        cells += [f"{1 - value / tested[best]:+.1%}", other, f"{tested.get(other, float('nan')):.4f}"]
        print("| " + " | ".join([*cells, f"{arguments.budget}, {seconds:.0f} s"]) + " |")


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


def measured(name: str, arguments: argparse.Namespace) -> tuple[str, float, float, dict[str, float]]:
    """What is handed out for a set, its test metric, the seconds it took, and the metric of every candidate."""
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
    print(f"{name}: {METRIC} {value:.4f} in {seconds:.0f} s; {model.training_.facts['chosen']}", flush=True)
    chosen = "stack" if isinstance(model, diffrec.Stack) else model.variant
    rows: dict[str, float] = {}
    for trial in [] if arguments.alone else found.trials:
        whole = None if trial.model is None else choose.knowing(trial.model, train)
        if whole is None:
            whole = make(trial.candidate.variant, **trial.candidate.settings, **named).fit(train)
        rows[label(trial.candidate)] = tested(whole)
        print(f"  {trial.candidate}: held out {trial.value:.4f}, test {rows[label(trial.candidate)]:.4f}", flush=True)
        gc.collect()
    return chosen, value, seconds, rows


def label(candidate: Candidate) -> str:
    """A candidate's name without what depends on the size of the data or on how long it trained."""
    of_size = {"anchor_neighbors", "half_life", "anchor_half_life", "epochs", "anchor_scale", "dims", "holdout"}
    if isinstance(candidate.settings.get("half_life"), float):
        of_size.remove("half_life")
    kept = {name: value for name, value in candidate.settings.items() if name not in of_size}
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
