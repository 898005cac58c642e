"""Fit, measure, recommend, save and load, on a generated world.

python examples/quickstart.py [FILE]
"""

import sys
import tempfile
from pathlib import Path

import diffrec


def main(path: str | None = None, budget: str = "20s") -> None:
    """Do the whole job on a file, or without one on a generated world."""
    data = diffrec.datasets.synthetic(users=300, items=200) if path is None else diffrec.Interactions.read(path)
    print(data)

    train, valid, test = data.split(by="random" if data.timestamps is None else "time")
    model = diffrec.fit(train, budget=budget)
    print("chosen:", model.training_.facts["chosen"])
    print(model.evaluate(test, seen=valid))

    print(model.recommend(data.users.ids[:3], k=5).to_frame())

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.diffrec"
        model.save(file)
        print("loaded:", diffrec.load(file))


if __name__ == "__main__":
    main(*sys.argv[1:2])
