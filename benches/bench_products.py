"""The product behind every ranking, by oneDNN in float32, beside torch.mm and bfloat16.

    make bench ONLY=products

512 users' vectors of 1,000 times 8,192 items. bfloat16 gives two digits of the answer: enough for training only.
"""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

from benches.beside import Beside, Side
from diffrec.diffusion import linear


@functools.cache
def factors() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(512, 1000, generator=generator), torch.randn(8192, 1000, generator=generator)


@functools.cache
def narrow_factors() -> tuple[Tensor, Tensor]:
    users, items = factors()
    return users.bfloat16(), items.bfloat16()


@torch.no_grad()
def by_diffrec() -> Tensor:
    return linear(*factors())


def by_torch() -> Tensor:
    users, items = factors()
    return torch.mm(users, items.T)


def in_bfloat16() -> Tensor:
    users, items = narrow_factors()
    return torch.mm(users, items.T)


def agree(ours: Tensor, theirs: Tensor) -> None:
    tolerance = 1e-3 if theirs.dtype == torch.float32 else 2.0  # sums of a thousand normal products
    np.testing.assert_allclose(ours, theirs.float(), rtol=0, atol=tolerance)


SIDES = {"diffrec": Side(by_diffrec), "torch.mm": Side(by_torch), "torch.mm, bfloat16": Side(in_bfloat16)}


@pytest.mark.parametrize("library", SIDES)
def test_products(beside: Beside, library: str) -> None:
    beside.measure("product of 512 x 1,000 and 1,000 x 8,192", SIDES, library, agree=agree, rounds=20)
