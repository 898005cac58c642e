"""The random generator and the choice of algorithms, of which torch has one in a process: a training has them alone."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_turn = threading.RLock()


# The sizes of cuBLAS's own memory with which it adds in the same order each time, as torch's documentation has them.
_WORKSPACES = (":4096:8", ":16:8")


@contextmanager
def seeded(seed: int, device: torch.device, *, deterministic: bool = False) -> Iterator[None]:
    """Seed torch's generators for a block, and leave them behind it as they were.

    Layers draw from the generator of the process, so another thread that drew meanwhile would change what both get:
    fits in threads take turns.

    Parameters
    ----------
    seed, device
        Of what is trained.
    deterministic
        Whether torch may only use algorithms that give the same bits each time.

    Raises
    ------
    ValueError
        If that is asked for on a GPU whose cuBLAS does not.
    """
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    if deterministic and device.type == "cuda" and workspace not in _WORKSPACES:
        raise ValueError(
            f"deterministic=True on a GPU needs the environment variable CUBLAS_WORKSPACE_CONFIG={_WORKSPACES[0]} from "
            f"before Python starts, got {workspace!r}"
        )
    with _turn, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Its other door to the same switch, `use_deterministic_algorithms`, imports a compiler first.
        mode = torch.get_deterministic_debug_mode()
        torch.set_deterministic_debug_mode("error" if deterministic else mode)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(mode)


def _free() -> None:
    # Whoever had the turn is not in the child.
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
