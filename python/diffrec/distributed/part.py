"""Part of the items, and of the rows of every batch, that a process of several holds."""

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from diffrec import _core
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import Layout, uniform_at
from diffrec.diffusion.counter_noise import normal_block
from diffrec.diffusion.item_products import columns_at_once
from diffrec.distributed.world import World


def blocks(items: int, parts: int) -> list[range]:
    """Part items into blocks of one size, of which the last may be shorter or empty.

    Examples
    --------
    >>> blocks(10, 4)
    [range(0, 3), range(3, 6), range(6, 9), range(9, 10)]
    """
    size = -(-items // parts)
    return [range(min(rank * size, items), min((rank + 1) * size, items)) for rank in range(parts)]


# Steps of draws: batches are counted by the lower half of such numbers.
_STEPS = 1 << 31


def evenly(rows: int, parts: int) -> list[slice]:
    """Part rows as evenly as may be: none is without rows that need not be.

    Examples
    --------
    >>> evenly(5, 4)
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None), slice(3, 5, None)]
    """
    return [slice(rows * part // parts, rows * (part + 1) // parts) for part in range(parts)]


@dataclass
class Draws:
    """State that the parts of a process share: the seed, how often it was drawn from, and the batch that goes on."""

    seed: int
    number: int = 0
    total: int = 0
    own: slice = field(default_factory=lambda: slice(0, 0))

    def next(self) -> int:
        """Count a draw: its step, none of those by which batches are noised."""
        self.number += 1
        return _STEPS + self.number

    def state_dict(self) -> dict[str, Any]:
        """Return how often it was drawn from."""
        return {"number": self.number}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was asked for."""
        self.number = int(state_dict["number"])


class SpreadPart:
    """Stretches of the items, and a share of the rows of every batch; see ``Part``.

    Numbers with an item's place in them are drawn at that place, all others by torch, whose random state is the same in
    all processes: so that any grid of processes draws the same.

    Parameters
    ----------
    world : World
        The processes.
    draws : Draws
        Shared by the parts of a process.
    items : int
        Of all processes together.
    segments : (int, int)
        Where each stretch of this process's begins among them, and how long it is.
    """

    def __init__(self, world: World, draws: Draws, items: int, *segments: tuple[int, int]) -> None:
        self.items, self.first = items, segments[0][0]
        self.size = sum(size for _, size in segments)
        self._segments = segments
        self._world = world
        self._draws = draws

    @property
    def most(self) -> int:
        """Items of the largest block."""
        return -(-self.items // self._world.items.size)

    @property
    def spread(self) -> bool:
        """Whether other processes have other items."""
        return self._world.items.size > 1

    @property
    def by_place(self) -> bool:
        """Whoever else there is: any grid draws the same."""
        return True

    def among(self, items: int, *segments: tuple[int, int]) -> "SpreadPart":
        """Return the part that has other items of the same batches."""
        return SpreadPart(self._world, self._draws, items, *segments)

    def add(self, *sums: Tensor) -> None:
        """Add to each of the sums over these items those over the items of the other parts."""
        self._world.items.add(*sums)

    def largest(self, values: Tensor) -> None:
        """Replace each of the largest values over these items by that over all items."""
        self._world.items.largest(values)

    def begin(self, rows: int) -> slice:
        """Say that a batch of so many rows begins; return which of them belong to this part."""
        users = self._world.users
        self._draws.total, self._draws.own = rows, evenly(rows, users.size)[users.rank]
        return self._draws.own

    def rows(self, n: int) -> tuple[int, slice]:
        """Return how many rows the batch has of which these are n, and which they are."""
        own = self._draws.own
        return (self._draws.total, own) if own.stop - own.start == n else (n, slice(0, n))

    def of_all(self, values: Tensor) -> Tensor:
        """Put values of this part's rows together with those of the others, in the order of the batch."""
        if self._world.users.size == 1:
            return values
        total, own = self.rows(len(values))
        out = values.new_zeros(total, *values.shape[1:])
        out[own] = values
        self._world.users.add(out)
        return out

    def hold(self, values: Tensor, views: int = 1, axis: int = 0) -> None:
        """Note that the rows of an array, or its columns, are these items'."""
        stretches = tuple((view * self.items + first, size) for view in range(views) for first, size in self._segments)
        values.item_rows = Layout(views * self.items, stretches, axis)  # type: ignore[attr-defined]

    def hold_entries(self, ends: Tensor, *arrays: Tensor) -> None:
        """Note that other parts have further entries of the same rows."""
        for values in (ends, *arrays):
            values.item_ends = ends  # type: ignore[attr-defined]

    def draw(self, weight: nn.Parameter, std: float, views: int = 1) -> None:
        """Fill a parameter with normal numbers, each a function of its item and its column."""
        self.hold(weight, views)
        step = self._draws.next()
        if weight.is_meta:
            return
        width = weight[:1].numel() if len(weight) else 0
        drawn = np.empty((len(weight), width), dtype=np.float32)
        if drawn.size:
            _core.normal_rows(self._draws.seed, step, self._rows_of(views), 0, drawn)
        with torch.no_grad():
            weight.copy_(std * torch.from_numpy(drawn).to(weight).view(weight.shape))

    def normal_like(self, values: Tensor) -> Tensor:
        """Draw for the whole batch, and return this part's rows."""
        total, own = self.rows(len(values))
        drawn = torch.randn(total, *values.shape[1:], dtype=values.dtype, device=values.device)
        return drawn[own]

    def dropout(self, values: Tensor, dropout_rate: float, *, training: bool) -> Tensor:
        """Draw for the whole batch, and drop this part's rows."""
        if not training or dropout_rate == 0:
            return values
        total, own = self.rows(len(values))
        kept = functional.dropout(values.new_ones(total, *values.shape[1:]), dropout_rate)
        return values * kept[own]

    def dropout_entries(self, rows: SparseRows, dropout_rate: float, *, training: bool) -> SparseRows:
        """Set some of the entries to 0 in training, each by its row and its item."""
        if not training or dropout_rate == 0:
            return rows
        _, own = self.rows(len(rows))
        view, item = torch.div(rows.indices, max(self.size, 1), rounding_mode="floor"), rows.indices % max(self.size, 1)
        column = view * self.items + self.first + item
        drawn = uniform_at(self._draws.seed, self._draws.next(), rows.row_of_entry() + own.start, column)
        return replace(rows, values=rows.values * ((drawn >= dropout_rate) / (1 - dropout_rate)).to(rows.values.dtype))

    def normals_over_items(self, n: int, views: int, like: Tensor) -> Tensor:
        """Draw standard normal numbers (n, views * size), each by its row and its item."""
        step, numbers = self._draws.next(), np.arange(n, dtype=np.int64)
        if like.device.type != "cpu":
            # Made where they are wanted, a block of columns at a time.
            rows = torch.from_numpy(numbers).to(like.device)
            made, wide = like.new_empty(n, views * self.size), columns_at_once(n)
            for view, start in itertools.product(range(views), range(0, self.size, wide)):
                place, width = view * self.items + self.first + start, min(wide, self.size - start)
                noise = normal_block(self._draws.seed, step, rows, place, width, like.device)
                made[:, view * self.size + start :][:, :width] = noise
            return made
        out = np.empty((n, views * self.size), dtype=np.float32)
        for view in range(views):
            block = np.empty((n, self.size), dtype=np.float32)
            if block.size:
                _core.normal_rows(self._draws.seed, step, numbers, view * self.items + self.first, block)
            out[:, view * self.size : (view + 1) * self.size] = block
        return torch.from_numpy(out).to(like)

    def _rows_of(self, views: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
        own = np.concatenate([np.arange(first, first + size) for first, size in self._segments]).astype(np.int64)
        return np.concatenate([view * self.items + own for view in range(views)])
