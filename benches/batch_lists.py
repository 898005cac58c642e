"""Lists for a million people, end to end from Parquet to Parquet: one process, Ray, Spark.

    python benches/batch_lists.py one ray spark --users 1000000

Prints people per second, start-up included, and whether an engine's lists are those of one process.
"""

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

import diffrec

ITEMS = 2000
LENGTH = 10
FILES = 16
K = 10


def histories(folder: Path, users: int) -> None:
    """Write a row for each person, with ten items, the low ones more often than the high."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    starts = np.linspace(0, users, FILES + 1).astype(int)
    for number, (start, stop) in enumerate(itertools.pairwise(starts)):
        items = (ITEMS * rng.random((stop - start) * LENGTH) ** 2).astype(np.int64)
        offsets = pa.array(np.arange(stop - start + 1, dtype=np.int32) * LENGTH)
        lists = pa.ListArray.from_arrays(offsets, pa.array(items))
        pq.write_table(pa.table({"user": np.arange(start, stop), "items": lists}), folder / f"{number:02}.parquet")


def run(engine: str, folder: Path, actors: int) -> float:
    """Seconds of the command, from its start to its end."""
    out = folder / f"{engine}{'.parquet' if engine == 'one' else ''}"
    command = [sys.executable, "-m", "diffrec", "recommend", folder / "model.diffrec", "-k", K, "--quiet"]
    command += ["--histories", folder / "histories", "--out", out]
    if engine != "one":
        command += ["--engine", engine, "--actors", actors]
    started = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def digest(path: Path) -> tuple[int, int, int]:
    """Rows, and sums over them that any other user, item or rank would change; the order does not matter."""
    rows = total = mixed = 0
    for batch in pa.dataset.dataset(path, format="parquet").to_batches(columns=["user", "item", "rank"]):
        user, item, rank = (column.to_numpy() for column in batch.columns)
        key = (user * ITEMS + item) * K + rank - 1
        rows += len(key)
        total += int(key.sum())
        mixed += int((key * np.int64(2654435761) % 1_000_000_007).sum())
    return rows, total, mixed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="+", choices=["one", "ray", "spark"])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--actors", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lists-"))
    try:
        histories(folder / "histories", given.users)
        first = pq.read_table(folder / "histories" / "00.parquet").slice(0, 20_000)
        owners = np.repeat(first["user"].to_numpy(), LENGTH)
        learnt = diffrec.Interactions.from_arrays(
            owners, pc.list_flatten(first["items"]).to_numpy(), items=np.arange(ITEMS)
        )
        diffrec.fit(learnt, variant="diffrec", dims=(64,), epochs=1, holdout=0, time_embedding=10, progress=False).save(
            folder / "model.diffrec"
        )
        wanted = None
        for engine in given.engines:
            seconds = run(engine, folder, given.actors)
            found = digest(folder / f"{engine}{'.parquet' if engine == 'one' else ''}")
            wanted = wanted or found
            same = "the same lists" if found == wanted else f"DIFFERENT lists: {found} for {wanted}"
            print(
                f"{engine:6} {given.users:,} people in {seconds:.1f} s, {given.users / seconds:,.0f} a second; {same}"
            )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
