"""Noise schedules: how much Gaussian noise each forward step adds.

Symbols of the paper (Wang et al., SIGIR 2023, section 3.1): ``steps`` T, ``noise_scale`` s, ``noise_min`` and
``noise_max`` alpha_min and alpha_max, ``betas`` beta_1 ... beta_T (index 0 is step 1).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

# The authors replace the first beta by this one, so that the chain ends close to the data it began with.
FIRST_BETA = 1e-5
# Keeps 1 - beta away from zero where a schedule would forget everything in one step (Nichol & Dhariwal 2021).
MAX_BETA = 0.999


def _linear(steps: int, low: float, high: float) -> Tensor:
    return torch.linspace(low, high, steps, dtype=torch.float64)


def _linear_variance(steps: int, low: float, high: float) -> Tensor:
    """Let 1 - alpha_bar_t grow linearly from ``low`` to ``high`` (the paper's eq. 4)."""
    return _betas_of(1.0 - _linear(steps, low, high))


def _cosine(steps: int, _low: float, _high: float) -> Tensor:
    """Nichol & Dhariwal 2021, eq. 17: alpha_bar falls as a squared cosine."""
    position = torch.arange(steps + 1, dtype=torch.float64) / steps
    alpha_bar = torch.cos((position + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1.0 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=MAX_BETA)


def _binomial(steps: int, _low: float, _high: float) -> Tensor:
    """Sohl-Dickstein et al. 2015: each step forgets an equal part of what the first one found."""
    return 1.0 / (steps + 1 - torch.arange(steps, dtype=torch.float64))


def _betas_of(alpha_bar: Tensor) -> Tensor:
    previous = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
    betas = 1.0 - alpha_bar / previous
    # Only ratios can exceed the cap; the first beta is a variance the caller chose.
    betas[1:] = betas[1:].clamp(max=MAX_BETA)
    return betas


_SCHEDULES: dict[str, Callable[[int, float, float], Tensor]] = {
    "linear": _linear,
    "linear-var": _linear_variance,
    "cosine": _cosine,
    "binomial": _binomial,
}
NOISE_SCHEDULES = tuple(_SCHEDULES)


def noise_betas(
    noise_schedule: str,
    steps: int,
    noise_scale: float = 1.0,
    noise_min: float = 0.0001,
    noise_max: float = 0.02,
    *,
    fix_first: bool = True,
) -> Tensor:
    """Noise variances of the forward steps.

    Parameters
    ----------
    noise_schedule : {"linear", "linear-var", "cosine", "binomial"}
        ``"linear"`` and ``"linear-var"`` let beta_t, respectively 1 - alpha_bar_t, run from ``noise_scale *
        noise_min`` to ``noise_scale * noise_max``; the other two depend on ``steps`` alone.
    steps : int
        T, the number of forward steps.
    noise_scale, noise_min, noise_max : float
        s, alpha_min and alpha_max. With ``noise_scale=0`` no step adds noise and every beta is 0.
    fix_first : bool
        Replace the first beta by 1e-5, as the authors do.

    Returns
    -------
    Tensor
        float64 (steps,).

    Raises
    ------
    ValueError
        When a beta falls outside (0, 1].

    Examples
    --------
    >>> noise_betas("linear-var", 3, 0.1, 0.01, 0.1, fix_first=False)
    tensor([0.0010, 0.0045, 0.0045], dtype=torch.float64)
    """
    with torch.device("cpu"):  # whatever the default is: the numbers are looked at
        if noise_scale == 0:
            return torch.zeros(steps, dtype=torch.float64)
        betas = _SCHEDULES[noise_schedule](steps, noise_scale * noise_min, noise_scale * noise_max)
    if fix_first:
        betas[0] = FIRST_BETA
    outside = torch.nonzero((betas <= 0) | (betas > 1) | betas.isnan())
    if len(outside):
        step = int(outside[0])
        raise ValueError(
            f"noise_scale={noise_scale}, noise_min={noise_min}, noise_max={noise_max}, steps={steps} give "
            f"beta={betas[step]:.6g} at step {step + 1} of the {noise_schedule!r} schedule; "
            "every beta must lie in (0, 1]"
        )
    return betas
