"""The share of a model that a process holds: all of it, unless it was spread over several."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffrec._tensors import Array
from diffrec.data import Csr
from diffrec.data.tensor_file import InPieces
from diffrec.training.checkpoint import Checkpoint, Stateful
from diffrec.training.report import Callback

if TYPE_CHECKING:
    import torch
    from torch import nn

    from diffrec.diffusion import Part

Number = TypeVar("Number", bound=np.generic)
Held = TypeVar("Held", "NDArray[Any]", "torch.Tensor")
Lists = tuple[NDArray[np.int32], NDArray[np.float32]]


class Share:
    """Tells a recommender what of its items, and of the users it serves, is this process's.

    This one is all there is, where one process does everything; ``diffrec.distributed.Spread`` is one of several.
    """

    @property
    def speaks(self) -> bool:
        """Whether it is this process that shows progress and writes files."""
        return True

    def part(self, items: int) -> "Part":
        """Return the part of so many items that a network is to hold here."""
        from diffrec.diffusion import Whole

        return Whole(items)

    def device(self, name: str) -> "torch.device":
        """Return the device of this process by its setting."""
        from diffrec.training import resolve_device

        return resolve_device(name)

    @property
    def beside(self) -> int:
        """How many processes share this machine, this one included."""
        return 1

    def callbacks(self, given: Sequence[Callback]) -> Sequence[Callback]:
        """Return what is to be called with every epoch's record, by all processes."""
        return given

    def columns(self, matrix: Csr, items: int) -> Csr:  # noqa: ARG002 - all of them
        """Return the columns of this process's items, of a matrix of one or more views of all of them."""
        return matrix

    def rows(self, of_items: Held) -> Held:
        """Return those of this process's items of a row or a value for each of all."""
        return of_items

    def users(self, n: int) -> slice:
        """Return which of n users this process is to rank for."""
        return slice(0, n)

    def merged(self, lists: Lists, n: int, items: int) -> Lists:  # noqa: ARG002 - they are all
        """Make of the lists of this process's users over its items the lists of all n users over all items."""
        return lists

    def divided(self, n: int) -> slice:
        """Return which of n rows this process is to work out, where each is worked out by one of all."""
        return slice(0, n)

    def joined(self, rows: NDArray[Number]) -> NDArray[Number]:
        """Put the rows that the processes have worked out together, in the order in which they were divided."""
        return rows

    def of_first(self, values: "torch.Tensor") -> "torch.Tensor":
        """Return what the first process has of values that each works out, where a last bit may make a difference."""
        return values

    def clock(self) -> float:
        """Return the seconds since some moment, the same number in all processes."""
        return time.perf_counter()

    def hold(self, network: "nn.Module") -> None:
        """Take note of the network whose rows are here."""

    def watch(self, network: "nn.Module", changing: Mapping[str, Stateful]) -> Mapping[str, Stateful]:  # noqa: ARG002
        """Take note of what is to be trained here; return what changes in training, its own draws included."""
        return changing

    def total(self, value: float) -> float:
        """Add up the shares that processes have in a number."""
        return value

    def largest(self, value: float) -> float:
        """Return the largest that a process has of a number."""
        return value

    def checkpoint(self, path: str | os.PathLike[str], every: Any, told: Mapping[str, Any]) -> Checkpoint:
        """Open the checkpoint of a fit."""
        return Checkpoint(path, every, told)

    def whole(self, state: Mapping[str, Array]) -> "Mapping[str, Array | InPieces]":
        """Return a state whose arrays are whole, for a file, though perhaps only piece by piece."""
        return state

    def meet(self) -> None:
        """Wait until all processes have come here."""

    def require_whole(self, what: str) -> None:
        """Raise ``TypeError`` where the model is spread, and ``what`` needs all of it."""

    def require_alone(self, what: str) -> None:
        """Raise ``TypeError`` where several processes are to fit together, and ``what`` is for one alone."""


ALONE = Share()
