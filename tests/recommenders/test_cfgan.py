"""CFGAN against NumPy."""

from typing import Any

import numpy as np
import pytest
import torch

from diffrec import CFGAN
from diffrec.data.sparse_rows import SparseRows
from diffrec.recommenders.rivals.cfgan import Discriminator, Game, Generator
from diffrec.training import run_batches
from support.rivals import weights_of

USERS, ITEMS = 50, 40
HISTORIES = (np.random.default_rng(1).random((USERS, ITEMS)) < 0.3).astype(np.float32)
ROWS = SparseRows.from_dense(torch.from_numpy(HISTORIES))


def game(zero_share: float = 0.5, zero_weight: float = 0.1, mask_share: float = 0.5) -> Game:
    torch.manual_seed(4)
    return Game(Generator(ITEMS, (6, 5)), Discriminator(ITEMS, (4, 3)), zero_share, zero_weight, mask_share)


def generated(played: Game) -> np.ndarray:
    w = weights_of(played.generator)
    h = np.tanh(HISTORIES @ w["items_in.weight"] + w["items_in.bias"])
    h = np.tanh(h @ w["inner.0.weight"].T + w["inner.0.bias"])
    return h @ w["items_out.weight"].T + w["items_out.bias"]


def judged(played: Game, vectors: np.ndarray) -> np.ndarray:
    """D(vector | history), a probability."""
    w = weights_of(played.discriminator)
    h = vectors @ w["vector_in.weight"] + w["vector_in.bias"]
    h = np.tanh(h + HISTORIES @ w["condition_in.weight"] + w["condition_in.bias"])
    h = np.tanh(h @ w["inner.0.weight"].T + w["inner.0.bias"])
    return 1 / (1 + np.exp(-(h @ w["verdict.weight"].T + w["verdict.bias"])))[:, 0]


@pytest.mark.parametrize(("zero_share", "mask_share"), [(0.0, 1.0), (0.2, 0.7), (1.0, 0.0)])
def test_samples_are_of_unseen_items(zero_share: float, mask_share: float) -> None:
    played = game(zero_share, mask_share=mask_share)
    shown, zero = (mask.numpy() for mask in played.samples(ROWS, torch.empty(USERS, ITEMS)))
    assert set(np.unique(shown)) | set(np.unique(zero)) <= {0.0, 1.0}
    assert (shown[HISTORIES == 1] == 1).all()
    assert (zero[HISTORIES == 1] == 0).all()
    unseen = HISTORIES == 0
    assert shown[unseen].mean() == pytest.approx(mask_share, abs=0.05)
    assert zero[unseen].mean() == pytest.approx(zero_share, abs=0.05)
    again, _ = played.samples(ROWS, torch.empty(USERS, ITEMS))
    assert (mask_share in (0, 1)) == np.array_equal(shown, again)


@pytest.mark.parametrize(("zero_share", "mask_share"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_losses_are_those_of_the_paper(zero_share: float, mask_share: float) -> None:
    played = game(zero_share, 0.3, mask_share)
    made, unseen = generated(played), 1 - HISTORIES
    fake = judged(played, made * (HISTORIES + mask_share * unseen))
    discriminator_loss = -np.log(judged(played, HISTORIES)) - np.log(1 - fake)
    generator_loss = -np.log(fake) + 0.3 * (made**2 * zero_share * unseen).sum(axis=1)
    assert played.discriminator_loss(ROWS).item() == pytest.approx(discriminator_loss.mean(), rel=1e-5)
    assert played.generator_loss(ROWS).item() == pytest.approx(generator_loss.mean(), rel=1e-5)


def test_each_network_learns_in_its_own_turn() -> None:
    played = game()
    before = [weights_of(played.generator), weights_of(played.discriminator)]
    optimizer = torch.optim.SGD(played.discriminator.parameters(), lr=0.1)
    run_batches(played.discriminator_loss, [ROWS], optimizer)
    between = [weights_of(played.generator), weights_of(played.discriminator)]
    run_batches(played.generator_loss, [ROWS], torch.optim.SGD(played.generator.parameters(), lr=0.1))
    after = [weights_of(played.generator), weights_of(played.discriminator)]
    np.testing.assert_equal(before[0], between[0])
    np.testing.assert_equal(between[1], after[1])
    assert any((before[1][name] != between[1][name]).any() for name in before[1])
    assert all((between[0][name] != after[0][name]).any() for name in between[0])


def test_the_model_is_the_generator() -> None:
    settings: dict[str, Any] = {"dims": (6,), "discriminator_dims": (3,), "epochs": 2, "holdout": 0}
    model = CFGAN(**settings, progress=False).fit(HISTORIES)
    w = {name: value.double().numpy() for name, value in model._state().items()}
    assert set(w) == {"items_in.weight", "items_in.bias", "items_out.weight", "items_out.bias"}
    h = np.tanh(HISTORIES @ w["items_in.weight"] + w["items_in.bias"])
    expected = h @ w["items_out.weight"].T + w["items_out.bias"]
    np.testing.assert_allclose(model.score(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.score(5 * HISTORIES), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"zero_share": 1.5}, "zero_share must be at least 0 and at most 1, got 1.5"),
        ({"mask_share": -0.1}, "mask_share must be at least 0"),
        ({"discriminator_dims": ()}, "discriminator_dims must name at least one width"),
        ({"generator_epochs": 0}, "generator_epochs must be at least 1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CFGAN(**settings)
