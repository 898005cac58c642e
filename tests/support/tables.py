"""Files of recommendations, read without diffrec."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet


def columns_of(file: Path, item: Callable[[str], Any] = int) -> dict[str, list[Any]]:
    """Read a file with the plainest reader of its format; of text, users stay text."""
    if file.suffix == ".parquet":
        return parquet.read_table(file).to_pydict()
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return {name: arrays[name].tolist() for name in arrays}
    inter = file.suffix == ".inter"
    with file.open(newline="", encoding="utf-8") as lines:
        reader = csv.reader(
            lines, delimiter="," if file.suffix == ".csv" else "\t", quoting=csv.QUOTE_NONE if inter else 0
        )
        header, *rows = reader
    names = [name.split(":")[0] for name in header]
    kinds = {"user": str, "item": item, "rank": int, "score": float}
    cells = zip(*rows, strict=True) if rows else [()] * len(names)
    return {name: [kinds[name](cell) for cell in column] for name, column in zip(names, cells, strict=True)}
