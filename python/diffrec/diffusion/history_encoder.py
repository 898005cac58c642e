"""An encoder of the last items of a history, in their order: what weighted bags of items cannot tell the denoiser."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class HistoryEncoder(nn.Module):
    """A small transformer over the items before a cut (as SASRec, Kang & McAuley 2018, arXiv 1808.09781).

    Nothing after the cut is among its input, so every item may attend to every other; the last one's state stands for
    the history.

    Parameters
    ----------
    items : int
        How many there are.
    length : int
        How many of the last ones are read [L].
    width : int
        Of the embeddings and of the state.
    layers : int
        Transformer layers.
    out : int
        Width of what is returned.
    dropout : float
        In training.

    Examples
    --------
    >>> encoder = HistoryEncoder(items=5, length=3, width=4, layers=1, out=7)
    >>> encoder(torch.tensor([[-1, 2, 4], [-1, -1, -1]])).shape
    torch.Size([2, 7])
    """

    def __init__(self, items: int, length: int, width: int, layers: int, out: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.items = nn.Embedding(items + 1, width)  # the last row stands for no item
        self.places = nn.Parameter(torch.empty(length, width))
        self.dropout = dropout
        layer = nn.TransformerEncoderLayer(
            width, _heads(width), 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(width, out)
        nn.init.normal_(self.items.weight, std=1 / math.sqrt(width))
        nn.init.normal_(self.places, std=0.1 / math.sqrt(width))

    def forward(self, last: Tensor, presence: Tensor | None = None) -> Tensor:
        """Encode int64 (n, length) items, newest last and -1 before the first; returns (n, out).

        ``presence`` (n, length) says how much each item is there, 1 by default: what an explanation differentiates by.
        """
        missing = last < 0
        x = self.items(torch.where(missing, self.items.num_embeddings - 1, last))
        if presence is not None:
            x = x * torch.where(missing, 1.0, presence).unsqueeze(2)
        x = x + self.places
        # The newest place is always read: softmax over nothing would be NaN for an empty history.
        missing = torch.cat([missing[:, :-1], torch.zeros_like(missing[:, -1:])], dim=1)
        x = functional.dropout(x, self.dropout, self.training)
        state: Tensor = self.layers(x, src_key_padding_mask=missing)
        return torch.as_tensor(self.out(state[:, -1]))


def _heads(width: int) -> int:
    """Heads of 32 and more entries, as many as divide the width."""
    return next(heads for heads in range(max(1, width // 32), 0, -1) if width % heads == 0)
