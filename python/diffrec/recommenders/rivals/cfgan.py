"""CFGAN: a generator of histories and a discriminator that tells them from real ones."""

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from diffrec.checks import real, whole, widths
from diffrec.data import Interactions, binary
from diffrec.data.sparse_rows import SparseRows
from diffrec.ranking import Scores
from diffrec.recommenders.explanation import Reasons
from diffrec.recommenders.gradient_reasons import gradient_reasons
from diffrec.recommenders.rivals.item_layers import ItemsIn, ItemsOut, rows_of_layers, tanh_layers
from diffrec.recommenders.settings import changed, setting
from diffrec.recommenders.trained import NetworkSettings, Trainable, TrainedRecommender
from diffrec.training import SparseBatches, Stateful, product_dtype, run_batches


@dataclass(frozen=True, kw_only=True)
class CFGANSettings(NetworkSettings):
    """Settings of CFGAN; symbols are those of the paper."""

    dims: tuple[int, ...] = setting((400,), widths(), "widths of the generator's hidden layers, first layer first")
    discriminator_dims: tuple[int, ...] = setting(
        (200,), widths(), "widths of the discriminator's hidden layers, first layer first"
    )
    zero_share: float = setting(
        0.5, real(0, 1), "share of a user's unseen items that the generator is to give 0", symbol="S_ZR"
    )
    zero_weight: float = setting(
        0.1,
        real(0),
        "weight, in the generator's loss, of the squared outputs for the items of `zero_share`",
        symbol="alpha",
    )
    mask_share: float = setting(
        0.5, real(0, 1), "share of a user's unseen items whose generated values the discriminator sees", symbol="S_PM"
    )
    discriminator_lr: float = setting(1e-4, real(0, open_low=True), "learning rate of the discriminator's optimizer")
    discriminator_epochs: int = setting(
        1, whole(1), "number of the discriminator's passes over the users in an epoch, made before the generator's"
    )
    generator_epochs: int = setting(1, whole(1), "number of the generator's passes over the users in an epoch")
    batch_size: int = changed(NetworkSettings, "batch_size", 256)


class CFGAN(TrainedRecommender):
    """Collaborative filtering by a conditional GAN (Chae et al., CIKM 2018), user-based, with both remedies (ZP).

    The generator G maps a history c to a vector x, a number per item; the discriminator D judges whether a vector is
    c's own history r or generated. Both see of a generated vector only c's items e and a random sample k of
    the unseen ones (partial masking), and a random sample of the unseen items, Z, is to be generated as 0 (zero
    reconstruction). In turns,

        D minimises  -log D(r | c) - log(1 - D(x * (e + k) | c))
        G minimises  -log D(x * (e + k) | c) + alpha * sum over Z of x_j^2

    per user. As in the authors' code, G's term is not the paper's log(1 - D), whose gradient vanishes where D wins, and
    x is not squeezed into (0, 1). Samples hold each unseen item with the set probability and are drawn anew for every
    batch, which is all that is ever dense. Items are ranked by x. ``lr`` and the losses in ``training_`` are the
    generator's.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=100, seed=1)
    >>> model = CFGAN(dims=(16,), discriminator_dims=(16,), epochs=5, progress=False).fit(data)
    >>> model.recommend(k=3).items.shape
    (60, 3)
    """

    variant: ClassVar[str] = "cfgan"
    settings_type = CFGANSettings
    settings: CFGANSettings
    _network: "Generator"

    def _new_network(self) -> "Generator":
        return Generator(self._n_items, self.settings.dims)

    def _prepare(self, learn: Interactions, device: torch.device) -> Trainable:
        s = self.settings
        items = learn.shape[1]
        # The discriminator is of no use afterwards: it is no part of the model.
        generator = self._network = self._new_network().to(device)
        discriminator = Discriminator(items, s.discriminator_dims).to(device)
        game = Game(generator, discriminator, s.zero_share, s.zero_weight, s.mask_share)
        optimizers = [
            torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=s.weight_decay, fused=True)
            for network, lr in ((discriminator, s.discriminator_lr), (generator, s.lr))
        ]
        dtype = product_dtype(s.precision, device)
        batches = SparseBatches(binary(learn.matrix), s.batch_size, device, np.random.default_rng(s.seed))

        def run_epoch(_epoch: int) -> float:
            for _ in range(s.discriminator_epochs):
                run_batches(game.discriminator_loss, batches, optimizers[0], dtype, self._pace)
            losses = [
                run_batches(game.generator_loss, batches, optimizers[1], dtype, self._pace)
                for _ in range(s.generator_epochs)
            ]
            return losses[-1]

        changing: dict[str, Stateful] = {
            "discriminator": discriminator,
            "discriminator's optimizer": optimizers[0],
            "optimizer": optimizers[1],
            "batches": batches,
        }
        return Trainable(generator, run_epoch, changing)

    def _rows_by_item(self) -> dict[str, Tensor]:
        return rows_of_layers(self._n_items)

    def _scores(self, block: Interactions) -> Scores:
        rows = SparseRows.from_matrix(binary(block.matrix), self._network.device)
        return self._network.items_out.scores(self._network.hidden(rows))

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:
        x, generator = binary(one.matrix), self._network
        return gradient_reasons(
            lambda rows, _: generator.items_out.scores(generator.hidden(rows)),
            x, x.indices, items, points=points, device=generator.device,
        )  # fmt: skip

    def _item_vectors(self) -> Tensor:
        return self._network.items_out.weight.detach()


