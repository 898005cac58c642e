"""The denoiser that forecasts at every basket of a history at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import diffrec
from diffrec import DiffRec, Interactions
from diffrec.data import Timeline
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import SequenceEncoder, Sequences, forecast_loss, newest_in_blocks, softmax_loss_in_blocks
from diffrec.training import WindowBatches
from diffrec.training.generator import seeded
from support.walks import ITEMS, share_of_next, walks

SMALL: dict[str, Any] = {
    "variant": "t-diffrec",
    "denoiser": "sequence",
    "sequence_width": 16,
    "sequence_dropout": 0.0,
    "batch_size": 128,
    "epochs": 20,
    "lr": 1e-2,
    "holdout": 0.0,
    "progress": False,
}


def baskets(seed: int = 0, users: int = 30, most: int = 12) -> Interactions:
    """Histories whose events share times."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), rng.integers(1, most, users))
    item = rng.permuted(np.tile(np.arange(ITEMS), (users, 1)), axis=1)[user, _places(user)]
    return Interactions.from_arrays(user, item, timestamp=rng.integers(0, 5, len(user)), items=np.arange(ITEMS))


def _places(user: np.ndarray) -> np.ndarray:
    return np.arange(len(user)) - np.searchsorted(user, user)


DATA = walks()


def fitted(data: Interactions = DATA, **settings: Any) -> DiffRec:
    model = diffrec.fit(data, **SMALL | settings)
    assert isinstance(model, DiffRec)
    return model


@pytest.mark.parametrize(
    "settings",
    [{}, {"sequence_clock": True}, {"horizon": 3}, {"sequence_length": 2}, {"anchor": True}, {"precision": "bfloat16"}],
    ids=str,
)
def test_it_learns_the_order(settings: dict[str, Any]) -> None:
    assert share_of_next(fitted(**settings), DATA) > 0.9


def test_permuting_a_basket_changes_no_bit() -> None:
    data = baskets()
    order = np.random.default_rng(1).permutation(len(data))
    events = data.events
    users, items = events.owners[order], events.items[order]
    assert events.times is not None
    again = Interactions.from_arrays(users, items, timestamp=events.times[order], users=data.users, items=data.items)
    settings = {"epochs": 2, "sequence_clock": True, "sequence_length": 5, "horizon": 2}
    np.testing.assert_array_equal(fitted(again, **settings).score(), fitted(data, **settings).score())


def test_the_inner_order_of_a_basket_is_not_seen() -> None:
    """Wherever the events of a basket stand in the list, the states of the others are the same."""
    torch.manual_seed(0)
    encoder = SequenceEncoder(items=9, width=8, layers=2, heads=2, dropout=0.0, clock=True).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    ages, elapsed = torch.tensor([[2, 1, 1, 1, 0]]), torch.tensor([[9.0, 4.0, 4.0, 4.0, 0.0]])
    one = encoder(Sequences(torch.tensor([[0, 1, 2, 3, 4]]), ages, elapsed))
    other = encoder(Sequences(torch.tensor([[0, 3, 1, 2, 4]]), ages, elapsed))
    torch.testing.assert_close(one[:, [0, 1, 2, 3, 4]], other[:, [0, 2, 3, 1, 4]])


def test_no_place_sees_what_followed() -> None:
    torch.manual_seed(0)
    encoder = SequenceEncoder(items=9, width=8, layers=2, heads=2, dropout=0.0, clock=True).eval()
    ages, elapsed = torch.tensor([[3, 2, 2, 1, 0]]), torch.tensor([[9.0, 5.0, 5.0, 4.0, 0.0]])
    history = Sequences(torch.tensor([[0, 1, 2, 3, 4]]), ages, elapsed)
    changed = Sequences(torch.tensor([[0, 1, 2, 8, 7]]), ages, elapsed)
    torch.testing.assert_close(encoder(history)[:, :3], encoder(changed)[:, :3])
    # What is trained at a basket is what ranks a history that ends there.
    cut = Sequences(history.items[:, :3], ages[:, :3] - 2, elapsed[:, :3] - 5)
    torch.testing.assert_close(encoder.newest(cut), encoder(history)[:, 1:3].mean(dim=1))


def bought(seed: int, users: int = 6, items: int = 6) -> Interactions:
    """Baskets in which most items were taken before, some of them twice at one time."""
    rng = np.random.default_rng(seed)
    rows = rng.integers((users, items, 8), size=(60, 3))
    return Interactions.from_arrays(*rows[:, :2].T, timestamp=rows[:, 2], items=np.arange(items))


