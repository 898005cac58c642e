"""Parts of the work of a batch that a process does: some of the items, some of the rows, and how sums are completed.

A network over very many items is spread over processes by its items: each holds their rows of the first and the last
layer, and everything between these layers is the same in all. What it takes to make one network of them is a sum over
the items here and there, and draws that are a function of where they stand. A network holds a ``Part`` for that; where
nothing is spread it is the ``Whole``, which adds nothing.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows


@dataclass(frozen=True)
class Layout:
    """Place of an array's rows, or of its columns, among those of all parts.

    Attributes
    ----------
    rows : int
        Of all parts together.
    segments : tuple of (int, int)
        The rows that are here, in their order: where each stretch of them begins among all, and how long it is.
    axis : int
        0, or 1 where it is columns that all this is said of.
    """

    rows: int
    segments: tuple[tuple[int, int], ...]
    axis: int = 0


def layouts_of(network: nn.Module) -> dict[str, Layout]:
    """Return by name which rows of a network's parameters are here, of those that are spread."""
    held = ((name, layout_of(parameter)) for name, parameter in network.named_parameters())
    return {name: layout for name, layout in held if layout is not None}


def layout_of(values: Tensor) -> Layout | None:
    """Return which rows or columns of a parameter, or of an array to be kept, are here; None where it is whole."""
    return getattr(values, "item_rows", None)


def ends_of(values: Tensor) -> Tensor | None:
    """Return where the rows of sparse entries begin that other parts have entries of, too; None where there are none.

    int64 (rows + 1,), of the entries that are here; of these beginnings it is they themselves.
    """
    return getattr(values, "item_ends", None)


class Part(Protocol):
    """Some of the items, and of every batch some rows.

    Attributes
    ----------
    items : int
        Of all parts together.
    first, size : int
        Where these begin among all (of several stretches the first), and how many they are.
    most : int
        How many the largest part has; the same in all.
    spread : bool
        Whether there are other parts with other items.
    by_place : bool
        Whether noise is a function of user and item on a GPU, too.
    """

    @property
    def items(self) -> int: ...  # noqa: D102 - above
    @property
    def first(self) -> int: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def most(self) -> int: ...  # noqa: D102
    @property
    def spread(self) -> bool: ...  # noqa: D102
    @property
    def by_place(self) -> bool: ...  # noqa: D102

    def among(self, items: int, *segments: tuple[int, int]) -> "Part":
        """Return the part that has other items, such as those of a group, of the same batches.

        Each segment is where a stretch of them begins among all, and how long it is.
        """
        ...

    def add(self, *sums: Tensor) -> None:
        """Add to each of the sums over these items, in place, those over the items of the other parts."""
        ...

    def largest(self, values: Tensor) -> None:
        """Replace each of the largest values over these items, in place, by that over all items."""
        ...

    def begin(self, rows: int) -> slice:
        """Say that a batch of so many rows begins; return which of them belong to this part."""
        ...

    def rows(self, n: int) -> tuple[int, slice]:
        """Return how many rows the batch has of which these are n, and which they are."""
        ...

    def of_all(self, values: Tensor) -> Tensor:
        """Put values (n,) of this part's rows together with those of the others, in the order of the batch."""
        ...

    def draw(self, weight: nn.Parameter, std: float, views: int = 1) -> None:
        """Fill a parameter, (views * size, ...) or (size,), with normal numbers, and note that its rows are items'."""
        ...

    def hold(self, values: Tensor, views: int = 1, axis: int = 0) -> None:
        """Note that the rows of an array, (views * size, ...), or its columns, are these items'."""
        ...

    def hold_entries(self, ends: Tensor, *arrays: Tensor) -> None:
        """Note that other parts have further entries of the rows that begin at ``ends`` (rows + 1,) in the arrays."""
        ...

    def normal_like(self, values: Tensor) -> Tensor:
        """Draw standard normal numbers for values (n, ...) of this part's rows."""
        ...

    def dropout(self, values: Tensor, dropout_rate: float, *, training: bool) -> Tensor:
        """Set some of the values (n, ...) of this part's rows to 0 in training; the others grow to keep the mean."""
        ...

    def dropout_entries(self, rows: SparseRows, dropout_rate: float, *, training: bool) -> SparseRows:
        """Set some of the entries of this part's rows over these items to 0 in training."""
        ...

    def normals_over_items(self, n: int, views: int, like: Tensor) -> Tensor:
        """Draw standard normal numbers (n, views * size), the same n vectors for all rows of a batch, of a kind."""
        ...


