"""diffrec beside the released packages of its peers, on the same splits: the command behind docs/peers.md.

    python benches/peers.py lastfm                    # every library and model on one set, into peers.json
    python benches/peers.py movietweetings cornac     # one library
    python benches/peers.py lastfm implicit:als diffrec:auto
    python benches/peers.py --table                   # the table of the documentation, of what peers.json holds

Each library is installed from the package index in an environment of its own, by uv, in ``--environments``, away from
the checkout. ``$DIFFREC_DATA/NAME.npz`` is parted already; a worker of ``benches/peer_workers.py`` in that environment
gets train and valid, never test, and writes lists. All lists are judged here, by one function: valid takes no place in
them, the test part is what is relevant. A model is fitted once for each setting that ``MODELS`` names, the first of
which is the library's own default; the setting with the best ndcg@20 on valid is reported, with the time of its fit
alone. Every worker has one thread. A fit that outlasts ``--limit`` is ended, and said to have done so.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

import diffrec
from diffrec.data import has_order
from diffrec.evaluation import measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

K = 20
FOUND = Path(__file__).with_suffix(".json")
ENVIRONMENTS = Path(tempfile.gettempdir()) / "diffrec-peers"
WORKERS = Path(__file__).with_name("peer_workers.py")
THREADS = ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMBA", "POLARS")
ORDERED = ("movietweetings", "ml-1m_clean")


class Library(NamedTuple):
    """What is installed, and for which Python. Bounds beside a version are what that release does not run without."""

    python: str
    requirements: tuple[str, ...]


LIBRARIES = {
    "implicit": Library("3.11", ("implicit==0.7.3",)),
    "lenskit": Library("3.13", ("lenskit==2026.4.0",)),
    "cornac": Library("3.11", ("cornac==3.0.1", "torch")),
    "rectools": Library("3.11", ("rectools[torch]==0.19.0",)),
    "recbole": Library("3.11", ("recbole==1.2.1", "numpy<2", "pandas<3", "scipy<1.13", "setuptools<81")),
    # Of cold items alone: see benches/cold_items.py.
    "lightfm": Library("3.11", ("rectools-lightfm==1.17.3",)),
}


class Model(NamedTuple):
    """A model of a library, the settings that are tried, its default first, and the sets it is tried on."""

    library: str
    name: str
    tried: tuple[dict[str, Any], ...] = ({},)
    sets: tuple[str, ...] = ("lastfm", *ORDERED)


def grid(default: dict[str, Any], name: str, *values: Any) -> tuple[dict[str, Any], ...]:
    """A default, and it with one setting at several values."""
    return (default, *(default | {name: value} for value in values))


# EASE inverts a matrix of all pairs of items, which is minutes of one core where they are 17,388: not on lastfm.
_ALS = (
    {},
    {"alpha": 10.0},
    {"factors": 64, "regularization": 10.0},
    {"factors": 64, "regularization": 10.0, "alpha": 10.0},
)
MODELS = (
    Model("implicit", "als", _ALS),
    Model("implicit", "bm25", grid({}, "K", 100, 400)),
    Model("implicit", "cosine", grid({}, "K", 100, 400)),
    # As strong as implicit's are tried; its default is a hundredth of that.
    Model(
        "lenskit",
        "als",
        (*grid({}, "weight", 1.0, 10.0), *grid({"embedding_size": 64, "regularization": 10.0}, "weight", 1.0, 10.0)),
    ),
    Model("lenskit", "ease", grid({}, "regularization", 100.0, 300.0, 1000.0), ORDERED),
    Model("lenskit", "itemknn", grid({"feedback": "implicit"}, "max_nbrs", 100)),
    Model("cornac", "EASE", (*grid({}, "lamb", 100, 1000), {"posB": False}), ORDERED),
    Model("cornac", "VAECF", grid({}, "k", 100), ("lastfm", "movietweetings")),
    Model("rectools", "EASEModel", grid({}, "regularization", 100.0, 1000.0), ORDERED),
    Model("rectools", "PopularModel", grid({}, "period", 7, 14, 30, 90), ("movietweetings",)),  # of the last days
    # Its default of 256 factors and 100 items takes minutes an epoch on one core.
    Model(
        "rectools", "SASRecModel", grid({"n_factors": 64, "session_max_len": 50, "epochs": 20}, "epochs", 8), ORDERED
    ),
    Model("recbole", "EASE", grid({}, "reg_weight", 100.0, 1000.0), ORDERED),
    Model("recbole", "ItemKNN", grid({}, "k", 400)),
    Model("recbole", "MultiVAE", ({},), ("lastfm", "movietweetings")),
    Model("recbole", "LightGCN", ({},), ("lastfm",)),
    Model("recbole", "DiffRec", ({},), ("lastfm", "movietweetings")),
    Model("diffrec", "auto", ({"budget": "5min"},)),
    Model("diffrec", "ease", grid({}, "l2", 100.0, 300.0, 1000.0), ORDERED),
    Model("diffrec", "ials", ({}, {"alpha": 1.0}, {"factors": 128})),
    Model("diffrec", "itemknn", grid({}, "neighbors", 400)),
    Model("diffrec", "multivae", ({},), ("lastfm", "movietweetings")),
    Model("diffrec", "lightgcn", ({},), ("lastfm",)),
    Model("diffrec", "diffrec", ({},), ("lastfm", "movietweetings")),
    Model("diffrec", "t-diffrec", ({},), ORDERED),
    Model("diffrec", "sasrec", ({},), ("movietweetings",)),
)


def main() -> None:
    """Measure what was asked for, or say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="name of a ready-made split")
    parser.add_argument("models", nargs="*", metavar="LIBRARY[:MODEL]")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--limit", type=float, default=600, help="seconds that a worker may take")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    for model in MODELS if arguments.data else ():
        named = not arguments.models or {model.library, f"{model.library}:{model.name}"} & set(arguments.models)
        if named and arguments.data in model.sets:
            keep(arguments.data, model, best(arguments.data, model, arguments.environments, arguments.limit))
    if arguments.table:
        print(table(json.loads(FOUND.read_text())))


