"""Uses models in other processes than the one that fitted them: ``python tests/support/processes.py METHOD...``.

A process of its own, whose torch and kernels have several threads each, which a test's own may not have.
"""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import diffrec
from diffrec import Recommender, _core

#: Seconds in which a child has to answer, on a busy machine.
LIMIT = 90.0
VARIANTS: dict[str, dict[str, Any]] = {
    "diffrec": {"epochs": 1, "dims": (64,), "progress": False},
    "t-diffrec": {"epochs": 1, "dims": (64,), "progress": False},
    "ease": {},
    "itemknn": {},
    "ials": {"factors": 8, "iterations": 2, "progress": False},
}
Lists = list[NDArray[Any]]


def lists(models: list[Recommender]) -> Lists:
    """Items of every model's lists, then those of a model that is fitted here."""
    fitted = diffrec.fit(models[0].train_, variant="diffrec", **VARIANTS["diffrec"])
    assert np.isfinite(fitted.recommend(k=5).scores).all()
    return [model.recommend(k=10).items for model in models]


def agree(models: list[Recommender], expected: Lists) -> None:
    """Raise unless the models recommend what is expected."""
    for items, wanted in zip(lists(models), expected, strict=True):
        np.testing.assert_array_equal(items, wanted)


def by_fork(work: Callable[[], None]) -> None:
    """Do the work in a forked child; raise unless it is done in time."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    ends = time.monotonic() + LIMIT
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > ends:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError(f"a forked child was not done after {LIMIT:.0f} s")
        time.sleep(0.02)
    if ended[1] != 0:
        raise RuntimeError("a forked child failed, as it said above")


def by_pool(method: str, work: Callable[[], None]) -> None:
    """Do the work in a pool of processes, started by that method."""
    with multiprocessing.get_context(method).Pool(1) as pool:
        pool.apply_async(work).get(LIMIT)


def by_joblib(work: Callable[[], None]) -> None:
    """Do the work twice at a time by joblib, which starts processes of loky."""
    import joblib  # comes with scikit-learn, which is optional

    joblib.Parallel(2, timeout=LIMIT)(joblib.delayed(work)() for _ in range(2))


METHODS: dict[str, Callable[[Callable[[], None]], None]] = {
    "os.fork": by_fork,
    "os.fork twice": lambda work: by_fork(partial(by_fork, work)),
    "fork": partial(by_pool, "fork"),
    "spawn": partial(by_pool, "spawn"),
    "joblib": by_joblib,
}


def main(methods: list[str]) -> None:
    """Fit and recommend here, then there, by one method after the other, then here again."""
    assert torch.get_num_threads() > 1
    assert _core.threads() > 1
    data = diffrec.datasets.synthetic(users=200, items=100, seed=1)
    models = [diffrec.fit(data, variant=variant, **settings) for variant, settings in VARIANTS.items()]
    work = partial(agree, models, lists(models))
    for method in methods:
        METHODS[method](work)
    work()


if __name__ == "__main__":
    main(sys.argv[1:])
