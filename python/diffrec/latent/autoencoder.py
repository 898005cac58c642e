"""The variational autoencoder of L-DiffRec: an encoder per group of items, one decoder layer for all or one each."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import Part, Whole, handed_out, largest_scores, summed, xavier_std
from diffrec.latent.groups import ItemGroups, shared_widths


class Encoded(NamedTuple):
    """Mean and log variance of the latents, (n, latent) each."""

    mu: Tensor
    logvar: Tensor

    def sample(self, part: Part | None = None) -> Tensor:
        """Draw latents (n, latent) (Kingma & Welling 2014, section 2.4)."""
        noise = torch.randn_like(self.mu) if part is None else part.normal_like(self.mu)
        return self.mu + noise * torch.exp(0.5 * self.logvar)

    def kl(self, part: Part | None = None) -> Tensor:
        """Mean over the rows of KL(q(z | x) || N(0, I)), a scalar; of a batch that is shared out a part's share."""
        n = len(self.mu) if part is None else part.rows(len(self.mu))[0]
        return -0.5 * (1 + self.logvar - self.mu**2 - self.logvar.exp()).sum() / n


def multinomial_loss(scores: Tensor, rows: SparseRows, part: Part | None = None) -> Tensor:
    """Mean over the rows of their negative multinomial log-likelihood (Liang et al. 2018, eq. 2).

    Parameters
    ----------
    scores : Tensor
        (n, items), before the softmax.
    rows : SparseRows
        n rows over the items: how often each was taken.
    part : Part, optional
        The items that these are; all by default. Of a batch that is shared out this gives a part's share of the mean.

    Examples
    --------
    >>> multinomial_loss(torch.tensor([[0.0, 0.0]]), SparseRows.from_dense(torch.tensor([[0.0, 3.0]])))
    tensor(2.0794)
    """
    # A sum over all items needs more digits than products computed in bfloat16 have.
    scores = scores if scores.dtype.itemsize > 4 else scores.float()
    row_of_entry = rows.row_of_entry()
    if part is None or not part.spread:
        chosen = scores[row_of_entry, rows.indices] - scores.logsumexp(dim=1)[row_of_entry]
        return -(rows.values * chosen).sum() / (len(rows) if part is None else part.rows(len(rows))[0])
    top = largest_scores(scores.detach(), part)
    values = rows.values.to(scores.dtype)
    total = summed(part, (scores - top).exp().sum(dim=1))
    mass = summed(part, values.new_zeros(len(rows)).index_add(0, row_of_entry, values))
    taken = summed(part, (values * scores[row_of_entry, rows.indices]).sum())
    return ((mass * (total.log() + top[:, 0])).sum() - taken) / part.rows(len(rows))[0]