@given(seed=st.integers(0, 2**32 - 1), horizon=st.integers(1, 4), size=st.integers(1, 60))
def test_without_repeats_only_what_is_new_is_forecast(seed: int, horizon: int, size: int) -> None:
    """Against the plain reading of the histories, user by user: whole baskets until enough in them is new."""
    data, decay = bought(seed), 0.5
    batches = WindowBatches(
        Timeline(data),
        length=99,
        horizon=horizon,
        decay=decay,
        batch_size=size,
        clock=False,
        device="cpu",
        seed=seed,
        repeats=False,
    )
    found = []
    for batch in batches:
        assert len(batch) > 0
        dense = batch.after.to_dense(6)
        for number in range(len(batch)):
            places = batch.places[batch.basket == number]
            row, age = int(places[0]) // batch.history.items.shape[1], int(batch.history.ages.flatten()[places[0]])
            past = batch.history.items[row][(batch.history.items[row] >= 0) & (batch.history.ages[row] >= age)]
            assert not dense[number][past].any()
            found.append((past.tolist(), dense[number].tolist()))
    expected, events = [], data.events
    assert events.times is not None
    for user in range(6):
        own = slice(events.indptr[user], events.indptr[user + 1])
        items, times = events.items[own], events.times[own]
        moments = np.unique(times)
        for place, moment in enumerate(moments[:-1]):
            past, weights = items[times <= moment], np.zeros(6)
            for away, later in enumerate(moments[place + 1 :]):
                if (weights > 0).sum() >= horizon:
                    break
                new = np.setdiff1d(items[times == later], np.append(past, np.flatnonzero(weights)))
                weights[new] = decay**away
            if weights.any():
                expected.append((past.tolist(), (weights / weights.sum()).tolist()))
    assert len(found) == len(expected)
    for (past, weights), (own_past, own_weights) in zip(sorted(found), sorted(expected), strict=True):
        assert past == own_past
        np.testing.assert_allclose(weights, own_weights, rtol=1e-5)


