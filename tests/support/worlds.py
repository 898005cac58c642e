"""Several real processes for a test: they are started once for a module, and run one function after the other."""

import multiprocessing as mp
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

SIZE = 4


class Processes:
    """Processes that each run what they are handed, together; grids of fewer are groups of the first of them."""

    def __init__(self, connections: list[Any]) -> None:
        self._connections = connections

    def run(self, function: Callable[..., Any], *arguments: Any, size: int = SIZE, replicas: int = 1) -> list[Any]:
        """Call ``function(world, *arguments)`` in each of ``size`` processes; return what they return."""
        for connection in self._connections:
            connection.send((function, arguments, size, replicas))
        answers = [connection.recv() for connection in self._connections]
        for answer in answers[:size]:
            if isinstance(answer, str):
                raise AssertionError(answer)
        return [answer[0] for answer in answers[:size]]


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """Start them, and end them."""
    context = mp.get_context("forkserver")
    # Imported once, where no thread has been started, instead of four times.
    context.set_forkserver_preload([
        "torch", "torch.distributed", "torch.distributed.checkpoint", "torch._dynamo",
        "diffrec.distributed.share", "diffrec.recommenders.diffrec.model",
    ])  # fmt: skip
    pairs = [context.Pipe() for _ in range(SIZE)]
    started = [
        context.Process(target=_serve, args=(rank, str(folder / "store"), child), daemon=True)
        for rank, (_, child) in enumerate(pairs)
    ]
    for one in started:
        one.start()
    connections = [parent for parent, _ in pairs]
    try:
        yield Processes(connections)
    finally:
        for connection in connections:
            connection.send(None)
        for one in started:
            one.join(20)
            one.kill()


def _serve(rank: int, store: str, connection: Any) -> None:
    import torch
    import torch.distributed as dist

    os.environ["RAYON_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", store=dist.FileStore(store, SIZE), rank=rank, world_size=SIZE, timeout=timedelta(seconds=60)
    )
    worlds: dict[tuple[int, int], Any] = {}
    while (work := connection.recv()) is not None:
        function, arguments, size, replicas = work
        try:
            # Groups are made by all, whoever is among them.
            if (size, replicas) not in worlds:
                worlds[size, replicas] = _world(rank, size, replicas)
            answer: Any = (function(worlds[size, replicas], *arguments) if rank < size else None,)
        except BaseException:
            answer = traceback.format_exc()
        connection.send(answer)
    dist.destroy_process_group()


def _world(rank: int, size: int, replicas: int) -> Any:
    """The grid of the first ``size`` processes, and None for the others."""
    import torch.distributed as dist

    from diffrec.distributed import World

    wide = size // replicas
    group = partial(dist.new_group, timeout=timedelta(seconds=30))
    everyone = group(list(range(size)))
    rows = [group([row * wide + column for column in range(wide)]) for row in range(replicas)]
    columns = [group([row * wide + column for row in range(replicas)]) for column in range(wide)]
    if rank >= size:
        return None
    return World(everyone, rows[rank // wide], columns[rank % wide])
