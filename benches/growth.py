"""How ranking and training grow: times over two decades of every size, fitted exponents, and a plot.

    python benches/growth.py

Every size is varied around ``BASE``, the others held. Prints the tables of docs/performance.md and writes the times to
``benches/growth.json``, from which ``make docs`` draws the plot. It takes a few minutes on two cores; the machine
should be idle.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from diffrec import DiffRec, Interactions
from diffrec.recommenders.diffrec.over_items import OverItems
from diffrec.training import NoisedBatches, PeakMemory, product_dtype, run_batches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Work -> size varied -> seconds, one for each value in its range.
Times = dict[str, dict[str, list[float]]]

TIMES = Path(__file__).with_suffix(".json")
BASE = {"users": 2000, "items": 8000, "history": 50, "d": 200, "T": 5}
RANGES: dict[str, list[int]] = {
    "users": [200, 600, 2000, 6000, 20_000],
    "items": [400, 1300, 4000, 13_000, 40_000],
    "history": [5, 16, 50, 160, 500],
    "d": [10, 32, 100, 320, 1000],
    "T": [1, 3, 10, 32, 100],
}
NAMES = {"users": "users", "items": "items", "history": "items in a history", "d": "hidden width d", "T": "steps T"}
# Steps cost d^2 and items d: what steps matter shows where there are many items.
HELD = {"T": {"items": 40_000}}
ROUNDS = 3


def main() -> None:
    """Measure, print and write down."""
    torch.set_num_threads(2)
    times: Times = {
        work.__name__: {
            size: [work(**BASE | HELD.get(size, {}) | {size: value}) for value in RANGES[size]] for size in RANGES
        }
        for work in (ranking, epoch)
    }
    print("| time of | " + " | ".join(NAMES[size] for size in RANGES) + " |")
    print("|---" * (len(RANGES) + 1) + "|")
    for name, by_size in times.items():
        exponents = [exponent(RANGES[size], by_size[size]) for size in RANGES]
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in exponents) + " |")
    for steps in (1, 5, 40):
        seconds = ranking(**BASE | {"items": 40_000, "d": 1000, "T": steps})
        print(f"ranking, 40,000 items, d = 1000, T = {steps}: {seconds:.2f} s")
    for users in (1000, 10_000, 100_000):
        print(f"ranking {users:,} users: {ranking_memory(users) / 1e6:.0f} MB at the peak of the process")
    write(times)


def ranking(**sizes: int) -> float:
    """Seconds to rank all users, k = 20, the model's preparation included."""
    model, _ = untrained(**sizes)

    def rank() -> None:
        model._weights_changed()
        model.recommend(k=20)

    return fastest(rank)


def epoch(**sizes: int) -> float:
    """Seconds of one epoch."""
    model, histories = untrained(**sizes)
    model._network.train()
    optimizer = torch.optim.AdamW(model._network.parameter_groups(), fused=True)
    s = model.settings
    dtype = product_dtype(s.precision, torch.device("cpu"), on_processor=True)
    shuffle = np.random.default_rng(0)
    batches = NoisedBatches(histories, s.batch_size, torch.device("cpu"), shuffle, seed=0)
    return fastest(lambda: run_batches(model._network.loss, batches.noised(), optimizer, dtype))


def ranking_memory(users: int) -> int:
    """Bytes of the process at its peak while it ranks all users."""
    model, _ = untrained(**BASE | {"users": users, "history": 5})
    with PeakMemory(torch.device("cpu")) as peak:
        model.recommend(k=20)
    return peak.bytes


def untrained(*, users: int, items: int, history: int, d: int, T: int) -> tuple[DiffRec, sparse.csr_array]:
    """A model with fresh weights over random histories."""
    rng = np.random.default_rng(0)
    # Distinct items without drawing from all of them: steps between neighbours, scaled to the items there are.
    steps = rng.exponential(size=(users, history + 1)).cumsum(axis=1)
    indices = (steps[:, :-1] / steps[:, -1:] * (items - history)).astype(np.int32) + np.arange(history, dtype=np.int32)
    indptr = np.arange(users + 1) * history
    matrix = sparse.csr_array((np.ones(indices.size, np.float32), indices.ravel(), indptr), shape=(users, items))
    model = DiffRec(dims=(d,), steps=T, progress=False)
    model.train_ = Interactions.from_csr(matrix)
    torch.manual_seed(0)
    model._network = OverItems.of(model.settings, items, torch.device("cpu")).eval()
    return model, model.train_.matrix


def fastest(work: Callable[[], Any]) -> float:
    """The least of some times."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def write(times: Times) -> None:
    """Keep the times, to four digits, a line for each size."""
    works = []
    for work, by_size in times.items():
        lines = [f'    "{size}": {json.dumps([float(f"{value:.4g}") for value in by_size[size]])}' for size in by_size]
        works.append(f'  "{work}": {{\n' + ",\n".join(lines) + "\n  }")
    TIMES.write_text("{\n" + ",\n".join(works) + "\n}\n")


def draw() -> "Figure":
    """One panel a size, one line a kind of work, from the times written down."""
    from matplotlib.figure import Figure

    times: Times = json.loads(TIMES.read_text())
    # Two rows: as wide as a page of text.
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    panels: NDArray[Any] = figure.subplots(2, 3, sharey=True)
    places = iter(panels.flat)
    for size, panel in zip(RANGES, places, strict=False):
        for name, marker in (("ranking", "o"), ("epoch", "s")):
            sizes: NDArray[np.int64] = np.array(RANGES[size])
            slope = exponent(RANGES[size], times[name][size])
            panel.loglog(sizes, times[name][size], marker=marker, label=f"{name}, exponent {slope:.2f}")
        panel.set_xlabel(NAMES[size])
        panel.set_ylim(3e-3, 5)
        panel.grid(which="major", alpha=0.3)
        panel.legend(fontsize=8, loc="upper left")
    for panel in panels[:, 0]:
        panel.set_ylabel("seconds")
    held = "\n".join(
        f"{size} = {value}" if size in ("d", "T") else f"{value:,} {NAMES[size]}" for size, value in BASE.items()
    )
    panels[-1, -1].axis("off")
    panels[-1, -1].text(0.1, 0.5, f"otherwise\n{held}\n\nsteps: 40,000 items", va="center")
    return figure


if __name__ == "__main__":
    main()
