"""Items in groups: an order in which each group's items stand together, and how widths are shared out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffrec.checks import shown
from diffrec.diffusion import Part


@dataclass(frozen=True)
class ItemGroups:
    """A partition of the items.

    Parameters
    ----------
    of_item : Tensor
        int64 (items,), the group of each item: 0 ... groups - 1, none empty.
    shared_by : tuple of int, optional
        Sizes of the groups that widths are shared out by, where items were added since; by default those they have.

    Attributes
    ----------
    order : Tensor
        int64 (items,), the items group by group, in rising order within a group.
    position : Tensor
        int64 (items,), the place of each item in ``order``.
    sizes : tuple of int
        Items in each group.
    shares : tuple of int
        What each group's share of a width is in proportion to.

    Examples
    --------
    >>> groups = ItemGroups(torch.tensor([1, 0, 1]))
    >>> groups.order, groups.sizes
    (tensor([1, 0, 2]), (1, 2))
    """

    of_item: Tensor
    shared_by: tuple[int, ...] | None = None

    def of_part(self, part: Part) -> tuple["ItemGroups", list[Part]]:
        """Return the groups as a part of the items has them, and for each its part: some of a group's items, or none.

        A group's items are numbered in rising order, as they stand in ``order``.
        """
        if not part.spread:
            return self, [part.among(size, (0, size)) for size in self.sizes]
        own = self.of_item[part.first : part.first + part.size]
        before = torch.bincount(self.of_item[: part.first], minlength=len(self.sizes)).tolist()
        held = torch.bincount(own, minlength=len(self.sizes)).tolist()
        parts = [part.among(size, (start, n)) for size, start, n in zip(self.sizes, before, held, strict=True)]
        return ItemGroups(own), parts

    @property
    def order(self) -> Tensor:
        """The items group by group."""
        return torch.argsort(self.of_item, stable=True)

    @property
    def position(self) -> Tensor:
        """The place of each item in ``order``."""
        return torch.argsort(self.order)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Items in each group."""
        return tuple(torch.bincount(self.of_item).tolist())

    @property
    def shares(self) -> tuple[int, ...]:
        """Numbers to which the groups' shares of a width are in proportion."""
        return self.sizes if self.shared_by is None else self.shared_by


def shared_widths(sizes: Sequence[int], width: int) -> tuple[int, ...]:
    """Share a layer's width among groups by their sizes.

    Every group but the last gets its share rounded down, at least 1; the last gets the rest, as in the authors' code.

    Raises
    ------
    ValueError
        When nothing is left for the last group.

    Examples
    --------
    >>> shared_widths((13, 13, 14), 20)
    (6, 6, 8)
    """
    total = sum(sizes)
    widths = [max(1, size * width // total) for size in sizes[:-1]]
    rest = width - sum(widths)
    if rest < 1:
        raise ValueError(
            f"a width of {width} cannot be shared by {len(sizes)} groups of sizes {shown(tuple(sizes))}: "
            "latent_dims and decoder_dims must be wider, or groups fewer"
        )
    return (*widths, rest)
