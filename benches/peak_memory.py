"""Peak memory of the largest jobs, each in a process of its own.

    python benches/peak_memory.py

Two epochs of gowalla (needs ``DIFFREC_DATA``) by DiffRec at d = 1,000 and by L-DiffRec: the peak of the whole process.
Recommendations for 100,000 users over 1,000,000 items at d = 128: the peak beyond the process that holds the weights;
they take minutes. The table that ``diffrec recommend`` writes for a million users, and for three: the peak of the whole
process.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EPOCHS: dict[str, dict[str, Any]] = {
    "diffrec": {"dims": (1000,)},
    "l-diffrec": {"groups": 2, "latent_dims": (300,), "dims": (300,)},
}


def main() -> None:
    """Run every job, or the one that is named inside its own process."""
    if len(sys.argv) == 2:
        job = sys.argv[1]
        print(epochs(job) if job in EPOCHS else {"recommend": recommend, "table": table}[job]())
        return
    for job in (*EPOCHS, "recommend", "table"):
        done = subprocess.run([sys.executable, __file__, job], check=True, stdout=subprocess.PIPE, text=True)
        print(f"{job}: {done.stdout.strip()}", flush=True)


def epochs(variant: str) -> str:
    """Train on gowalla without validation."""
    import torch

    import diffrec
    from diffrec.training import PeakMemory

    train = diffrec.Split.read(Path(os.environ["DIFFREC_DATA"]) / "gowalla.npz").train
    with PeakMemory(torch.device("cpu")) as before:
        pass
    model = diffrec.fit(train, variant=variant, epochs=2, holdout=0, progress=False, **EPOCHS[variant])
    facts: dict[str, Any] = model.training_.facts
    seconds = " and ".join(f"{epoch.seconds:.1f}" for epoch in model.training_.epochs)
    return (
        f"{facts['parameters']:,} parameters, peak {facts['peak_memory'] / 1e9:.2f} GB of the process "
        f"({(facts['peak_memory'] - before.bytes) / 1e9:.2f} beyond what it held before), epochs of "
        f"{seconds} s; planned were {facts['planned_memory'] / 1e9:.2f} GB beyond the process"
    )


def recommend() -> str:
    """Top 20 of a million items for 100,000 users."""
    import torch
    from growth import untrained

    from diffrec.training import PeakMemory

    model, _ = untrained(users=100_000, items=1_000_000, history=20, d=128, T=5)
    cpu = torch.device("cpu")
    with PeakMemory(cpu) as before:
        pass
    started = time.perf_counter()
    with PeakMemory(cpu) as during:
        model.recommend(k=20)
    seconds = time.perf_counter() - started
    return f"peak {(during.bytes - before.bytes) / 1e9:.2f} GB beyond the weights and the data, {seconds:.0f} s"


# The command, and the peak of its process on standard error.
COMMAND = """
import sys
import torch
from diffrec.cli import main
from diffrec.training import PeakMemory

sys.argv[0] = "diffrec"
with PeakMemory(torch.device("cpu")) as peak:
    try:
        main()
    except SystemExit as ended:
        assert not ended.code
print(peak.bytes, file=sys.stderr)
"""


def table() -> str:
    """A Parquet table of the top 20 of 1,000 items for a million users, by the command line."""
    import numpy as np

    import diffrec

    users, each, items = 1_000_000, 5, 1000
    rng = np.random.default_rng(0)
    taken = (items * rng.random(users * each) ** 2).astype(np.int64)
    data = diffrec.Interactions.from_arrays(np.repeat(np.arange(users), each), taken)
    said = []
    with tempfile.TemporaryDirectory() as folder:
        diffrec.fit(data, variant="ease").save(Path(folder) / "model.diffrec")
        for who, options in {"three users": ["--users", "1,2,3"], "a million": []}.items():
            arguments = ["recommend", "model.diffrec", "--k", "20", "--out", "top.parquet", "--quiet", *options]
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", COMMAND, *arguments], cwd=folder, check=True, capture_output=True, text=True
            )
            seconds = time.perf_counter() - started
            said.append(f"{who}: peak {int(done.stderr) / 1e9:.2f} GB, {seconds:.0f} s")
    return "; ".join(said)


if __name__ == "__main__":
    main()
