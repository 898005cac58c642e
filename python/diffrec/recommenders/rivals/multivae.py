"""Multi-VAE and Multi-DAE: autoencoders of histories under a multinomial likelihood."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffrec.checks import real, whole, width, widths
from diffrec.data import Interactions, binary
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import Part, Whole, summed
from diffrec.latent import Encoded, multinomial_loss
from diffrec.ranking import LinearScores, Scores
from diffrec.recommenders.explanation import Reasons
from diffrec.recommenders.gradient_reasons import gradient_reasons
from diffrec.recommenders.rivals.item_layers import ItemsIn, ItemsOut, rows_of_layers, tanh_layers
from diffrec.recommenders.settings import changed, setting
from diffrec.recommenders.trained import NetworkSettings, Trainable, TrainedRecommender
from diffrec.training import Attributes, SparseBatches, product_dtype, rows_from, run_batches


@dataclass(frozen=True, kw_only=True)
class MultiDAESettings(NetworkSettings):
    """Settings of the denoising autoencoder."""

    dims: tuple[int, ...] = setting(
        (600,),
        widths(),
        "widths of the decoder's hidden layers, first layer first; the encoder has the same ones in reverse order",
    )
    latent: int = setting(200, width, "width of the latent vector that stands for a user", symbol="K")
    dropout: float = setting(0.5, real(0, 1, open_high=True), "share of a history's entries dropped in training")
    batch_size: int = changed(NetworkSettings, "batch_size", 500)


@dataclass(frozen=True, kw_only=True)
class MultiVAESettings(MultiDAESettings):
    """Settings of the variational autoencoder; symbols are those of the paper."""

    anneal_cap: float = setting(
        0.2, real(0), "weight of the KL term of the loss after the first `anneal_batches`", symbol="beta"
    )
    anneal_batches: int = setting(
        2000,
        whole(0),
        "number of batches in which the weight of the KL term rises from 0 to `anneal_cap`; 0 for the full "
        "weight from the start",
    )


class MultiDAE(TrainedRecommender):
    """Denoising autoencoder with a multinomial likelihood (Liang et al., WWW 2018, arXiv 1802.05814, section 2.3).

    A history x, scaled to unit length, loses half of its entries; a network maps it to a latent z and z to a score f(z)
    per item. Training maximises the multinomial log-likelihood of the whole history, sum_i x_i log softmax(f(z))_i (eq.
    2); the scores rank the items. The layers are items -> dims reversed -> latent -> dims -> items, tanh between them.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=100, seed=1)
    >>> model = MultiDAE(dims=(16,), latent=8, epochs=5, progress=False).fit(data)
    >>> model.recommend(k=3).items.shape
    (60, 3)
    """

    variant: ClassVar[str] = "multidae"
    _spreads: ClassVar[bool] = True
    settings_type: ClassVar[type[MultiDAESettings]] = MultiDAESettings
    _variational: ClassVar[bool] = False
    settings: MultiDAESettings
    _network: "HistoryAutoencoder"
    # Batches that training has seen.
    _batches_seen: int

    def _new_network(self) -> "HistoryAutoencoder":
        s, items = self.settings, self._n_items
        return HistoryAutoencoder(
            items, s.dims, s.latent, s.dropout, variational=self._variational, part=self._share.part(items)
        )

    def _refuse_streams(self) -> None:
        """Refuse nothing: a batch of histories is read at a time, wherever they are."""

    def _kl_weight(self, batch: int) -> float:  # noqa: ARG002 - there is no such term
        """Weight of the KL term in a batch, counted from 1 over all epochs."""
        return 0.0

    def _prepare(self, learn: Interactions, device: torch.device) -> Trainable:
        s = self.settings
        self._network = self._new_network().to(device)
        optimizer = torch.optim.AdamW(self._network.parameters(), lr=s.lr, weight_decay=s.weight_decay, fused=True)
        dtype, part = product_dtype(s.precision, device), self._share.part(learn.shape[1])
        rows = rows_from(learn, lambda some: (binary(some.matrix), None))
        own = rows.of_items(part.items, part.first, part.size) if part.spread else rows
        batches = SparseBatches(own, s.batch_size, device, np.random.default_rng(s.seed), part)
        self._batches_seen = 0

        def loss(rows: SparseRows) -> Tensor:
            self._batches_seen += 1
            return self._network.loss(rows, self._kl_weight(self._batches_seen))

        def run_epoch(_epoch: int) -> float:
            return run_batches(loss, batches, optimizer, dtype, self._pace)

        annealing = Attributes(self, "_batches_seen")
        return Trainable(self._network, run_epoch, {"optimizer": optimizer, "batches": batches, "annealing": annealing})

    def _rows_by_item(self) -> dict[str, Tensor]:
        return rows_of_layers(self._n_items)

    def _scores(self, block: Interactions) -> Scores:
        own = self._share.columns(binary(block.matrix), self._n_items)
        return self._network.scores(SparseRows.from_matrix(own, self._network.device))

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:
        # The history is what the network sees: scaled to unit length once, whatever the way leads through.
        x = binary(one.matrix)
        x.data /= np.sqrt(max(x.nnz, 1))
        network = self._network
        return gradient_reasons(
            lambda rows, _: network.items_out.scores(network.decoder(network.encode_scaled(rows)[0])),
            x, x.indices, items, points=points, device=network.device,
        )  # fmt: skip

    def _item_vectors(self) -> Tensor:
        return self._network.items_out.weight.detach()


class MultiVAE(MultiDAE):
    """Variational autoencoder with a multinomial likelihood (Liang et al., WWW 2018, arXiv 1802.05814).

    As ``MultiDAE``, with a latent drawn from q(z | x) = N(mu(x), diag sigma^2(x)) in training. It maximises
    E_q[log p(x | z)] - beta KL(q(z | x) || N(0, I)), where beta rises from batch to batch from 0 to ``anneal_cap``
    (section 2.2.3). Ranking takes z = mu(x) (section 2.4).

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=100, seed=1)
    >>> model = MultiVAE(dims=(16,), latent=8, epochs=5, progress=False).fit(data)
    >>> model.recommend(k=3).items.shape
    (60, 3)
    """

    variant: ClassVar[str] = "multivae"
    settings_type: ClassVar[type[MultiVAESettings]] = MultiVAESettings
    _variational: ClassVar[bool] = True
    settings: MultiVAESettings

    def _kl_weight(self, batch: int) -> float:
        s = self.settings
        return s.anneal_cap * min(1.0, batch / s.anneal_batches) if s.anneal_batches else s.anneal_cap


class HistoryAutoencoder(nn.Module):
    """Maps histories to scores through a narrow latent.

    Parameters
    ----------
    items : int
        Length of a history.
    dims : sequence of int
        Hidden widths of the decoder.
    latent : int
        Length of the latent.
    dropout : float
        Share of a history dropped in training.
    variational : bool
        The latent is a Gaussian's draw in training and its mean otherwise; else it is a layer like the others.
    part : Part, optional
        The items whose rows it holds, where it is spread over processes; by default all.
    """

    def __init__(
        self,
        items: int,
        dims: tuple[int, ...],
        latent: int,
        dropout: float,
        *,
        variational: bool,
        part: Part | None = None,
    ) -> None:
        super().__init__()
        self.part = part or Whole(items)
        self.dropout = dropout
        self.variational = variational
        self.items_in = ItemsIn(items, dims[-1], self.part)
        self.encoder = tanh_layers(dims[::-1])
        self.to_latent = nn.Linear(dims[0], latent * (2 if variational else 1))
        self.decoder = tanh_layers((latent, *dims))
        self.items_out = ItemsOut(items, dims[-1], self.part)
        nn.init.xavier_normal_(self.to_latent.weight)
        nn.init.zeros_(self.to_latent.bias)

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.items_out.bias.device

    def loss(self, rows: SparseRows, kl_weight: float) -> Tensor:
        """Mean over n binary histories of the negative log-likelihood plus the weighted KL term."""
        z, kl = self.encode(rows)
        return multinomial_loss(self.items_out(self.decoder(z)), rows, self.part) + kl_weight * kl

    def encode(self, rows: SparseRows) -> tuple[Tensor, Tensor]:
        """Latents (n, latent), drawn or dropped from in training, and their mean KL divergence from the prior."""
        scale = summed(self.part, rows.squared_norms()).clamp(min=1e-12).rsqrt()
        return self.encode_scaled(rows.scaled(scale))

    def encode_scaled(self, rows: SparseRows) -> tuple[Tensor, Tensor]:
        """Encode histories that have unit length already; returns latents and the KL term."""
        kept = self.part.dropout_entries(rows, self.dropout, training=self.training)
        h = torch.tanh(self.items_in(kept))
        h = self.to_latent(self.encoder(h))
        if not self.variational:
            return torch.tanh(h), h.new_zeros(())
        encoded = Encoded(*h.chunk(2, dim=1))
        return encoded.sample(self.part) if self.training else encoded.mu, encoded.kl(self.part)

    def scores(self, rows: SparseRows) -> LinearScores:
        """Scores of n binary histories."""
        return self.items_out.scores(self.decoder(self.encode(rows)[0]))
