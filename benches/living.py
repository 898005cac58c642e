"""Models that live: data come month by month; one model is updated and one fitted anew, and both are judged.

    python benches/living.py ml-1m itemknn ials diffrec    # some recommenders on one set, into living.json
    python benches/living.py online-retail --seeds 0 1 2
    python benches/living.py --table                       # the table of docs/living.md, of what living.json holds

Reads ``$DIFFREC_DATA``. Online Retail has a clock: lines with a customer and a quantity above 0, in thirteen calendar
months; the first six are the first fit, and each later one is an update, judged on the month after it. ``ml-1m_clean``
has the order of each history and no clock: users arrive over ten periods, drawn by a seed, and what a user did is
spread evenly, in its order, over the period of arrival and the two after it; the first four periods are the first fit.
Update and refit get the same interactions, and are asked what their users discover in the next period (ndcg@20). The
first update is of a model that was saved and loaded.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import diffrec
from diffrec import Interactions
from diffrec.recommenders import make

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRIC = "ndcg@20"
FOUND = Path(__file__).with_suffix(".json")
PERIODS, SPREAD = 10, 3
_FORECAST: dict[str, Any] = {"holdout": 0.0}
#: Variants by the name of a row, and what is set for each set of data.
ROWS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "itemknn": ("itemknn", {"ml-1m": {"neighbors": 200}, "online-retail": {"neighbors": 100}}),
    "ease": ("ease", {"ml-1m": {"l2": 500.0}, "online-retail": {"l2": 300.0}}),
    "ials": ("ials", {"ml-1m": {}, "online-retail": {"alpha": 1.0}}),
    "anchor": ("anchor", {"ml-1m": {}, "online-retail": {}}),
    "diffrec": (
        "diffrec",
        {"ml-1m": {"dims": (600,), "epochs": 100}, "online-retail": {"dims": (600,), "epochs": 100}},
    ),
    "l-diffrec": ("l-diffrec", {"ml-1m": {"epochs": 60}, "online-retail": {"epochs": 60}}),
    "t-diffrec": ("t-diffrec", {"ml-1m": _FORECAST, "online-retail": _FORECAST | {"anchor": False}}),
    "multivae": ("multivae", {"ml-1m": {"epochs": 60}, "online-retail": {"epochs": 60}}),
    "sasrec": ("sasrec", {"ml-1m": {}, "online-retail": {}}),
}


def main() -> None:
    """Replay, or say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", choices=["ml-1m", "online-retail"])
    parser.add_argument("rows", nargs="*", metavar="recommender")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, help="passes of an update, in place of the default")
    parser.add_argument("--months", type=int, help="how many updates, for a look")
    parser.add_argument("--dry", action="store_true", help="print alone, and leave living.json as it is")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.data:
        for row in arguments.rows or list(ROWS):
            for seed in arguments.seeds:
                months = replay(arguments.data, row, seed, arguments.epochs, arguments.months)
                print(summary(arguments.data, row, [months]), flush=True)
                if not arguments.dry:
                    keep(arguments.data, row, seed, months)
    if arguments.table:
        print(HEAD)
        for data, rows in json.loads(FOUND.read_text()).items():
            for row, seeds in rows.items():
                print(summary(data, row, list(seeds.values())))


def months_of(data: str) -> list[Interactions]:
    """What was done in each period, the first fit's first."""
    folder = Path(os.environ["DIFFREC_DATA"])
    if data == "online-retail":
        lines = pd.read_parquet(folder / "onlineretail_lines.parquet")
        lines = lines[lines["customer_id"].notna() & (lines["quantity"] > 0)]
        lines = lines.astype({"customer_id": "int64", "stock_code": "str"})
        month = pd.to_datetime(lines["invoice_date"]).dt.to_period("M")
        first, columns = 6, {"user": "customer_id", "item": "stock_code", "timestamp": "invoice_date"}
        period = (month.astype("int64") - month.astype("int64").min()).to_numpy()
    else:
        train = np.load(folder / "ml-1m_clean.npz")["train"]
        train = train[np.argsort(train[:, 0], kind="stable")]
        counts = np.bincount(train[:, 0])
        place = np.arange(len(train)) - np.repeat(np.cumsum(counts) - counts, counts)
        arrival = np.random.default_rng(0).integers(PERIODS - 1, size=len(counts))[train[:, 0]]
        # Whoever arrives late has less than all of the periods that a history is spread over.
        spread = np.minimum(SPREAD, PERIODS - arrival)
        period = arrival + place * spread // counts[train[:, 0]]
        first, columns = 4, {"user": "user", "item": "item", "timestamp": "time"}
        # A time for each place of a history, the same for everyone who is at it: an order, and no baskets.
        lines = pd.DataFrame({"user": train[:, 0], "item": train[:, 1], "time": period * 100_000 + place})
    parts = np.maximum(period, first - 1) - (first - 1)
    return [Interactions.from_frame(lines[parts == part], **columns) for part in range(parts.max() + 1)]


