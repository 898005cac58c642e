"""Several processes compute what one does."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from diffrec.distributed import Spread
from diffrec.distributed.world import _of_machine
from diffrec.training.share import ALONE
from support.spread_training import trained, trained_with_noise
from support.worlds import Processes

# Processes, and replicas among them: three blocks are uneven, and two replicas of two share out users as well.
GRIDS = [(3, 1), (4, 2)]
MORE = [(1, 1), (2, 1), (4, 1), (2, 2)]
# Forms whose parts others have, too.
LIKE_OTHERS = {"confident gram", "multidae", "sequence, sampled", "latent, timed"}

# What is to be trained, by name. With more noise than is usual losses are of the size of 1.
FORMS: dict[str, dict[str, Any]] = {
    "x0": {"dims": (24,), "batch_size": 8, "noise_scale": 20.0},
    "gram": {"dims": (6,), "batch_size": 24, "noise_scale": 20.0},
    "eps": {"dims": (12, 10), "batch_size": 9, "noise_scale": 20.0, "predict": "eps", "reweight": False},
    "normalize": {"dims": (12,), "batch_size": 9, "noise_scale": 20.0, "normalize": True},
    "confident": {"dims": (12,), "batch_size": 9, "noise_scale": 20.0, "binarize": False},
    "confident gram": {"dims": (6,), "batch_size": 24, "noise_scale": 20.0, "binarize": False},
    "timed": {"dims": (12,), "batch_size": 9, "noise_scale": 20.0, "time_weights": "linear"},
    "latent": {"dims": (6,), "groups": 3, "latent_dims": (9, 12), "batch_size": 9, "noise_scale": 20.0},
    "latent, timed": {
        "dims": (6,), "groups": 2, "latent_dims": (9,), "decoder_dims": (8,), "batch_size": 9, "noise_scale": 20.0,
        "time_weights": "exponential",
    },
    "forecast": {
        "variant": "t-diffrec", "anchor": False, "dims": (7, 9), "batch_size": 32, "noise_scale": 0.1, "cuts": 2,
        "repeats": "include", "binarize": False,
    },
    "forecast, squared": {
        "variant": "t-diffrec", "anchor": False, "dims": (7,), "batch_size": 32, "likelihood": "squared", "cuts": 1,
    },
    "forecast, anchored": {
        "variant": "t-diffrec", "anchor": True, "dims": (7,), "batch_size": 32, "cuts": 2, "anchor_cuts": 12,
    },
    "sequence": {
        "variant": "t-diffrec", "anchor": False, "denoiser": "sequence", "batch_size": 60, "sequence_length": 6,
        "sequence_width": 8, "sequence_layers": 1, "sequence_heads": 2, "noise_scale": 0.5, "repeats": "include",
    },
    "sequence, sampled": {
        "variant": "t-diffrec", "anchor": False, "denoiser": "sequence", "batch_size": 60, "sequence_length": 6,
        "sequence_width": 8, "sequence_layers": 1, "sequence_heads": 2, "sequence_negatives": 30,
        "sequence_clock": True,
    },
    "latent forecast": {"variant": "lt-diffrec", "dims": (6,), "latent_dims": (9,), "batch_size": 32, "cuts": 1},
    "multivae": {"variant": "multivae", "dims": (12,), "latent": 5, "batch_size": 9},
    "multidae": {"variant": "multidae", "dims": (12,), "latent": 5, "batch_size": 9},
}  # fmt: skip


@pytest.mark.parametrize("form", [form for form in FORMS if form not in LIKE_OTHERS])
def test_loss_gradients_and_weights_are_those_of_one_process(four: Processes, form: str) -> None:
    same_as_alone(four, form, GRIDS)


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_so_are_those_of_other_grids(four: Processes, form: str) -> None:
    same_as_alone(four, form, [*MORE, *GRIDS] if form in LIKE_OTHERS else MORE)


def same_as_alone(four: Processes, form: str, grids: list[tuple[int, int]]) -> None:
    alone = trained(None, FORMS[form], 21)
    assert any(np.abs(values).max() > 1e-4 for name, values in alone.items() if name.startswith("gradient"))
    for size, replicas in grids:
        for found in four.run(trained, FORMS[form], 21, size=size, replicas=replicas):
            assert found.keys() == alone.keys()
            assert abs(found["losses"][0] - alone["losses"][0]) < 1e-10
            for name, values in alone.items():
                allowed = 1e-10 if name.startswith("gradient") else 1e-8
                np.testing.assert_allclose(
                    found[name], values, rtol=0, atol=allowed, err_msg=f"{name} {size} {replicas}"
                )


def test_what_each_works_out_is_taken_of_the_first() -> None:
    def broadcast(values: torch.Tensor, source: int) -> None:
        values.copy_(torch.tensor([1, 0]) if source == 0 else values)

    world: Any = SimpleNamespace(everyone=SimpleNamespace(broadcast=broadcast))
    assert Spread(world, 0).of_first(torch.tensor([0, 1])).tolist() == [1, 0]
    assert ALONE.of_first(torch.tensor([0, 1])).tolist() == [0, 1]


def test_a_gpu_is_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(
        "diffrec.distributed.share.resolve_device", lambda name: torch.device(name.replace("auto", "cuda"))
    )
    few: Any = SimpleNamespace(gpu=None, beside=4)
    with pytest.warns(UserWarning, match="on the processors: .* and 4 processes of this machine see 1"):
        assert Spread(few, 0).device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="device='cuda' needs a GPU for every process"):
        Spread(few, 0).device("cuda")
    with pytest.raises(ValueError, match="device='cuda:0' is one GPU, and 4 processes of this machine"):
        Spread(few, 0).device("cuda:0")
    enough: Any = SimpleNamespace(gpu=3, beside=4)
    assert Spread(enough, 0).device("auto") == torch.device("cuda", 3)
    assert Spread(SimpleNamespace(gpu=0, beside=1), 0).device("cuda:5") == torch.device("cuda", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hosts", "count", "seen", "found"),
    [
        # Two machines of two processes, which see all GPUs, or each its own.
        ("aabb", 2, None, [(2, 0), (2, 1), (2, 0), (2, 1)]),
        ("aabb", 1, "0101", [(2, 0), (2, 0), (2, 0), (2, 0)]),
        # Two processes would share one; there is none.
        ("aabb", 1, "0001", [(2, None)] * 4),
        ("aaaa", 2, None, [(4, None)] * 4),
        ("ab", 0, None, [(1, None)] * 2),
    ],
)
def test_processes_find_out_which_gpu_is_whose(
    monkeypatch: pytest.MonkeyPatch, hosts: str, count: int, seen: str | None, found: list[tuple[int, int | None]]
) -> None:
    at = 0

    def unit(own: int) -> SimpleNamespace:
        return SimpleNamespace(uuid=own if seen is None else seen[at])

    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_properties", unit)
    monkeypatch.setattr("diffrec.distributed.world.socket.gethostname", lambda: hosts[at])
    # All say the first thing before any of them says the second.
    said: list[list[torch.Tensor]] = [[], []]
    for round_ in (0, 1, 2):
        answers = []
        for at in range(len(hosts)):
            mine: list[torch.Tensor] = []

            def gathered(value: torch.Tensor, mine: list[torch.Tensor] = mine) -> torch.Tensor:
                mine.append(value)
                return torch.stack(said[len(mine) - 1] or [value] * len(hosts))

            everyone: Any = SimpleNamespace(rank=at, size=len(hosts), all_gather=gathered)
            answers.append((_of_machine(everyone), mine))
        if round_ < 2:
            said[round_] = [mine[round_] for _, mine in answers]
    assert [answer for answer, _ in answers] == found


def test_layers_that_all_hold_stay_the_same(four: Processes) -> None:
    one, other = four.run(trained_with_noise, FORMS["sequence"], 6, size=2)
    layers = [name for name in one if name.startswith("weight encoder.layers")]
    assert layers
    for name in layers:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
