"""The layers of networks between item vectors: sparse on the way in, ranked by on the way out."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import Part, Whole, handed_out, summed, xavier_std
from diffrec.ranking import LinearScores


class ItemsIn(nn.Module):
    """First layer: a row of weights per item, of which a history gathers those of its items.

    Parameters
    ----------
    items : int
        Length of the item vector.
    width : int
        Width of the layer.
    part : Part, optional
        The items whose rows it holds, where it is spread over processes; by default all.

    Examples
    --------
    >>> layer = ItemsIn(3, 2)
    >>> history = torch.tensor([[0.0, 1.0, 1.0]])
    >>> bool((layer(SparseRows.from_dense(history)) == layer(history)).all())
    True
    """

    def __init__(self, items: int, width: int, part: Part | None = None) -> None:
        super().__init__()
        self.part = part = part or Whole(items)
        self.weight = nn.Parameter(torch.empty(part.size, width))
        self.bias = nn.Parameter(torch.zeros(width))
        part.draw(self.weight, xavier_std(items, width))

    def forward(self, rows: SparseRows | Tensor) -> Tensor:
        """Map n item vectors to (n, width)."""
        return summed(self.part, rows @ self.weight) + self.bias


class ItemsOut(nn.Module):
    """Last layer: a row of weights and a bias per item.

    Parameters
    ----------
    items : int
        Length of the item vector.
    width : int
        Width of the layer before.
    part : Part, optional
        The items whose rows it holds, where it is spread over processes; by default all.
    """

    def __init__(self, items: int, width: int, part: Part | None = None) -> None:
        super().__init__()
        self.part = part = part or Whole(items)
        self.weight = nn.Parameter(torch.empty(part.size, width))
        self.bias = nn.Parameter(torch.zeros(part.size))
        part.draw(self.weight, xavier_std(items, width))
        part.hold(self.bias)

    def forward(self, h: Tensor) -> Tensor:
        """Map (n, width) to (n, items), those of the part."""
        return functional.linear(handed_out(self.part, h), self.weight, self.bias)

    def scores(self, h: Tensor) -> LinearScores:
        """Give what ``forward`` computes to the ranking step, which never holds it whole."""
        return LinearScores(h, self.weight.detach(), self.bias.detach())


def tanh_layers(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers from each width to the next, each followed by tanh; none for one width.

    Examples
    --------
    >>> tanh_layers((4, 3))
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): Tanh()
    )
    """
    layers: list[nn.Module] = []
    for inside, outside in itertools.pairwise(widths):
        layer = nn.Linear(inside, outside)
        nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers)


def rows_of_layers(items: int) -> dict[str, Tensor]:
    """Name the weights of a network's ``items_in`` and ``items_out``, and the item that each of their rows is of.

    Examples
    --------
    >>> rows_of_layers(2)["items_out.bias"]
    tensor([0, 1])
    """
    return dict.fromkeys(("items_in.weight", "items_out.weight", "items_out.bias"), torch.arange(items))
