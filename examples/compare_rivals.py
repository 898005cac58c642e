"""Hold DiffRec against simple rivals on one split, and ask whether a lead may be luck.

python examples/compare_rivals.py [FILE]
"""

import sys

import diffrec


def main(path: str | None = None, seeds: int = 2) -> None:
    """Compare on a file, or without one on a generated world."""
    data = diffrec.datasets.synthetic(users=300, items=200) if path is None else diffrec.Interactions.read(path)
    rivals = {
        "popularity": {},
        "itemknn": {},
        "ease": {"l2": 50.0},
        "DiffRec": {"variant": "diffrec", "dims": (100,), "epochs": 20, "anchor": True},
    }
    table = diffrec.compare(data, rivals, seeds=seeds, progress=False)
    print(table)


if __name__ == "__main__":
    main(*sys.argv[1:2])
