"""Keeps torch from waiting for ever in a forked process; the kernels of ``diffrec._core`` see to themselves.

OpenMP, which torch computes with, keeps its threads from one call to the next. A fork copies the list of them and none
of the threads, so the first product in the child waits for threads that are not there. One thread waits for nobody.
"""

import os
import sys


def compute_alone_in_forks() -> None:
    """From now on processes forked from this one compute with one thread in torch, if this one may use several."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_compute_alone)


def _compute_alone() -> None:
    # A torch that the child imports itself starts threads of its own.
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