class GroupAutoencoder(nn.Module):
    """q(z | x) and p(x | z) over grouped items (the paper's section 4.1).

    Rows come in sparse, and the first layer is a sparse product. Every encoder layer, the last one included, ends in
    tanh, as in the authors' code. Items are held in the groups' order inside; ``item_matrix`` gives them back in
    their own.

    Parameters
    ----------
    groups : ItemGroups
        Which items share an encoder.
    latent_dims : sequence of int
        Widths of all groups together, the latent's first, then the encoder's hidden layers from it towards the items.
    decoder_dims : sequence of int
        Hidden widths of the decoders from the latent to the items; empty for one layer from the whole latent to all
        items.
    views : int
        How many views of the items, side by side, the encoders read: several ways to weigh a history.
    part : Part, optional
        The items whose rows it holds, where it is spread over processes; by default all.

    Examples
    --------
    >>> autoencoder = GroupAutoencoder(ItemGroups(torch.tensor([0, 1, 0, 1])), latent_dims=(4,))
    >>> encoded = autoencoder.encode(SparseRows.from_dense(torch.eye(4)))
    >>> autoencoder.decode(encoded.mu).shape
    torch.Size([4, 4])
    """

    position: Tensor
    input_position: Tensor
    group_of_item: Tensor

    def __init__(
        self,
        groups: ItemGroups,
        latent_dims: Sequence[int],
        decoder_dims: Sequence[int] = (),
        *,
        views: int = 1,
        part: Part | None = None,
    ) -> None:
        super().__init__()
        self.groups = groups
        shares = groups.shares
        self.part = part or Whole(len(groups.of_item))
        here, self._parts = groups.of_part(self.part)
        self.input_sizes = tuple(views * one.size for one in self._parts)
        self.register_buffer("group_of_item", groups.of_item.clone())
        self.register_buffer("position", here.position, persistent=False)
        input_position = ItemGroups(here.of_item.repeat(views)).position
        self.register_buffer("input_position", input_position, persistent=False)
        self.latent_widths = shared_widths(shares, latent_dims[0])
        # One tuple a group: the encoder's widths from the items to the latent, the decoder's from the latent on.
        encoder = list(zip(*(shared_widths(shares, width) for width in reversed(latent_dims)), strict=True))
        self.items_in = nn.ParameterList()
        self.bias_in = nn.ParameterList()
        self.encoder_inner = nn.ModuleList()
        for size, group_widths in zip(self.input_sizes, encoder, strict=True):
            widths = [*group_widths[:-1], 2 * group_widths[-1]]  # the last layer gives mean and log variance
            self.items_in.append(nn.Parameter(torch.empty(size, widths[0])))
            self.bias_in.append(nn.Parameter(torch.zeros(widths[0])))
            self.encoder_inner.append(nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
        # One decoder for everything, or one a group: in both cases a list of decoders over slices of the latent.
        if decoder_dims:
            self.decoder_widths = self.latent_widths
            decoder = list(zip(self.latent_widths, *(shared_widths(shares, w) for w in decoder_dims), strict=True))
            decoded = self._parts
        else:
            self.decoder_widths = (latent_dims[0],)
            decoder = [self.decoder_widths]
            decoded = [joined(self.part, self._parts)]
        self._decoded, self.decoder_sizes = decoded, tuple(one.size for one in decoded)
        self.decoder_inner = nn.ModuleList()
        self.items_out = nn.ParameterList()
        self.bias_out = nn.ParameterList()
        for one, widths_out in zip(decoded, decoder, strict=True):
            self.decoder_inner.append(nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths_out)))
            self.items_out.append(nn.Parameter(torch.empty(one.size, widths_out[-1])))
            self.bias_out.append(nn.Parameter(torch.zeros(one.size)))
        self._initialize(views)

    def _initialize(self, views: int) -> None:
        for one, weight in zip(self._parts, self.items_in, strict=True):
            one.draw(weight, xavier_std(views * one.items, weight.shape[1]), views)
        for one, weight, bias in zip(self._decoded, self.items_out, self.bias_out, strict=True):
            one.draw(weight, xavier_std(one.items, weight.shape[1]))
            one.hold(bias)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    @property
    def latent_width(self) -> int:
        """Length of a latent vector."""
        return sum(self.latent_widths)

    def rows_by_item(self) -> dict[str, Tensor]:
        """Name the weights that have rows of items: number of the view * items + item of each."""
        named: dict[str, Tensor] = {}
        for inside, sizes, kinds in (
            (torch.argsort(self.input_position), self.input_sizes, ("items_in",)),
            (torch.argsort(self.position), self.decoder_sizes, ("items_out", "bias_out")),
        ):
            for number, rows in enumerate(inside.split(sizes)):
                named |= {f"{kind}.{number}": rows for kind in kinds}
        return named

    def encode(self, rows: SparseRows) -> Encoded:
        """Encode n rows over the views of the items."""
        ordered = replace(rows, indices=self.input_position[rows.indices])
        parts, first = [], 0
        encoders = zip(self.input_sizes, self.items_in, self.bias_in, self.encoder_inner, strict=True)
        for size, weight, bias, inner in encoders:
            h = torch.tanh(summed(self.part, ordered.columns(first, first + size) @ weight) + bias)
            for layer in _layers(inner):
                h = torch.tanh(layer(h))
            parts.append(h.chunk(2, dim=1))
            first += size
        return Encoded(torch.cat([mu for mu, _ in parts], dim=1), torch.cat([logvar for _, logvar in parts], dim=1))

    def decode(self, latent: Tensor) -> Tensor:
        """Scores (n, items) of latents (n, latent), with the items in the groups' order."""
        hidden = [handed_out(self.part, h) for h in self._hidden(latent)]
        parts = zip(hidden, self.items_out, self.bias_out, strict=True)
        return torch.cat([nn.functional.linear(h, weight, bias) for h, weight, bias in parts], dim=1)

    def reconstruction_loss(self, latent: Tensor, rows: SparseRows) -> Tensor:
        """Mean negative multinomial log likelihood of ``rows``, a scalar (Liang et al. 2018, eq. 2)."""
        ordered = SparseRows(rows.offsets, self.position[rows.indices], rows.values)
        return multinomial_loss(self.decode(latent), ordered, self.part)

    def user_vectors(self, latent: Tensor) -> Tensor:
        """Last hidden layers of all decoders side by side, (n, width): times ``item_matrix`` they are the scores."""
        return torch.cat(self._hidden(latent), dim=1)

    def item_matrix(self) -> tuple[Tensor, Tensor]:
        """Return the decoders' last layers as one (items, width) matrix and a bias (items,), in the items' order."""
        matrix = torch.block_diag(*[weight.detach() for weight in self.items_out])
        return matrix[self.position], torch.cat([bias.detach() for bias in self.bias_out])[self.position]

    def _hidden(self, latent: Tensor) -> list[Tensor]:
        parts = []
        for h, inner in zip(latent.split(self.decoder_widths, dim=1), self.decoder_inner, strict=True):
            for layer in _layers(inner):
                h = torch.tanh(layer(h))
            parts.append(h)
        return parts


def joined(whole: Part, groups: Sequence[Part]) -> Part:
    """Return the part that has the items of all groups, group by group."""
    starts = itertools.accumulate((one.items for one in groups[:-1]), initial=0)
    return whole.among(
        sum(one.items for one in groups),
        *((start + one.first, one.size) for start, one in zip(starts, groups, strict=True)),
    )


def _layers(inner: nn.Module) -> nn.ModuleList:
    assert isinstance(inner, nn.ModuleList)
    return inner
