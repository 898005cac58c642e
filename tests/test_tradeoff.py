"""The table of what guidance gains and pays, its picture, and the page that explains it."""

from pathlib import Path

import numpy as np
import pytest

import diffrec
from diffrec import plots
from diffrec.tradeoff import tradeoff

TRAIN, VALID, TEST = diffrec.datasets.synthetic(users=60, items=40, seed=1).split()


@pytest.fixture(scope="module")
def model() -> diffrec.DiffRec:
    quick = {"dims": (16,), "epochs": 20, "batch_size": 20, "holdout": 0, "lr": 0.01, "progress": False}
    return diffrec.DiffRec(**quick).fit(TRAIN)


def test_no_guidance_is_what_evaluate_says(model: diffrec.DiffRec) -> None:
    item = TRAIN.items[3]
    rows = tradeoff(model, TEST, seen=VALID, k=5, steer={item: 1.0})
    report = model.evaluate(TEST, seen=VALID, k=[5])
    assert [row["weight"] for row in rows if row["guidance"] == "steer"] == [0, 0.5, 1, 2, 4]
    for row in rows:
        if row["weight"] == 0:
            assert row["ndcg"] == report["ndcg@5"]
            assert row["coverage"] == report["coverage@5"]
    for kind, gain in (("novelty", "novelty"), ("diversity", "diversity"), ("steer", "share")):
        gained = [row[gain] for row in rows if row["guidance"] == kind]
        assert gained[-1] > gained[0]
    with pytest.raises(ValueError, match="diversity must be at least 0"):
        tradeoff(model, TEST, diversity_weights=[-1])
    with pytest.raises(TypeError, match="model must be one that can be guided, as DiffRec can, and EASE cannot"):
        tradeoff(diffrec.fit(TRAIN, variant="ease"), TEST)


def test_the_picture_shows_the_table(model: diffrec.DiffRec, tmp_path: Path) -> None:
    figure = plots.guidance(model, TEST, seen=VALID, k=5)
    rows = tradeoff(model, TEST, seen=VALID, k=5)
    assert len(figure.axes) == 2
    for axes, kind in zip(figure.axes, ("novelty", "diversity"), strict=True):
        drawn = axes.lines[0].get_xydata()
        np.testing.assert_allclose(drawn, [(row[kind], row["ndcg"]) for row in rows if row["guidance"] == kind])
    assert figure.axes[0].get_ylim()[1] > max(row["ndcg"] for row in rows)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_repeats_are_not_relevant() -> None:
    data = diffrec.Interactions.from_arrays([0, 0, 1, 1, 2, 2, 3], [0, 1, 1, 2, 2, 3, 4], items=np.arange(6))
    test = diffrec.Interactions.from_arrays([0, 0, 1, 1, 2, 2], [1, 2, 2, 3, 3, 4], items=data.items)
    model = diffrec.DiffRec(dims=(4,), epochs=2, progress=False).fit(data)
    rows = tradeoff(model, test, novelty_weights=(0,), diversity_weights=(), k=4)
    report = model.evaluate(test, k=[4])
    assert (rows[0]["recall"], rows[0]["ndcg"]) == (report["recall@4"], report["ndcg@4"])
