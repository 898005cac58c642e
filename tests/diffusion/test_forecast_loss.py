"""The loss of forecasts, with its hand-made gradients, against autograd."""

from dataclasses import replace
from itertools import compress

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import forecast_loss

GENERATOR = torch.Generator().manual_seed(0)
H, ITEMS, BIAS, ADDED = (torch.randn(*shape, generator=GENERATOR) for shape in ((6, 4), (9, 4), (9,), (6, 9)))
TARGETS = (torch.rand(6, 9, generator=GENERATOR) < 0.3) * torch.rand(6, 9, generator=GENERATOR)
TARGETS[2] = 0  # a history that nothing follows


OWN = (torch.rand(6, 9, generator=GENERATOR) < 0.3) * torch.rand(6, 9, generator=GENERATOR)


def plain(
    h: Tensor, items: Tensor, bias: Tensor, added: Tensor, log_scale: Tensor, likelihood: str, own: Tensor
) -> Tensor:
    scores = h @ items.T + bias + log_scale.exp() * added + own
    if likelihood == "softmax":
        return -(TARGETS * functional.log_softmax(scores, dim=1)).sum(dim=1).mean()
    return (scores - TARGETS).square().sum(dim=1).mean()


@pytest.mark.parametrize("likelihood", ["softmax", "squared"])
@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_loss_and_gradients_are_autograds(likelihood: str, anchored: bool, own: bool) -> None:
    added, weight = ADDED if anchored else torch.zeros_like(ADDED), torch.tensor(2.0 if own else 0.0)
    mine, theirs = ([x.clone().requires_grad_() for x in (H, ITEMS, BIAS, torch.tensor(0.7), weight)] for _ in range(2))
    expected = plain(theirs[0], theirs[1], theirs[2], added, theirs[3], likelihood, theirs[4] * OWN)
    (3 * expected).backward()
    *layer, log_scale, weight = mine
    given = (ADDED, log_scale) if anchored else (None, None)
    rows = SparseRows.from_dense(OWN)
    weighted = replace(rows, values=rows.values * weight) if own else None
    loss = forecast_loss(*layer, SparseRows.from_dense(TARGETS), likelihood, *given, weighted)
    (3 * loss).backward()
    torch.testing.assert_close(loss, expected)
    learnt = [True, True, True, anchored, own]
    for one, other in zip(compress(mine, learnt), compress(theirs, learnt), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_scores_far_from_zero_do_not_overflow() -> None:
    one = SparseRows.from_dense(torch.tensor([[0.0, 1.0]]))
    loss = forecast_loss(torch.tensor([[300.0]]), torch.tensor([[1.0], [2.0]]), torch.zeros(2), one)
    assert float(loss) == pytest.approx(0.0, abs=1e-6)
