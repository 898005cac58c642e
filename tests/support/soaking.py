"""Uses models for long: ``python tests/support/soaking.py cycles NUMBER`` or ``... mixed SECONDS THREADS``.

A process of its own, whose memory nothing else takes. Prints a line of JSON.
"""

import gc
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import diffrec
from diffrec import Interactions, Recommender

_QUICK: dict[str, Any] = {"epochs": 1, "progress": False, "holdout": 0, "batch_size": 30}
_DENOISER = _QUICK | {"dims": (8,), "steps": 3}
FORMS: dict[str, dict[str, Any]] = {
    "popularity": {},
    "itemknn": {},
    "ease": {},
    "ials": {"factors": 4, "iterations": 1, "progress": False},
    "diffrec": _DENOISER,
    "t-diffrec": _DENOISER,
    "l-diffrec": _DENOISER | {"latent_dims": (4,), "groups": 2},
    "sasrec": _QUICK | {"width": 8, "layers": 1, "length": 10},
}


def world() -> Interactions:
    """Timed interactions of 60 users and 40 items."""
    return diffrec.datasets.synthetic(users=60, items=40, seed=1)


def held() -> dict[str, int]:
    """What this process has now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "handles": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


def cycle(data: Interactions, variant: str, path: Path) -> None:
    """Fit, ask, save, load and ask again."""
    model = diffrec.fit(data, variant=variant, **FORMS[variant])
    top = model.recommend(k=5)
    model.save(path)
    np.testing.assert_array_equal(diffrec.load(path).recommend(k=5).items, top.items)


def cycles(number: int) -> dict[str, Any]:
    """Go through so many of them; what was held after the first fifth, and at the end."""
    data, variants = world(), list(FORMS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        for count in range(number):
            if count == max(len(variants), number // 5):
                before = held()
            cycle(data, variants[count % len(variants)], path)
        left = sorted(file.name for file in Path(folder).iterdir())
    return {"cycles": number, "before": before, "after": held(), "left": left}


def mixed(seconds: float, threads: int) -> dict[str, Any]:
    """Call whatever there is from several threads on models that they share; raise where an answer differs."""
    data = world()
    models = {variant: diffrec.fit(data, variant=variant, **settings) for variant, settings in FORMS.items()}
    users = [None, [3, 1, 2], data.take(np.arange(5, 25))]

    def answers(model: Recommender) -> dict[str, Callable[[], Any]]:
        """Calls whose answer is always the same."""
        found: dict[str, Callable[[], Any]] = {
            f"recommend {number}": lambda asked=asked: model.recommend(asked, k=6).items
            for number, asked in enumerate(users)
        }
        found |= {
            "score": lambda: model.score([4, 5]),
            "evaluate": lambda: model.evaluate(data, exclude_seen=False).per_user,
            "stranger": lambda: model.recommend(data.take([7, 8]), k=3, deny=[data.items[0]]).items,
        }
        if model.variant not in ("popularity",):
            found["similar"] = lambda: model.similar_items([data.items[3]], 4).items
        if model.variant not in ("ials", "sasrec"):
            found["explain"] = lambda: np.array([model.explain(data.users[2], data.items[4], 3).score])
        return found

    calls = {(name, what): call for name, model in models.items() for what, call in answers(model).items()}
    expected = {key: call() for key, call in calls.items()}
    counts: Counter[str] = Counter()
    failures: list[BaseException] = []
    ends = time.monotonic() + seconds

    def work(number: int, folder: Path) -> None:
        draw = random.Random(number)
        own, shared = folder / f"model{number}", folder / "shared"
        try:
            while time.monotonic() < ends and not failures:
                if draw.random() < 0.1:
                    variant = draw.choice(list(FORMS))
                    cycle(data, variant, own)
                    models[variant].save(shared)
                    diffrec.load(shared).recommend([1], k=2)
                    counts["fit, save and load"] += 1
                else:
                    key = draw.choice(list(calls))
                    np.testing.assert_equal(calls[key](), expected[key], err_msg=str(key))
                    counts[key[1].partition(" ")[0]] += 1
        except BaseException as error:
            failures.append(error)

    with tempfile.TemporaryDirectory() as folder:
        before = held()
        workers = [threading.Thread(target=work, args=(number, Path(folder))) for number in range(threads)]
        for worker in workers:
            worker.start()
        time.sleep(seconds / 5)
        warm = held()
        for worker in workers:
            worker.join()
        left = [file.name for file in Path(folder).iterdir() if file.name.startswith(".")]
    if failures:
        raise failures[0]
    return {"seconds": seconds, "before": before, "warm": warm, "after": held(), "left": left, **counts}


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "cycles":
        print(json.dumps(cycles(int(sys.argv[2]))))
    else:
        print(json.dumps(mixed(float(sys.argv[2]), int(sys.argv[3]))))
