"""What a fit will take is said before it begins, and what cannot fit is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from diffrec import Anchor, DiffRec, Interactions
from diffrec.recommenders.diffrec.plan import memory_plan
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.training import Plan, plan, seconds_per_epoch

DATA = Interactions.from_csr((np.random.default_rng(0).random((40, 30)) < 0.3).astype(np.float32))
SMALL: dict[str, Any] = {"epochs": 2, "progress": False}
# Of a step's embedding of width 3: into the first layer, and its own layer of 3 x 3 and a bias.
STEP = 3


def layer(wide: int, narrow: int) -> int:
    """Weights and biases."""
    return wide * narrow + narrow


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"dims": (8,)}, layer(30 + STEP, 8) + layer(8, 30) + layer(STEP, STEP)),
        ({"dims": (4, 8)}, layer(30 + STEP, 8) + layer(8, 4) + layer(4, 8) + layer(8, 30) + layer(STEP, STEP)),
    ],
)
def test_parameters_are_those_of_the_layers(settings: dict[str, Any], parameters: int) -> None:
    assert DiffRec(**settings, time_embedding=STEP).plan(DATA).parameters == parameters


@pytest.mark.parametrize(
    "settings",
    [
        {"dims": (8,)},
        {"dims": (4, 8), "time_embedding": 3},
        {"dims": (8,), "groups": 1, "latent_dims": (6, 10)},
        {"dims": (8,), "groups": 3, "latent_dims": (6,), "decoder_dims": (9,), "group_balance": 1},
    ],
)
def test_a_plan_holds_for_the_fit(settings: dict[str, Any]) -> None:
    model = DiffRec(**settings, **SMALL, holdout=0)
    foreseen = model.plan(DATA)
    assert not hasattr(model, "train_")
    weights = [tensor for name, tensor in model.fit(DATA)._state().items() if "group" not in name]
    trained = sum(tensor.numel() for tensor in weights if tensor.is_floating_point())
    # Buffers, such as a sampler's losses of the steps, are no parameters.
    assert 0 < foreseen.parameters <= trained
    assert foreseen.parameters == model.training_.facts["parameters"]
    # A weight, its gradient and AdamW's two moments, at least.
    assert foreseen.memory >= 4 * 4 * foreseen.parameters


def test_more_of_anything_takes_more_memory() -> None:
    def foreseen(data: Interactions = DATA, **settings: Any) -> Plan:
        return DiffRec(**{"dims": (8,), "batch_size": 4} | settings).plan(data)

    wide = Interactions.from_csr(np.tile(DATA.matrix.toarray(), (1, 9)))
    for larger in (foreseen(dims=(80,)), foreseen(wide), foreseen(batch_size=40)):
        assert larger.memory > foreseen().memory
    assert foreseen(holdout=0).memory < foreseen().memory
    narrow, full = (foreseen(precision=precision, batch_size=40) for precision in ("bfloat16", "float32"))
    assert narrow.memory < full.memory


def test_time_is_that_of_the_first_steps_without_the_very_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(plan.time, "perf_counter", lambda: clock[0])
    weight = torch.nn.Parameter(torch.tensor(3.0))
    costs = [0.5, 0.25, 0.25, 0.75, 0.25, 0.25, 0.25]

    def loss(cost: float) -> torch.Tensor:
        clock[0] += cost
        return cost * weight

    optimizer = torch.optim.SGD([weight], lr=0.1)
    assert seconds_per_epoch(loss, costs, 100, optimizer) == 25.0
    assert clock[0] == 2.25  # a few steps, not all
    assert seconds_per_epoch(loss, [0.5], 1, optimizer) == 0.5
    clock[0] = 0.0
    assert seconds_per_epoch(loss, [9.0] * 5, 10, optimizer) == 90.0
    assert clock[0] == 9.0  # nor for long


@pytest.mark.parametrize("form", [{}, {"objective": "forecast"}, {"groups": 2, "latent_dims": (4,)}, {"anchor": True}])
def test_every_form_is_timed_and_nothing_is_changed(form: dict[str, Any]) -> None:
    moments = np.arange(DATA.matrix.nnz, dtype=np.float64)
    data = Interactions.from_csr(DATA.matrix, moments)
    model = DiffRec(dims=(8,), **SMALL, **form)
    state = torch.get_rng_state()
    foreseen = model.plan(data)
    assert foreseen.seconds_per_epoch is not None
    assert foreseen.seconds_per_epoch > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert not hasattr(model, "_network")


def test_what_cannot_fit_is_refused_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    model = DiffRec(dims=(8,), **SMALL).fit(DATA)
    before = model.score([0])
    monkeypatch.setattr("diffrec.training.plan.available_memory", lambda _beside: 10_000)
    for ask in (model.fit, model.plan):
        with pytest.raises(MemoryError, match="training 0.0 million parameters needs about .* use smaller dims"):
            ask(DATA)
    np.testing.assert_array_equal(model.score([0]), before)


@pytest.mark.parametrize("denoiser", ["mlp", "sequence"])
def test_the_memory_of_an_anchor_is_that_of_the_rows_there_are(denoiser: str) -> None:
    def beyond(users: int, events: int, device: str = "cpu", *, solved: bool = False) -> int:
        one, other = (
            memory_plan(
                DiffRecSettings(objective="forecast", denoiser=denoiser, anchor=anchor),
                (users, 7_000),
                events,
                torch.device(device),
                False,
                events=events,
                solved=solved,
            ).memory
            for anchor in (True, False)
        )
        return one - other

    # Of 20 cuts of each of 500,000 users 500,000 are drawn; and there are no more of them than there are events.
    assert beyond(500_000, 10_000_000) < 1.1e9
    assert beyond(5_000_000, 100_000_000) == beyond(500_000, 10_000_000)
    assert beyond(500_000, 100_000) < 0.31e9
    # What is solved already is held already, and what is solved on the host takes nothing of a GPU's memory.
    assert beyond(500_000, 10_000_000, solved=True) == beyond(500_000, 10_000_000, "cuda") == 0


def test_an_anchor_that_is_solved_needs_no_room_for_its_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Interactions.from_csr(np.random.default_rng(0).random((300, 600)) < 0.1)
    settings: dict[str, Any] = {"dims": (4,), "batch_size": 4, "holdout": 0, **SMALL}
    anchor = Anchor().fit(data)
    room = DiffRec(**settings).plan(data).memory + 1_000_000
    monkeypatch.setattr("diffrec.training.plan.available_memory", lambda _beside: room)
    with pytest.raises(MemoryError, match="training"):
        DiffRec(anchor=True, **settings).fit(data)
    DiffRec(anchor=True, **settings).anchored_by(anchor).fit(data)


def test_impossible_data_is_refused_as_by_fit() -> None:
    with pytest.raises(TypeError, match="data must be"):
        DiffRec().plan("ratings.csv")


def test_it_reads_well() -> None:
    assert str(Plan(1_000_000, 2_000_000_000, 0.123)) == (
        "1.0 million parameters, about 2.0 GB of memory, about 0.12 s per epoch"
    )
    assert str(Plan(1_000_000, 2_000_000_000, 1234.5)).endswith("about 1,234 s per epoch")
    assert str(Plan(1_000_000, 2_000_000_000)).endswith("about 2.0 GB of memory")
