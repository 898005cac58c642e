"""A network over the latents of grouped items: what L-DiffRec and LT-DiffRec train and rank by."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import GaussianProcess, Part, RowNoise, Sequences
from diffrec.latent import GroupAutoencoder, ItemGroups, pulled_back
from diffrec.ranking import AddedScores, LinearScores, Scores
from diffrec.recommenders.diffrec.network import Network, Run, StepGuide
from diffrec.recommenders.diffrec.objective import objective_of
from diffrec.recommenders.diffrec.over_items import OverItems
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.training import Attributes, Stateful


class OverLatents(nn.Module, Network):
    """A group autoencoder and a diffusion over its latents, trained together (the paper's section 4.1).

    Parameters
    ----------
    autoencoder : GroupAutoencoder
        Between the items and the latents.
    diffusion : OverItems
        Its "items" are the latents' entries.
    settings : DiffRecSettings
        For the two annealings, the input dropout and the objective.
    """

    narrow_on_processor: ClassVar[bool] = False

    def __init__(self, autoencoder: GroupAutoencoder, diffusion: OverItems, settings: DiffRecSettings) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.diffusion = diffusion
        self.settings = settings
        self.objective = objective_of(settings)
        self.batches_seen = 0
        self.epoch = 1
        self._item_matrix: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(
        cls, s: DiffRecSettings, groups: ItemGroups, device: torch.device, part: Part | None = None
    ) -> "OverLatents":
        """Build as the settings say, with fresh weights; of a part of the items where it is spread."""
        views = objective_of(s).reading.views or 1
        autoencoder = GroupAutoencoder(groups, s.latent_dims, s.decoder_dims, views=views, part=part)
        autoencoder.to(device)
        diffusion = OverItems.of(s, autoencoder.latent_width, device)
        diffusion.denoiser.rows = autoencoder.part
        return cls(autoencoder, diffusion, s)

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.diffusion.device

    @property
    def groups(self) -> ItemGroups:
        """The groups of the items."""
        return self.autoencoder.groups

    @property
    def process(self) -> GaussianProcess:  # type: ignore[override]
        """The noise over the latents."""
        return self.diffusion.process

    def parameter_groups(self) -> list[dict[str, object]]:
        """The optimizer's groups: the paper trains autoencoder and denoiser with a learning rate each."""
        s = self.settings
        return [
            {"params": self.diffusion.parameters(), "lr": s.lr, "weight_decay": s.weight_decay},
            {
                "params": self.autoencoder.parameters(),
                "lr": s.autoencoder_lr,
                "weight_decay": s.autoencoder_weight_decay,
            },
        ]

    def rows_by_item(self) -> dict[str, Tensor]:
        """Name the weights that have rows of items: number of the view * items + item of each."""
        return {f"autoencoder.{name}": rows for name, rows in self.autoencoder.rows_by_item().items()}

    def changing(self) -> dict[str, Stateful]:
        """Return what training changes besides the weights: what the sampler learnt, and the count of batches."""
        return {**self.diffusion.changing(), "annealing": Attributes(self, "batches_seen")}

    def epoch_of(self, batches: Any, epoch: int = 1) -> Iterable[Any]:
        """Return an epoch's batches as the objective makes them; lambda is annealed by epoch."""
        self.epoch = epoch
        return batches  # type: ignore[no-any-return]

    def loss(self, batch: Any) -> Tensor:
        """Mean training loss of n histories: likelihood, annealed KL, lambda times the diffusion loss (eq. 14-15).

        The likelihood is that of what the histories are to produce: themselves, or what followed a cut.
        """
        s, part = self.settings, self.autoencoder.part
        rows, targets = self.objective.pair(batch)
        reproduced, confidence = targets is rows, rows.confidence
        if self.training:
            # The authors' likelihood counts the entries that are left, too.
            rows = replace(part.dropout_entries(rows, s.encoder_dropout, training=True), confidence=None)
        # Latents differ by less than bfloat16 can tell once they are noised: only the decoders' products may be narrow.
        with torch.autocast(self.device.type, enabled=False):
            encoded = self.autoencoder.encode(rows)
            diffusion_loss, predicted = self.diffusion.loss_and_prediction(encoded.sample(part))
        if reproduced:
            targets = rows if confidence is None else replace(rows, values=rows.values * confidence)
        kl_weight = min(s.kl_weight, self.batches_seen / s.kl_anneal_batches) if s.kl_anneal_batches else s.kl_weight
        autoencoder_loss = self.autoencoder.reconstruction_loss(predicted, targets) + kl_weight * encoded.kl(part)
        self.batches_seen += 1
        # Without reweighting the diffusion loss is of another size, and the authors put lambda on the other term.
        if s.reweight:
            return autoencoder_loss + self.diffusion_weight() * diffusion_loss
        return diffusion_loss + self.diffusion_weight() * autoencoder_loss

    def diffusion_weight(self) -> float:
        """Lambda in this epoch: it falls linearly from ``diffusion_weight`` to ``diffusion_weight_min``."""
        s = self.settings
        fallen = (self.epoch - 1) / s.diffusion_anneal_epochs if s.diffusion_anneal_epochs else 0.0
        return max((1.0 - fallen) * s.diffusion_weight, s.diffusion_weight_min)

    def changed(self) -> None:
        """Forget what was prepared from the weights: they have changed."""
        self._item_matrix = None
        self.diffusion.changed()

    @property
    def run(self) -> Run:
        """The reverse chain over the latents of histories, and what it decodes to, as it ranks."""
        return partial(self._run, None)

    def noisy(self, forward_steps: int, *, sampling_noise: bool) -> Run:
        """Return a run of the chain with other noise at inference than is set."""
        return partial(self._run, (forward_steps, sampling_noise))

    def _run(
        self,
        noise: tuple[int, bool] | None,
        rows: SparseRows,
        _last: Sequences | None,
        fresh: RowNoise,
        *,
        guide: StepGuide | None = None,  # noqa: ARG002 - only chains along directions have one
        on_step: Callable[[Scores], None] | None = None,
    ) -> Scores:
        watch = None if on_step is None else lambda latent: on_step(self._decoded(latent))
        start = self.autoencoder.encode(rows).mu
        return self._decoded(self.diffusion.dense_scores(start, fresh, noise=noise, on_step=watch))

    @torch.no_grad()
    def along(self, directions: Tensor) -> Run:
        """Return a run of the chain with guidance along ``directions`` (items, e).

        A latent cannot say everything that is wished of the items: on the way it moves as far towards it as it can, and
        what it decodes to in the end is given all of it.
        """
        items, _ = self._items()
        onto, gram = items.T @ directions, items.T @ items

        @torch.no_grad()
        def run(
            rows: SparseRows,
            _last: Sequences | None,
            fresh: RowNoise,
            *,
            guide: StepGuide | None = None,
            on_step: Callable[[Scores], None] | None = None,
        ) -> Scores:
            start = self.autoencoder.encode(rows).mu
            wished = start.new_zeros(len(start), directions.shape[1])

            def push(step: int, predicted: Tensor) -> Tensor:
                nonlocal wished
                assert guide is not None
                wished = guide(self._decoded(predicted))
                if step == 0:
                    return torch.zeros_like(predicted)
                return pulled_back(self.autoencoder.user_vectors, predicted, wished @ onto.T, gram)

            def decoded(latent: Tensor) -> Scores:
                return AddedScores(self._decoded(latent), LinearScores(wished, directions))

            watch = None if on_step is None else lambda latent: on_step(decoded(latent))
            end = self.diffusion.dense_scores(start, fresh, guide=None if guide is None else push, on_step=watch)
            return decoded(end)

        return run

    def noiseless_scores(
        self,
        rows: SparseRows,
        last: Sequences | None = None,  # noqa: ARG002 - no encoder reads it
        presence: Tensor | None = None,  # noqa: ARG002
    ) -> LinearScores:
        """Score histories without noise at inference; gradients flow to the rows' values."""
        diffusion = self.diffusion
        return self._decoded(diffusion.process.reverse(diffusion.denoiser, self.autoencoder.encode(rows).mu))

    def _decoded(self, latent: Tensor) -> LinearScores:
        items, bias = self._items()
        return LinearScores(self.autoencoder.user_vectors(latent), items, bias)

    def item_vectors(self) -> Tensor:
        """The decoders' last layers, (items, width)."""
        return self._items()[0]

    def _items(self) -> tuple[Tensor, Tensor]:
        if self._item_matrix is None:
            self._item_matrix = self.autoencoder.item_matrix()
        return self._item_matrix
