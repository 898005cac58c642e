"""Test accuracy over seeds: the command behind the figures in docs/results.md.

    python benches/accuracy.py ml-1m_clean diffrec preset=paper/ml-1m_clean
    python benches/accuracy.py lastfm ease l2=300 --seeds 0
    python benches/accuracy.py gowalla auto --blind --joined
    python benches/accuracy.py movietweetings t-diffrec denoiser=sequence --held-out --seeds 0

Fits on the train part of ``$DIFFREC_DATA/NAME.npz``, stops on its valid part, and ranks all items in neither for the
test part. ``name=value`` are settings of ``diffrec.fit``; ``item_embeddings=FILE.npy`` reads an array of that folder.
``auto`` is given neither settings nor the valid part, which only keeps its items from being ranked; with ``--alone`` no
variant is. ``--held-out`` looks at neither valid nor test: it fits on train without the newest tenth of
each history, and ranks for that tenth.
"""

import argparse
import ast
import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: F401 - waiting for it is no part of a fit

import diffrec
from diffrec.data import hold_out

METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")


def main() -> None:
    """Fit and evaluate once a seed, then print the means as a row of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="name of a ready-made split")
    parser.add_argument("variant")
    parser.add_argument("settings", nargs="*", metavar="name=value")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="10min", help="of auto")
    parser.add_argument("--blind", action="store_true", help="leave the times out")
    parser.add_argument("--joined", action="store_true", help="learn from train and valid together")
    parser.add_argument("--alone", action="store_true", help="do not stop on the valid part")
    parser.add_argument("--held-out", action="store_true", help="choose settings: judge by the newest tenth of train")
    parser.add_argument("--verbose", action="store_true", help="say what auto tries")
    arguments = parser.parse_args()
    if arguments.verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = Path(os.environ["DIFFREC_DATA"])
    train, valid, test = diffrec.Split.read(folder / f"{arguments.data}.npz")
    learn = train.merge(valid) if arguments.joined else train
    if arguments.blind:
        learn = diffrec.Interactions(learn.matrix, None, learn.users, learn.items)
    stop_on = None if arguments.joined or arguments.alone or arguments.variant == "auto" else valid
    if arguments.held_out:
        learn, test = hold_out(learn, 0.1)
        stop_on, valid = None, learn
    settings = dict(parsed(text, folder) for text in arguments.settings)

    rows = []
    for seed in arguments.seeds:
        started = time.perf_counter()
        searched = {"budget": arguments.budget} if arguments.variant == "auto" else {}
        model = diffrec.fit(learn, variant=arguments.variant, valid=stop_on, seed=seed, **searched, **settings)
        seconds = time.perf_counter() - started
        report = model.evaluate(test, seen=valid)
        rows.append([report[name] for name in METRICS])
        figures = "  ".join(f"{name} {value:.4f}" for name, value in zip(METRICS, rows[-1], strict=True))
        training = model.training_
        judged = not (arguments.joined or arguments.held_out)
        beside = f"  valid ndcg@20 {model.evaluate(valid)['ndcg@20']:.4f}" if judged else ""
        print(
            f"seed {seed}: {figures}  (best epoch {training.best_epoch} of {len(training.epochs)}, validation "
            f"{training.best_validation or float('nan'):.4f}, {seconds:.0f} s, {training.facts})" + beside,
            flush=True,
        )
    means, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
    cells = " | ".join(f"{m:.4f} ± {s:.4f}" for m, s in zip(means, spread, strict=True))
    named = {
        "blind": arguments.blind,
        "joined": arguments.joined,
        "alone": arguments.alone,
        "held-out": arguments.held_out,
    }
    flags = "".join(f" --{name}" for name, is_set in named.items() if is_set)
    print(f"| `{arguments.data}` | {' '.join([arguments.variant, *arguments.settings])}{flags} | {cells} |")


def parsed(text: str, folder: Path) -> tuple[str, Any]:
    """Read one ``name=value``: a Python literal where it is one, an array for a .npy file, else the text."""
    name, _, value = text.partition("=")
    if value.endswith(".npy"):
        return name, np.load(folder / value)
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    main()
