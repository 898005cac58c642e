"""The blockwise products against the plain ones, gradients included."""

import pytest
import torch
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import item_products
from diffrec.diffusion.item_products import gram_pays, gram_squared_error, project, squared_error


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    # Blocks of 64 items, the least there is.
    monkeypatch.setattr(item_products, "BLOCK_CELLS", 1)


def parameters(items: int = 150, n: int = 7, width: int = 5) -> list[torch.Tensor]:
    shapes = [(n, width), (items, width), (items,)]
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def plain(h: torch.Tensor, items_out: torch.Tensor, bias: torch.Tensor, x0: torch.Tensor) -> torch.Tensor:
    return (functional.linear(h, items_out, bias) - x0).square().mean(dim=1)


def gradients(loss: torch.Tensor, of: list[torch.Tensor]) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, of))


@pytest.mark.parametrize("form", ["blocks", "gram"])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_squared_error_is_the_plain_one(form: str, scale: float) -> None:
    h, items_out, bias = of = parameters()
    x0 = torch.where(torch.rand(7, 150) < 0.1, torch.rand(7, 150), 0.0)
    x0[3] = 0
    rows, weights = SparseRows.from_dense(x0), torch.rand(7)
    if form == "gram":
        loss, errors = gram_squared_error(h, items_out, bias, rows, weights)
    else:
        loss, errors = squared_error(h, items_out, bias, lambda first, out: rows.add_to(out, first, -1), weights)
    expected = plain(h, items_out, bias, x0)
    torch.testing.assert_close(errors, expected.detach(), rtol=1e-5, atol=1e-6)
    expected_gradients = gradients(scale * (weights * expected).sum(), of)
    for found, wanted in zip(gradients(scale * loss, of), expected_gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert not errors.requires_grad


def test_projection_is_the_plain_one() -> None:
    x_t, weight = torch.randn(7, 150), torch.randn(150, 5, requires_grad=True)
    slope = torch.randn(7, 5)
    torch.testing.assert_close(project(x_t, weight), x_t @ weight, rtol=1e-5, atol=1e-5)
    (found,) = torch.autograd.grad((project(x_t, weight) * slope).sum(), weight)
    torch.testing.assert_close(found, x_t.T @ slope, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_near_and_gradients_stay_wide() -> None:
    h, items_out, bias = of = parameters()
    x0 = torch.rand(7, 150).round()
    rows, weights = SparseRows.from_dense(x0), torch.rand(7)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = squared_error(h, items_out, bias, lambda first, out: rows.add_to(out, first, -1), weights)
    expected = (weights * plain(h, items_out, bias, x0)).sum()
    torch.testing.assert_close(loss, expected, rtol=1e-2, atol=0)
    assert not torch.equal(loss, expected)
    for found, wanted in zip(gradients(loss, of), gradients(expected, of), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted, rtol=0, atol=0.02 * float(wanted.abs().max()))
    weight, x_t = torch.randn(150, 5, requires_grad=True), torch.randn(7, 150).bfloat16()
    projected = project(x_t, weight)
    torch.testing.assert_close(projected, x_t.float() @ weight, rtol=0, atol=0.2)
    assert torch.autograd.grad(projected.sum(), weight)[0].dtype == torch.float32


def test_gram_form_is_chosen_by_cost() -> None:
    assert gram_pays(400, 599, torch.float32)
    assert not gram_pays(400, 600, torch.float32)
    assert not gram_pays(400, 100, torch.bfloat16)
