"""With noise the hidden-space chain has the distribution of the chain over dense rows."""

import numpy as np
import pytest
import torch
from scipy import stats

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import Denoiser, GaussianProcess, HiddenChain, RowNoise, noise_betas
from diffrec.diffusion.hidden_noise import HiddenNoise, NoiseBasis

SAMPLES = 10_000


def model(predict: str, normalize: bool, items: int, width: int, steps: int = 4) -> tuple[Denoiser, GaussianProcess]:
    torch.manual_seed(items)
    denoiser = Denoiser(items, (2, width), time_embedding=4, normalize=normalize).eval()
    for weight in denoiser.parameters():
        # Large weights: a wrong covariance has to show after tanh.
        torch.nn.init.normal_(weight, std=0.7)
    return denoiser, GaussianProcess(noise_betas("linear", steps, 1.0, 0.4, 0.6), predict=predict)


def same_distribution(one: torch.Tensor, other: torch.Tensor) -> None:
    """Of each score, and of sums, differences and products of scores, in which covariances show."""
    generator = np.random.default_rng(0)
    directions = generator.standard_normal((one.shape[1], 12))
    pairs = generator.integers(0, one.shape[1], (2, 12))
    views = [
        np.concatenate([x, x @ directions, x[:, pairs[0]] * x[:, pairs[1]]], axis=1)
        for x in (one.detach().double().numpy(), other.detach().double().numpy())
    ]
    for a, b in zip(views[0].T, views[1].T, strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-5
        # Means, to five standard errors.
        assert abs(a.mean() - b.mean()) < 5 * np.hypot(a.std(), b.std()) / len(a) ** 0.5 + 1e-6


@pytest.mark.parametrize(("items", "width"), [(17, 3), (5, 4)])  # more items than directions, and fewer
@pytest.mark.parametrize(("steps", "forward_steps", "sampling_noise"), [(1, 1, False), (4, 0, True), (4, 3, True)])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("predict", ["x0", "eps"])
def test_same_distribution_as_the_dense_chain(
    predict: str, normalize: bool, steps: int, forward_steps: int, sampling_noise: bool, items: int, width: int
) -> None:
    denoiser, process = model(predict, normalize, items, width, steps)
    x0 = torch.zeros(items)
    x0[[0, 2, 3]] = torch.tensor([2.0, 3.0, 1.0])
    x0 = x0.expand(SAMPLES, -1).contiguous()
    noise = {"forward_steps": forward_steps, "sampling_noise": sampling_noise}
    with torch.no_grad():
        dense = process.reverse(denoiser, x0, **noise)
        hidden = HiddenChain(denoiser, process, **noise).dense_scores(
            SparseRows.from_dense(x0), RowNoise.numbered(SAMPLES, 5)
        )
    same_distribution(hidden, dense)


@pytest.mark.parametrize("items", [17, 7, 6])  # beyond the six directions many, x_0's own or none
def test_all_that_the_chain_asks_of_noise_has_its_joint_distribution(items: int) -> None:
    torch.manual_seed(items)
    directions = [torch.randn(items, 4), torch.randn(items, 2)]
    x0 = torch.zeros(items)
    x0[:3] = torch.tensor([2.0, 3.0, 1.0])
    x0 = x0.expand(SAMPLES, -1).contiguous()
    basis = NoiseBasis(directions)
    products = torch.cat([x0 @ d for d in directions], dim=1)
    hidden = HiddenNoise(basis, SparseRows.from_dense(x0), products, RowNoise.numbered(SAMPLES, 1))
    dense = torch.zeros_like(x0)
    for kept, spread in [(0.0, 2.0), (-0.5, 0.7), (0.8, 0.0)]:
        hidden.add(kept, spread)
        dense = kept * dense + spread * torch.randn_like(dense)
    asked = torch.cat([*(dense @ d for d in directions), (dense * x0).sum(1, keepdim=True)], dim=1)
    found = torch.cat([hidden.image(0), hidden.image(1), hidden.dot_x0()[:, None]], dim=1)
    same_distribution(
        torch.cat([found, hidden.square()[:, None]], dim=1),
        torch.cat([asked, dense.square().sum(1, keepdim=True)], dim=1),
    )


def test_the_comparison_sees_a_wrong_covariance() -> None:
    values = torch.randn(SAMPLES, 3)
    values[:, 2] = values[:, 0] + 0.3 * values[:, 1]
    mixed = values.clone()
    mixed[:, 2] = mixed[torch.randperm(SAMPLES), 2]
    with pytest.raises(AssertionError):
        same_distribution(mixed, values)


def test_an_empty_history_has_noise_like_any_other() -> None:
    denoiser, process = model("eps", True, 17, 3)
    rows = torch.zeros(SAMPLES, 17)
    with torch.no_grad():
        dense = process.reverse(denoiser, rows, forward_steps=2, sampling_noise=True)
    chain = HiddenChain(denoiser, process, forward_steps=2, sampling_noise=True)
    same_distribution(chain.dense_scores(SparseRows.from_dense(rows)), dense)


def test_a_seed_gives_the_same_noise() -> None:
    denoiser, process = model("eps", False, 17, 3)
    chain = HiddenChain(denoiser, process, sampling_noise=True)
    rows = SparseRows.from_dense(torch.eye(17)[:3])
    one, same, other = (chain.dense_scores(rows, RowNoise.numbered(3, seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("normalize", [False, True])
def test_a_rows_noise_is_its_own_whoever_else_is_there(normalize: bool) -> None:
    denoiser, process = model("eps", normalize, 17, 3)
    chain = HiddenChain(denoiser, process, forward_steps=2, sampling_noise=True)
    x0, keys = torch.eye(17)[:4], np.array([7, -3, 2**62, 0])
    together = chain.dense_scores(SparseRows.from_dense(x0), RowNoise(5, keys))
    for rows in ([2], [3, 0], [1, 0, 3]):
        some = chain.dense_scores(SparseRows.from_dense(x0[rows]), RowNoise(5, keys[rows]))
        torch.testing.assert_close(some, together[rows], rtol=1e-5, atol=1e-6)


def test_without_noise_to_add_nothing_is_drawn() -> None:
    denoiser, _ = model("x0", False, 17, 3)
    process = GaussianProcess(torch.zeros(4))
    rows = SparseRows.from_dense(torch.eye(17)[:3])
    plain = HiddenChain(denoiser, process).dense_scores(rows)
    assert torch.equal(HiddenChain(denoiser, process, forward_steps=2, sampling_noise=True).dense_scores(rows), plain)


def test_a_basis_spans_its_directions() -> None:
    first = torch.randn(9, 2)
    basis = NoiseBasis([first, first @ torch.randn(2, 3)])
    assert basis.rank == 2
    vectors = torch.randn(4, 2) @ first.T
    products = torch.cat([vectors @ d for d in basis.directions], dim=1)
    coordinates = basis.coordinates(products)
    torch.testing.assert_close(coordinates.square().sum(1), vectors.square().sum(1), rtol=1e-3, atol=1e-4)
    back = basis.combination(coordinates) @ torch.cat(basis.directions, dim=1).T
    torch.testing.assert_close(back, vectors, rtol=1e-3, atol=1e-3)
