"""One library beside another: what every benchmark of this folder does with the sides of a comparison."""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benches.table import OURS

#: Threads of both sides, as conftest.py sets them before any library makes its pool.
THREADS = int(os.environ["RAYON_NUM_THREADS"])


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
    """Times one side at a time and holds its answer against diffrec's."""

    def __init__(self, benchmark: Any, answers: dict[str, Any]) -> None:
        self.benchmark = benchmark
        self.answers = answers

    def measure(
        self,
        what: str,
        sides: Mapping[str, Side],
        library: str,
        *inputs: Any,
        agree: Callable[[Any, Any], None] = np.testing.assert_array_equal,
        rounds: int = 5,
    ) -> None:
        """Time one of ``sides`` as part of the entry ``what``, then ``agree(diffrec's answer, its answer)``."""
        side = sides[library]
        self.benchmark.group = what
        self.benchmark.extra_info.update(library=library, at_least=side.at_least, at_most=side.at_most)
        answer = self.within_limits(
            side, lambda: self.benchmark.pedantic(side.call, inputs, rounds=rounds, warmup_rounds=1)
        )
        if library == OURS:
            self.answers[what] = answer
        elif side.at_most is None:
            if what not in self.answers:  # diffrec's side was not selected
                self.answers[what] = self.within_limits(sides[OURS], lambda: sides[OURS].call(*inputs))
            agree(self.answers[what], answer)

    @staticmethod
    def within_limits(side: Side, call: Callable[[], Any]) -> Any:
        """Run under the side's thread limits; what a rival warns of is not our business."""
        with threadpool_limits(THREADS), threadpool_limits(side.blas_threads, "blas"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
