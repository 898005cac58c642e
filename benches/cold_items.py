"""Items that nobody has touched: a fifth of a shop's items are held out of training, and found again from their facts.

    python benches/cold_items.py                     # every method, three draws of the items
    python benches/cold_items.py ease random --seeds 0
    python benches/cold_items.py --people            # customers held out, by their country

Reads ``$DIFFREC_DATA/onlineretail_lines.parquet``: lines with a customer, a quantity and a price above 0. Facts of an
item are its most frequent description and its median price. Items are drawn by a seed; all that was done with them is
the test, and the rest is learnt from. Each customer with a test item gets the best 20 of the held-out items alone:
nobody has touched them, so that popularity knows nothing of them. ``knn`` is the cosine between the features of an item
and the mean of those of a customer's items. ``lightfm`` is its hybrid with the same features, from the released package
in an environment of its own, as ``benches/peers.py`` has them; its settings were chosen on the draw of seed 9.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peers import ENVIRONMENTS, installed
from scipy import sparse

import diffrec
from diffrec import Interactions
from diffrec.data.features import FactFeatures
from diffrec.evaluation import measure

SHARE, K = 0.2, 20
LIGHTFM = {"no_components": 64, "epochs": 30, "learning_rate": 0.05}
#: What is fitted before facts are mapped to what it has learnt.
MODELS: dict[str, dict[str, Any]] = {
    "ease": {"l2": 300.0},
    "itemknn": {},
    "ials": {"alpha": 1.0},
    "diffrec": {"dims": (600,), "epochs": 60, "holdout": 0.0},
}


def main() -> None:
    """Print a row of a Markdown table for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=["random", "knn", "lightfm", *MODELS], metavar="method")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--people", action="store_true")
    parser.add_argument("--lightfm", type=json.loads, default={}, help="other settings of it, as JSON")
    arguments = parser.parse_args()
    LIGHTFM.update(arguments.lightfm)
    lines = read()
    if "lightfm" in arguments.methods:
        installed("lightfm", ENVIRONMENTS)  # here: the seconds of a method are without it
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in arguments.seeds:
        for name, figures in (people if arguments.people else items)(lines, seed, arguments.methods).items():
            found.setdefault(name, []).append(figures)
    print(f"| | recall@{K} | ndcg@{K} | seconds |\n|---|---|---|---|")
    for name, rows in found.items():
        means, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        print(f"| `{name}` | {means[0]:.4f} ± {spread[0]:.4f} | {means[1]:.4f} ± {spread[1]:.4f} | {means[2]:.1f} |")


def read() -> pd.DataFrame:
    """What was bought, by whom, what it is called and what it cost."""
    lines = pd.read_parquet(Path(os.environ["DIFFREC_DATA"]) / "onlineretail_lines.parquet")
    lines = lines[lines["customer_id"].notna() & (lines["quantity"] > 0) & (lines["unit_price"] > 0)]
    lines = lines.astype({"customer_id": "int64", "stock_code": "str"})
    return lines.rename(columns={"customer_id": "user", "stock_code": "item", "invoice_date": "timestamp"})


def items(lines: pd.DataFrame, seed: int, methods: list[str]) -> dict[str, tuple[float, float, float]]:
    """Recall, NDCG and seconds of each method, over items held out by a seed."""
    facts = lines.groupby("item").agg(
        title=("description", lambda texts: texts.dropna().mode().get(0, "")), price=("unit_price", "median")
    )
    facts = facts.reset_index()
    cold = facts.sample(frac=SHARE, random_state=seed)
    held_out = lines["item"].isin(cold["item"])
    train = Interactions.from_frame(
        lines[~held_out], user="user", item="item", timestamp="timestamp", items=facts.astype({"item": "str"})
    )
    test = Interactions.from_frame(lines[held_out], user="user", item="item", items=None)
    relevant = test.align(train.users, cold["item"].to_numpy(dtype=str))[0]
    rows = np.flatnonzero(np.diff(relevant.matrix.indptr))
    features = FactFeatures.of(train.item_info)
    known = features.matrix(train.item_info, train.shape[1])
    new = features.matrix({"title": cold["title"].to_numpy(dtype=str), "price": cold["price"].to_numpy()}, len(cold))
    found = {}
    for method in methods:
        started = time.perf_counter()
        lists = ranked(method, train, train.users.ids[rows], cold, known, new, seed)
        seconds = time.perf_counter() - started
        report = measure(lists, relevant.matrix[rows], relevant.users.ids[rows], [K])
        found[method] = (report[f"recall@{K}"], report[f"ndcg@{K}"], seconds)
        print(f"  {seed} {method} {found[method]}", flush=True)
    return found


