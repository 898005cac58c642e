"""Every published number that concerns the diffusion model, reproduced to its tolerance."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import GaussianProcess, HiddenChain, ImportanceSteps, step_embedding
from support.golden import betas_of, cases, denoiser_from


def test_schedules(golden: Path) -> None:
    for name, case, arrays in cases(golden, "schedule"):
        process = GaussianProcess(betas_of(case))
        found = {
            "betas": process.betas,
            "alphas_cumprod": process.alphas_bar,
            "posterior_mean_coef_x0": process.posterior_mean_coef_x0,
            "posterior_mean_coef_xt": process.posterior_mean_coef_xt,
            "posterior_variance": process.posterior_variance,
            "posterior_log_variance_clipped": process.posterior_log_variance,
            "snr": process.snr,
        }
        assert found.keys() == arrays.keys()
        for key, value in found.items():
            np.testing.assert_allclose(value, arrays[key], rtol=1e-12, atol=1e-300, err_msg=f"{name} {key}")


def test_step_embedding(golden: Path) -> None:
    for _, _, arrays in cases(golden, "timestep_embedding"):
        for width in (10, 7, 2):
            found = step_embedding(torch.from_numpy(arrays["t"]), width)
            np.testing.assert_allclose(found, arrays[f"embedding_{width}"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("which", ["dense", "hidden"])
def test_denoiser(golden: Path, which: str) -> None:
    for name, case, arrays in cases(golden, "denoiser"):
        denoiser = denoiser_from(case, {k.removeprefix("weight."): v for k, v in arrays.items() if "weight." in k})
        process = GaussianProcess(betas_of(case), predict=case["mean_type"])
        x0, t, noise = (torch.from_numpy(arrays[k]) for k in ("x0", "t", "noise"))
        x_t = process.q_sample(x0, t, noise)

        def same(found: torch.Tensor, key: str, rtol: float = 0, case_name: str = name, arrays: Any = arrays) -> None:
            np.testing.assert_allclose(found, arrays[key], atol=1e-5, rtol=rtol, err_msg=f"{case_name} {key}")

        with torch.no_grad():
            if which == "hidden":
                same(HiddenChain(denoiser, process).dense_scores(SparseRows.from_dense(x0)), "reverse_from_x0")
                continue
            same(x_t, "x_t")
            same(denoiser(x_t, t), "denoiser_output")
            # Some losses are about 1e5, where float32 itself is coarser than 1e-5.
            same(process.losses(denoiser, x0, t, noise)[0], "loss_per_row_reweighted", rtol=2e-7)
            same(process.reverse(denoiser, x0), "reverse_from_x0")
            forward = case["forward_steps_at_inference"][1]
            drawn = process.reverse(denoiser, x0, forward_steps=forward, draw=lambda _, noise=noise: noise)
            same(drawn, "reverse_after_forward_steps")
            drawn = process.reverse(denoiser, x0, sampling_noise=True, draw=lambda _, noise=noise: noise)
            same(drawn, "reverse_with_sampling_noise")


def test_importance_sampler(golden: Path) -> None:
    for _, case, arrays in cases(golden, "importance_sampler"):
        losses = torch.from_numpy(arrays["loss_history"])
        steps, history = losses.shape
        sampler = ImportanceSteps(steps, history=case["history_per_step"], uniform=case["uniform_prob"])
        uniform = torch.full((steps,), 1 / steps, dtype=torch.float64)
        for i in range(history):
            torch.testing.assert_close(sampler.probabilities(), uniform)
            sampler.update(torch.arange(steps), losses[:, i])
        np.testing.assert_allclose(sampler.probabilities(), arrays["probability"], atol=1e-5, rtol=0)