class Generator(nn.Module):
    """Maps histories to vectors like them.

    Parameters
    ----------
    items : int
        Length of a history.
    dims : sequence of int
        Hidden widths, first layer first.
    """

    def __init__(self, items: int, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.items_in = ItemsIn(items, dims[0])
        self.inner = tanh_layers(dims)
        self.items_out = ItemsOut(items, dims[-1])

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.items_out.bias.device

    def hidden(self, rows: SparseRows) -> Tensor:
        """The last hidden layer, (n, width)."""
        return cast(Tensor, self.inner(torch.tanh(self.items_in(rows))))

    def forward(self, rows: SparseRows) -> Tensor:
        """Vectors (n, items), near 1 for what a user has."""
        return cast(Tensor, self.items_out(self.hidden(rows)))


class Discriminator(nn.Module):
    """Judges vectors beside the histories they are to come from.

    Parameters
    ----------
    items : int
        Length of a history.
    dims : sequence of int
        Hidden widths, first layer first.
    """

    def __init__(self, items: int, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.condition_in = ItemsIn(items, dims[0])
        self.vector_in = ItemsIn(items, dims[0])
        self.inner = tanh_layers(dims)
        self.verdict = nn.Linear(dims[-1], 1)

    def forward(self, vectors: SparseRows | Tensor, condition: SparseRows) -> Tensor:
        """Log odds (n,) that each vector is real."""
        h = torch.tanh(self.vector_in(vectors) + self.condition_in(condition))
        return cast(Tensor, self.verdict(self.inner(h))).squeeze(1)


@dataclass(frozen=True)
class Game:
    """The losses of generator and discriminator; see ``CFGANSettings`` for the shares and the weight."""

    generator: Generator
    discriminator: Discriminator
    zero_share: float
    zero_weight: float
    mask_share: float

    def discriminator_loss(self, rows: SparseRows) -> Tensor:
        """Mean over n histories of -log D(real) - log(1 - D(generated))."""
        with torch.no_grad():
            generated = self.generator(rows)
            shown, _ = self.samples(rows, generated)
        as_real, as_fake = self.discriminator(rows, rows), self.discriminator(generated * shown, rows)
        return (functional.softplus(-as_real) + functional.softplus(as_fake)).mean()

    def generator_loss(self, rows: SparseRows) -> Tensor:
        """Mean over n histories of -log D(generated) plus the weighted squares of what is to be 0."""
        generated: Tensor = self.generator(rows)
        shown, zero = self.samples(rows, generated)
        caught = functional.softplus(-self.discriminator(generated * shown, rows))
        return (caught + self.zero_weight * (generated.square() * zero).sum(dim=1)).mean()

    def samples(self, rows: SparseRows, like: Tensor) -> tuple[Tensor, Tensor]:
        """Draw what the discriminator sees, e + k, and what is to be 0: masks of the shape of ``like`` (n, items)."""
        seen = rows.to_dense(like.shape[1])
        masked, zero = (
            torch.rand(like.shape, device=like.device).lt(share).logical_and(seen == 0).to(seen.dtype)
            for share in (self.mask_share, self.zero_share)
        )
        return seen + masked, zero