def ranked(
    method: str, train: Interactions, users: NDArray[Any], cold: pd.DataFrame, known: Any, new: Any, seed: int
) -> NDArray[np.int32]:
    """The best of the new items for each of some users, as rows of ``cold``."""
    rows = train.users.rows(users)
    if method == "random":
        scores = np.random.default_rng(seed).random((len(users), len(cold)))
    elif method == "knn":
        taken = sparse.csr_array(train.matrix[rows] > 0, dtype=np.float64)
        # The last feature is a constant. The length of a user's mean changes no order.
        lengths = np.maximum(sparse.linalg.norm(new[:, :-1], axis=1), 1e-12)
        scores = (taken @ known[:, :-1] @ new[:, :-1].T).toarray() / lengths
    elif method == "lightfm":
        return hybrid(train, rows, known[:, :-1], new[:, :-1])
    else:
        model = diffrec.fit(train, variant=method, seed=seed, progress=False, **MODELS[method])
        top = model.recommend(users, K, cold_items=cold, allow=cold["item"].tolist())
        return (top.item_rows - train.shape[1]).astype(np.int32)
    return np.argsort(-scores, axis=1)[:, :K].astype(np.int32)


def hybrid(train: Interactions, rows: NDArray[np.int64], known: Any, new: Any) -> NDArray[np.int32]:
    """LightFM's lists, of its own environment."""
    python = installed("lightfm", ENVIRONMENTS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, matrix in (("train", train.matrix), ("known", known), ("new", new)):
            sparse.save_npz(folder / f"{part}.npz", sparse.csr_array(matrix))
        np.save(folder / "users.npy", rows)
        worker = Path(__file__).with_name("cold_lightfm.py")
        subprocess.run([python, worker, folder, json.dumps(LIGHTFM)], check=True, stdout=subprocess.DEVNULL)
        lists: NDArray[np.int32] = np.load(folder / "lists.npy")
    return lists


def people(lines: pd.DataFrame, seed: int, methods: list[str]) -> dict[str, tuple[float, float, float]]:
    """Recall, NDCG and seconds over customers held out by a seed: popularity, and a model asked by their country."""
    countries = lines.groupby("user")["country"].agg(lambda texts: texts.mode()[0]).reset_index()
    cold = countries.sample(frac=SHARE, random_state=seed)
    held_out = lines["user"].isin(cold["user"])
    train = Interactions.from_frame(lines[~held_out], user="user", item="item", timestamp="timestamp")
    test = Interactions.from_frame(lines[held_out], user="user", item="item")
    relevant = test.align(cold["user"].to_numpy(), train.items)[0]
    popular = diffrec.fit(train, variant="popularity")
    found = {}
    for method in ["popularity", *(name for name in methods if name in MODELS)]:
        started = time.perf_counter()
        if method == "popularity":
            top = popular.recommend(cold["user"].to_numpy(), K, unknown="popular")
        else:
            model = diffrec.fit(train, variant=method, seed=seed, progress=False, **MODELS[method])
            top = model.for_cold_users(countries[~countries["user"].isin(cold["user"])]).recommend(cold, K)
        seconds = time.perf_counter() - started
        # Who is from elsewhere is asked about apart: nine in ten are from one country.
        for name, kept in (
            (method, np.ones(len(cold), dtype=bool)),
            (f"{method}, abroad", (cold["country"] != "United Kingdom").to_numpy()),
        ):
            some = np.flatnonzero(kept & (np.diff(relevant.matrix.indptr) > 0))
            report = measure(top.item_rows[some], relevant.matrix[some], relevant.users.ids[some], [K])
            found[name] = (report[f"recall@{K}"], report[f"ndcg@{K}"], seconds)
            print(f"  {seed} {name} {found[name]}", flush=True)
    return found


if __name__ == "__main__":
    main()