@pytest.mark.parametrize("variant", ["t-diffrec", "sasrec"])
def test_who_asks_for_what_is_new_is_not_taught_what_was_had(variant: str) -> None:
    """Everybody takes the same three times, then the next item of a circle; the last item was taken twice."""
    user, step = np.divmod(np.arange(60 * 14), 14)
    item = (user + step // 3) % ITEMS
    data = Interactions.from_arrays(user, item, timestamp=step)
    chosen = (
        SMALL
        if variant == "t-diffrec"
        else {"variant": "sasrec", "width": 16, "epochs": 20, "lr": 1e-2, "progress": False}
    )
    ranked = {
        repeats: diffrec.fit(data, **chosen | {"repeats": repeats}).recommend(k=1, exclude_seen=False).items[:, 0]
        for repeats in ("include", "exclude")
    }
    last = (np.arange(60) + 4) % ITEMS
    assert (ranked["include"] == last).mean() > 0.6
    assert (ranked["exclude"] == (last + 1) % ITEMS).mean() > 0.6
    same = Interactions.from_arrays([0, 0, 1, 1], [3, 3, 4, 4], timestamp=[1, 2, 1, 2])
    with pytest.raises(ValueError, match="repeats='exclude' needs a history with something new"):
        diffrec.fit(same, **chosen)


@given(seed=st.integers(0, 2**32 - 1), length=st.integers(1, 14), horizon=st.integers(1, 6), size=st.integers(1, 60))
def test_every_basket_with_a_future_is_forecast_once(seed: int, length: int, horizon: int, size: int) -> None:
    """Against the plain reading of the histories, user by user."""
    data, decay = baskets(seed, users=6), 0.5
    timeline = Timeline(data)
    batches = WindowBatches(
        timeline, length=length, horizon=horizon, decay=decay, batch_size=size, clock=True, device="cpu", seed=seed
    )
    # Two users may begin alike.
    found: dict[tuple[int, ...], list[list[float]]] = {}
    forecast, most = 0, 12
    for batch in batches:
        forecast += len(batch)
        history, dense = batch.history, batch.after.to_dense(ITEMS)
        assert len(history.items) == 1 or history.items.numel() <= size
        for number in range(len(batch)):
            places = batch.places[batch.basket == number]
            row = int(places[0]) // history.items.shape[1]
            age = int(history.ages.flatten()[places[0]])
            kept = (history.items[row] >= 0) & (history.ages[row] >= age)
            key = (*history.items[row][kept].tolist(), -1, *history.items.flatten()[places].tolist())
            found.setdefault(key, []).append(dense[number].tolist())
    expected: dict[tuple[int, ...], list[list[float]]] = {}
    events = data.events
    assert events.times is not None
    for user in range(6):
        own = slice(events.indptr[user], events.indptr[user + 1])
        items, times = events.items[own], events.times[own]
        moments = np.unique(times)
        for place, moment in enumerate(moments[:-1]):
            weights, taken = np.zeros(ITEMS), 0
            for away, later in enumerate(moments[place + 1 :]):
                if taken >= horizon:
                    break
                weights[items[times == later]] += decay**away
                taken += int((times == later).sum())
            past = items[times <= moment]
            key = (*past.tolist(), -1, *items[times == moment].tolist())
            expected.setdefault(key, []).append((weights / weights.sum()).tolist())
    if length >= most:
        assert found.keys() == expected.keys()
        for key, alike in expected.items():
            np.testing.assert_allclose(sorted(found[key]), sorted(alike), rtol=1e-5)
    if length >= events.baskets().sizes.max():
        assert forecast == sum(map(len, expected.values()))


def test_weights_by_distance_have_the_gradients_of_an_embedding() -> None:
    torch.manual_seed(0)
    encoder = SequenceEncoder(items=9, width=8, layers=1, heads=2, dropout=0.0, clock=True)
    history = Sequences(
        torch.tensor([[0, 1, 2, 3]]), torch.tensor([[2, 1, 1, 0]]), torch.tensor([[9.0, 5.0, 5.0, 0.0]])
    )
    layer = encoder.layers[0]
    for table in (layer.by_rank, layer.by_time):
        torch.nn.init.normal_(table)
        step = torch.zeros_like(table)
        step[:3, 1] = 1e-3
        encoder.zero_grad()
        encoder(history).square().sum().backward()
        counted, expected = table.grad, float((table.grad * step).sum())
        encoder.zero_grad()
        with seeded(0, torch.device("cpu"), deterministic=True):
            encoder(history).square().sum().backward()
        torch.testing.assert_close(table.grad, counted)
        with torch.no_grad():
            table += step
            above = encoder(history).square().sum()
            table -= 2 * step
            below = encoder(history).square().sum()
            table += step
        assert float(above - below) / 2 == pytest.approx(expected, rel=0.05, abs=1e-5)


def test_scores_do_not_depend_on_who_else_is_asked_about() -> None:
    torch.manual_seed(0)
    data = baskets(3)
    model = fitted(data, epochs=1)
    together = model.score()
    np.testing.assert_allclose(model.score([7]), together[[7]], rtol=1e-5, atol=1e-5)
    views = model._objective.views(data)
    assert views.last is not None
    encoder = model._network.encoder  # type: ignore[attr-defined]
    with torch.no_grad():
        torch.testing.assert_close(newest_in_blocks(encoder, views.last), encoder.newest(views.last))


def test_a_loss_in_blocks_is_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    h, items, bias = torch.randn(7, 3), torch.randn(5, 3), torch.randn(5)
    targets = SparseRows.from_dense(torch.softmax(torch.randn(7, 5), dim=1))
    parameters = h.requires_grad_(), items.requires_grad_(), bias.requires_grad_()
    whole = forecast_loss(h, items, bias, targets)
    expected = torch.autograd.grad(whole, parameters)
    monkeypatch.setattr("diffrec.diffusion.sequence.BLOCK_CELLS", 10)
    loss = softmax_loss_in_blocks(h, items, bias, targets)
    torch.testing.assert_close(loss, whole)
    torch.testing.assert_close(torch.autograd.grad(loss, parameters), expected)


def test_a_loss_in_blocks_keeps_one_gradient_of_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffrec.diffusion.sequence.BLOCK_CELLS", 5)
    h, items, bias = (torch.randn(*shape, requires_grad=True) for shape in ((7, 3), (5, 3), (5,)))
    targets = SparseRows.from_dense(torch.softmax(torch.randn(7, 5), dim=1))
    nodes, kept = [softmax_loss_in_blocks(h, items, bias, targets).grad_fn], []
    while nodes:
        node = nodes.pop()
        kept += [node.grad_items] if hasattr(node, "grad_items") else []
        nodes += [before for before, _ in getattr(node, "next_functions", ()) if before is not None]
    assert len(kept) == 7
    assert sum(one is not None for one in kept) == 1


def test_it_survives_its_file(tmp_path: Path) -> None:
    model = fitted(epochs=2, sequence_clock=True)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(diffrec.load(tmp_path / "model").score(), model.score())


def test_a_history_with_nothing_in_it_is_ranked() -> None:
    model = fitted(epochs=1)
    nobody = Interactions.from_csr(np.zeros((1, ITEMS)), allow_empty=True)
    assert np.isfinite(model.score(nobody)).all()


def test_uncertainty_comes_from_the_noise_of_its_embeddings() -> None:
    model = fitted(epochs=3, noise_scale=1.0)
    told = model.uncertainty([1, 2], k=3, chains=4)
    assert (told.score_stds > 0).all()
    again = model.uncertainty([2], k=3, chains=4)
    np.testing.assert_allclose(again.scores[0], told.scores[1], rtol=1e-4)


def test_a_plan_knows_the_parameters() -> None:
    model = fitted(epochs=1)
    assert model.plan(DATA).parameters == model.training_.facts["parameters"]


def test_the_encoder_of_older_files_is_not_fitted_any_more() -> None:
    with pytest.raises(ValueError, match="encoder_length must be 0 in a fit, got 3"):
        diffrec.fit(DATA, variant="t-diffrec", encoder_length=3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"denoiser": "gru"}, "denoiser must be one of 'mlp', 'sequence', got 'gru'"),
        ({"likelihood": "squared"}, "likelihood must be 'softmax' with denoiser='sequence', got 'squared'"),
        ({"objective": "reconstruct"}, "objective must be 'forecast' with denoiser='sequence'"),
        ({"groups": 2}, "groups must be None with denoiser='sequence', got 2"),
        ({"sequence_heads": 3}, "sequence_heads must divide sequence_width=16, got 3"),
        ({"horizon_decay": 0.0}, "horizon_decay must be above 0"),
    ],
)
def test_impossible_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fitted(**settings)
