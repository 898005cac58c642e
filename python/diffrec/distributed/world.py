"""The processes that train one model together, and the few ways in which they hear of each other.

They form a grid of "users" x "items": processes of one row share a batch's users and hold different items; those of
one column hold the same items and have different users of every batch. All that crosses over are sums and maxima
(all-reduce), pieces put side by side (all-gather) and pieces handed to all (broadcast), which every backend has.
"""

import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from diffrec._processes import processors, started_with_others
from diffrec.checks import real, whole

#: Seconds that a process waits for the others.
TIMEOUT = 60.0
# Seconds that the others wait for what one of them does alone, such as writing a file: torch's own half hour.
_PATIENCE = 1800.0
# Seconds after which a process asks the first one anew whether both are of one attempt.
_ANSWER = 0.5
# What gloo says, in a bare RuntimeError, where a connection broke or nobody answered.
_LOST = ("connection closed", "connection reset", "broken pipe", "timed out", "timeout caused")


class LostProcessError(ConnectionError):
    """Another process of the training ended, or gave no sign of life within the time set."""


@dataclass
class Traffic:
    """Bytes that a process hands in, by the name of the collective operation."""

    bytes: dict[str, int] = field(default_factory=dict)

    def note(self, operation: str, size: int) -> None:
        """Count an operation."""
        self.bytes[operation] = self.bytes.get(operation, 0) + size

    @property
    def total(self) -> int:
        """Bytes of all operations."""
        return sum(self.bytes.values())


