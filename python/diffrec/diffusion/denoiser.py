"""The denoiser: a multilayer perceptron over an item vector and the embedding of its step."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffrec.diffusion.linear import linear
from diffrec.diffusion.part import Part, Whole

# Period of the slowest wave of an embedding, in steps.
_LONGEST_PERIOD = 10_000.0


def step_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding of steps (Vaswani et al. 2017, as used by Ho et al. 2020).

    Parameters
    ----------
    t : Tensor
        (n,) steps.
    width : int
        Length of an embedding; an odd one ends in a zero.

    Returns
    -------
    Tensor
        float32 (n, width): cosines, then sines, fast waves first.

    Examples
    --------
    >>> step_embedding(torch.tensor([0, 1]), 4)
    tensor([[1.0000, 1.0000, 0.0000, 0.0000],
            [0.5403, 0.9999, 0.8415, 0.0100]])
    """
    half = width // 2
    positions = torch.arange(half, dtype=torch.float32, device=t.device)
    frequencies = torch.exp(-math.log(_LONGEST_PERIOD) * positions / max(half, 1))
    phase = t[:, None].float() * frequencies
    return functional.pad(torch.cat([phase.cos(), phase.sin()], dim=1), (0, width % 2))


class Denoiser(nn.Module):
    """f_theta(x_t, t): predicts x_0 or the noise from a noised item vector (the paper's section 3.3).

    The layers run ``items -> dims[-1] -> ... -> dims[0] -> ... -> dims[-1] -> items`` with tanh between them, so that
    ``dims`` reads as the decoder's widths, the bottleneck first. The step's embedding enters at the first layer.
    The two layers that touch the items keep their weights as (items, width): a history gathers the rows of its items
    from the first, and ranking multiplies blocks of rows of the last.

    Parameters
    ----------
    items : int
        Length of the item vector.
    dims : sequence of int
        Hidden widths, bottleneck first.
    time_embedding : int
        Width of the step embedding.
    normalize : bool
        Scale each x_t to unit length first.
    dropout : float
        Share of the input entries dropped in training.
    views : int
        How many item vectors side by side are its input, such as several views of a history.
    part : Part, optional
        The items whose rows it holds, where it is spread over processes; by default all.

    Examples
    --------
    >>> denoiser = Denoiser(items=7, dims=(4, 6))
    >>> denoiser(torch.zeros(2, 7), torch.tensor([0, 3])).shape
    torch.Size([2, 7])
    """

    def __init__(
        self,
        items: int,
        dims: Sequence[int] = (1000,),
        time_embedding: int = 10,
        *,
        normalize: bool = False,
        dropout: float = 0.5,
        views: int = 1,
        part: Part | None = None,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.dropout = dropout
        self.time_embedding = time_embedding
        self.part = part = part or Whole(items)
        #: Whose rows of a batch these are: those of another part where the "items" are latents of its items.
        self.rows: Part = part
        width = dims[-1]
        self.embed_step = nn.Linear(time_embedding, time_embedding)
        self.items_in = nn.Parameter(torch.empty(views * part.size, width))
        self.step_in = nn.Linear(time_embedding, width)
        inner = [*dims[::-1], *dims[1:]]
        self.inner = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(inner))
        self.items_out = nn.Parameter(torch.empty(part.size, width))
        self.bias_out = nn.Parameter(torch.empty(part.size))
        self._initialize(views)

    def _initialize(self, views: int) -> None:
        """Xavier-normal weights and small normal biases, as the authors draw them."""
        part, width = self.part, self.items_in.shape[1]
        features = views * part.items
        # The item vector and the embedding are two halves of one layer's input: one standard deviation for both.
        part.draw(self.items_in, xavier_std(features + self.time_embedding, width), views)
        nn.init.normal_(self.step_in.weight, std=xavier_std(features + self.time_embedding, width))
        part.draw(self.items_out, xavier_std(width, part.items))
        for layer in (self.embed_step, *self.inner):
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=xavier_std(layer.in_features, layer.out_features))
            nn.init.normal_(layer.bias, std=0.001)
        nn.init.normal_(self.step_in.bias, std=0.001)
        part.draw(self.bias_out, 0.001)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Predict from ``x_t`` (n, items) at steps ``t`` (n,); returns (n, items)."""
        if self.normalize:
            x_t = functional.normalize(x_t)
        x_t = self.rows.dropout(x_t, self.dropout, training=self.training)
        h = self.hidden(x_t @ self.items_in, t)  # (n, width)
        return functional.linear(h, self.items_out, self.bias_out)

    def hidden(self, projected: Tensor, t: Tensor) -> Tensor:
        """Every layer between the items: ``x_t @ items_in`` (n, width) in, the last hidden layer (n, width) out."""
        embedded = step_embedding(t, self.time_embedding).to(self.embed_step.weight.dtype)
        h = torch.tanh(projected + self.step_in(self.embed_step(embedded)))
        for layer in self.inner:
            assert isinstance(layer, nn.Linear)
            h = linear(h, layer.weight, layer.bias, tanh=True)
        return h

    def rows_by_item(self) -> dict[str, Tensor]:
        """Name the weights that have rows of items: number of the view * items + item of each."""
        of_items = torch.arange(len(self.items_out))
        return {"items_in": torch.arange(len(self.items_in)), "items_out": of_items, "bias_out": of_items}


def xavier_std(fan_in: int, fan_out: int) -> float:
    """Return the standard deviation of first weights between so many units (Glorot & Bengio 2010, eq. 12)."""
    return math.sqrt(2.0 / (fan_in + fan_out))
