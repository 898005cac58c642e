"""Sets that people published, where they are at hand."""

from pathlib import Path

import numpy as np
import pytest

from diffrec.data import Interactions, Split
from diffrec.data.files import PARTS

SETS = ["ml-1m_clean", "lastfm", "onlineretail", "beauty"]


@pytest.mark.parametrize("name", SETS)
def test_ready_made_splits_hold_what_the_file_does(shared_data: Path, name: str) -> None:
    file = shared_data / f"{name}.npz"
    split = Split.read(file)
    with np.load(file, allow_pickle=False) as arrays:
        assert split.train.shape == tuple(arrays["shape"])
        for part, data in zip(PARTS, split, strict=True):
            cells = np.unique(arrays[part] @ np.array([data.shape[1], 1]))
            rows, columns = data.matrix.nonzero()
            np.testing.assert_array_equal(rows * data.shape[1] + columns, cells)
        if "train_time" in arrays:
            assert split.train.timestamps is not None
            assert split.train.timestamps.max() == arrays["train_time"].max()
    whole = Interactions.read(file)
    assert len(whole) == len(split.train.merge(split.valid, split.test))
    train, valid, test = whole.split("time", 0.1, 0.2)
    assert len(train) + len(valid) + len(test) == len(whole)