def best(data: str, model: Model, environments: Path, limit: float) -> dict[str, Any]:
    """Fit with every setting; what valid says is best, with its figures on the test part."""
    split = diffrec.Split.read(Path(os.environ["DIFFREC_DATA"]) / f"{data}.npz")
    python = installed(model.library, environments)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(split, folder / "parts.npz")
        for settings in model.tried:
            said = worked(python, model, settings, folder, limit)
            if "failed" not in said:
                said |= judged(split, folder)
            found.append(said | {"settings": settings})
            print(f"  {data} {model.library} {model.name} {found[-1]}", flush=True)
    chosen = max(found, key=lambda one: one.get("valid", -1.0))
    return chosen | {"tried": len(found), "all_s": sum(one.get("fit_s", limit) for one in found)}


def installed(library: str, environments: Path) -> str:
    """The Python of a library's environment, which is made where there is none."""
    if library == "diffrec":
        return sys.executable
    asked, folder = LIBRARIES[library], environments / library
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", asked.python, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *asked.requirements], check=True)
        (folder / "complete").touch()
    return str(python)


def write(split: diffrec.Split, file: Path) -> None:
    """What workers may see: all but the test part, with times where train has an order."""
    train = split.train.matrix.tocoo()
    arrays = {"shape": np.array(split.train.shape), "train": np.column_stack([train.row, train.col]).astype(np.int64)}
    valid = split.valid.matrix.tocoo()
    arrays["valid"] = np.column_stack([valid.row, valid.col]).astype(np.int64)
    if split.train.timestamps is not None and has_order(split.train):
        arrays["train_time"] = split.train.timestamps
    np.savez(file, **arrays)


