"""The share of a model and of its users that one process of a grid has."""

import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffrec._tensors import Array
from diffrec.data import Csr, columns_of
from diffrec.data.tensor_file import InPieces
from diffrec.diffusion import Layout, ends_of, layout_of, layouts_of
from diffrec.distributed.checkpoint import SpreadCheckpoint
from diffrec.distributed.part import Draws, SpreadPart, blocks, evenly
from diffrec.distributed.world import Group, World
from diffrec.ranking import NO_ITEM
from diffrec.training import Callback, Checkpoint, EpochRecord, Stateful, resolve_device
from diffrec.training.share import Held, Lists, Number, Share

# Of what a process holds of a parameter this much is handed around at once when a file is written.
_SHARE_AT_ONCE, _LEAST_AT_ONCE = 0.05, 1 << 16
# Bytes of what the first process says of a callback that failed.
_SAID = 200


class Spread(Share):
    """The share of one of the processes that a model is spread over.

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
        self._layouts: dict[str, Layout] = {}
        self._of_optimizer: dict[int, Layout] = {}

    @property
    def speaks(self) -> bool:
        """Whether this is the first of all processes."""
        return self._world.leads

    def part(self, items: int) -> SpreadPart:
        """Return this process's block of the items."""
        own = self._own(items)
        return SpreadPart(self._world, self._draws, items, (own.start, len(own)))

    def device(self, name: str) -> torch.device:
        """Return the device of that name; of several GPUs each process of a machine has its own.

        Where there are GPUs, but not one for each process, ``"auto"`` warns and means the processors.

        Raises
        ------
        ValueError
            When a GPU is asked for, and there are fewer than processes; or one by its number, by all of a machine.
        """
        device, world = resolve_device(name), self._world
        if device.type != "cuda":
            return device
        if device.index is not None:
            if world.beside > 1:
                raise ValueError(
                    f"device={name!r} is one GPU, and {world.beside} processes of this machine train together: "
                    "device='cuda' gives each its own"
                )
            return device
        if world.gpu is not None:
            return torch.device("cuda", world.gpu)
        few = f"a GPU for every process, and {world.beside} processes of this machine see {torch.cuda.device_count()}"
        if name != "auto":
            raise ValueError(f"device={name!r} needs {few}")
        warnings.warn(f"training is on the processors: GPUs would need {few}", stacklevel=2)
        return torch.device("cpu")

    @property
    def beside(self) -> int:
        """How many processes this machine has."""
        return self._world.beside

    def callbacks(self, given: Sequence[Callback]) -> Sequence[Callback]:
        """Return what calls them in the first process, while the others wait: all end where one of them fails."""
        return (partial(self._call_back, given),)

    def _call_back(self, given: Sequence[Callback], record: EpochRecord) -> None:
        said, failed = torch.zeros(_SAID, dtype=torch.uint8), None
        if self.speaks:
            try:
                for callback in given:
                    callback(record)
            except BaseException as error:
                failed = error
                text = f"{type(error).__name__}: {error}".encode()[:_SAID]
                said[: len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        self._world.patient.broadcast(said, 0)
        if failed is not None:
            raise failed
        if said.any():
            text = bytes(said.numpy()).rstrip(b"\0")
            raise RuntimeError(f"a callback ended the first process: {text.decode(errors='replace')}")

    def columns(self, matrix: Csr, items: int) -> Csr:
        """Return the columns of this process's items."""
        own = self._own(items)
        return columns_of(matrix, items, own.start, len(own))

    def rows(self, of_items: Held) -> Held:
        """Return those of this process's items."""
        own = self._own(len(of_items))
        return of_items[own.start : own.stop]

    def users(self, n: int) -> slice:
        """Return this replica's part of n users; of a few every replica ranks all."""
        users = self._world.users
        return evenly(n, users.size)[users.rank] if n >= users.size else slice(0, n)

    def merged(self, lists: Lists, n: int, items: int) -> Lists:
        """Merge the lists of all blocks of items, then put those of all users together."""
        first = self._own(items).start
        found, values = lists
        found = np.where(found == NO_ITEM, NO_ITEM, found + first).astype(np.int32)
        found, values = best_of(self._gathered(found, self._world.items), self._gathered(values, self._world.items))
        users = self._world.users
        if users.size == 1 or n < users.size:
            return found, values
        lengths = [own.stop - own.start for own in evenly(n, users.size)]
        return self._side_by_side(found, lengths, users), self._side_by_side(values, lengths, users)

    def divided(self, n: int) -> slice:
        """Return the rows of this process, of all in the grid."""
        everyone = self._world.everyone
        return evenly(n, everyone.size)[everyone.rank]

    def joined(self, rows: NDArray[Number]) -> NDArray[Number]:
        """Put the rows of all processes in the grid together."""
        everyone = self._world.everyone
        lengths = everyone.all_gather(torch.tensor(len(rows))).tolist()
        return self._side_by_side(rows, lengths, everyone)

    def of_first(self, values: Tensor) -> Tensor:
        """Return the values of the first process."""
        self._world.everyone.broadcast(values, 0)
        return values

    def clock(self) -> float:
        """Return the first process's."""
        now = torch.tensor(time.perf_counter(), dtype=torch.float64)
        self._world.everyone.broadcast(now, 0)
        return float(now)

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
        optimizer.register_step_pre_hook(lambda *_: self._agree_on_gradients(ordered))
        return {**changing, "draws": self._draws}

    def total(self, value: float) -> float:
        """Add up what the replicas have of a number."""
        total = torch.tensor(value, dtype=torch.float64)
        self._world.users.add(total)
        return float(total)

    def largest(self, value: float) -> float:
        """Return the largest of all processes."""
        largest = torch.tensor(value, dtype=torch.float64)
        self._world.everyone.largest(largest)
        return float(largest)

    def checkpoint(self, path: str | os.PathLike[str], every: Any, told: Mapping[str, Any]) -> Checkpoint:
        """Open a checkpoint of torch.distributed.checkpoint, a folder that any number of processes goes on from."""
        return SpreadCheckpoint(path, every, told, self._world, self._layout_at)

    def whole(self, state: Mapping[str, Array]) -> "dict[str, Array | InPieces]":
        """Return a state whose arrays are whole, for a file: what is spread is handed around piece by piece."""
        return {name: self._whole(values, self._layouts.get(name)) for name, values in state.items()}

    def _whole(self, values: Array, layout: Layout | None) -> "Array | InPieces":
        own = torch.as_tensor(values)
        layout, ends = layout or layout_of(own), ends_of(own)
        if ends is not None:
            return _Beginnings(own, self._world) if ends is own else _Entries(own, ends, self._world)
        if layout is None:
            return values
        return (_Columns if layout.axis else _Gathered)(own, layout, self._world)

    def meet(self) -> None:
        """Wait until all processes have come here, however long one of them takes."""
        self._world.patient.barrier()

    def require_whole(self, what: str) -> None:
        """Raise: the model is spread."""
        raise TypeError(
            f"this model is spread over {self._world.size} processes, and {what} needs it whole: save it, and load the "
            "file in one process"
        )

    def require_alone(self, what: str) -> None:
        """Raise: several processes are to fit together."""
        raise TypeError(
            f"{what} is for one process, and {self._world.size} are to fit together: start one, without torchrun (or "
            "distributed='never' in each), or fit what can be spread over several, such as variant='diffrec'"
        )

    def _own(self, items: int) -> range:
        group = self._world.items
        return blocks(items, group.size)[group.rank]

    def _side_by_side(self, rows: NDArray[Number], lengths: list[int], group: Group) -> NDArray[Number]:
        """Rows of all processes of a group one after the other, of which each has so many."""
        padding = [(0, max(lengths) - len(rows)), *[(0, 0)] * (rows.ndim - 1)]
        parts = zip(self._gathered(np.pad(rows, padding), group), lengths, strict=True)
        return np.concatenate([part[:length] for part, length in parts])

    def _gathered(self, values: NDArray[Any], group: Group) -> NDArray[Any]:
        """Values of all processes of a group, (size, ...), in the memory of the host."""
        gathered: NDArray[Any] = group.all_gather(torch.from_numpy(np.ascontiguousarray(values))).numpy()
        return gathered

    def _agree_on_gradients(self, parameters: list[nn.Parameter]) -> None:
        # One by one: what is sent at once is a parameter, which is as large as anything here.
        for parameter in parameters:
            if parameter.grad is not None:
                self._world.users.add(parameter.grad)
        # What all processes of a row hold alike has the same gradient in each, but for what a GPU, or another kind of
        # processor, makes of the order of a sum: they would drift apart.
        alike = (one.grad for one in parameters if layout_of(one) is None)
        self._world.items.of_first(*(gradient for gradient in alike if gradient is not None))

    def _layout_at(self, path: tuple[Any, ...]) -> Layout | None:
        """Tell what of a training's state has its rows in several processes, by its place in the state."""
        if len(path) >= 2 and path[-2] in ("module", "best") and path[-1] in self._layouts:
            return self._layouts[path[-1]]
        if path[:3] == ("parts", "optimizer", "state") and str(path[-1]).startswith("exp_avg"):
            return self._of_optimizer.get(path[3])
        return None


def best_of(items: NDArray[np.int32], values: NDArray[np.float32]) -> Lists:
    """Merge lists (parts, n, k) of different items into the best k of all: score descending, then item ascending.

    Examples
    --------
    >>> items = np.array([[[4, 2]], [[7, -1]]], dtype=np.int32)
    >>> values = np.array([[[3, 1]], [[3, -np.inf]]], dtype=np.float32)
    >>> best_of(items, values)[0]
    array([[4, 7]], dtype=int32)
    """
    _, n, k = items.shape
    items = np.moveaxis(items, 0, 1).reshape(n, -1)
    values = np.moveaxis(values, 0, 1).reshape(n, -1)
    order = np.lexsort((items, -values, items == NO_ITEM), axis=1)[:, :k]
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(values, order, axis=1)


class _Gathered:
    """An array of whose rows every process has some: each piece of it is handed to all by who has it."""

    def __init__(self, own: Tensor, layout: Layout, world: World) -> None:
        self._own = own
        self._layout = layout
        self._world = world
        self.shape = (layout.rows, *own.shape[1:])
        self.dtype = torch.empty(0, dtype=own.dtype).numpy().dtype

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


class _Columns:
    """An array (rows, columns) of whose columns every process has a block: put side by side some rows at a time."""

    def __init__(self, own: Tensor, layout: Layout, world: World) -> None:
        self._own, self._columns, self._world = own, layout.rows, world
        self.shape = (len(own), layout.rows)
        self.dtype = torch.empty(0, dtype=own.dtype).numpy().dtype

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield some rows of all processes at a time; every process is to ask for all of them."""
        group = self._world.items
        most = -(-self._columns // group.size)
        # As many for everyone, however few columns the last ones have.
        step = _rows_at_once(len(self._own) * most, max(1, self._columns))
        for start in range(0, len(self._own), step):
            own = self._own[start : start + step].detach().cpu()
            # Only the last blocks may be shorter, so that what fills them up stands behind everything.
            padded = own.new_zeros(len(own), most)
            padded[:, : own.shape[1]] = own
            side_by_side = torch.cat(list(group.all_gather(padded)), dim=1)
            yield np.ascontiguousarray(side_by_side[:, : self._columns].numpy())


class _Beginnings:
    """Where the rows of sparse entries begin, of all processes' entries together: sums of where they begin in each."""

    def __init__(self, own: Tensor, world: World) -> None:
        self._own, self._world = own, world
        self.shape = tuple(own.shape)
        self.dtype = torch.empty(0, dtype=own.dtype).numpy().dtype

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield some of them at a time; every process is to ask for all."""
        for part in self._own.split(_LEAST_AT_ONCE):
            total = part.clone()
            self._world.items.add(total)
            yield total.numpy()


class _Entries:
    """Entries of a sparse matrix, (entries,), of whose rows every process may have some: merged row by row."""

    def __init__(self, own: Tensor, ends: Tensor, world: World) -> None:
        self._own, self._ends, self._world = own, ends, world
        total = torch.tensor(len(own))
        world.items.add(total)
        self.shape = (int(total),)
        self.dtype = torch.empty(0, dtype=own.dtype).numpy().dtype

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield the entries of some rows at a time; every process is to ask for all."""
        group, ends = self._world.items, self._ends
        rows = len(ends) - 1
        step = _rows_at_once(self.shape[0] // group.size, max(1, self.shape[0] // max(rows, 1)))
        for start in range(0, rows, step):
            lengths = ends[start : start + step + 1].diff()
            of_all = group.all_gather(lengths)
            sizes = of_all.sum(dim=1)
            padded = self._own.new_zeros(int(sizes.max()))
            own = self._own[int(ends[start]) : int(ends[start]) + int(lengths.sum())]
            padded[: len(own)] = own
            found = zip(group.all_gather(padded), sizes.tolist(), strict=True)
            entries = torch.cat([values[:size] for values, size in found])
            row = torch.arange(len(lengths)).repeat(group.size).repeat_interleave(of_all.flatten())
            # Blocks of items follow each other, and so do the entries of a row.
            yield entries[row.argsort(stable=True)].numpy()


def _rows_at_once(own: int, width: int) -> int:
    """Return how many rows of so many numbers to hand around at once, where a process holds ``own`` numbers."""
    return max(1, max(_LEAST_AT_ONCE, int(_SHARE_AT_ONCE * own)) // width)
