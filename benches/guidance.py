"""What guidance gains and pays, what it takes, and whether uncertain items are worse ones, on real data.

    python -m benches.guidance ml-1m_clean diffrec preset=paper/ml-1m_clean
    python -m benches.guidance ml-1m_clean t-diffrec

Fits once as ``benches/accuracy.py`` does, with the first seed. Steering is towards every fortieth item, a campaign that
has nothing to do with taste. Figures are those of the test part; nothing is chosen by them.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import diffrec
from benches.accuracy import parsed
from diffrec.tradeoff import tradeoff

K = 20
CAMPAIGN = 40
CHAINS = 16


def main() -> None:
    """Fit, then print a Markdown table of guidance and the lines on time and uncertainty."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="name of a ready-made split")
    parser.add_argument("variant")
    parser.add_argument("settings", nargs="*", metavar="name=value")
    arguments = parser.parse_args()
    folder = Path(os.environ["DIFFREC_DATA"])
    train, valid, test = diffrec.Split.read(folder / f"{arguments.data}.npz")
    settings = dict(parsed(text, folder) for text in arguments.settings)
    model = diffrec.fit(train, variant=arguments.variant, valid=valid, **settings)
    assert isinstance(model, diffrec.DiffRec)

    campaign = {"tags": {"campaign": train.items.ids[::CAMPAIGN]}, "steer": {"campaign": 1.0}}
    gained = ("ndcg", "recall", "novelty", "diversity", "coverage", "share")
    print("| guidance | weight | " + " | ".join(gained) + " |\n|---" + "|---" * (len(gained) + 1) + "|")
    for row in tradeoff(model, test, seen=valid, k=K, **campaign):
        numbers = " | ".join(f"{row[name]:.4f}" for name in gained)
        print(f"| {row['guidance']} | {row['weight']:g} | {numbers} |")

    plain = least(lambda: model.recommend(k=K))
    for name, wish in {"novelty": {"novelty": 0.2}, "diversity": {"diversity": 2.0}, "steer": campaign}.items():
        guided = least(lambda wish=wish: model.recommend(k=K, **wish))  # type: ignore[misc]
        print(f"{name}: {guided:.2f} s to rank all users, {guided / plain:.1f} times {plain:.2f} s without")
    sure, unsure = hits_by_certainty(model, valid, test)
    print(f"hits among the items whose rank moves less than the median at their place {sure:.4f}, more {unsure:.4f}")


def least(work: Callable[[], Any]) -> float:
    """Seconds, the least of three."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def hits_by_certainty(
    model: diffrec.DiffRec, valid: diffrec.Interactions, test: diffrec.Interactions
) -> tuple[float, float]:
    """Share of hits among surer and less sure items of lists from noisy chains, halved place by place."""
    users = np.flatnonzero(np.diff(test.matrix.indptr))
    found = model.uncertainty(users, k=K, chains=CHAINS, forward_steps=model.settings.steps)
    known = np.repeat(np.arange(len(users)), K).reshape(found.item_rows.shape)
    hit = test.matrix[users].astype(bool).toarray()[known, found.item_rows]
    # What is in valid is neither a hit nor a miss.
    open_ = ~valid.matrix[users].astype(bool).toarray()[known, found.item_rows]
    surer = found.rank_stds <= np.median(found.rank_stds, axis=0)
    return float(hit[surer & open_].mean()), float(hit[~surer & open_].mean())


if __name__ == "__main__":
    main()
