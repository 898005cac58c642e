"""Forecasting at every basket of a history at once: a causal transformer as the denoiser."""

from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import (
    GaussianProcess,
    Part,
    RowNoise,
    SequenceEncoder,
    Sequences,
    UniformSteps,
    newest_in_blocks,
    noise_betas,
    sampled_softmax_loss,
    softmax_loss_in_blocks,
    states_of_baskets,
)
from diffrec.ranking import LinearScores, Scores
from diffrec.recommenders.diffrec.forecast import LIKELIHOOD_SCALE
from diffrec.recommenders.diffrec.network import OneStepNetwork, Run, one_step
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.recommenders.sequences import scores_by
from diffrec.training import WindowBatch

# Items up to which the softmax is over all of them, and how many stand for all of more.
_ALL, _SAMPLED = 50_000, 8_192


def fresh_encoder(s: DiffRecSettings, items: int, part: Part | None = None) -> SequenceEncoder:
    """Build the transformer that the settings ask for; of a part of the items where it is spread."""
    sizes = (s.sequence_width, s.sequence_layers, s.sequence_heads)
    return SequenceEncoder(items, *sizes, s.sequence_dropout, clock=s.sequence_clock, part=part)


class SequenceForecast(nn.Module, OneStepNetwork):
    """A denoiser of histories that end too early, trained at all their ends at once.

    The forward process takes a history to step t by forgetting all that followed a basket, and adds the Gaussian noise
    of the step to the embeddings of what is left. A causal transformer sees at each basket what such a history holds
    and no more, so that one pass over a history denoises every cut of it. Ranking is the last step: from the whole
    history, without noise, to what will follow. The embeddings of what comes in are those of what comes out.

    Parameters
    ----------
    encoder : SequenceEncoder
        Holds the items' embeddings and biases, too.
    process : GaussianProcess
        Its noise.
    settings : DiffRecSettings
        For optimizer and noise.
    """

    narrow_on_processor: ClassVar[bool] = True
    anchor_start: ClassVar[float] = LIKELIHOOD_SCALE["softmax"]

    def __init__(self, encoder: SequenceEncoder, process: GaussianProcess, settings: DiffRecSettings) -> None:
        super().__init__()
        self.encoder = encoder
        self.process = process
        self.settings = settings
        self.sampler = UniformSteps(process.steps, process.betas.device)

    @classmethod
    def of(cls, s: DiffRecSettings, items: int, device: torch.device, part: Part | None = None) -> "SequenceForecast":
        """Build as the settings say, with fresh weights; of a part of the items where it is spread."""
        betas = noise_betas(s.noise_schedule, s.steps, s.noise_scale, s.noise_min, s.noise_max)
        return cls(fresh_encoder(s, items, part), GaussianProcess(betas, "x0", device), s).to(device)

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.encoder.bias.device

    def parameter_groups(self) -> list[dict[str, object]]:
        """The optimizer's parameter groups: what scales or shifts is not decayed."""
        s = self.settings
        matrices = [p for p in self.parameters() if p.ndim > 1]
        rest = [p for p in self.parameters() if p.ndim <= 1]
        return [
            {"params": matrices, "lr": s.lr, "weight_decay": s.weight_decay},
            {"params": rest, "lr": s.lr, "weight_decay": 0.0},
        ]

    def rows_by_item(self) -> dict[str, Tensor]:
        """Name the weights that have rows of items, and the item of each."""
        items = torch.arange(len(self.encoder.items))
        return {"encoder.items": items, "encoder.bias": items}

    def loss(self, batch: WindowBatch) -> Tensor:
        """Mean loss over the baskets of n stretches, each stretch at a drawn step."""
        encoder, part, noise = self.encoder, self.encoder.part, None
        if self.process.noisy:
            n, own = part.rows(len(batch.history))
            t, _ = self.sampler.sample(n)
            drawn_noise = part.normal_like(encoder.items.new_empty(*batch.history.items.shape, encoder.width))
            noise = self._spread(t[own]) * drawn_noise
        states = states_of_baskets(encoder(batch.history, noise=noise), batch.places, batch.basket, len(batch))
        drawn = self.settings.sequence_negatives
        if drawn is None:
            drawn = part.items if part.items <= _ALL else _SAMPLED
        scored = (states, encoder.items, encoder.bias, batch.after)
        if drawn >= part.items:
            return softmax_loss_in_blocks(*scored, part, batch.total)
        negatives = torch.randperm(part.items, device=self.device)[:drawn]
        return sampled_softmax_loss(*scored, negatives, part, batch.total)

    def noiseless_scores(
        self,
        rows: SparseRows,  # noqa: ARG002 - the views are for an anchor
        last: Sequences | None = None,
        presence: Tensor | None = None,
    ) -> LinearScores:
        """Scores of what will follow histories; gradients flow to ``presence``."""
        assert last is not None
        return scores_by(self.encoder, self.encoder.newest(last, presence))

    def noisy(self, forward_steps: int, *, sampling_noise: bool) -> Run:  # noqa: ARG002 - one step ends without noise
        """The one step from histories that are noised to ``forward_steps`` first, as in training."""
        return one_step(partial(self._scores, step=torch.tensor([forward_steps - 1], device=self.device)))

    def item_vectors(self) -> Tensor:
        """The embeddings, (items, width)."""
        return self.encoder.items.detach()

    def _scores(self, _rows: SparseRows, last: Sequences | None, fresh: RowNoise, step: Tensor | None = None) -> Scores:
        assert last is not None
        noise = None
        if step is not None:
            # As many numbers for every history, whatever else is in the block.
            length, width = self.settings.sequence_length, self.encoder.width
            drawn = fresh.normal(torch.empty(len(last), length * width, device=self.device))
            noise = self._spread(step) * drawn.view(-1, length, width)[:, -last.items.shape[1] :]
        return scores_by(self.encoder, newest_in_blocks(self.encoder, last, noise))

    def _spread(self, t: Tensor) -> Tensor:
        """Return the noise at each step as a multiple of the signal, (n, 1, 1): a norm sees their ratio alone."""
        signal, spread = self.process.forward_coefficients(t)
        return (spread / signal)[:, None, None]
