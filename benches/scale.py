"""What it costs to spread a model over processes: bytes, seconds and memory of a step, and a model of them.

    python benches/scale.py

Bytes come from the collective operations themselves, with groups of torch.distributed that answer at once ("fake"),
so that any number of ranks can be looked at from one process. Seconds (the processor's, a thread for each rank) and
memory are measured on 1 and 2 real ranks. A model with few constants is fitted to most of these measurements and held
against the others. Prints the figures of docs/scale.md and writes ``benches/scale.json``, from which the plot is drawn.
Takes some minutes, and less than 4 GB; 14 GB where they are there.
"""

import itertools
import json
import multiprocessing as mp
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import optimize, sparse

from diffrec.distributed import Spread, World
from diffrec.recommenders.diffrec.over_items import OverItems
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.training import NoisedBatches, PeakMemory, available_memory, run_batches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Case = dict[str, Any]

FOUND = Path(__file__).with_suffix(".json")
# Bytes of a step: each size varied, the others held.
BASE: Case = {"items": 40_000, "d": 64, "batch": 128, "ranks": 4}
RANGES = {
    "items": [10_000, 20_000, 40_000, 80_000, 160_000],
    "d": [16, 32, 64, 128, 256],
    "batch": [32, 64, 128, 256, 512],
    "ranks": [2, 4, 8, 16, 64],
}
HISTORY, USERS = 50, 2048
# Bytes that one rank of eight needs.
ONE_OF_EIGHT = 15_000_000_000
# Seconds and memory of a step on real ranks; every fifth is held back from the fit.
GRID = [
    {"items": items, "d": d, "batch": batch, "ranks": ranks}
    for items, d, batch, ranks in itertools.product([20_000, 60_000, 180_000], [64, 192], [96, 384], [1, 2])
]
# What a projection supposes of a GPU: products in bfloat16, noise and the optimizer by the memory's speed, and the
# network between GPUs of a machine and of several machines. Not measured here.
GPU = {"products": 400e12, "memory": 2.5e12, "within": 300e9, "between": 40e9, "latency": 3e-5}
# Bytes that torch reads and writes for a cell of noise, one operation after the other: 52 in each of ten rounds of
# Philox, whose words are int64, and the rest in the transform of Box and Muller. Counted, not measured.
NOISE_BYTES = 700


def main() -> None:
    """Measure, fit, print and write down."""
    traffic = {
        size: [one["bytes"] for one in apart(1, [BASE | {size: value} for value in values], 1)]
        for size, values in RANGES.items()
    }
    for size, values in RANGES.items():
        print(f"bytes a step and rank against {size}: exponent {exponent(values, traffic[size]):.3f}", traffic[size])
    measured = []
    for ranks in (1, 2):
        cases = [case for case in GRID if case["ranks"] == ranks]
        measured += [case | found for case, found in zip(cases, apart(ranks, cases, 4), strict=True)]
    held = measured[2::5]
    fitted = [case for case in measured if case not in held]
    constants = {what: fit(what, fitted) for what in FEATURES}
    for what, values in constants.items():
        for part, cases in (("fitted", fitted), ("held back", held)):
            errors = [abs(predict(what, values, case) / case[what] - 1) for case in cases]
            print(f"{what}, {part}: error {np.median(errors):.1%} in the median, {max(errors):.1%} at most")
    print("constants", constants)
    (slice_of_64,) = apart(1, [{"items": 10_000_000, "d": 256, "batch": 512, "ranks": 64}], 2)
    print("one rank of 64 at 10,000,000 items:", slice_of_64)
    if (available_memory() or 0) > ONE_OF_EIGHT:
        print("one rank of 8:", apart(1, [{"items": 10_000_000, "d": 256, "batch": 512, "ranks": 8}], 2))
    for ranks in (64, 8):
        case = {"items": 10_000_000, "d": 256, "batch": 512, "ranks": ranks} | slice_of_64
        print(f"one of {ranks} by the model:", {what: predict(what, of, case) for what, of in constants.items()})
    for case in measured:
        print(case)
    for gpus in (8, 64):
        print(gpus, "GPUs:", projected(10_000_000, 100_000_000, 256, 512, gpus, constants["memory"]))
    FOUND.write_text(json.dumps({"traffic": traffic, "measured": measured, "slice": slice_of_64}, indent=1) + "\n")


