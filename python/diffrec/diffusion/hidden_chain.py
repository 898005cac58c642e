"""The reverse chain in the denoiser's hidden space: exact, and free of the item axis.

The denoiser's first and last layers are linear in the item vector, so every x_t of the chain is

    x_t = a * x_0 + W_out g + k * b_out + N

with two scalars a, k shared by all rows, a vector g of the hidden width per row, and N the noise drawn so far.
One step needs only the images of these terms under W_in, which are fixed (d x d) and (d,) products. A user costs
nnz * d + T * d^2 here, where the chain over dense rows costs 2 * T * items * d; the scores are read off at the end as
one product with W_out.

Guidance has every predicted x_0 hold ``E y``, with a few directions E over the items and coordinates y per row. Then
x_t holds a term E y, too, and what was said of W_out g holds of ``[W_out E] [g; y]``: the same chain, a little wider.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion.denoiser import Denoiser
from diffrec.diffusion.hidden_noise import HiddenNoise, ItemNoise, NoiseBasis
from diffrec.diffusion.linear import linear
from diffrec.diffusion.part import summed
from diffrec.diffusion.process import GaussianProcess
from diffrec.diffusion.row_noise import RowNoise

# The step (counted from 0) and x_0 as predicted there -> its coordinates along the directions, (n, e).
StateGuide = Callable[[int, "HiddenState"], Tensor]


@dataclass(frozen=True)
class HiddenState:
    """A batch of vectors ``a * x_0 + W_out g + k * b_out``, with ``g`` (n, width), and noise over the items.

    In a chain along e directions E, ``g`` is (n, width + e): their coordinates y come after those of W_out.
    """

    a: float
    g: Tensor
    k: float
    noise: ItemNoise | None = None

    def mix(self, own: float, other: "HiddenState", weight: float) -> "HiddenState":
        """Return ``own * self + weight * other``, of states without noise."""
        return HiddenState(
            own * self.a + weight * other.a, own * self.g + weight * other.g, own * self.k + weight * other.k
        )


class HiddenChain:
    """The reverse chain of one denoiser, prepared once and run on any rows.

    Parameters
    ----------
    denoiser : Denoiser
        Its weights are read when this is made; make a new chain after they change.
    process : GaussianProcess
        The noise the denoiser was trained against.
    forward_steps, sampling_noise
        Noise at inference; see ``GaussianProcess.reverse``, whose dense chain this one equals: to rounding without
        noise, in distribution with it.

    Examples
    --------
    >>> from diffrec.diffusion import noise_betas
    >>> denoiser = Denoiser(items=7, dims=(4,)).eval()
    >>> process = GaussianProcess(noise_betas("linear-var", 5, 0.1, 0.001, 0.01))
    >>> rows = torch.eye(7)[:2]
    >>> fast = HiddenChain(denoiser, process).dense_scores(SparseRows.from_dense(rows))
    >>> torch.testing.assert_close(fast, process.reverse(denoiser, rows), atol=1e-5, rtol=0)
    """

    @torch.no_grad()
    def __init__(
        self,
        denoiser: Denoiser,
        process: GaussianProcess,
        *,
        forward_steps: int = 0,
        sampling_noise: bool = False,
    ) -> None:
        self.denoiser = denoiser
        self.process = process
        self.forward_steps = forward_steps if process.noisy else 0
        self.sampling_noise = sampling_noise and process.noisy
        w_in, w_out, b_out = (
            denoiser.items_in.detach(),
            denoiser.items_out.detach(),
            denoiser.bias_out.detach(),
        )
        self._w_in, self._b_out, self._part = w_in, b_out, denoiser.part
        self._outs: tuple[Tensor, ...] = (w_out,)
        self._g_to_input = linear(w_in.T, w_out.T)  # (width, width): linear(g, this) is W_in' W_out g
        self._bias_to_input = b_out @ w_in  # (width,)
        denoiser.part.add(self._g_to_input, self._bias_to_input)
        if denoiser.normalize:
            self._gram = linear(w_out.T, w_out.T)
            self._bias_cross = b_out @ w_out
            bias_square = b_out @ b_out
            denoiser.part.add(self._gram, self._bias_cross, bias_square)
            self._bias_square = float(bias_square)
        if self.forward_steps > 0 or self.sampling_noise:
            directions = [w_in, w_out, b_out[:, None]] if denoiser.normalize else [w_in]
            self._basis = NoiseBasis(directions)

    @torch.no_grad()
    def along(self, directions: Tensor) -> "HiddenChain":
        """Make room in this chain for more directions than W_out's: for what guidance adds to predicted x_0.

        Parameters
        ----------
        directions : Tensor
            E, float32 (items, e). Its products with W_in (and, where lengths matter, with W_out, b_out and itself) are
            made once, here.
        """
        wider = copy.copy(self)
        w_out = self._outs[0]
        wider._outs = (w_out, directions)
        wider._g_to_input = torch.cat([self._g_to_input, linear(self._w_in.T, directions.T)], dim=1)
        if self.denoiser.normalize:
            across = linear(w_out.T, directions.T)
            inside = linear(directions.T, directions.T)
            wider._gram = torch.cat([torch.cat([self._gram, across], dim=1), torch.cat([across.T, inside], dim=1)])
            wider._bias_cross = torch.cat([self._bias_cross, self._b_out @ directions])
            if self.forward_steps > 0 or self.sampling_noise:
                wider._basis = NoiseBasis([self._w_in, torch.cat(wider._outs, dim=1), self._b_out[:, None]])
        return wider

    def run(
        self,
        rows: SparseRows,
        fresh: RowNoise | None = None,
        *,
        guide: StateGuide | None = None,
        on_step: Callable[[HiddenState], None] | None = None,
    ) -> HiddenState:
        """Run every reverse step and return the last x_t.

        Gradients flow to the rows' values where they are recorded.

        Parameters
        ----------
        rows : SparseRows
            The histories.
        fresh : RowNoise, optional
            Draws the noise, if any; by default by the rows' numbers.
        guide : callable, optional
            In a chain ``along`` directions: is shown predicted x_0 at every step, without noise, and says its
            coordinates along them.
        on_step : callable, optional
            Is shown x_t after every step, with the noise that it holds.
        """
        process = self.process
        projected = summed(self._part, rows @ self._w_in)
        norms = self._norms_from(rows) if self.denoiser.normalize else None
        coef_x0, coef_xt = process.posterior_mean_coef_x0.tolist(), process.posterior_mean_coef_xt.tolist()
        r, s = (coefficients.tolist() for coefficients in process.eps_to_x0())
        spreads = (0.5 * process.posterior_log_variance).exp().tolist() if self.sampling_noise else None
        width = self._g_to_input.shape[1]
        state = HiddenState(1.0, projected.new_zeros(projected.shape[0], width), 0.0)
        noise = self._noise(rows, projected, norms, fresh)
        if noise is not None and self.forward_steps > 0:
            alpha_bar = float(process.alphas_bar[self.forward_steps - 1])
            state = HiddenState(alpha_bar**0.5, state.g, 0.0)
            noise.add(0.0, (1.0 - alpha_bar) ** 0.5)
        for step in range(process.steps - 1, -1, -1):
            u = linear(state.g, self._g_to_input).add_(state.k * self._bias_to_input)
            u.add_(projected, alpha=state.a)
            if noise is not None:
                u += noise.image(0)
            if norms is not None:
                # functional.normalize leaves vectors shorter than its epsilon nearly as they are.
                u /= norms(state, noise).clamp(min=1e-12).unsqueeze(1)
            t = torch.full((1,), step, device=u.device)
            h = self.denoiser.hidden(u, t)
            predicted = HiddenState(0.0, functional.pad(h, (0, width - h.shape[1])), 1.0)
            kept = coef_xt[step]
            if process.predict == "eps":
                predicted = state.mix(r[step], predicted, -s[step])
                kept += coef_x0[step] * r[step]
            if guide is not None:
                own = predicted.g[:, : h.shape[1]]
                predicted = HiddenState(predicted.a, torch.cat([own, guide(step, predicted)], dim=1), predicted.k)
            state = predicted.mix(coef_x0[step], state, coef_xt[step])
            if noise is not None:
                noise.add(kept, spreads[step] if spreads is not None and step > 0 else 0.0)
            if on_step is not None:
                held = None if noise is None else noise.over_items()
                on_step(HiddenState(state.a, state.g, state.k, held))
        # Predicting x_0, the last step keeps nothing of what was noised.
        if noise is not None and process.predict == "eps":
            state = HiddenState(state.a, state.g, state.k, noise.over_items())
        return state

    def dense_scores(self, rows: SparseRows, fresh: RowNoise | None = None, guide: StateGuide | None = None) -> Tensor:
        """Scores of every item, (n, items): for tests and single users; ranking reads the state block by block."""
        state = self.run(rows, fresh, guide=guide)
        scores = state.g @ torch.cat(self._outs, dim=1).T + state.k * self._b_out
        rows.add_to(scores, 0, state.a)
        if state.noise is not None:
            state.noise.add_to(scores, 0)
        return scores

    def _noise(
        self, rows: SparseRows, projected: Tensor, norms: "_Norms | None", fresh: RowNoise | None
    ) -> HiddenNoise | None:
        if self.forward_steps == 0 and not self.sampling_noise:
            return None
        products = None if norms is None else torch.cat([projected, norms.x0_w_out, norms.x0_bias[:, None]], dim=1)
        return HiddenNoise(self._basis, rows, products, fresh or RowNoise.numbered(len(rows)))

    def _norms_from(self, rows: SparseRows) -> "_Norms":
        square, across = rows.squared_norms(), torch.cat([rows @ out for out in self._outs], dim=1)
        bias = (rows @ self._b_out[:, None]).squeeze(1)
        square, across, bias = (summed(self._part, one) for one in (square, across, bias))
        return _Norms(square, across, bias, self._gram, self._bias_cross, self._bias_square)


@dataclass(frozen=True)
class _Norms:
    """Lengths of ``a * x_0 + W_out g + k * b_out + N`` from inner products that do not change along the chain."""

    x0_square: Tensor  # (n,)
    x0_w_out: Tensor  # (n, width), with further directions as many more
    x0_bias: Tensor  # (n,)
    gram: Tensor  # (width, width)
    bias_cross: Tensor  # (width,)
    bias_square: float

    def __call__(self, state: HiddenState, noise: HiddenNoise | None) -> Tensor:
        a, g, k = state.a, state.g, state.k
        square = (
            a * a * self.x0_square
            + (linear(g, self.gram) * g).sum(dim=1)
            + k * k * self.bias_square
            + 2 * a * (g * self.x0_w_out).sum(dim=1)
            + 2 * a * k * self.x0_bias
            + 2 * k * (g @ self.bias_cross)
        )
        if noise is not None:
            square += (
                noise.square()
                + 2 * a * noise.dot_x0()
                + 2 * (g * noise.image(1)).sum(dim=1)
                + 2 * k * noise.image(2).squeeze(1)
            )
        return square.clamp(min=0).sqrt()
