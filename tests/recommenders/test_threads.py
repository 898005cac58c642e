"""Several threads use one fitted model at once, and each gets what it would get alone."""

import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import Recommender
from diffrec.recommenders import VARIANTS
from diffrec.recommenders.trained import TrainedRecommender
from support.resuming import FORMS, unfitted

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
THREADS, CALLS = 16, 2


def fitted(variant: str) -> Recommender:
    trained = issubclass(VARIANTS[variant].kind, TrainedRecommender)
    return diffrec.fit(DATA, variant=variant, **{"epochs": 1, "progress": False} if trained else {})


@pytest.mark.parametrize("variant", VARIANTS)
def test_threads_get_what_one_gets(variant: str) -> None:
    model, again = fitted(variant), fitted(variant)
    # Known users, and strangers whose histories differ from thread to thread.
    asked: list[Any] = [None, [3, 1, 2], *(DATA.take(np.arange(t, t + 20)) for t in range(THREADS))]
    alone = [again.recommend(users, k=10) for users in asked]
    start = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        start.wait()  # what a model prepares when it is first used is prepared by all of them at once
        for call in range(CALLS):
            place = (thread + call) % len(asked)
            top = model.recommend(asked[place], k=10)
            np.testing.assert_array_equal(top.items, alone[place].items)
            np.testing.assert_array_equal(top.scores, alone[place].scores)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


@pytest.mark.parametrize("form", FORMS)
def test_fits_in_threads_are_those_of_one(form: str) -> None:
    seeds = [1, 2]
    short = {} if form == "ials" else {"epochs": 2}
    wanted = [unfitted(form, seed=seed, **short).fit(DATA).score() for seed in seeds]
    start = threading.Barrier(len(seeds))

    def work(seed: int) -> Any:
        start.wait()
        return unfitted(form, seed=seed, **short).fit(DATA).score()

    with ThreadPoolExecutor(len(seeds)) as pool:
        for found, expected in zip(pool.map(work, seeds), wanted, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has the GIL")
def test_the_gil_stays_off() -> None:
    code = (
        "import sys, diffrec; data = diffrec.datasets.synthetic(users=60, items=40, seed=1); "
        "diffrec.fit(data, variant='diffrec', epochs=1, progress=False).recommend(k=5); "
        "assert not sys._is_gil_enabled()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