def worked(python: str, model: Model, settings: dict[str, Any], folder: Path, limit: float) -> dict[str, Any]:
    """What a worker says of itself."""
    threads = {f"{name}_NUM_THREADS": "1" for name in THREADS}
    command = [python, WORKERS, model.library, model.name, folder, json.dumps(settings)]
    try:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | threads, timeout=limit, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not within {limit:.0f} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]}
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def judged(split: diffrec.Split, folder: Path) -> dict[str, float]:
    """Figures of the lists in a folder: of the short ones on valid, of the long ones without valid on test."""
    users = np.unique(split.train.matrix.tocoo().row)
    short, long = np.load(folder / "short.npy"), np.load(folder / "long.npy")
    seen = split.valid.matrix[users]
    figures = {"valid": _mean(short, split.valid.matrix[users])["ndcg"]}
    return figures | _mean(without(long, seen), split.test.matrix[users])


def without(lists: NDArray[np.int32], seen: sparse.csr_array) -> NDArray[np.int32]:
    """The first K of each list, passing over what the user has in ``seen``."""
    rows = np.arange(len(lists))[:, None]
    taken = (lists < 0) | (np.asarray(seen[rows, np.maximum(lists, 0)].todense()) > 0)
    # Of each list what may stay comes first, in its order.
    order = np.argsort(taken, axis=1, kind="stable")[:, :K]
    kept = np.take_along_axis(lists, order, axis=1)
    return np.where(np.take_along_axis(taken, order, axis=1), -1, kept).astype(np.int32)


def _mean(lists: NDArray[np.int32], relevant: sparse.csr_array) -> dict[str, float]:
    asked = np.flatnonzero(np.diff(relevant.indptr))
    report = measure(np.ascontiguousarray(lists[asked, :K]), relevant[asked], asked, [K])
    return {name: report[f"{name}@{K}"] for name in ("ndcg", "recall")}


def keep(data: str, model: Model, found: dict[str, Any]) -> None:
    """Add a result to those that are kept."""
    kept = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    kept.setdefault(data, {})[f"{model.library} {model.name}"] = found
    FOUND.write_text(json.dumps(kept, indent=1) + "\n")


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown: what was chosen and found, a set after the other, best first."""
    columns = {"valid": ".4f", "ndcg": ".4f", "recall": ".4f", "fit_s": ",.1f", "rank_s": ",.2f", "peak_mb": ",.0f"}
    heads = ("data", "library, model", "chosen", "of", "valid", "ndcg@20", "recall@20", "fit, s", "ranking, s", "MB")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for data, rows in found.items():
        for name, row in sorted(rows.items(), key=lambda item: -item[1].get("ndcg", 0)):
            chosen = ", ".join(f"{key}={value}" for key, value in row["settings"].items()) or "its defaults"
            figures = [row.get("failed", "")] + [""] * (len(columns) - 1)
            if "failed" not in row:
                figures = [f"{row[one]:{digits}}" for one, digits in columns.items()]
            lines.append("| " + " | ".join([data, name, chosen, str(row["tried"]), *figures]) + " |")
    return "\n".join(lines)


def draw() -> "Figure":
    """Draw accuracy over the time of a fit, a panel for each set."""
    from matplotlib.figure import Figure

    found = json.loads(FOUND.read_text())
    figure = Figure(figsize=(4.3 * len(found), 4.6), layout="constrained")
    there = {name.partition(" ")[0] for rows in found.values() for name in rows}
    libraries = [name for name in ("diffrec", *LIBRARIES) if name in there]
    colors = {name: f"C{number}" for number, name in enumerate(libraries)}
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for panel, (data, rows) in zip(panels, found.items(), strict=True):
        for name, row in rows.items():
            if "failed" not in row:
                library, _, model = name.partition(" ")
                size, mark = (60, "*") if library == "diffrec" else (24, "o")
                panel.scatter(row["fit_s"], row["ndcg"], s=size, marker=mark, color=colors[library])
                panel.annotate(
                    model, (row["fit_s"], row["ndcg"]), xytext=(4, 3), textcoords="offset points", fontsize=6
                )
        panel.margins(x=0.2)
        panel.set(title=data, xscale="log", xlabel="seconds of the fit", ylabel=f"ndcg@{K} on test")
    for library, color in colors.items():
        panels[0].scatter([], [], color=color, marker="*" if library == "diffrec" else "o", label=library)
    figure.legend(loc="outside lower center", ncols=len(colors), fontsize=8)
    return figure


if __name__ == "__main__":
    main()