def replay(data: str, row: str, seed: int, epochs: int | None, most: int | None) -> list[dict[str, float]]:
    """Update month by month, and fit anew beside it."""
    variant, settings = ROWS[row]
    own = settings[data] | {"progress": False, "seed": seed}
    months = months_of(data)
    started = time.perf_counter()
    model = make(variant, **own).fit(months[0])
    print(f"  {row}: first fit {time.perf_counter() - started:.1f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model.diffrec"))
        model = diffrec.load(Path(folder, "model.diffrec"))
    found = []
    for new, later in itertools.islice(itertools.pairwise(months[1:]), most):
        started = time.perf_counter()
        model.update(new, epochs=epochs)
        updated = time.perf_counter() - started
        started = time.perf_counter()
        refit = make(variant, **own).fit(model.train_)
        fitted = time.perf_counter() - started
        of = {"update": model.evaluate(later)[METRIC], "refit": refit.evaluate(later)[METRIC]}
        found.append(of | {"update_s": updated, "refit_s": fitted, "new": len(new), "items": model.train_.shape[1]})
        print("   ", {name: round(value, 4) for name, value in found[-1].items()}, flush=True)
    return found


def keep(data: str, row: str, seed: int, months: list[dict[str, float]]) -> None:
    """Add a replay to those that are kept."""
    found = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    found.setdefault(data, {}).setdefault(row, {})[str(seed)] = months
    FOUND.write_text(json.dumps(found, indent=1) + "\n")


HEAD = """| data | recommender | update | refit | update / refit | worst month | s an update | s a refit | share |
|---|---|---|---|---|---|---|---|---|"""


def summary(data: str, row: str, seeds: list[list[dict[str, float]]]) -> str:
    """A row of a table: means over the months, and the seeds."""
    columns = {name: np.array([[month[name] for month in months] for months in seeds]) for name in seeds[0][0]}
    update, refit = columns["update"].mean(axis=0), columns["refit"].mean(axis=0)
    seconds, anew = columns["update_s"].mean(), columns["refit_s"].mean()
    return (
        f"| {data} | `{row}` | {update.mean():.4f} | {refit.mean():.4f} | {update.mean() / refit.mean():.3f} | "
        f"{(update / refit).min():.3f} | {seconds:.2f} | {anew:.2f} | {seconds / anew:.0%} |"
    )


def draw() -> "Figure":
    """Draw the accuracy of both by month, a panel for each set, and say the share of a refit's time."""
    from matplotlib.figure import Figure

    found = json.loads(FOUND.read_text())
    figure = Figure(figsize=(5.5 * len(found), 4.4), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for panel, (data, rows) in zip(panels, found.items(), strict=True):
        for number, (row, seeds) in enumerate(rows.items()):
            of = {
                name: np.mean([[month[name] for month in months] for months in seeds.values()], axis=0)
                for name in ("update", "refit", "update_s", "refit_s")
            }
            share = of["update_s"].mean() / of["refit_s"].mean()
            months, color = np.arange(1, 1 + len(of["update"])), f"C{number}"
            panel.plot(months, of["refit"], "--", color=color, linewidth=1)
            panel.plot(months, of["update"], "-o", color=color, markersize=3, label=f"{row}, {share:.0%} of the time")
        panel.set(title=data, xlabel="update", ylabel=f"{METRIC} of what users discover next", ylim=(0, None))
        panel.legend(fontsize=7, title="updated: line; fitted anew: dashes", title_fontsize=7)
    return figure


if __name__ == "__main__":
    main()
