"""One library beside another: what every benchmark of this folder does with the sides of a comparison."""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benches.table import OURS

#: Threads of both sides, as conftest.py sets them before any library makes its pool.
THREADS = int(os.environ["RAYON_NUM_THREADS"])
# Between two sides, for the threads of the first to fall asleep: those of OpenMP wait for more work first.
PAUSE = 0.01


@dataclass(frozen=True)
class Side:
    """One library's way to an answer.

    Attributes
    ----------
    call : callable
        Takes the inputs, gives the answer; skips where its library is not installed.
    at_least : float, optional
        How many times diffrec's time this side is to need at least.
    at_most : float, optional
        How many times this side's time diffrec is to need at most. Such a side is work that no answer can do without,
        and gives none.
    blas_threads : int
        Threads of BLAS while it runs: 1 for a library that calls BLAS from threads of its own.
    """

    call: Callable[..., Any]
    at_least: float | None = None
    at_most: float | None = None
    blas_threads: int = THREADS


class Beside:
    """Times one side of an entry and holds its answer against diffrec's."""

    def __init__(self, benchmark: Any) -> None:
        self.benchmark = benchmark

    def measure(
        self,
        what: str,
        sides: Mapping[str, Side],
        library: str,
        *inputs: Any,
        agree: Callable[[Any, Any], None] = np.testing.assert_array_equal,
        rounds: int = 5,
        warmup: int = 1,
    ) -> None:
        """Time one of ``sides`` as part of the entry ``what``, then ``agree(diffrec's answer, its answer)``.

        diffrec's side is run before every round of another, so that both meet the same load of the machine; its least
        time is saved with the other's.
        """
        side, ours = sides[library], Turns(sides[OURS], inputs)
        rounds_of = {"args": inputs, "rounds": rounds, "warmup_rounds": warmup}
        if library != OURS:
            rounds_of["setup"] = ours.take
        self.benchmark.group = what
        with limits(side):
            answer = self.benchmark.pedantic(side.call, **rounds_of)
        self.benchmark.extra_info.update(library=library, ours=ours.least, at_least=side.at_least, at_most=side.at_most)
        if library != OURS and side.at_most is None:
            agree(ours.answer, answer)


class Turns:
    """diffrec's turns between those of another library."""

    def __init__(self, side: Side, inputs: tuple[Any, ...]) -> None:
        self.side = side
        self.inputs = inputs
        self.least: float | None = None
        self.answer: Any = None

    def take(self) -> None:
        """Run and time one."""
        time.sleep(PAUSE)
        with limits(self.side):
            started = time.perf_counter()
            self.answer = self.side.call(*self.inputs)
            seconds = time.perf_counter() - started
        self.least = min(seconds, self.least or seconds)
        time.sleep(PAUSE)


@contextmanager
def limits(side: Side) -> Iterator[None]:
    """The side's threads; and what a rival warns of is not our business."""
    with threadpool_limits(THREADS), threadpool_limits(side.blas_threads, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
