"""Peak memory of the largest jobs, each in a process of its own.

    python benches/peak_memory.py

Two epochs of gowalla (needs ``DIFFREC_DATA``) by DiffRec at d = 1,000 and by L-DiffRec: the peak of the whole process.
Recommendations for 100,000 users over 1,000,000 items at d = 128: the peak beyond the process that holds the weights;
they take minutes.
"""

import os
import subprocess
import sys
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
        print(recommend() if job == "recommend" else epochs(job))
        return
    for job in (*EPOCHS, "recommend"):
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
        f"{seconds} s; planned were {facts['planned_memory'] / 1e9:.2f} GB beyond the process and epochs of "
        f"{facts['planned_seconds']:.1f} s"
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


if __name__ == "__main__":
    main()
