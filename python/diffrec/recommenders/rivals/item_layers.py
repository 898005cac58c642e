"""The layers of networks between item vectors: sparse on the way in, ranked by on the way out."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffrec.data.sparse_rows import SparseRows
from diffrec.ranking import LinearScores


class ItemsIn(nn.Module):
    """First layer: a row of weights per item, of which a history gathers those of its items.

    Parameters
    ----------
    items : int
        Length of the item vector.
    width : int
        Width of the layer.

    Examples
    --------
    >>> layer = ItemsIn(3, 2)
    >>> history = torch.tensor([[0.0, 1.0, 1.0]])
    >>> bool((layer(SparseRows.from_dense(history)) == layer(history)).all())
    True
    """

    def __init__(self, items: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(items, width))
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.xavier_normal_(self.weight)

    def forward(self, rows: SparseRows | Tensor) -> Tensor:
        """Map n item vectors to (n, width)."""
        return rows @ self.weight + self.bias


class ItemsOut(nn.Module):
    """Last layer: a row of weights and a bias per item.

    Parameters
    ----------
    items : int
        Length of the item vector.
    width : int
        Width of the layer before.
    """

    def __init__(self, items: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(items, width))
        self.bias = nn.Parameter(torch.zeros(items))
        nn.init.xavier_normal_(self.weight)

    def forward(self, h: Tensor) -> Tensor:
        """Map (n, width) to (n, items)."""
        return functional.linear(h, self.weight, self.bias)

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