@dataclass(frozen=True)
class Whole:
    """The part that is everything: all items, and all rows of a batch.

    Examples
    --------
    >>> whole = Whole(5)
    >>> whole.size, whole.rows(3)
    (5, (3, slice(0, 3, None)))
    """

    items: int

    @property
    def first(self) -> int:
        """0: it begins with the first item."""
        return 0

    @property
    def size(self) -> int:
        """Number of the items here: all of them."""
        return self.items

    @property
    def most(self) -> int:
        """All there are."""
        return self.items

    @property
    def spread(self) -> bool:
        """False: there are no other parts."""
        return False

    @property
    def by_place(self) -> bool:
        """False: torch's generator draws the noise."""
        return False

    def among(self, items: int, *segments: tuple[int, int]) -> "Whole":  # noqa: ARG002 - all of them
        """Return the whole of other items."""
        return Whole(items)

    def add(self, *sums: Tensor) -> None:
        """Do nothing: there are no others."""

    def largest(self, values: Tensor) -> None:
        """Do nothing: there are no others."""

    def begin(self, rows: int) -> slice:
        """Return all rows."""
        return slice(0, rows)

    def rows(self, n: int) -> tuple[int, slice]:
        """Return n, and all of them."""
        return n, slice(0, n)

    def of_all(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values

    def draw(self, weight: nn.Parameter, std: float, views: int = 1) -> None:  # noqa: ARG002 - one draw for all
        """Fill a parameter with normal numbers of torch's."""
        nn.init.normal_(weight, std=std)

    def hold(self, values: Tensor, views: int = 1, axis: int = 0) -> None:
        """Do nothing: nothing is spread."""

    def hold_entries(self, ends: Tensor, *arrays: Tensor) -> None:
        """Do nothing: there are no others."""

    def normal_like(self, values: Tensor) -> Tensor:
        """Draw normal numbers of a shape by torch's generator."""
        return torch.randn_like(values)

    def dropout(self, values: Tensor, dropout_rate: float, *, training: bool) -> Tensor:
        """Drop values by torch's generator."""
        return functional.dropout(values, dropout_rate, training)

    def dropout_entries(self, rows: SparseRows, dropout_rate: float, *, training: bool) -> SparseRows:
        """Drop stored entries by torch's generator."""
        return replace(rows, values=functional.dropout(rows.values, dropout_rate, training))

    def normals_over_items(self, n: int, views: int, like: Tensor) -> Tensor:
        """Draw a normal number for each row and item by torch's generator."""
        return torch.randn(n, views * self.items, dtype=like.dtype, device=like.device)


def summed(part: Part, partial: Tensor) -> Tensor:
    """Complete a sum over the part's items to one over all; its gradient is every part's.

    What follows is computed alike by all parts that share a batch's rows.
    """
    if not part.spread:
        return partial
    total: Tensor = _Summed.apply(part, partial)
    return total


def handed_out(part: Part, shared: Tensor) -> Tensor:
    """Hand what all parts have alike to the part's own items; the parts' gradients of it are added up."""
    if not part.spread:
        return shared
    out: Tensor = _HandedOut.apply(part, shared)
    return out


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, part: Part, partial: Tensor) -> Tensor:
        total = partial.clone()
        part.add(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(_ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, grad


class _HandedOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Part, shared: Tensor) -> Tensor:
        ctx.part = part
        return shared.view_as(shared)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        total = grad.clone()
        ctx.part.add(total)
        return None, total
