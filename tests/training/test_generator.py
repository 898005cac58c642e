"""torch's generator and its choice of algorithms are one fit's at a time, and what they were afterwards."""

import os
import threading
import time

import pytest
import torch

from diffrec.training.generator import seeded

CPU = torch.device("cpu")


def test_what_is_drawn_depends_on_the_seed_and_leaves_no_trace() -> None:
    before = torch.get_rng_state()
    with seeded(3, CPU):
        one = torch.rand(5)
        with seeded(4, CPU):  # a fit within a fit
            other = torch.rand(5)
        rest = torch.rand(5)
    with seeded(3, CPU):
        again = torch.rand(10)
    assert torch.equal(torch.cat([one, rest]), again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_algorithms_are_chosen_for_a_block_only() -> None:
    def fail() -> None:
        assert torch.are_deterministic_algorithms_enabled()
        raise KeyError

    with pytest.raises(KeyError), seeded(0, CPU, deterministic=True):
        fail()
    assert not torch.are_deterministic_algorithms_enabled()
    with seeded(0, CPU):
        assert not torch.are_deterministic_algorithms_enabled()


def test_a_gpu_needs_its_workspace_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    wanted = "deterministic=True on a GPU needs .* CUBLAS_WORKSPACE_CONFIG=:4096:8 .*, got ':0:0'"
    with pytest.raises(ValueError, match=wanted), seeded(0, torch.device("cuda"), deterministic=True):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_does_not_wait_for_threads_that_it_lacks() -> None:
    drawing, done = threading.Event(), threading.Event()

    def draw() -> None:
        with seeded(0, CPU):
            drawing.set()
            done.wait()

    thread = threading.Thread(target=draw)
    thread.start()
    drawing.wait()
    child = os.fork()
    if child == 0:
        with seeded(0, CPU):
            os._exit(0)
    ends = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < ends, "it waits for ever"
        time.sleep(0.01)
    done.set()
    thread.join()
    assert ended[1] == 0
