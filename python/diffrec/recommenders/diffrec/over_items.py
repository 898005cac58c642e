"""A network over the item vector itself: what DiffRec and T-DiffRec train and rank by."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import (
    Denoiser,
    GaussianProcess,
    HiddenChain,
    HiddenState,
    ImportanceSteps,
    Part,
    RowNoise,
    Sequences,
    StepSampler,
    UniformSteps,
    compute_dtype,
    gram_pays,
    gram_squared_error,
    noise_betas,
    project,
    squared_error,
)
from diffrec.diffusion.process import Predict
from diffrec.ranking import AddedScores, LinearScores, NoisyScores, Scores
from diffrec.recommenders.diffrec.network import Network, Run, StepGuide
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.training import NoisedBatch, NoisedBatches, Stateful


class OverItems(nn.Module, Network):
    """A denoiser, the process it undoes, and the sampler of its training steps.

    Parameters
    ----------
    denoiser : Denoiser
        On its device already.
    process : GaussianProcess
        On the same device.
    sampler : StepSampler
        Draws training steps.
    settings : DiffRecSettings
        For the weights of the loss, noise at inference and the optimizer.
    """

    narrow_on_processor: ClassVar[bool] = True

    def __init__(
        self, denoiser: Denoiser, process: GaussianProcess, sampler: StepSampler, settings: DiffRecSettings
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.process = process
        self.sampler = sampler
        self.settings = settings
        self._chain: HiddenChain | None = None

    @classmethod
    def of(cls, s: DiffRecSettings, items: int, device: torch.device, part: Part | None = None) -> "OverItems":
        """Build as the settings say, with fresh weights; of a part of the items where it is spread."""
        denoiser = Denoiser(items, s.dims, s.time_embedding, normalize=s.normalize, dropout=s.dropout, part=part)
        denoiser.to(device)
        betas = noise_betas(s.noise_schedule, s.steps, s.noise_scale, s.noise_min, s.noise_max)
        sampler = (ImportanceSteps if s.step_sampling == "importance" else UniformSteps)(s.steps, device=device)
        return cls(denoiser, GaussianProcess(betas, cast(Predict, s.predict), device), sampler, s)

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.denoiser.bias_out.device

    def parameter_groups(self) -> list[dict[str, object]]:
        """The optimizer's parameter groups."""
        s = self.settings
        return [{"params": self.parameters(), "lr": s.lr, "weight_decay": s.weight_decay}]

    def rows_by_item(self) -> dict[str, Tensor]:
        """Name the weights that have rows of items: number of the view * items + item of each."""
        return {f"denoiser.{name}": rows for name, rows in self.denoiser.rows_by_item().items()}

    def changing(self) -> dict[str, Stateful]:
        """Return what training changes besides the weights: what the sampler of steps has learnt."""
        return {"sampler": self.sampler}

    def epoch_of(self, batches: NoisedBatches, epoch: int = 1) -> Iterable[NoisedBatch]:  # noqa: ARG002
        """Return an epoch's batches, each with its noise."""
        return batches.noised()

    def loss(self, batch: NoisedBatch) -> Tensor:
        """Mean training loss of n histories, each at a drawn step and weighted by one over its probability.

        The same loss as ``loss_and_prediction`` has, but no array of all items is made besides the noised batch.
        """
        denoiser, part = self.denoiser, batch.part
        dtype = compute_dtype(denoiser.items_in)
        n, own = part.rows(len(batch))
        # Drawn for the whole batch, also where some rows of it are another part's.
        t, scaled_probability = (drawn[own] for drawn in self.sampler.sample(n))
        signal, spread = self.process.forward_coefficients(t)
        dropout = denoiser.dropout if self.training else 0.0
        x_t = batch.noised(signal, spread, normalize=denoiser.normalize, dropout=dropout, dtype=dtype)
        h = denoiser.hidden(project(x_t, denoiser.items_in, part), t)
        step_weights = self.process.loss_weights[t] if self.settings.reweight else torch.ones_like(scaled_probability)
        weights = step_weights / scaled_probability / n
        layer = (h, denoiser.items_out, denoiser.bias_out)
        if self.process.predict == "eps":
            loss, errors = squared_error(*layer, batch.subtract_noise, weights, batch.x0.excess(), part)
        elif gram_pays(len(batch), h.shape[1], dtype):
            loss, errors = gram_squared_error(*layer, batch.x0, weights, part)
        else:
            loss, errors = squared_error(*layer, batch.subtract_x0, weights, batch.x0.excess(), part)
        self.sampler.update(part.of_all(t), part.of_all(step_weights * errors))
        return loss

    def loss_and_prediction(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        """Mean training loss of dense rows ``x0`` (n, items), and predicted x_0: where "items" are a few latents."""
        rows = self.denoiser.rows
        n, own = rows.rows(len(x0))
        t, scaled_probability = (drawn[own] for drawn in self.sampler.sample(n))
        noise = rows.normal_like(x0)
        losses, predicted = self.process.losses(self.denoiser, x0, t, noise, reweight=self.settings.reweight)
        self.sampler.update(rows.of_all(t), rows.of_all(losses.detach()))
        return (losses / scaled_probability).sum() / n, predicted

    def changed(self) -> None:
        """Forget what was prepared from the weights: they have changed."""
        self._chain = None

    @property
    def run(self) -> Run:
        """The reverse chain from histories, as it ranks."""
        return partial(self._run, self._ready(), None)

    def along(self, directions: Tensor) -> Run:
        """Return a run of the chain with guidance along ``directions`` (items, e)."""
        return partial(self._run, self._ready().along(directions), directions)

    def noisy(self, forward_steps: int, *, sampling_noise: bool) -> Run:
        """Return a run of the chain with other noise at inference than is set."""
        chain = HiddenChain(self.denoiser, self.process, forward_steps=forward_steps, sampling_noise=sampling_noise)
        return partial(self._run, chain, None)

    def _ready(self) -> HiddenChain:
        """The chain of the current weights, made once."""
        if self._chain is None:
            s = self.settings
            self._chain = HiddenChain(
                self.denoiser, self.process, forward_steps=s.forward_steps, sampling_noise=s.sampling_noise
            )
        return self._chain

    def _run(
        self,
        chain: HiddenChain,
        directions: Tensor | None,
        rows: SparseRows,
        _last: Sequences | None,
        fresh: RowNoise,
        *,
        guide: StepGuide | None = None,
        on_step: Callable[[Scores], None] | None = None,
    ) -> Scores:
        def written_out(state: HiddenState) -> Scores:
            scores: Scores = self._linear(state, rows)
            if directions is not None:
                scores = AddedScores(scores, LinearScores(state.g[:, -directions.shape[1] :].contiguous(), directions))
            return scores if state.noise is None else NoisyScores(scores, state.noise)

        watch = None if on_step is None else lambda state: on_step(written_out(state))
        # Scores without what earlier steps have added: what the guide says is all of it.
        push = None if guide is None else lambda _, predicted: guide(self._linear(predicted, rows))
        return written_out(chain.run(rows, fresh, guide=push, on_step=watch))

    def noiseless_scores(
        self,
        rows: SparseRows,
        last: Sequences | None = None,  # noqa: ARG002 - no encoder reads it
        presence: Tensor | None = None,  # noqa: ARG002
    ) -> LinearScores:
        """Scores at the end of the reverse chain without noise at inference; gradients flow to the rows' values."""
        chain = self._ready()
        if chain.forward_steps or chain.sampling_noise:
            chain = HiddenChain(self.denoiser, self.process)
        return self._linear(chain.run(rows), rows)

    def _linear(self, state: HiddenState, rows: SparseRows) -> LinearScores:
        items = self.item_vectors()
        g = state.g if state.g.shape[1] == items.shape[1] else state.g[:, : items.shape[1]].contiguous()
        return LinearScores(g, items, state.k * self.denoiser.bias_out.detach(), rows, state.a)

    @torch.no_grad()
    def dense_scores(
        self,
        x0: Tensor,
        fresh: RowNoise,
        *,
        noise: tuple[int, bool] | None = None,
        guide: Callable[[int, Tensor], Tensor] | None = None,
        on_step: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """The end (n, items) of the reverse chain from dense rows ``x0`` (n, items).

        ``noise`` takes the place of ``forward_steps`` and ``sampling_noise``; ``guide`` and ``on_step`` are those of
        ``GaussianProcess.reverse``.
        """
        s = self.settings
        forward_steps, sampling_noise = (s.forward_steps, s.sampling_noise) if noise is None else noise
        return self.process.reverse(
            self.denoiser,
            x0,
            forward_steps=forward_steps,
            sampling_noise=sampling_noise,
            draw=fresh.normal,
            guide=guide,
            on_step=on_step,
        )

    def item_vectors(self) -> Tensor:
        """The last layer's row of each item, (items, width)."""
        return self.denoiser.items_out.detach()
