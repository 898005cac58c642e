"""Many requests of one person each, answered together."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Question = TypeVar("Question")

#: Questions that are answered at once: a block of the ranking.
MOST = 512


class BusyError(RuntimeError):
    """More is waiting than can be answered soon."""


class Batcher(Generic[Question]):
    """Hands questions that arrive while others are being answered to one call, together.

    Nobody waits for company: a question that comes when nothing is being answered is answered at once, and what comes
    meanwhile makes up the next call. So a lone client has the model's own latency, and many have its throughput.

    Parameters
    ----------
    answer : callable
        Questions -> their answers, in order; an answer that is an exception is raised to who asked. Runs in a thread of
        its own, one call at a time.
    most : int
        Questions of one call.
    longest : int
        Questions that may wait; the next one is refused.
    told : callable, optional
        Is told the size of each call.

    Examples
    --------
    >>> calls = []
    >>> def doubled(numbers):
    ...     calls.append(len(numbers))
    ...     return [2 * number for number in numbers]
    >>> async def three():
    ...     batcher = Batcher(doubled)
    ...     return await asyncio.gather(*(batcher.ask(number) for number in range(3)))
    >>> asyncio.run(three()), calls
    ([0, 2, 4], [3])
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Sequence[Any]],
        *,
        most: int = MOST,
        longest: int = 8 * MOST,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._answer, self._most, self._longest, self._told = answer, most, longest, told
        self._waiting: deque[tuple[Question, asyncio.Future[Any]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="diffrec-serving")
        self._working: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many questions wait for the next call."""
        return len(self._waiting)

    async def ask(self, question: Question) -> Any:
        """Return the answer to one question.

        Raises
        ------
        BusyError
            When too many wait already.
        """
        if len(self._waiting) >= self._longest:
            raise BusyError(f"{self._longest:,} requests wait already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((question, future))
        if self._working is None:
            self._working = loop.create_task(self._work())
        return await future

    def close(self) -> None:
        """Stop the worker thread after the call that it is in."""
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                # Who has gone away meanwhile is not asked for.
                batch = [
                    (question, future)
                    for question, future in (
                        self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))
                    )
                    if not future.done()
                ]
                if batch:
                    self._told(len(batch))
                    await self._settle(loop, batch)
        finally:
            self._working = None

    async def _settle(
        self, loop: asyncio.AbstractEventLoop, batch: Sequence[tuple[Question, asyncio.Future[Any]]]
    ) -> None:
        answers: Sequence[Any]
        try:
            answers = await loop.run_in_executor(self._thread, self._answer, [question for question, _ in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"{len(batch)} questions have {len(answers)} answers")
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # every one of them has to hear of it; a panic of a kernel is no Exception
            answers = [error if isinstance(error, Exception) else RuntimeError(repr(error))] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