def step_of(world: World, case: Case) -> tuple[OverItems, NoisedBatches, torch.optim.Optimizer, Spread]:
    """A network over a rank's items, and batches of random histories of which the rank has its columns."""
    share = Spread(world, 0)
    part = share.part(case["items"])
    settings = DiffRecSettings(dims=(case["d"],))
    torch.manual_seed(0)
    network = OverItems.of(settings, part.items, torch.device("cpu"), part).train()
    rng = np.random.default_rng(world.items.rank)
    own = max(1, HISTORY * part.size // part.items)
    indices = np.sort(rng.integers(0, part.size, (USERS, own)), axis=1).astype(np.int32).ravel()
    rows = sparse.csr_array(
        (np.ones(len(indices), np.float32), indices, np.arange(USERS + 1) * own), (USERS, part.size)
    )
    rows.sum_duplicates()
    batches = NoisedBatches(rows, case["batch"], torch.device("cpu"), np.random.default_rng(0), part, seed=0)
    optimizer = torch.optim.AdamW(network.parameter_groups(), fused=True)
    share.watch(network, {"optimizer": optimizer})
    return network, batches, optimizer, share


def steps(world: World, case: Case, count: int) -> dict[str, float]:
    """Processor's seconds of the least of some steps, bytes that one hands in, memory of the process at its peak."""
    with PeakMemory(torch.device("cpu")) as peak:
        network, batches, optimizer, _ = step_of(world, case)
        seconds, handed_in = [], 0
        for batch in itertools.islice(network.epoch_of(batches), count):
            before, started = world.traffic.total, time.process_time()
            run_batches(network.loss, [batch], optimizer, torch.float32)
            seconds.append(time.process_time() - started)
            handed_in = world.traffic.total - before
    return {"seconds": min(seconds), "bytes": handed_in, "memory": peak.bytes}


def apart(ranks: int, cases: list[Case], count: int) -> list[dict[str, float]]:
    """Take steps of cases one after the other in processes of their own; of each what the costliest rank took.

    Where a case has more ranks than there are processes, the others answer at once with nothing.
    """
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    context = mp.get_context("spawn")
    queue = context.SimpleQueue()
    arguments = [(queue, rank, ranks, port, cases, count) for rank in range(ranks)]
    started = [context.Process(target=_rank, args=one, daemon=True) for one in arguments]
    for process in started:
        process.start()
    answers = [queue.get() for _ in started]
    for process in started:
        process.join()
    return [{name: max(one[name] for one in of_case) for name in of_case[0]} for of_case in zip(*answers, strict=True)]


def _rank(queue: Any, rank: int, ranks: int, port: int, cases: list[Case], count: int) -> None:
    torch.set_num_threads(1)
    told = {"RANK": rank, "WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in told.items()} | {"RAYON_NUM_THREADS": "1"}
    world = World.join() if ranks > 1 else None
    queue.put(
        [
            steps(world or World(None, None, None) if case["ranks"] == ranks else fake(case["ranks"]), case, count)
            for case in cases
        ]
    )


def fake(ranks: int) -> World:
    """Rank 0 of so many, whose others answer at once with nothing."""
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    return World(dist.group.WORLD, dist.group.WORLD, None)


# What seconds and bytes of memory are made of, each a multiple of a fitted constant.
FEATURES = {
    "seconds": lambda case, own: [
        1.0,
        case["batch"] * own * case["d"] if not gram(case) else own * case["d"] ** 2 + case["batch"] * own * case["d"],
        case["batch"] * own,
        own * case["d"],
        case["bytes"],
    ],
    "memory": lambda case, own: [1.0, own * case["d"], case["batch"] * own],
}


def gram(case: Case) -> bool:
    """Whether the last layer's gradients come from Gram matrices."""
    return bool(2 * case["d"] < 3 * case["batch"])


def features(what: str, case: Case) -> list[float]:
    """The multiples for a case."""
    return FEATURES[what](case, -(-case["items"] // case["ranks"]))


def fit(what: str, cases: list[Case]) -> list[float]:
    """Constants that are not below 0, with the least squares of the relative errors."""
    rows = np.array([features(what, case) for case in cases]) / np.array([[case[what]] for case in cases])
    sizes = np.abs(rows).max(axis=0).clip(1e-300)
    return [float(value) for value in optimize.nnls(rows / sizes, np.ones(len(cases)))[0] / sizes]


def predict(what: str, constants: list[float], case: Case) -> float:
    """What the model says of a case."""
    return float(np.dot(constants, features(what, case)))


def projected(items: int, users: int, d: int, batch: int, gpus: int, memory: list[float]) -> dict[str, float]:
    """Memory of a GPU, seconds of a step and of an epoch, and shares of these, by what a GPU is supposed to do.

    Memory is by the constants fitted on processors, without what a process takes by itself. The work is counted: five
    products of batch x own items x d, the noised batch written and read, a weight, its gradient and two moments read or
    written seven times by the optimizer; the bytes handed in are those of the form without Gram matrices, which
    bfloat16 takes, and a ring hands on twice as many. Noise is made by operations of torch, one after the other.
    """
    own = -(-items // gpus)
    weights = 2 * own * d
    handed_in = 4 * (2 * batch * d + batch)
    reach = GPU["within"] if gpus <= 8 else GPU["between"]
    network = 2 * handed_in / reach + 2 * GPU["latency"] * np.log2(gpus)
    computed = 5 * 2 * batch * own * d / GPU["products"] + (28 * weights + 6 * batch * own) / GPU["memory"]
    noise = NOISE_BYTES * batch * own / GPU["memory"]
    step = computed + network + noise
    return {
        "memory": memory[1] * own * d + memory[2] * batch * own,
        "step": step,
        "network share": network / step,
        "epoch": users / batch * step,
        "step without noise": computed + network,
    }


def exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def draw() -> "Figure":
    """Bytes of a step against each size, from what was written down."""
    from matplotlib.figure import Figure

    traffic = json.loads(FOUND.read_text())["traffic"]
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    for (size, values), panel in zip(RANGES.items(), figure.subplots(1, len(RANGES), sharey=True), strict=True):
        panel.loglog(values, traffic[size], marker="o", label=f"exponent {exponent(values, traffic[size]):z.2f}")
        panel.set_xlabel(size)
        panel.set_xticks([values[0], values[-1]], [f"{values[0]:,}", f"{values[-1]:,}"])
        panel.set_xticks([], minor=True)
        panel.set_ylim(1e4, 2e6)
        panel.grid(which="major", alpha=0.3)
        panel.legend(fontsize=8, loc="upper left")
        if size == "items":
            panel.set_ylabel("bytes a step and rank")
    return figure


if __name__ == "__main__":
    main()
