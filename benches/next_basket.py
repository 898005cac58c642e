"""Next baskets in a shop with repeats and returns: the command behind the table in docs/results.md.

    python benches/next_basket.py                     # every recommender, settings chosen on validation
    python benches/next_basket.py topfreq t-diffrec   # some of them

Reads the lines of Online Retail in ``$DIFFREC_DATA/onlineretail_lines.parquet``: those with a customer and a quantity
above 0, which is what people bought. The last basket of each customer is the test, the one before it validation.
Settings are those of the grid below that rank validation best (ndcg@20, seed 0), the last column; the model is fitted
again on all before the test, once a seed where seeds matter. Both questions are answered: the next basket, in which all
counts, and what in it is new to the customer.
"""

import argparse
import itertools
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import diffrec
from diffrec.recommenders import VARIANTS

METRICS = ("recall@20", "ndcg@20")
DAYS = timedelta(days=60)
# What is tried: for each variant, values by setting, in every combination.
GRIDS: dict[str, dict[str, list[Any]]] = {
    "popularity": {"half_life": [None, DAYS / 2, DAYS, 2 * DAYS]},
    "itemknn": {"weighting": ["cosine", "bm25"], "neighbors": [20, 100, 400]},
    "rp3beta": {"beta": [0.0, 0.3, 0.6], "neighbors": [100, 1000]},
    "ease": {"l2": [30.0, 100.0, 300.0, 1000.0], "half_life": [None, 5.0], "binarize": [True, False]},
    "ials": {"factors": [64, 256], "l2": [1.0, 10.0, 30.0, 100.0], "alpha": [0.3, 1.0, 10.0]},
    "topfreq": {
        "half_life": [None, 2.0, 5.0, 10.0, 20.0, DAYS, 2 * DAYS],
        "popularity": [0.0, 0.1, 1.0, 3.0, 10.0, 30.0],
    },
    "tifuknn": {
        "neighbors": [50, 100, 300],
        "alpha": [0.1, 0.2, 0.4, 0.7],
        "group_size": [3, 7],
        "within_decay": [0.9, 1.0],
        "group_decay": [0.7, 0.9],
    },
    # Each of its batches goes over the whole graph: with the usual 2,048 an epoch took 13 s.
    "lightgcn": {"batch_size": [8192], "lr": [0.01], "epochs": [20, 60]},
    "multivae": {"epochs": [20, 60]},
    "multidae": {"epochs": [20, 60]},
    "cfgan": {"epochs": [20, 60]},
    "sasrec": {"repeats": ["include"], "epochs": [5, 10]},
    "anchor": {"repeats": ["include"]},
    "t-diffrec": {
        "repeats": ["include"],
        "anchor": [False],
        "dims": [(200,)],
        "time_scales": [(5.0,)],
        "dropout": [0.3, 0.5],
        "epochs": [8, 12, 16],
    },
}


def main() -> None:
    """Choose settings, fit and evaluate, and print a row of a Markdown table for each recommender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", default=list(GRIDS), metavar="variant")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    train, valid, test = purchases().split(by="leave-last")
    learn = train.merge(valid)
    for variant in arguments.variants:
        started = time.perf_counter()
        settings, validation = chosen(variant, train, valid)
        seeds = arguments.seeds[:1] if VARIANTS[variant].kind.seedless else arguments.seeds
        rows = []
        for seed in seeds:
            model = fitted(variant, learn, seed, settings)
            reports = [model.evaluate(test, exclude_seen=exclude) for exclude in (False, True)]
            rows.append([report[metric] for report in reports for metric in METRICS])
        means, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        cells = " | ".join(
            f"{m:.4f}" + (f" ± {s:.4f}" if len(seeds) > 1 else "") for m, s in zip(means, spread, strict=True)
        )
        named = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        print(f"| `{variant}` | {cells} | {validation:.4f} | {named} |", flush=True)
        print(f"  {time.perf_counter() - started:.0f} s", flush=True)


def purchases() -> diffrec.Interactions:
    """What customers bought, a row per line."""
    lines = pd.read_parquet(Path(os.environ["DIFFREC_DATA"]) / "onlineretail_lines.parquet")
    lines = lines[lines["customer_id"].notna() & (lines["quantity"] > 0)]
    lines = lines.astype({"customer_id": "int64", "stock_code": "str"})
    return diffrec.Interactions.from_frame(lines, user="customer_id", item="stock_code", timestamp="invoice_date")


def chosen(variant: str, train: diffrec.Interactions, valid: diffrec.Interactions) -> tuple[dict[str, Any], float]:
    """The settings of the grid that rank validation best, and how well they do."""
    grid = GRIDS[variant]
    best: tuple[dict[str, Any], float] = {}, -1.0
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        found = fitted(variant, train, 0, settings).evaluate(valid, exclude_seen=False)["ndcg@20"]
        if found > best[1]:
            best = settings, found
    return best


def fitted(variant: str, data: diffrec.Interactions, seed: int, settings: dict[str, Any]) -> diffrec.Recommender:
    """A model that saw all of the data for as many epochs as are set."""
    trained = {"holdout": 0.0} if "holdout" in VARIANTS[variant].kind().get_params() else {}
    return diffrec.fit(data, variant=variant, seed=seed, progress=False, **trained, **settings)


if __name__ == "__main__":
    main()
