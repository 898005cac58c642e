"""Write each epoch to a file, and stop when a fit has taken long enough.

python examples/custom_callback.py [FILE]
"""

import csv
import sys
import tempfile
import time
from pathlib import Path

import diffrec
from diffrec.training import EpochRecord


class Journal:
    """Writes a line for each epoch, and raises ``TimeoutError`` after some seconds."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.end = path, time.monotonic() + seconds

    def __call__(self, epoch: EpochRecord) -> None:
        """Write one epoch down."""
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([epoch.epoch, epoch.loss, epoch.validation])
        if time.monotonic() > self.end:
            raise TimeoutError(f"stopped after epoch {epoch.epoch}")


def main(path: str | None = None, seconds: float = 60.0) -> None:
    """Fit with a journal; a fit that is stopped leaves the model as it was before."""
    data = diffrec.datasets.synthetic(users=300, items=200) if path is None else diffrec.Interactions.read(path)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "epochs.csv", seconds)
        try:
            model = diffrec.fit(data, variant="diffrec", dims=(100,), epochs=20, callbacks=[journal])
            print(f"best epoch {model.training_.best_epoch}")
        except TimeoutError as error:
            print(error)
        print(f"{len(journal.path.read_text().splitlines())} epochs in the journal")


if __name__ == "__main__":
    main(*sys.argv[1:2])
