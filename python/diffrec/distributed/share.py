"""The share of a model and of its users that one process of a grid has."""

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffrec._tensors import Array
from diffrec.data import Csr, columns_of
from diffrec.data.tensor_file import InPieces
from diffrec.diffusion import Layout, layout_of, layouts_of
from diffrec.distributed.checkpoint import SpreadCheckpoint
from diffrec.distributed.part import Draws, SpreadPart, blocks, shares
from diffrec.distributed.world import World, local_rank
from diffrec.ranking import NO_ITEM
from diffrec.training import Checkpoint, Stateful, resolve_device

Lists = tuple[NDArray[np.int32], NDArray[np.float32]]

# Of what a process holds of a parameter this much is handed around at once when a file is written.
_SHARE_AT_ONCE, _LEAST_AT_ONCE = 0.05, 1 << 16


class Spread:
    """What a recommender asks of the processes that it is spread over; see ``Share``.

    Parameters
    ----------
    world : World
        The processes.
    seed : int
        Of what is drawn at places.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._draws = Draws(seed)
        self._items = 0
        self._layouts: dict[str, Layout] = {}
        self._of_optimizer: dict[int, Layout] = {}

    @property
    def speaks(self) -> bool:
        """Whether this is the first of all processes."""
        return self._world.leads

    def part(self, items: int) -> SpreadPart:
        """Return this process's block of the items."""
        self._items = items
        own = self._own()
        return SpreadPart(self._world, self._draws, items, (own.start, len(own)))

    def device(self, name: str) -> torch.device:
        """Return the device of that name; of several GPUs each process of a machine has its own."""
        device = resolve_device(name)
        return torch.device("cuda", local_rank()) if device.type == "cuda" and device.index is None else device

    def columns(self, matrix: Csr, items: int) -> Csr:
        """Return the columns of this process's items."""
        own = self._own(items)
        return columns_of(matrix, items, own.start, len(own))

    def marks(self, flags: "NDArray[np.bool_] | None") -> "NDArray[np.bool_] | None":
        """Return those of this process's items."""
        if flags is None:
            return None
        own = self._own(len(flags))
        return np.ascontiguousarray(flags[own.start : own.stop])

    def users(self, n: int) -> slice:
        """Return this replica's part of n users; of a few every replica ranks all."""
        users = self._world.users
        return shares(n, users.size)[users.rank] if n >= users.size else slice(0, n)

    def merged(self, lists: Lists, n: int) -> Lists:
        """Merge the lists of all blocks of items, then put those of all users together."""
        items, values = lists
        first = self._own().start
        items = np.where(items == NO_ITEM, NO_ITEM, items + first).astype(np.int32)
        items, values = merged(self._gathered(items, self._world.items), self._gathered(values, self._world.items))
        users = self._world.users
        if users.size == 1 or n < users.size:
            return items, values
        most, k = -(-n // users.size), items.shape[1]
        padding = ((0, most - len(items)), (0, 0))
        pairs = [self._gathered(np.pad(part, padding), users) for part in (items, values)]
        lengths = [own.stop - own.start for own in shares(n, users.size)]
        items, values = (
            np.concatenate([one[:length] for one, length in zip(part, lengths, strict=True)]).reshape(n, k)
            for part in pairs
        )
        return items, values

    def hold(self, network: nn.Module) -> None:
        """Note which rows of the network's parameters are here."""
        self._layouts = layouts_of(network)

    def watch(self, network: nn.Module, changing: Mapping[str, Stateful]) -> Mapping[str, Stateful]:
        """Note what is trained here; have the optimizer step by all replicas' gradients."""
        self.hold(network)
        optimizer = changing["optimizer"]
        assert isinstance(optimizer, torch.optim.Optimizer)
        ordered = [one for group in optimizer.param_groups for one in group["params"]]
        held = ((place, layout_of(one)) for place, one in enumerate(ordered))
        self._of_optimizer = {place: layout for place, layout in held if layout is not None}
        if self._world.users.size > 1:
            optimizer.register_step_pre_hook(lambda *_: self._add_gradients(ordered))
        return {**changing, "draws": self._draws}

    def total(self, value: float) -> float:
        """Add up what the replicas have of a number."""
        total = torch.tensor(value, dtype=torch.float64)
        self._world.users.add(total)
        return float(total)

    def checkpoint(self, path: str | os.PathLike[str], every: Any, told: Mapping[str, Any]) -> Checkpoint:
        """Open a checkpoint of torch.distributed.checkpoint, a folder that any number of processes goes on from."""
        return SpreadCheckpoint(path, every, told, self._world, self._layout_at)

    def whole(self, state: Mapping[str, Array]) -> "dict[str, Array | InPieces]":
        """Return a state whose arrays are whole, for a file: what is spread is handed around piece by piece."""
        return {
            name: _Gathered(values, self._layouts[name], self._world) if name in self._layouts else values
            for name, values in state.items()
        }

    def meet(self) -> None:
        """Wait until all processes have come here."""
        self._world.everyone.barrier()

    def require_whole(self, what: str) -> None:
        """Raise: the model is spread."""
        raise TypeError(
            f"this model is spread over {self._world.size} processes, and {what} needs it whole: save it, and load the "
            "file in one process"
        )

    def _own(self, items: int | None = None) -> range:
        group = self._world.items
        return blocks(self._items if items is None else items, group.size)[group.rank]

    def _gathered(self, values: NDArray[Any], group: Any) -> NDArray[Any]:
        """Values of all processes of a group, (size, ...), in the memory of the host."""
        gathered: NDArray[Any] = group.all_gather(torch.from_numpy(np.ascontiguousarray(values))).numpy()
        return gathered

    def _add_gradients(self, parameters: list[nn.Parameter]) -> None:
        # One by one: what is sent at once is a parameter, which is as large as anything here.
        for parameter in parameters:
            if parameter.grad is not None:
                self._world.users.add(parameter.grad)

    def _layout_at(self, path: tuple[Any, ...]) -> Layout | None:
        """Tell what of a training's state has its rows in several processes, by its place in the state."""
        if len(path) >= 2 and path[-2] in ("module", "best") and path[-1] in self._layouts:
            return self._layouts[path[-1]]
        if path[:3] == ("parts", "optimizer", "state") and str(path[-1]).startswith("exp_avg"):
            return self._of_optimizer.get(path[3])
        return None


def merged(items: NDArray[np.int32], values: NDArray[np.float32]) -> Lists:
    """Merge lists (parts, n, k) of different items into the best k of all: score descending, then item ascending.

    Examples
    --------
    >>> items = np.array([[[4, 2]], [[7, -1]]], dtype=np.int32)
    >>> values = np.array([[[3, 1]], [[3, -np.inf]]], dtype=np.float32)
    >>> merged(items, values)[0]
    array([[4, 7]], dtype=int32)
    """
    _, n, k = items.shape
    items = np.moveaxis(items, 0, 1).reshape(n, -1)
    values = np.moveaxis(values, 0, 1).reshape(n, -1)
    order = np.lexsort((items, -values, items == NO_ITEM), axis=1)[:, :k]
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(values, order, axis=1)


class _Gathered:
    """An array of whose rows every process has some: each piece of it is handed to all by who has it."""

    def __init__(self, own: Array, layout: Layout, world: World) -> None:
        self._own = torch.as_tensor(own)
        self._layout = layout
        self._world = world
        self.shape = (layout.rows, *self._own.shape[1:])
        self.dtype = torch.empty(0, dtype=self._own.dtype).numpy().dtype

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield the rows of all processes in their order; every process is to ask for all of them."""
        group, layout = self._world.items, self._layout
        known = group.all_gather(torch.tensor(layout.segments)).tolist()
        # Where each stretch begins among all rows, whose it is, where it begins among theirs, and its length.
        stretches = []
        for source, segments in enumerate(known):
            at = 0
            for first, size in segments:
                stretches.append((first, source, at, size))
                at += size
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        share = max(sum(size for _, size in segments) for segments in known) * row
        step = max(1, max(_LEAST_AT_ONCE, int(_SHARE_AT_ONCE * share)) // max(row, 1))
        for _, source, at, size in sorted(stretches):
            for start in range(at, at + size, step):
                yield self._piece(source, start, min(start + step, at + size)).numpy()

    def _piece(self, source: int, start: int, stop: int) -> Tensor:
        group = self._world.items
        if source == group.rank:
            piece = self._own[start:stop].detach().to("cpu", copy=True).contiguous()
        else:
            piece = torch.empty(stop - start, *self.shape[1:], dtype=self._own.dtype)
        group.broadcast(piece, source)
        return piece
