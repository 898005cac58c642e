"""The product of inference is the ordinary one."""

import pytest
import torch
from torch.nn import functional

from diffrec.diffusion import linear


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(("n", "inputs", "outputs"), [(1, 1, 1), (3, 5, 7), (200, 300, 1000), (0, 3, 2), (2, 3, 0)])
def test_same_as_torch(n: int, inputs: int, outputs: int, with_bias: bool, tanh: bool) -> None:
    torch.manual_seed(0)
    # Cut out of larger tensors and turned, as callers hand them over.
    x, weight = torch.randn(n + 1, inputs + 2)[1:, 2:], torch.randn(inputs + 1, outputs + 1)[1:, 1:].T / 10
    bias = torch.randn(outputs) if with_bias else None
    expected = functional.linear(x.double(), weight.double(), None if bias is None else bias.double())
    expected = (expected.tanh() if tanh else expected).float()
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            torch.testing.assert_close(linear(x, weight, bias, tanh=tanh), expected, atol=1e-5, rtol=1e-5)


def test_gradients_flow_and_autocast_counts() -> None:
    x, weight = torch.randn(3, 4, requires_grad=True), torch.randn(2, 4, requires_grad=True)
    linear(x, weight, tanh=True).sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16
