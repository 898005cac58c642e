"""The reverse chain in the denoiser's hidden space: exact, and free of the item axis.

The denoiser's first and last layers are linear in the item vector, so every x_t of the deterministic chain is

    x_t = a * x_0 + W_out g + k * b_out

with two scalars a, k shared by all rows and a vector g of the hidden width per row. One step needs only the images of
these three terms under W_in, which are fixed (d x d) and (d,) products. A user costs nnz * d + T * d^2 here, where the
chain over dense rows costs 2 * T * items * d; the scores are read off at the end as one product with W_out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffrec.diffusion.denoiser import Denoiser
from diffrec.diffusion.process import GaussianProcess
from diffrec.diffusion.sparse import SparseRows


@dataclass(frozen=True)
class HiddenState:
    """A batch of vectors ``a * x_0 + W_out g + k * b_out``, with ``g`` (n, width)."""

    a: float
    g: Tensor
    k: float

    def mix(self, own: float, other: "HiddenState", weight: float) -> "HiddenState":
        """Return ``own * self + weight * other``."""
        return HiddenState(
            own * self.a + weight * other.a, own * self.g + weight * other.g, own * self.k + weight * other.k
        )


class HiddenChain:
    """The deterministic reverse chain of one denoiser, prepared once and run on any rows.

    Parameters
    ----------
    denoiser : Denoiser
        Its weights are read when this is made; make a new chain after they change.
    process : GaussianProcess
        The noise the denoiser was trained against.

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
    def __init__(self, denoiser: Denoiser, process: GaussianProcess) -> None:
        self.denoiser = denoiser
        self.process = process
        w_in, w_out, b_out = (
            denoiser.items_in.detach(),
            denoiser.items_out.detach(),
            denoiser.bias_out.detach(),
        )
        self._w_in, self._w_out, self._b_out = w_in, w_out, b_out
        self._g_to_input = w_out.T @ w_in  # (width, width): g @ this is W_in' W_out g
        self._bias_to_input = b_out @ w_in  # (width,)
        if denoiser.normalize:
            self._gram = w_out.T @ w_out
            self._bias_cross = b_out @ w_out
            self._bias_square = float(b_out @ b_out)

    @torch.no_grad()
    def run(self, rows: SparseRows) -> HiddenState:
        """Run every reverse step from the rows themselves and return the last x_t."""
        process = self.process
        projected = rows @ self._w_in
        norms = self._norms_from(rows) if self.denoiser.normalize else None
        coef_x0, coef_xt = process.posterior_mean_coef_x0.tolist(), process.posterior_mean_coef_xt.tolist()
        r, s = (coefficients.tolist() for coefficients in process.eps_to_x0())
        state = HiddenState(1.0, torch.zeros_like(projected), 0.0)
        for step in range(process.steps - 1, -1, -1):
            u = state.a * projected + state.g @ self._g_to_input + state.k * self._bias_to_input
            if norms is not None:
                # functional.normalize leaves vectors shorter than its epsilon nearly as they are.
                u = u / norms(state).clamp(min=1e-12).unsqueeze(1)
            t = torch.full((1,), step, device=u.device)
            predicted = HiddenState(0.0, self.denoiser.hidden(u, t), 1.0)
            if process.predict == "eps":
                predicted = state.mix(r[step], predicted, -s[step])
            state = predicted.mix(coef_x0[step], state, coef_xt[step])
        return state

    def dense_scores(self, rows: SparseRows) -> Tensor:
        """Scores of every item, (n, items): for tests and single users; ranking reads the state block by block."""
        state = self.run(rows)
        scores = state.g @ self._w_out.T + state.k * self._b_out
        rows.add_to(scores, 0, state.a)
        return scores

    def _norms_from(self, rows: SparseRows) -> "_Norms":
        return _Norms(
            rows.squared_norms(), rows @ self._w_out, (rows @ self._b_out[:, None]).squeeze(1),
            self._gram, self._bias_cross, self._bias_square,
        )  # fmt: skip


@dataclass(frozen=True)
class _Norms:
    """Lengths of ``a * x_0 + W_out g + k * b_out`` from inner products that do not change along the chain."""

    x0_square: Tensor  # (n,)
    x0_w_out: Tensor  # (n, width)
    x0_bias: Tensor  # (n,)
    gram: Tensor  # (width, width)
    bias_cross: Tensor  # (width,)
    bias_square: float

    def __call__(self, state: HiddenState) -> Tensor:
        a, g, k = state.a, state.g, state.k
        square = (
            a * a * self.x0_square
            + (g @ self.gram * g).sum(dim=1)
            + k * k * self.bias_square
            + 2 * a * (g * self.x0_w_out).sum(dim=1)
            + 2 * a * k * self.x0_bias
            + 2 * k * (g @ self.bias_cross)
        )
        return square.clamp(min=0).sqrt()
