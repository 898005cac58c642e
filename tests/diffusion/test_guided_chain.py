"""The guided chain in hidden space against the guided chain over dense rows, in float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import Denoiser, GaussianProcess, HiddenChain, HiddenState, noise_betas
from diffrec.latent import pulled_back

ITEMS, ROWS = 23, 5


def plain_chain(denoiser: Denoiser, process: GaussianProcess, x0: Tensor, added: list[Tensor]) -> Tensor:
    """Guidance by the definition: predicted x_0 is found without what was added before, and holds what is added now."""
    x_t, held = x0, torch.zeros_like(x0)
    r, s = process.eps_to_x0()
    for step in range(process.steps - 1, -1, -1):
        output = denoiser(x_t, torch.full((len(x0),), step))
        predicted = output if process.predict == "x0" else r[step] * (x_t - held) - s[step] * output
        predicted = predicted + added[step]
        c0, ct = process.posterior_mean_coef_x0[step], process.posterior_mean_coef_xt[step]
        x_t, held = c0 * predicted + ct * x_t, c0 * added[step] + ct * held
    return x_t


@given(
    predict=st.sampled_from(["x0", "eps"]),
    normalize=st.booleans(),
    dims=st.sampled_from([(4,), (3, 5)]),
    steps=st.integers(1, 8),
    directions=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_hidden_guidance_is_dense_guidance(
    predict: str, normalize: bool, dims: tuple[int, ...], steps: int, directions: int, seed: int
) -> None:
    torch.manual_seed(seed)
    denoiser = Denoiser(ITEMS, dims, 6, normalize=normalize).double().eval()
    torch.nn.init.normal_(denoiser.bias_out, std=0.3)
    process = GaussianProcess(noise_betas("linear-var", steps, 0.7, 0.01, 0.2), predict=predict)  # type: ignore[arg-type]
    x0 = (torch.rand(ROWS, ITEMS) < 0.3).double() * torch.rand(ROWS, ITEMS).double()
    x0[0] = 0
    along = torch.randn(ITEMS, directions, dtype=torch.float64)
    y = torch.randn(steps, ROWS, directions, dtype=torch.float64)
    with torch.no_grad():
        expected = plain_chain(denoiser, process, x0, [y[step] @ along.T for step in range(steps)])
        unguided = plain_chain(denoiser, process, x0, [torch.zeros_like(x0)] * steps)
        chain = HiddenChain(denoiser, process).along(along)
        found = chain.dense_scores(SparseRows.from_dense(x0), guide=lambda step, _: y[step])
        assert found.dtype == torch.float64
        scale = max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found / scale, expected / scale, atol=1e-10, rtol=0)
        # Coordinates of 0 are the chain without guidance.
        zero = chain.dense_scores(SparseRows.from_dense(x0), guide=lambda step, _: 0 * y[step])
        torch.testing.assert_close(zero / scale, unguided / scale, atol=1e-10, rtol=0)
    assert not torch.allclose(found, unguided)


@pytest.mark.parametrize("predict", ["x0", "eps"])
def test_the_chains_own_dense_form_guides_alike(predict: str) -> None:
    torch.manual_seed(0)
    denoiser = Denoiser(ITEMS, (4,), 6).eval()
    process = GaussianProcess(noise_betas("linear-var", 5, 0.7, 0.01, 0.2), predict=predict)  # type: ignore[arg-type]
    x0, added = (torch.rand(ROWS, ITEMS) < 0.3).float(), torch.randn(5, ROWS, ITEMS)
    with torch.no_grad():
        found = process.reverse(denoiser, x0, guide=lambda step, _: added[step])
        expected = plain_chain(denoiser, process, x0, list(added))
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("predict", ["x0", "eps"])
def test_the_guide_sees_what_is_predicted(predict: str) -> None:
    """A guide that answers by what it is shown: the hidden and the dense chain show it the same."""
    torch.manual_seed(1)
    denoiser = Denoiser(ITEMS, (6,), 6).eval()
    process = GaussianProcess(noise_betas("linear-var", 4, 0.7, 0.01, 0.2), predict=predict)  # type: ignore[arg-type]
    x0, s = (torch.rand(ROWS, ITEMS) < 0.3).float(), torch.randn(ITEMS, 1)
    rows = SparseRows.from_dense(x0)

    def written(state: HiddenState) -> Tensor:
        scores = state.g[:, :6] @ denoiser.items_out.T + state.k * denoiser.bias_out
        rows.add_to(scores, 0, state.a)
        return scores

    with torch.no_grad():
        hidden = HiddenChain(denoiser, process).along(s).dense_scores(rows, guide=lambda _, x: written(x)[:, :1].tanh())
        dense = process.reverse(denoiser, x0, guide=lambda _, x: x[:, :1].tanh() * s.T)
    torch.testing.assert_close(hidden, dense, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("predict", ["x0", "eps"])
def test_noise_is_as_without_guidance(predict: str, normalize: bool) -> None:
    """With noise the guided scores have the distribution of the dense chain's: their means and spreads agree."""
    torch.manual_seed(2)
    denoiser = Denoiser(9, (3,), 4, normalize=normalize).eval()
    process = GaussianProcess(noise_betas("linear-var", 3, 1.0, 0.1, 0.5), predict=predict)  # type: ignore[arg-type]
    n = 20_000
    x0, s = torch.tensor([[1.0, 0, 1, 0, 0, 1, 0, 0, 0]]).expand(n, 9).contiguous(), torch.randn(9, 1)
    with torch.no_grad():
        chain = HiddenChain(denoiser, process, forward_steps=2, sampling_noise=True).along(s)
        hidden = chain.dense_scores(SparseRows.from_dense(x0), guide=lambda _, x: 0.5 * torch.ones(n, 1))
        dense = process.reverse(
            denoiser, x0, forward_steps=2, sampling_noise=True, guide=lambda _, x: 0.5 * s.T.expand(n, 9)
        )
    spread = float(dense.std(dim=0).max()) + 1e-3
    torch.testing.assert_close(hidden.mean(0) / spread, dense.mean(0) / spread, atol=0.06, rtol=0)
    torch.testing.assert_close(hidden.std(0) / spread, dense.std(0) / spread, atol=0.06, rtol=0)


def test_latents_move_along_the_gradient_as_far_as_helps() -> None:
    """Against a search over step lengths, with the decoder's scores written out over the items."""
    torch.manual_seed(0)
    inner = torch.nn.Linear(4, 6).double()
    w, wished = torch.randn(ITEMS, 6, dtype=torch.float64), torch.randn(3, ITEMS, dtype=torch.float64)
    latent = torch.randn(3, 4, dtype=torch.float64)

    def decode(z: Tensor) -> Tensor:
        return torch.tanh(inner(z))

    step = pulled_back(decode, latent, wished @ w, w.T @ w)
    z = latent.clone().requires_grad_()
    (slope,) = torch.autograd.grad((decode(z) @ w.T * wished).sum(), z)
    torch.testing.assert_close(functional.normalize(step), functional.normalize(slope))
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda one: decode(one) @ w.T, row) for row in latent])
    effect = (jacobian @ functional.normalize(slope)[:, :, None]).squeeze(2)

    def miss(length: Tensor) -> Tensor:
        return (length[:, None] * effect - wished).square().sum(dim=1)

    length = step.norm(dim=1)
    for other in (0.98 * length, 1.02 * length):
        assert (miss(length) < miss(other)).all()
    assert (pulled_back(decode, latent, torch.zeros(3, 6).double(), w.T @ w) == 0).all()
