"""``fit(data)`` on kinds of data that no setting was chosen on: the command behind a table in docs/experiments.md.

    python benches/kinds.py --maps
    python benches/kinds.py sessions news/global-time --budget 2min

Each kind is a generated world: step by step every user takes an item, drawn by a softmax of the user's taste (latent
factors, or a group of items), the item's fame, what the last item leads to, what the user had, and whether the item is
still of today. Its newest part is the test, or one drawn at random where there are no times. What is handed out is held
against simple models with their defaults; the best of them is told *on the test part*, and of eight one is always
lucky. ``KIND/RULE`` parts by another rule of ``split``, ``--worlds 3`` makes each kind so often, ``--maps`` trains no
denoiser.
"""

import argparse
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

import diffrec
from diffrec import Interactions
from diffrec.recommenders.auto import choose

METRIC, DAY = "ndcg@20", 86_400.0
# What a world is unless a kind says otherwise. Median and spread (of the logarithm) are of the lengths of histories, a
# share of which are singles; taste, fame, leads_on and again are added to logits; items fade by e^3 in a life, of days;
# a basket's items have one moment, between baskets is a pause of seconds (None: they fill the user's time), and moments
# are told in steps of seconds (None: not at all).
USUAL: Mapping[str, Any] = {
    "users": 1_500, "items": 900, "median": 15, "spread": 0.6, "groups": 0, "taste": 1.5, "fame": 1.0, "leads_on": 0.0,
    "again": 0.0, "life": 0.0, "days": 365.0, "pause": None, "basket": 1, "told": 1.0, "singles": 0.0,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "ordinary": {},
    "blind": {"told": None},
    "tiny": {"users": 50, "items": 30, "median": 6},
    "wide": {"users": 400, "items": 8_000, "median": 50, "fame": 1.5, "taste": 2.5},
    "narrow": {"users": 20_000, "items": 200, "median": 6},
    "short": {"users": 6_000, "median": 2, "taste": 2.0},
    "long": {"users": 300, "items": 1_500, "median": 200},
    "singles": {"users": 4_000, "median": 8, "singles": 0.6},
    "groups": {"groups": 20, "fame": 0.7},
    "nothing but fame": {"taste": 0.0, "fame": 1.5},
    "nothing but order": {"taste": 0.3, "fame": 0.1, "leads_on": 7.0},
    "sessions": {"users": 6_000, "median": 5, "leads_on": 6.0, "taste": 1.0, "pause": 60.0, "days": 30.0},
    "one day": {"users": 2_000, "median": 10, "leads_on": 2.0, "days": 1.0},
    "dates": {"basket": 3, "told": DAY, "days": 60.0},
    "news": {"users": 3_000, "median": 10, "spread": 0.8, "life": 3.0, "days": 30.0},
    "groceries": {"users": 700, "median": 100, "again": 4.0, "basket": 7, "fame": 1.2},
}  # fmt: skip