class Group:
    """Processes that hear of each other.

    Parameters
    ----------
    group : ProcessGroup or None
        Of torch.distributed; None for a process by itself.
    timeout : float
        Seconds that it waits for the others; what an error says.
    traffic : Traffic
        Counts bytes.
    """

    def __init__(self, group: "dist.ProcessGroup | None", timeout: float, traffic: Traffic) -> None:
        self.group = group
        self.rank = 0 if group is None else dist.get_rank(group)
        self.size = 1 if group is None else dist.get_world_size(group)
        self._timeout = timeout
        self._traffic = traffic

    def add(self, *sums: Tensor) -> None:
        """Add up each over the processes, in place: one message for all that are of one type."""
        self._reduce(sums, dist.ReduceOp.SUM, "sum")

    def largest(self, values: Tensor) -> None:
        """Take the largest of each over the processes, in place."""
        self._reduce([values], dist.ReduceOp.MAX, "max")

    def all_gather(self, values: Tensor) -> Tensor:
        """Put values of the same shape (n, ...) side by side, (size, n, ...)."""
        if self.size == 1:
            return values[None]
        values = values.contiguous()
        out = [torch.empty_like(values) for _ in range(self.size)]
        with self.listening():
            dist.all_gather(out, values, group=self.group)
        self._traffic.note("gather", values.nbytes)
        return torch.stack(out)

    def broadcast(self, values: Tensor, source: int) -> None:
        """Overwrite values by those of the process of rank ``source``."""
        if self.size == 1:
            return
        with self.listening():
            dist.broadcast(values, group=self.group, src=dist.get_global_rank(self._known(), source))
        self._traffic.note("broadcast", values.nbytes)

    def of_first(self, *values: Tensor) -> None:
        """Overwrite each by that of the first process: one message for all that are of one type."""
        if self.size > 1:
            _as_one(values, lambda flat: self.broadcast(flat, 0))

    def agreed(self, decide: Callable[[], bool]) -> bool:
        """Return what the first process decides, which may depend on its clock."""
        decision = torch.tensor([self.rank == 0 and decide()], dtype=torch.uint8)
        self.broadcast(decision, 0)
        return bool(decision)

    def barrier(self) -> None:
        """Wait until all have come here."""
        self.add(torch.zeros(1))

    def _reduce(self, sums: Sequence[Tensor], operation: "dist.ReduceOp.RedOpType", name: str) -> None:
        def send(flat: Tensor) -> None:
            with self.listening():
                dist.all_reduce(flat, operation, group=self.group)
            self._traffic.note(name, flat.nbytes)

        if self.size > 1:
            _as_one(sums, send)

    def _known(self) -> "dist.ProcessGroup":
        assert self.group is not None
        return self.group

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Say what it means where a collective operation fails because another process is gone."""
        try:
            yield
        except RuntimeError as error:
            said = str(error).lower()
            if not (isinstance(error, dist.DistError) or any(words in said for words in _LOST)):
                raise
            raise LostProcessError(
                f"process {dist.get_rank()} of {dist.get_world_size()} on {socket.gethostname()} stops: another "
                f"process of this training ended, or did not answer within {self._timeout:g} s. What that one has said "
                f"tells why; torchrun --max-restarts goes on from the last checkpoint. ({str(error).splitlines()[0]})"
            ) from error


def _as_one(values: Sequence[Tensor], send: Callable[[Tensor], None]) -> None:
    """Send all values of a type as one, in place."""
    for dtype in dict.fromkeys(one.dtype for one in values):
        own = [one for one in values if one.dtype == dtype]
        alone = len(own) == 1 and own[0].is_contiguous()
        flat = own[0] if alone else torch.cat([one.reshape(-1) for one in own])
        send(flat)
        if not alone:
            for one, sent in zip(own, flat.split([one.numel() for one in own]), strict=True):
                one.copy_(sent.view(one.shape))


class World:
    """A grid of processes, "users" x "items", and the place of this one.

    Attributes
    ----------
    everyone, items, users : Group
        All processes; those that share this one's users; those that hold this one's items.
    patient : Group
        All processes, where one of them does something alone for which the others wait: as long as torch waits.
    traffic : Traffic
        Bytes handed in by this process so far.
    beside : int
        How many of them this machine has.
    gpu : int or None
        The number of this process's GPU; None where some would have to share one.
    """

    def __init__(
        self,
        everyone: "dist.ProcessGroup | None",
        items: "dist.ProcessGroup | None",
        users: "dist.ProcessGroup | None",
        timeout: float = TIMEOUT,
        *,
        patient: "dist.ProcessGroup | None" = None,
    ) -> None:
        self.traffic = Traffic()
        self.everyone, self.items, self.users = (
            Group(group, timeout, self.traffic) for group in (everyone, items, users)
        )
        self.patient = Group(patient or everyone, timeout if patient is None else _PATIENCE, self.traffic)
        self.beside, self.gpu = _of_machine(self.everyone)

    @classmethod
    def join(cls, *, replicas: int = 1, timeout: float = TIMEOUT) -> "World":
        """Join the processes that torchrun started along with this one.

        Parameters
        ----------
        replicas : int
            Rows of the grid: how many times all items are held. 1 spreads items alone, and needs the least memory and
            network; with more, each replica computes a part of the users of every batch.
        timeout : float
            Seconds that a process waits for the others before it gives up.

        Returns
        -------
        World
            Where torchrun started nothing, that of this process alone.

        Raises
        ------
        ValueError
            When the processes cannot be parted into so many replicas.

        Examples
        --------
        >>> World.join().items.size
        1
        """
        replicas, timeout = whole(1)("replicas", replicas), real(0, open_low=True)("timeout", timeout)
        if not (dist.is_initialized() or started_with_others()):
            if replicas > 1:
                raise ValueError(f"replicas must be 1 where torchrun started one process, got {replicas}")
            return cls(None, None, None, timeout)
        # Whatever backend a script has set up itself: what is said here is of both kinds of memory.
        device = "cuda" if torch.cuda.is_available() and dist.is_nccl_available() else "cpu"
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        if not dist.is_initialized():
            wait = timedelta(seconds=timeout)
            try:
                store, rank, size = next(rendezvous("env://", timeout=wait))
            except dist.DistError as error:
                raise _not_come(os.environ["RANK"], os.environ["WORLD_SIZE"], timeout, error) from error
            own = dist.PrefixStore(met(store, rank, size, timeout), store)  # type: ignore[attr-defined]
            dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=wait)
        size = dist.get_world_size()
        if size % replicas:
            raise ValueError(f"replicas must divide the {size} processes, got {replicas}")
        made = (dist.group.WORLD, replicas, timeout)
        if made in _worlds:
            return _worlds[made]
        from torch.distributed.device_mesh import DeviceMesh

        grid = torch.arange(size).view(replicas, -1)

        def group(ranks: list[int], patience: float = timeout) -> Any:
            # One that a mesh makes itself would wait for half an hour.
            return dist.new_group(ranks, timeout=timedelta(seconds=patience), backend=backend)

        rows, columns = ([group(ranks) for ranks in part.tolist()] for part in (grid, grid.T))
        row, column = divmod(dist.get_rank(), size // replicas)
        # A grid known to torch.distributed, as DTensor and others have it.
        mesh = DeviceMesh.from_group([columns[column], rows[row]], device, mesh=grid, mesh_dim_names=("users", "items"))
        everyone = list(range(size))
        items, users = (mesh.get_group(name) for name in ("items", "users"))
        world = cls(group(everyone), items, users, timeout, patient=group(everyone, _PATIENCE))
        _worlds[made] = world
        if world.gpu is not None:
            torch.cuda.set_device(world.gpu)
        # Each would begin a thread for every processor with its first kernel, unless it is told how many.
        os.environ.setdefault("RAYON_NUM_THREADS", str(max(1, processors() // world.beside)))
        return world

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.everyone.size

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.everyone.rank == 0


# Worlds by torch's process group, replicas and timeout: groups are never given back, so each is made once.
_worlds: dict[Any, World] = {}


def met(store: Any, rank: int, size: int, timeout: float) -> str:
    """Agree with the others on a name that no earlier attempt of theirs has used; wait until all have come.

    torchrun keeps one store through its restarts, and what an attempt left there are addresses of processes that are
    gone. So the first process makes up a name for this attempt, which the others know by its answer not to be an older
    one's.

    Parameters
    ----------
    store : torch.distributed.Store
        That all of them have.
    rank, size : int
        This process's, and how many they are.
    timeout : float
        Seconds to wait.

    Raises
    ------
    LostProcessError
        When one of them did not come in time.
    """
    own, deadline = uuid4().hex, time.monotonic() + timeout
    try:
        if rank == 0:
            store.set("diffrec", own)
            for other in range(1, size):
                store.wait([f"{own}/{other}"], timedelta(seconds=timeout))
                store.set(store.get(f"{own}/{other}").decode(), "heard")
            return own
        while True:
            store.wait(["diffrec"], timedelta(seconds=timeout))
            name: str = store.get("diffrec").decode()
            store.set(f"{name}/{rank}", own)
            try:
                store.wait([own], timedelta(seconds=_ANSWER))
            except dist.DistStoreError:
                if time.monotonic() > deadline:
                    raise
            else:
                return name
    except dist.DistError as error:
        raise _not_come(rank, size, timeout, error) from error


def _not_come(rank: object, size: object, timeout: float, error: Exception) -> LostProcessError:
    return LostProcessError(
        f"process {rank} of {size} on {socket.gethostname()} stops: another process of this training did not come "
        f"within {timeout:g} s ({str(error).splitlines()[0]})"
    )


def _of_machine(everyone: Group) -> tuple[int, int | None]:
    """Say how many processes are on this machine, and which GPU is this one's, where each of all has one for itself.

    Not every launcher tells a process its number on its machine, and some show each process its own GPU alone; so the
    processes tell each other where they are, and what they would take.
    """
    host = socket.gethostname()
    hosts = everyone.all_gather(torch.tensor(_digest(host))).tolist()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    own = 0 if count == 1 else hosts[: everyone.rank].count(hosts[everyone.rank])
    # Older versions of torch do not say which GPU it is.
    unit = getattr(torch.cuda.get_device_properties(own), "uuid", own) if own < count else ""
    named = f"{host} {unit}" if own < count else ""
    wanted = everyone.all_gather(torch.tensor(_digest(named))).tolist()
    distinct = len(set(wanted)) == everyone.size and _digest("") not in wanted
    return hosts.count(hosts[everyone.rank]), own if distinct and own < count else None


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())
