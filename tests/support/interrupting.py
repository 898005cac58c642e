"""Interrupts what takes long, in child processes: ``python tests/support/interrupting.py MOMENTS NAME...``.

Prints for each operation and moment what it took to end, in seconds of the processor: on an idle one, of the clock.
"""

import json
import os
import random
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import TMonitor

import diffrec
from diffrec import Interactions
from diffrec.anchors import Ridge
from diffrec.latent.kmeans import kmeans
from diffrec.recommenders import make
from diffrec.recommenders.rivals.ease import zero_diagonal_ridge

#: Seconds of the clock that an answer may take on the busiest machine.
PATIENCE = 60.0
_TRAINED: dict[str, Any] = {"epochs": 10_000, "patience": 10_000, "progress": False, "device": "cpu"}
Operation = Callable[[], object]


def world(users: int, items: int, per_user: int = 30, *, timed: bool = True) -> Interactions:
    """Interactions drawn at random."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(users), per_user)
    item = (items * rng.random(len(user)) ** 2).astype(np.int64)
    times = rng.permutation(len(user)).astype(np.float64) if timed else None
    return Interactions.from_arrays(user, item, timestamp=times, users=np.arange(users), items=np.arange(items))


def fits() -> dict[str, Callable[[], Operation]]:
    """Fits of every variant, long enough to be interrupted."""
    latent = _TRAINED | {"groups": 3, "latent_dims": (50,)}
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        "diffrec": ("diffrec", _TRAINED),
        "diffrec, anchored": ("diffrec", _TRAINED | {"anchor": True}),
        "t-diffrec": ("t-diffrec", _TRAINED),
        "t-diffrec, sequence": ("t-diffrec", _TRAINED | {"denoiser": "sequence"}),
        "l-diffrec": ("l-diffrec", latent),
        "lt-diffrec": ("lt-diffrec", latent),
        "lightgcn": ("lightgcn", _TRAINED),
        "multivae": ("multivae", _TRAINED),
        "multidae": ("multidae", _TRAINED),
        "cfgan": ("cfgan", _TRAINED),
        "sasrec": ("sasrec", _TRAINED),
        "ials": ("ials", {"iterations": 1000, "progress": False}),
    }
    large: dict[str, tuple[str, dict[str, Any]]] = {
        "itemknn": ("itemknn", {"neighbors": 500}),
        "rp3beta": ("rp3beta", {"neighbors": 500}),
        "tifuknn": ("tifuknn", {"neighbors": 300}),
        "anchor": ("anchor", {}),
        "anchor, approximate": ("anchor", {"anchor_exact": 0}),
        "anchor, forecast": ("anchor", {"objective": "forecast"}),
    }

    def fit(variant: str, named: dict[str, Any], users: int, items: int) -> Operation:
        data = world(users, items)
        return partial(make(variant, **named).fit, data)

    found = {name: partial(fit, *one, 3000, 2000) for name, one in settings.items()}
    return found | {name: partial(fit, *one, 60_000, 6000) for name, one in large.items()}


def others(moments: int) -> dict[str, Callable[[], Operation]]:
    """What else takes long, and for the one early moment less long."""

    def choice() -> Operation:
        return partial(diffrec.fit, world(3000, 2000), budget=None, progress=False)

    def search() -> Operation:
        return partial(diffrec.tune, world(3000, 2000), variant="diffrec", trials=1000, progress=False)

    def comparison() -> Operation:
        return partial(diffrec.compare, world(3000, 2000), ["itemknn", "diffrec"], seeds=100, progress=False)

    def recommendation(variant: str, **named: Any) -> Operation:
        data = world(20_000, 6000)
        model = make(variant, **named).fit(data)
        return lambda: [model.recommend(k=50) for _ in range(100)]

    def grouping() -> Operation:
        points = np.random.default_rng(0).random((100_000, 64), dtype=np.float32)
        return partial(kmeans, points, 200)

    def least_squares() -> Operation:
        return partial(make("ials", factors=256, solver="cholesky", progress=False).fit, world(20_000, 5000))

    def ease() -> Operation:
        return partial(zero_diagonal_ridge, world(5000, 6000).matrix, 100.0)

    def equations(users: int) -> Operation:
        """Of an exact anchor of 7,000 features, or of its rows where those are fewer; whatever of it takes long."""
        matrix = world(users, 7000).matrix
        ridge = Ridge.of([(matrix, matrix)])
        return lambda: [ridge.solve(1.0) for _ in range(100)]

    def graph(suffix: str) -> Operation:
        model = make("diffrec", epochs=1, dims=(200,), progress=False, holdout=0).fit(world(2000, 1000))
        folder = tempfile.mkdtemp()
        export = diffrec.export.onnx if suffix == ".onnx" else diffrec.export.pt2
        return lambda: [export(model, Path(folder) / f"model{suffix}") for _ in range(100)]

    def reading(suffix: str, **named: Any) -> Operation:
        file = Path(tempfile.mkdtemp()) / f"events{suffix}"
        world(30_000 if moments == 1 else 100_000, 5000).write(file)
        return lambda: [Interactions.read(file, **named) for _ in range(100)]

    def evaluation() -> Operation:
        data = world(20_000, 6000)
        learn, test, _ = data.split(by="random", valid=0.2, test=0)
        model = make("popularity").fit(learn)
        return lambda: [model.evaluate(test) for _ in range(100)]

    return {
        "the choice": choice,
        "tune": search,
        "compare": comparison,
        "recommend": partial(recommendation, "popularity"),
        "recommend by neighbours": partial(recommendation, "itemknn"),
        "recommend by a chain": partial(recommendation, "diffrec", epochs=1, holdout=0, progress=False),
        "evaluate": evaluation,
        "k-means": grouping,
        "ials, exact": least_squares,
        "ease": ease,
        "anchor's equations": partial(equations, 7500),
        "anchor's equations, of rows": partial(equations, 5000),
        "export to .pt2": partial(graph, ".pt2"),
        "export to .onnx": partial(graph, ".onnx"),
        "read .csv": partial(reading, ".csv"),
        "read .inter": partial(reading, ".inter"),
        "read .parquet": partial(reading, ".parquet"),
        "read .npz": partial(reading, ".npz"),
    }


def operations(moments: int) -> dict[str, Callable[[], Operation]]:
    """All of them, by name: each prepares, and returns what is to be interrupted so often."""
    return fits() | others(moments)


def child(prepare: Callable[[], Operation], ready: int, answer: int) -> None:
    """Prepare, say so, work until interrupted, and say what was found then."""
    # Whatever began this in the background may have had it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    work = prepare()
    os.write(ready, b"!")
    try:
        work()
    except KeyboardInterrupt as interruption:
        cpu, clock = time.process_time(), time.monotonic()
        partial_ = getattr(interruption, "partial", None)
        time.sleep(0.2)
        busy = time.process_time() - cpu
        found = {
            "cpu": cpu,
            "clock": clock,
            "after": busy,
            # The bar has a thread that sleeps, and ends with the process.
            "threads": [one.name for one in threading.enumerate()[1:] if not isinstance(one, TMonitor)],
            "partial": None if partial_ is None else type(partial_).__name__,
            "lists": None if partial_ is None else bool(np.isfinite(partial_.recommend(k=3).scores).all()),
        }
        os.write(answer, json.dumps(found).encode())
        os._exit(0)
    os._exit(3)


def interrupted(prepare: Callable[[], Operation], wait: float) -> dict[str, Any] | None:
    """Interrupt an operation so many seconds of its processor time after it began; None where it ended before."""
    (ready, began), (answer, told) = os.pipe(), os.pipe()
    process = os.fork()
    if process == 0:
        try:
            child(prepare, began, told)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(began)
    os.close(told)
    try:
        if os.read(ready, 1) == b"":
            raise RuntimeError("it failed before it could be interrupted, as it said above")
        begun = used(process)
        while used(process) - begun < wait:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                require_done(status)
                return None
            time.sleep(0.002)
        sent, moment = used(process), time.monotonic()
        os.kill(process, signal.SIGINT)
        if not select.select([answer], [], [], PATIENCE)[0]:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise RuntimeError(f"an interruption was not answered within {PATIENCE:g} s")
        said = os.read(answer, 4096)
        _, status = os.waitpid(process, 0)
        if not said:
            require_done(status)
            return None
        found: dict[str, Any] = json.loads(said)
        # The clock is that of the machine, which all processes have in common.
        return found | {"seconds": found["cpu"] - sent, "waited": found["clock"] - moment}
    finally:
        os.close(ready)
        os.close(answer)


def require_done(status: int) -> None:
    """Raise unless a child has ended because its work was done."""
    if os.waitstatus_to_exitcode(status) != 3:
        raise RuntimeError("it ended otherwise than by KeyboardInterrupt, as it said above")


def used(process: int) -> float:
    """Seconds of the processor that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(moments: int, names: list[str]) -> None:
    """Interrupt operations, all by default, at random moments within their first two seconds; a single one sooner."""
    import torch._dynamo  # noqa: F401 - optimizers bring it along, a second in every child

    known = operations(moments)
    draw = random.Random(0)
    for name in names or known:
        for _ in range(moments):
            wait = draw.uniform(0.0, 0.6 if moments == 1 else 2.0)
            found = interrupted(known[name], wait)
            print(json.dumps({"name": name, "wait": wait, **(found or {"seconds": None})}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