def world(seed: int, **kind: Any) -> Interactions:
    """Draw a world of a kind."""
    of = {**USUAL, **kind}
    rng = np.random.default_rng(seed)
    users, items, groups = of["users"], of["items"], of["groups"]
    lengths = np.exp(rng.normal(np.log(of["median"]), of["spread"], users)).round().clip(1, items // 2)
    lengths[rng.random(users) < of["singles"]] = 1
    if groups:
        likes, kinds = (
            3 * np.eye(groups)[rng.integers(groups, size=users)],
            np.eye(groups)[rng.integers(groups, size=items)],
        )
    else:
        likes, kinds = rng.normal(size=(users, 8)), rng.normal(size=(items, 8)) / np.sqrt(8)
    fame, leads = of["fame"] * rng.normal(size=items), rng.integers(items, size=(items, 3))
    born = rng.uniform(-of["life"], of["days"], items)
    now = rng.uniform(0, 0.6 if of["pause"] is None else 1.0, users) * of["days"] * DAY
    pause = of["pause"] or (of["days"] * DAY - now) * rng.uniform(0.3, 1, users) / lengths * of["basket"]
    had, last = np.zeros((users, items), dtype=np.bool_), np.zeros(users, dtype=np.int64)
    drawn: list[tuple[NDArray[Any], ...]] = []
    for step in range(int(lengths.max())):
        on = np.flatnonzero(lengths > step)
        if step % of["basket"] == 0 and step:
            now[on] += rng.exponential(size=len(on)) * np.broadcast_to(pause, users)[on]
        logits = of["taste"] * likes[on] @ kinds.T + fame + rng.gumbel(size=(len(on), items))
        if step and of["leads_on"]:
            np.add.at(logits, (np.arange(len(on))[:, None], leads[last[on]]), of["leads_on"])
        if of["life"]:
            age = now[on, None] / DAY - born
            logits -= np.where(age < 0, 30, 3 * age / of["life"])
        logits += of["again"] * had[on] if of["again"] else np.where(had[on], -np.inf, 0.0)
        last[on] = logits.argmax(axis=1)
        had[on, last[on]] = True
        drawn.append((on, last[on], now[on]))
    user, item, moment = (np.concatenate(column) for column in zip(*drawn, strict=True))
    times = None if of["told"] is None else 1.7e9 + np.floor(moment / of["told"]) * of["told"]
    return Interactions.from_arrays(user, item, timestamp=times)


def simple(train: Interactions, repeats: str) -> dict[str, diffrec.Recommender]:
    """Fit simple models with their defaults, and popularity of late."""
    named: dict[str, dict[str, Any]] = {name: {} for name in ("popularity", "itemknn", "rp3beta", "ials", "anchor")}
    if train.shape[1] <= 6_000:
        named["ease"] = {}
    if train.timestamps is not None:
        named |= {
            f"popularity, {parts}th": {"half_life": timedelta(seconds=float(np.ptp(train.timestamps)) / parts)}
            for parts in (5, 30, 100)
        }
    if repeats == "include":
        named |= {"topfreq": {}, "tifuknn": {}}
    return {
        name: diffrec.fit(train, variant=name.partition(",")[0], repeats=repeats, progress=False, **settings)
        for name, settings in named.items()
    }


def measured(name: str, budget: str, seed: int) -> str:
    """Make a kind, fit, and return its row of the table."""
    kind, _, rule = name.partition("/")
    data = world(seed, **KINDS[kind])
    train, _, test = data.split(by=rule or ("random" if data.timestamps is None else "time"), valid=0)
    repeats = "include" if KINDS[kind].get("again") else "exclude"

    def tested(model: diffrec.Recommender) -> float:
        return model.evaluate(test, k=20, exclude_seen=repeats == "exclude")[METRIC]

    started = time.perf_counter()
    model = diffrec.fit(train, budget=budget, repeats=repeats, progress=False)
    seconds, value = time.perf_counter() - started, tested(model)
    rivals = {rival: tested(fitted) for rival, fitted in simple(train, repeats).items()}
    best = max(rivals, key=lambda rival: rivals[rival])
    parts = ", ".join(part.variant for part in model.parts_) if isinstance(model, diffrec.Stack) else model.variant
    size = f"{train.shape[0]:,} x {train.shape[1]:,}, {train.n_events:,}"
    cells = [name, size, parts, f"{value:.4f}", best, f"{rivals[best]:.4f}", f"{value / rivals[best] - 1:+.1%}"]
    return "| " + " | ".join([*cells, f"{seconds:.0f} s"]) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND[/RULE]", help=f"of {', '.join(KINDS)}; all without one")
    parser.add_argument("--budget", default="10min")
    parser.add_argument("--worlds", type=int, default=1, help="how many worlds of each kind")
    parser.add_argument("--maps", action="store_true", help="train no denoiser")
    arguments = parser.parse_args()
    if arguments.maps:
        choose._train_denoisers = lambda *_: None  # type: ignore[assignment]
    print("| kind | users x items, events | handed out | N@20 | best simple model | N@20 | | taken |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.kinds or KINDS:
        for seed in range(arguments.worlds):
            print(measured(name, arguments.budget, seed), flush=True)


if __name__ == "__main__":
    main()
