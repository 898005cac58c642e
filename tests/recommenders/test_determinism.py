"""The same seed gives the same model, and who is asked about together changes no answer."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import diffrec
from support.model_fuzz import FORMS, data
from support.resuming import FORMS as TRAINED
from support.resuming import unfitted, world
from support.saved_forms import fitted
from support.scripts import run

WORLD = diffrec.datasets.synthetic(users=150, items=120, seed=1)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every form by another process, in which sets and the like are in another order."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run("saved_forms", folder, PYTHONHASHSEED="12345", OMP_NUM_THREADS=str(torch.get_num_threads()))
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_the_same_seed_gives_the_same_file(form: str, elsewhere: Path, tmp_path: Path) -> None:
    fitted(form, data(repeats=False)).save(tmp_path / "one", measured=False)
    assert (tmp_path / "one").read_bytes() == (elsewhere / form).read_bytes()
    loaded = diffrec.load(tmp_path / "one", device="cpu")
    loaded.save(tmp_path / "again", measured=False)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "one").read_bytes()


class _AsOnGPU(TorchDispatchMode):
    """Refuses what has no deterministic algorithm on a GPU, by the list in torch's documentation."""

    calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        if torch.are_deterministic_algorithms_enabled():
            self.calls += 1
            weights = kwargs.get("weights", args[1] if name == "bincount" and len(args) > 1 else None)
            assert name not in ("histc", "put_", "median", "kthvalue", "scatter_reduce", "scatter_reduce_"), name
            assert name != "cumsum" or not args[0].is_floating_point(), "cumsum of floats"
            assert name != "bincount" or weights is None, "bincount with weights"
        return func(*args, **kwargs)


@pytest.mark.parametrize("form", [form for form in TRAINED if form != "ials"])
def test_deterministic_training_uses_what_a_gpu_has(form: str) -> None:
    with _AsOnGPU() as watched:
        unfitted(form, epochs=1, deterministic=True).fit(world())
    assert watched.calls > 100


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "form", ["diffrec", "l-diffrec", "lt-diffrec", "lightgcn", "multivae", "cfgan", "ease", "anchor"]
)
def test_threads_change_no_more_than_rounding(form: str, two_threads: None) -> None:
    # torch cuts sums among its threads; the kernels do not.
    scores = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        scores.append(fitted(form, WORLD).score())
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-3, atol=1e-4 * np.abs(scores[0]).max())


@pytest.mark.parametrize(
    "form", [form for form in FORMS if form != "sasrec"]
)  # the slowest, as t-diffrec's by sequences
def test_who_else_is_asked_about_changes_no_list(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(form, WORLD)
    whole = model.recommend(k=10)
    rng = np.random.default_rng(0)
    some = rng.permutation(len(WORLD.users))[:37]
    parts = [model.recommend(WORLD.users.ids[some], k=10), model.recommend(WORLD.users.ids[some[:1]], k=10)]
    monkeypatch.setattr("diffrec.recommenders.rankings.USER_BLOCK", 11)
    parts.append(model.recommend(WORLD.users.ids[some], k=10))
    # Products of matrices of other sizes are rounded otherwise, which may turn items of equal scores round.
    slack = 1e-5 * np.abs(whole.scores[np.isfinite(whole.scores)]).max()
    for part in parts:
        expected = whole.scores[some[: len(part.scores)]]
        np.testing.assert_allclose(part.scores, expected, rtol=1e-5, atol=slack)
        differ = part.items != whole.items[some[: len(part.scores)]]
        gaps = np.abs(np.diff(expected, axis=1, append=-np.inf))
        near = (gaps <= 2 * slack) | np.roll(gaps <= 2 * slack, 1, axis=1)
        assert not (differ & ~near).any()


@pytest.mark.long
def test_a_choice_without_a_budget_is_the_same_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is slower, and has less memory; torch's threads are as many, and round alike."""
    clock = time.perf_counter
    for name, slower, memory in (("one", 1, None), ("other", 50, 10**9)):
        monkeypatch.setattr(time, "perf_counter", lambda slower=slower: slower * clock())
        for module in ("diffrec._memory", "diffrec.training.plan"):
            monkeypatch.setattr(f"{module}.available_memory", lambda _beside=1, memory=memory: memory)
        diffrec.fit(WORLD, budget=None, progress=False).save(tmp_path / name, measured=False)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
