"""Closed forms of the diffusion model, and the fast chain against the plain one."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import (
    NOISE_SCHEDULES,
    Denoiser,
    GaussianProcess,
    HiddenChain,
    ImportanceSteps,
    UniformSteps,
    noise_betas,
    step_embedding,
)


@pytest.mark.parametrize("schedule", NOISE_SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 40])
@pytest.mark.parametrize("fix_first", [True, False])
def test_betas_lie_in_range_and_forget_ever_more(schedule: str, steps: int, fix_first: bool) -> None:
    process = GaussianProcess(noise_betas(schedule, steps, 0.5, 0.001, 0.02, fix_first=fix_first))
    assert process.betas.shape == (steps,)
    assert ((process.betas > 0) & (process.betas <= 1)).all()
    assert (process.alphas_bar.diff() < 0).all()


def test_linear_variance_is_linear() -> None:
    process = GaussianProcess(noise_betas("linear-var", 7, 0.5, 0.1, 0.9, fix_first=False))
    np.testing.assert_allclose(1 - process.alphas_bar, np.linspace(0.05, 0.45, 7), rtol=1e-12)


def test_binomial_forgets_evenly() -> None:
    process = GaussianProcess(noise_betas("binomial", 9, fix_first=False))
    np.testing.assert_allclose(process.alphas_bar, 1 - np.arange(1, 10) / 10, rtol=1e-12)


def test_posterior_is_bayes() -> None:
    """q(x_{t-1} | x_t, x_0) is the product of two Gaussians, worked out from their precisions."""
    betas = noise_betas("linear", 6, 1.0, 0.01, 0.3)
    process = GaussianProcess(betas)
    for t in range(1, 6):
        before = process.alphas_bar[t - 1]
        precision = (1 - betas[t]) / betas[t] + 1 / (1 - before)
        np.testing.assert_allclose(process.posterior_variance[t], 1 / precision, rtol=1e-12)
        of_xt = (1 - betas[t]).sqrt() / betas[t] / precision
        of_x0 = before.sqrt() / (1 - before) / precision
        np.testing.assert_allclose(process.posterior_mean_coef_xt[t], of_xt, rtol=1e-12)
        np.testing.assert_allclose(process.posterior_mean_coef_x0[t], of_x0, rtol=1e-12)
    assert process.posterior_mean_coef_x0[0].item() == pytest.approx(1, rel=1e-10)
    assert process.posterior_mean_coef_xt[0] == 0


def test_q_sample_has_the_stated_mean_and_variance() -> None:
    process = GaussianProcess(noise_betas("linear", 5, 1.0, 0.1, 0.5))
    generator = torch.Generator().manual_seed(0)
    x0, t = torch.full((1, 200_000), 2.0), torch.tensor([3])
    x_t = process.q_sample(x0, t, torch.randn(x0.shape, generator=generator))
    alpha_bar = float(process.alphas_bar[3])
    assert float(x_t.mean()) == pytest.approx(2 * math.sqrt(alpha_bar), abs=0.01)
    assert float(x_t.var()) == pytest.approx(1 - alpha_bar, rel=0.02)


def test_eps_and_x0_say_the_same() -> None:
    process = GaussianProcess(noise_betas("linear", 5, 1.0, 0.1, 0.5), predict="eps")
    x0, noise, t = torch.randn(4, 6), torch.randn(4, 6), torch.tensor([0, 1, 3, 4])
    torch.testing.assert_close(process.predicted_x0(process.q_sample(x0, t, noise), t, noise), x0, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("predict", ["x0", "eps"])
def test_one_step_works(predict: str) -> None:
    process = GaussianProcess(noise_betas("linear-var", 1, 0.1, 0.001, 0.02), predict=predict)  # type: ignore[arg-type]
    assert process.posterior_log_variance.isfinite().all()
    # Predicting noise, the loss of the only step is half the squared error of the x_0 that the noise implies.
    implied = 1.0 if predict == "x0" else float(1 / process.alphas_bar[0] - 1) / 2
    assert process.loss_weights.tolist() == pytest.approx([implied])
    denoiser = Denoiser(5, (3,)).eval()
    assert process.reverse(denoiser, torch.eye(5), sampling_noise=True).isfinite().all()


def test_without_noise_the_chain_is_the_denoiser_over_and_over() -> None:
    process = GaussianProcess(noise_betas("linear-var", 3, 0.0))
    denoiser = Denoiser(5, (3,)).eval()
    x = torch.eye(5)
    expected = x
    for t in (2, 1, 0):
        expected = denoiser(expected, torch.full((5,), t))
    torch.testing.assert_close(process.reverse(denoiser, x), expected)
    assert process.losses(denoiser, x, torch.zeros(5, dtype=torch.int64), x)[0].isfinite().all()
    with pytest.raises(ValueError, match="noise_scale must be above 0"):
        GaussianProcess(noise_betas("linear-var", 3, 0.0), predict="eps")


def test_unweighted_loss_is_the_mean_square() -> None:
    process = GaussianProcess(noise_betas("linear-var", 4, 0.1, 0.001, 0.02))
    denoiser = Denoiser(5, (3,)).eval()
    x0, noise, t = torch.rand(3, 5), torch.randn(3, 5), torch.tensor([0, 2, 3])
    output = denoiser(process.q_sample(x0, t, noise), t)
    torch.testing.assert_close(
        process.losses(denoiser, x0, t, noise, reweight=False)[0], ((output - x0) ** 2).mean(1), rtol=1e-6, atol=0
    )
    snr = process.snr
    weights = torch.stack([torch.tensor(1.0), snr[1] - snr[2], snr[2] - snr[3]])
    torch.testing.assert_close(
        process.losses(denoiser, x0, t, noise)[0], weights * ((output - x0) ** 2).mean(1), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("width", [1, 2, 7, 10])
def test_embedding_is_cosines_then_sines(width: int) -> None:
    found = step_embedding(torch.tensor([0, 3]), width)
    assert found.shape == (2, width)
    for i in range(width // 2):
        angle = 3 * 10_000 ** (-i / (width // 2))
        assert found[1, i].item() == pytest.approx(math.cos(angle), abs=1e-6)
        assert found[1, i + width // 2].item() == pytest.approx(math.sin(angle), abs=1e-6)


@given(
    predict=st.sampled_from(["x0", "eps"]),
    normalize=st.booleans(),
    schedule=st.sampled_from(["linear", "linear-var"]),
    dims=st.sampled_from([(4,), (3, 5), (2, 4, 6)]),
    steps=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
def test_hidden_chain_is_the_dense_chain(
    predict: str, normalize: bool, schedule: str, dims: tuple[int, ...], steps: int, seed: int
) -> None:
    torch.manual_seed(seed)
    denoiser = Denoiser(23, dims, 6, normalize=normalize).eval()
    torch.nn.init.normal_(denoiser.bias_out, std=0.3)
    process = GaussianProcess(noise_betas(schedule, steps, 0.7, 0.01, 0.2), predict=predict)  # type: ignore[arg-type]
    x0 = (torch.rand(6, 23) < 0.3).float() * torch.rand(6, 23)
    x0[0] = 0  # a user without history
    with torch.no_grad():
        dense = process.reverse(denoiser, x0)
    hidden = HiddenChain(denoiser, process).dense_scores(SparseRows.from_dense(x0))
    # Rounding is relative to the largest number on the way, which "eps" lets grow.
    scale = max(1.0, float(dense.abs().max()))
    torch.testing.assert_close(hidden / scale, dense / scale, atol=1e-5, rtol=0)


def one_by_one(steps: int, history: int, t: list[int], losses: list[float]) -> list[list[float]]:
    """What the rings must hold: each step's latest losses."""
    kept: list[list[float]] = [[] for _ in range(steps)]
    for step, loss in zip(t, losses, strict=True):
        kept[step] = [*kept[step], loss][-history:]
    return kept


