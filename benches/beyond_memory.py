"""Prepare and train from files: seconds and peak memory of each, at sizes ten times apart, beside a fit in memory.

    python benches/beyond_memory.py --users 200000 2000000
    python benches/beyond_memory.py --users 200000 --in-memory

Every step is a process of its own, whose peak is what the system says. What a process needs that only imports torch
and takes one step of training with the same weights is told first: the rest is what the data costs.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ITEMS = 2000
EACH = 10
#: Events that are made, and written as a row group, at a time.
CHUNK = 1_000_000
SETTINGS = {"variant": "diffrec", "dims": (64,), "batch_size": 2000, "epochs": 1, "holdout": 0, "progress": False}


def raw(file: Path, users: int) -> None:
    """Ten events a user, in no order: ids are numbers, low items more often than high ones."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    schema = pa.schema({"user": pa.int64(), "item": pa.int64(), "timestamp": pa.int64()})
    with parquet.ParquetWriter(file, schema) as writer:
        for start in range(0, users * EACH, CHUNK):
            n = min(CHUNK, users * EACH - start)
            columns = {
                # Every user has some, in other places of the file.
                "user": (np.arange(start, start + n) * 7919) % users,
                "item": (ITEMS * rng.random(n) ** 2).astype(np.int64),
                "timestamp": rng.integers(1_600_000_000, 1_700_000_000, n),
            }
            writer.write_table(pa.table(columns, schema=schema))


def step(name: str, folder: Path) -> dict[str, float]:
    """Do one step in this process; figures of it."""
    import diffrec

    started, more = time.perf_counter(), {}
    if name == "idle":
        diffrec.fit(np.eye(8, ITEMS) + 1, **SETTINGS)
    elif name == "prepare":
        from diffrec.data.prepare import prepare

        more["events"] = prepare(folder / "raw.parquet", folder / "prepared", valid=0, test=0).events
    elif name == "files":
        model = diffrec.fit(str(folder / "prepared"), **SETTINGS)
        more["loss"] = model.training_.epochs[0].loss
        more["weights_mb"] = model.training_.facts["parameters"] * 4 / 1e6
    else:
        model = diffrec.fit(diffrec.Interactions.read(folder / "raw.parquet"), **SETTINGS)
        more["loss"] = model.training_.epochs[0].loss
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": time.perf_counter() - started, "peak_mb": peak / 1e6, **more}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[200_000, 2_000_000])
    parser.add_argument("--in-memory", action="store_true", help="fit in memory, too")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(step(given.step[0], Path(given.step[1]))))
        return
    for users in given.users:
        folder = Path(tempfile.mkdtemp(prefix="beyond-"))
        try:
            raw(folder / "raw.parquet", users)
            for name in ("idle", "prepare", "files", *(["memory"] if given.in_memory else [])):
                command = [sys.executable, __file__, "--step", name, str(folder)]
                said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                figures = ", ".join(f"{key} {value:,.4g}" for key, value in json.loads(said).items())
                print(f"{users:,} users, {users * EACH:,} events, {name:8} {figures}", flush=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
