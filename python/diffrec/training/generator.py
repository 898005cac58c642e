"""torch's random generator, of which a process has one: whoever trains has it to himself."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_turn = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators for a block, after which they are what they were.

    Layers draw from the generator of the process, so another thread that drew meanwhile would change what both get:
    fits in threads take turns.
    """
    with _turn, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _free() -> None:
    # Whoever had the turn is not in the child.
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