@given(st.lists(st.lists(st.integers(0, 3), max_size=30), max_size=5), st.integers(1, 6))
def test_importance_rings_hold_the_latest_losses(batches: list[list[int]], history: int) -> None:
    sampler = ImportanceSteps(4, history=history)
    rng = np.random.default_rng(0)
    seen_t: list[int] = []
    seen_losses: list[float] = []
    for batch in batches:
        losses = rng.random(len(batch))
        sampler.update(torch.tensor(batch, dtype=torch.int64), torch.from_numpy(losses))
        seen_t += batch
        seen_losses += losses.tolist()
    expected = one_by_one(4, history, seen_t, seen_losses)
    for step in range(4):
        held = sorted(x for x in sampler.losses[step].tolist() if x != 0)
        np.testing.assert_allclose(held, sorted(expected[step]))
    if all(len(kept) == history for kept in expected):
        rms = np.sqrt(np.mean(np.square(expected), axis=1))
        np.testing.assert_allclose(sampler.probabilities(), 0.999 * rms / rms.sum() + 0.001 / 4)
    else:
        np.testing.assert_allclose(sampler.probabilities(), 0.25)


def test_samplers_draw_as_they_say() -> None:
    torch.manual_seed(0)
    sampler = ImportanceSteps(3, history=1)
    sampler.update(torch.tensor([0, 1, 2]), torch.tensor([1.0, 2.0, 5.0]))
    t, scaled = sampler.sample(60_000)
    share = torch.bincount(t) / 60_000
    torch.testing.assert_close(share.double(), sampler.probabilities(), atol=0.01, rtol=0)
    torch.testing.assert_close(scaled, 3 * sampler.probabilities()[t])
    t, scaled = UniformSteps(3).sample(60_000)
    torch.testing.assert_close((torch.bincount(t) / 60_000), torch.full((3,), 1 / 3), atol=0.01, rtol=0)
    assert (scaled == 1).all()


@given(st.integers(0, 5), st.integers(1, 6), st.integers(0, 100))
def test_sparse_rows_are_dense_rows(n: int, columns: int, seed: int) -> None:
    torch.manual_seed(seed)
    dense = torch.where(torch.rand(n, columns) < 0.4, torch.randn(n, columns), 0.0)
    rows, weight = SparseRows.from_dense(dense), torch.randn(columns, 3)
    torch.testing.assert_close(rows @ weight, dense @ weight)
    torch.testing.assert_close(rows.squared_norms(), dense.square().sum(1))
    torch.testing.assert_close(rows.to_dense(columns), dense)
    out = torch.ones(n, columns - columns // 2)
    rows.add_to(out, columns // 2, 2.0)
    torch.testing.assert_close(out, 1 + 2 * dense[:, columns // 2 :])
