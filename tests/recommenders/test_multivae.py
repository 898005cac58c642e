"""Multi-VAE and Multi-DAE against NumPy."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from diffrec import Interactions, MultiDAE, MultiVAE
from diffrec.data.sparse_rows import SparseRows
from diffrec.recommenders.rivals.multivae import HistoryAutoencoder
from support.rivals import Weights, weights_of

ITEMS, DIMS, LATENT = 7, (4, 5), 3
HISTORIES = np.array([[1, 0, 1, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 1, 1]], dtype=np.float32)
ROWS = SparseRows.from_dense(torch.from_numpy(HISTORIES))


def network(*, variational: bool, dropout: float = 0.0) -> HistoryAutoencoder:
    torch.manual_seed(2)
    made = HistoryAutoencoder(ITEMS, DIMS, LATENT, dropout, variational=variational)
    for bias in (made.items_in.bias, made.items_out.bias):
        torch.nn.init.normal_(bias)
    return made


def encoded(w: Weights, histories: np.ndarray) -> np.ndarray:
    """What the encoder's last layer gives for histories scaled to unit length."""
    h = histories / np.sqrt((histories**2).sum(axis=1, keepdims=True))
    h = np.tanh(h @ w["items_in.weight"] + w["items_in.bias"])
    h = np.tanh(h @ w["encoder.0.weight"].T + w["encoder.0.bias"])
    return h @ w["to_latent.weight"].T + w["to_latent.bias"]


def decoded(w: Weights, z: np.ndarray) -> np.ndarray:
    h = np.tanh(z @ w["decoder.0.weight"].T + w["decoder.0.bias"])
    h = np.tanh(h @ w["decoder.2.weight"].T + w["decoder.2.bias"])
    return h @ w["items_out.weight"].T + w["items_out.bias"]


def log_likelihood(scores: np.ndarray, histories: np.ndarray) -> np.ndarray:
    return (histories * (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))).sum(axis=1)


def test_loss_is_the_negative_bound() -> None:
    vae = network(variational=True)
    torch.manual_seed(5)
    loss = vae.loss(ROWS, kl_weight=0.3).item()
    torch.manual_seed(5)
    noise = torch.randn(3, LATENT).double().numpy()
    w = weights_of(vae)
    mu, log_variance = np.split(encoded(w, HISTORIES), 2, axis=1)
    sigma = np.exp(log_variance / 2)
    kl = 0.5 * (mu**2 + sigma**2 - 1 - 2 * np.log(sigma)).sum(axis=1)
    bound = log_likelihood(decoded(w, mu + sigma * noise), HISTORIES) - 0.3 * kl
    assert loss == pytest.approx(-bound.mean(), rel=1e-5)


def test_without_the_variational_part_it_is_the_likelihood_alone() -> None:
    dae = network(variational=False)
    w = weights_of(dae)
    expected = -log_likelihood(decoded(w, np.tanh(encoded(w, HISTORIES))), HISTORIES).mean()
    assert dae.loss(ROWS, kl_weight=7.0).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("variational", [True, False])
def test_ranking_takes_the_latent_mean_of_the_whole_history(variational: bool) -> None:
    made = network(variational=variational, dropout=0.5).eval()
    w = weights_of(made)
    latent = encoded(w, HISTORIES)
    expected = decoded(w, latent[:, :LATENT] if variational else np.tanh(latent))
    with torch.no_grad():
        scores = made.scores(ROWS).block(0, ITEMS)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_dropout_takes_entries_and_scales_the_rest() -> None:
    dae = network(variational=False, dropout=0.75)
    dae.encoder, dae.to_latent = torch.nn.Sequential(), torch.nn.Identity()
    with torch.no_grad():
        dae.items_in.weight.copy_(torch.eye(ITEMS, DIMS[-1]) * 1e-3)
        dae.items_in.bias.zero_()
    one = SparseRows(torch.tensor([0, 1]), torch.tensor([2]), torch.ones(1))
    many = {round(dae.encode(one)[0][0, 2].item() * 1e3, 2) for _ in range(60)}
    assert many == {0.0, 4.0}
    assert round(dae.eval().encode(one)[0][0, 2].item() * 1e3, 2) == 1.0


def test_the_weight_of_the_kl_term_rises_to_its_cap() -> None:
    model = MultiVAE(anneal_cap=0.5, anneal_batches=4)
    assert [model._kl_weight(batch) for batch in (1, 2, 4, 5, 999)] == [0.125, 0.25, 0.5, 0.5, 0.5]
    assert MultiVAE(anneal_cap=0.5, anneal_batches=0)._kl_weight(1) == 0.5


def test_the_weight_rises_from_batch_to_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []
    loss = HistoryAutoencoder.loss

    def recorded(self: HistoryAutoencoder, rows: SparseRows, kl_weight: float) -> torch.Tensor:
        weights.append(kl_weight)
        return loss(self, rows, kl_weight)

    monkeypatch.setattr(HistoryAutoencoder, "loss", recorded)
    small: dict[str, Any] = {"dims": (2,), "latent": 2, "batch_size": 2, "epochs": 2, "holdout": 0, "progress": False}
    MultiVAE(anneal_cap=1.0, anneal_batches=4, **small).fit(HISTORIES)
    assert weights == [0.25, 0.5, 0.75, 1.0]


def test_values_do_not_matter_and_no_history_is_finite() -> None:
    settings: dict[str, Any] = {"dims": (3,), "latent": 2, "epochs": 2, "holdout": 0, "progress": False}
    data = Interactions.from_csr(np.vstack([HISTORIES, np.zeros(ITEMS, dtype=np.float32)]))
    for kind in (MultiVAE, MultiDAE):
        model = kind(**settings).fit(data)
        weighted = kind(**settings).fit(Interactions.from_csr(data.matrix * 5))
        np.testing.assert_array_equal(weighted.score(), model.score())
        assert np.isfinite(model.score()).all()
        np.testing.assert_array_equal(model._item_vectors(), model._state()["items_out.weight"])


def test_settings_belong_to_their_model() -> None:
    with pytest.raises(TypeError, match="'anneal_cap' is not a setting"):
        MultiDAE(anneal_cap=0.1)
    with pytest.raises(ValueError, match="anneal_batches must be at least 0, got -1"):
        MultiVAE(anneal_batches=-1)
    model = copy.deepcopy(MultiVAE(latent=5))
    assert model.get_params()["latent"] == 5
