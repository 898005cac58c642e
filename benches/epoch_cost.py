"""Parameters, peak memory and seconds per epoch of DiffRec and L-DiffRec: the command behind docs/results.md.

    python benches/epoch_cost.py gowalla

Each model is fitted in a process of its own, so that neither counts what the other left behind. Needs ``DIFFREC_DATA``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

MODELS: dict[str, dict[str, Any]] = {
    "diffrec": {"dims": (1000,)},
    "l-diffrec": {"groups": 2, "latent_dims": (300,), "dims": (300,)},
}
EPOCHS = 3


def main() -> None:
    """Measure every model of ``MODELS``, or one of them inside its own process."""
    if len(sys.argv) == 3:
        print(json.dumps(measured(sys.argv[1], sys.argv[2])))
        return
    for variant in MODELS:
        done = subprocess.run(
            [sys.executable, __file__, sys.argv[1], variant], check=True, stdout=subprocess.PIPE, text=True
        )
        found = json.loads(done.stdout)
        seconds = ", ".join(f"{s:.1f}" for s in found["seconds"])
        print(
            f"{variant}: {found['parameters']:,} parameters, peak {found['peak'] / 1e9:.2f} GB, epochs of {seconds} s"
        )


def measured(data: str, variant: str) -> dict[str, Any]:
    """Fit without validation on the train part."""
    import diffrec

    train = diffrec.Split.read(Path(os.environ["DIFFREC_DATA"]) / f"{data}.npz").train
    model = diffrec.fit(train, variant=variant, epochs=EPOCHS, holdout=0, progress=False, **MODELS[variant])
    facts = model.training_.facts
    seconds = [epoch.seconds for epoch in model.training_.epochs]
    return {"parameters": facts["parameters"], "peak": facts["peak_memory"], "seconds": seconds}


if __name__ == "__main__":
    main()
