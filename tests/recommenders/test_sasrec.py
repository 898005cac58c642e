"""SASRec: its losses against their formulas, and that it learns an order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import diffrec
from diffrec import Interactions, SASRec
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import gbce_loss, sampled_softmax_loss
from support.walks import share_of_next, walks

DATA = walks()


@pytest.mark.parametrize("loss", ["softmax", "gbce"])
def test_it_learns_the_order(loss: str, tmp_path: Path) -> None:
    model = SASRec(width=16, dropout=0.0, epochs=25, batch_size=128, lr=0.01, loss=loss, progress=False).fit(DATA)
    assert share_of_next(model, DATA) > 0.9
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(diffrec.load(tmp_path / "model").score(), model.score())


def problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    weights = torch.rand(6, 9) * (torch.rand(6, 9) < 0.3)
    return torch.randn(6, 4), torch.randn(9, 4), torch.randn(9), weights


def test_gbce_is_its_formula() -> None:
    h, items, bias, weights = problem()
    negatives, t = torch.tensor([7, 0, 4]), 0.75
    alpha = 3 / 8
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    scores = torch.sigmoid(h @ items.T + bias)
    expected = 0.0
    for row in range(6):
        for item in range(9):
            if weights[row, item] > 0:
                expected -= float(weights[row, item] * torch.log(scores[row, item] ** beta))
            elif item in negatives:
                expected -= float(torch.log(1 - scores[row, item]))
    found = gbce_loss(h, items, bias, SparseRows.from_dense(weights), negatives, t)
    assert float(found) == pytest.approx(expected / (6 * 4), rel=1e-5)


def test_all_items_but_one_sampled_are_nearly_the_softmax() -> None:
    h, items, bias, _ = problem()
    weights = functional.one_hot(torch.tensor([1, 0, 8, 3, 3, 2]), 9).float()
    full = functional.cross_entropy(h @ items.T + bias, weights)
    sampled = sampled_softmax_loss(h, items, bias, SparseRows.from_dense(weights), torch.arange(9))
    # All of them were drawn, and each row's own one stands apart.
    assert float(sampled) == pytest.approx(float(full), rel=1e-5)


def test_the_sampled_sum_is_right_in_the_mean() -> None:
    """Of the gradient's direction: over many samples what is pulled up and pushed down is as by the whole softmax."""
    torch.manual_seed(1)
    h, items, bias = torch.randn(1, 4), torch.randn(400, 4) / 2, torch.zeros(400)
    target = SparseRows(torch.tensor([0, 1]), torch.tensor([5]), torch.ones(1))
    full = functional.cross_entropy(h @ items.T + bias, torch.tensor([5]))
    sampled = torch.stack(
        [sampled_softmax_loss(h, items, bias, target, torch.randperm(400)[:100]) for _ in range(200)]
    ).mean()
    assert float(sampled) == pytest.approx(float(full), rel=0.02)


def test_bad_settings_and_histories_without_an_order() -> None:
    with pytest.raises(ValueError, match="heads must divide width=64, got 3"):
        SASRec(heads=3)
    with pytest.raises(ValueError, match="sasrec needs timestamps, and these interactions have none"):
        SASRec(epochs=1).fit(np.eye(3))
    with pytest.raises(ValueError, match="at least 2 interactions at different times; there is none"):
        SASRec(epochs=1).fit(Interactions.from_arrays([0, 0], [0, 1], timestamp=[1, 1]))
