"""The Gaussian forward process, its posterior, the training loss and the plain reverse chain.

Equations are those of the DiffRec paper (Wang et al., SIGIR 2023, arXiv 2304.04971). Steps are counted from 0 here:
``t = 0`` is the paper's step 1.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

Predict = Literal["x0", "eps"]
# A denoiser takes x_t (n, items) and t (n,) and returns its prediction (n, items).
DenoiserFn = Callable[[Tensor, Tensor], Tensor]


class GaussianProcess:
    """q(x_t | x_0) and q(x_{t-1} | x_t, x_0) for given noise variances.

    Coefficients are kept in float64 and cast to float32 where they meet data.

    Parameters
    ----------
    betas : Tensor
        float64 (steps,), each in (0, 1], or all zero for a process without noise.
    predict : {"x0", "eps"}
        What the denoiser predicts.
    device : torch.device or str
        Where the rows live.

    Attributes
    ----------
    alphas_bar : Tensor
        float64 (steps,), the product of 1 - beta up to each step.
    posterior_mean_coef_x0, posterior_mean_coef_xt, posterior_variance : Tensor
        float64 (steps,), eq. 8: the mean of x_{t-1} is ``coef_x0 * x_0 + coef_xt * x_t``.

    Examples
    --------
    >>> from diffrec.diffusion import noise_betas
    >>> process = GaussianProcess(noise_betas("linear", 5, 1.0, 0.01, 0.1))
    >>> x0, noise = torch.ones(2, 3), torch.zeros(2, 3)
    >>> process.q_sample(x0, torch.tensor([0, 4]), noise)
    tensor([[1.0000, 1.0000, 1.0000],
            [0.8713, 0.8713, 0.8713]])
    """

    def __init__(self, betas: Tensor, predict: Predict = "x0", device: torch.device | str = "cpu") -> None:
        self.predict = predict
        self.noisy = bool((betas > 0).all())
        if predict == "eps" and not self.noisy:
            raise ValueError("predict='eps' needs noise to predict: noise_scale must be above 0, got 0")
        betas = betas.double()
        alphas_bar = torch.cumprod(1.0 - betas, 0)
        previous = torch.cat([alphas_bar.new_ones(1), alphas_bar[:-1]])
        if self.noisy:
            coef_x0 = betas * previous.sqrt() / (1.0 - alphas_bar)
            coef_xt = (1.0 - previous) * (1.0 - betas).sqrt() / (1.0 - alphas_bar)
            variance = betas * (1.0 - previous) / (1.0 - alphas_bar)
        else:
            # The limit of vanishing noise: the chain hands each prediction on as it is.
            coef_x0, coef_xt, variance = (
                torch.ones_like(betas),
                torch.zeros_like(betas),
                torch.zeros_like(betas),
            )
        self.betas = betas.to(device)
        self.alphas_bar = alphas_bar.to(device)
        self.alphas_bar_previous = previous.to(device)
        self.posterior_mean_coef_x0 = coef_x0.to(device)
        self.posterior_mean_coef_xt = coef_xt.to(device)
        self.posterior_variance = variance.to(device)

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(self.betas)

    @cached_property
    def posterior_log_variance(self) -> Tensor:
        """Log of the posterior variance, float64 (steps,).

        The first variance is 0 (x_0 is certain at t = 0); the second stands in for it, or beta where there is no other.
        """
        first = self.posterior_variance[1:2] if self.steps > 1 else self.betas[:1]
        return torch.cat([first, self.posterior_variance[1:]]).log()

    @cached_property
    def snr(self) -> Tensor:
        """Signal-to-noise ratio alpha_bar / (1 - alpha_bar) of each step, float64 (steps,)."""
        return self.alphas_bar / (1.0 - self.alphas_bar)

    @cached_property
    def loss_weights(self) -> Tensor:
        """Weight in the variational bound of each step's mean squared error of what is predicted, float64 (steps,).

        For ``"x0"`` SNR(t-1) - SNR(t) (eq. 10, without its factor 1/2), and 1 at t = 0. For ``"eps"`` the ratio that
        turns the error of the noise into that of the posterior mean; at t = 0, where the bound is the likelihood of x_0
        itself, half the ratio that turns it into the error of x_0.
        """
        weights = torch.ones_like(self.betas)
        if not self.noisy:
            return weights
        if self.predict == "x0":
            weights[1:] = self.snr[:-1] - self.snr[1:]
        else:
            forgotten = 1.0 - self.alphas_bar_previous[1:]
            weights[1:] = (1.0 - self.alphas_bar[1:]) / (forgotten**2 * (1.0 - self.betas[1:]))
            weights[0] = self.eps_to_x0()[1][0] ** 2 / 2
        return weights

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Noise ``x0`` (n, items) to step ``t`` (n,) with standard normal ``noise`` (n, items) (eq. 2)."""
        signal, spread = self.forward_coefficients(t)
        return signal[:, None] * x0 + spread[:, None] * noise

    def forward_coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of x_0 and of the noise in x_t at steps ``t`` (n,), float32 (n,) each (eq. 2)."""
        if not self.noisy:
            return torch.ones_like(t, dtype=torch.float32), torch.zeros_like(t, dtype=torch.float32)
        return self.alphas_bar.sqrt()[t].float(), (1.0 - self.alphas_bar).sqrt()[t].float()

    def predicted_x0(self, x_t: Tensor, t: Tensor, output: Tensor) -> Tensor:
        """x_0 (n, items) as the denoiser's ``output`` at step ``t`` implies it."""
        if self.predict == "x0":
            return output
        r, s = self.eps_to_x0()
        return self._at(r, t) * x_t - self._at(s, t) * output

    def eps_to_x0(self) -> tuple[Tensor, Tensor]:
        """Coefficients r, s with x_0 = r * x_t - s * eps, float64 (steps,) each."""
        return self._eps_to_x0

    @cached_property
    def _eps_to_x0(self) -> tuple[Tensor, Tensor]:
        return self.alphas_bar.rsqrt(), (1.0 / self.alphas_bar - 1.0).sqrt()

    def posterior_mean(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Mean of q(x_{t-1} | x_t, x_0), (n, items) (eq. 8)."""
        return self._at(self.posterior_mean_coef_x0, t) * x0 + self._at(self.posterior_mean_coef_xt, t) * x_t

    def losses(
        self, denoiser: DenoiserFn, x0: Tensor, t: Tensor, noise: Tensor, *, reweight: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Loss of each row at its step (eq. 10-11): mean squared error over the items, weighted by step.

        Parameters
        ----------
        denoiser : callable
            x_t (n, items), t (n,) -> prediction (n, items).
        x0, noise : Tensor
            float32 (n, items): the rows, and standard normal draws.
        t : Tensor
            int64 (n,), the step of each row.
        reweight : bool
            Weigh by ``loss_weights``; otherwise every step counts 1.

        Returns
        -------
        losses : Tensor
            float64 (n,) with ``reweight``, else float32 (n,).
        predicted_x0 : Tensor
            float32 (n, items), x_0 as the denoiser's output implies it.
        """
        x_t = self.q_sample(x0, t, noise)
        output = denoiser(x_t, t)
        predicted = self.predicted_x0(x_t, t, output)
        loss = torch.mean(((x0 if self.predict == "x0" else noise) - output) ** 2, dim=1)
        return (self.loss_weights[t] * loss if reweight else loss), predicted

    def reverse(
        self,
        denoiser: DenoiserFn,
        x0: Tensor,
        *,
        forward_steps: int = 0,
        sampling_noise: bool = False,
        draw: Callable[[Tensor], Tensor] = torch.randn_like,
        guide: Callable[[int, Tensor], Tensor] | None = None,
        on_step: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Run the reverse chain over dense rows (section 3.4): the oracle of every faster form.

        Parameters
        ----------
        denoiser : callable
            x_t (n, items), t (n,) -> prediction (n, items).
        x0 : Tensor
            float32 (n, items), the users' histories.
        forward_steps : int
            Noise the rows to this step first (T' in the paper); 0 starts from the rows themselves.
        sampling_noise : bool
            Add the posterior's noise at every step but the last.
        draw : callable
            Tensor -> standard normal tensor of its shape.
        guide : callable, optional
            The step, counted from 0, and x_0 (n, items) as it would be predicted without guidance of earlier steps
            -> what it is to hold besides.
        on_step : callable, optional
            Is shown x_t after every step.

        Returns
        -------
        Tensor
            float32 (n, items): the scores.
        """
        n = x0.shape[0]  # len() would fix it where this is traced
        x_t = x0
        # The guidance that x_t holds: where noise is predicted, x_0 follows from x_t and would gather it step by step.
        held = torch.zeros_like(x0)
        if forward_steps > 0:
            x_t = self.q_sample(x0, x0.new_full((n,), forward_steps - 1, dtype=torch.int64), draw(x0))
        for step in range(self.steps - 1, -1, -1):
            t = x0.new_full((n,), step, dtype=torch.int64)
            predicted = self.predicted_x0(x_t, t, denoiser(x_t, t))
            if guide is not None:
                if self.predict == "eps":
                    predicted = predicted - self._at(self.eps_to_x0()[0], t) * held
                added = guide(step, predicted)
                predicted, held = predicted + added, self.posterior_mean(added, held, t)
            x_t = self.posterior_mean(predicted, x_t, t)
            if sampling_noise and step > 0 and self.noisy:
                x_t = x_t + self._at((0.5 * self.posterior_log_variance).exp(), t) * draw(x_t)
            if on_step is not None:
                on_step(x_t)
        return x_t

    @staticmethod
    def _at(coefficients: Tensor, t: Tensor) -> Tensor:
        """Coefficients of the rows' steps as a float32 column (n, 1)."""
        return coefficients[t].float().unsqueeze(1)
