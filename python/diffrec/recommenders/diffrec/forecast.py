"""Forecasting: the forward process forgets the newest interactions, and the denoiser predicts them."""

import math
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffrec.anchors import LinearMap
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import (
    Denoiser,
    GaussianProcess,
    HistoryEncoder,
    Part,
    RowNoise,
    Sequences,
    UniformSteps,
    forecast_loss,
    handed_out,
    noise_betas,
    summed,
)
from diffrec.diffusion.hidden_noise import NoiseBasis
from diffrec.ranking import LinearScores, Scores
from diffrec.recommenders.diffrec.network import OneStepNetwork, Run, one_step
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.training import CutBatch

# Where the anchor's weight begins: it estimates shares of the items that follow, which squared error asks for, too;
# a softmax asks for their logarithms.
LIKELIHOOD_SCALE = {"softmax": 20.0, "squared": 1.0}
# Independent noise vectors of a batch, which its rows mix.
_NOISES = 32
# How much faster the few weights of a user's own history are learnt.
_OWN_RATE = 30.0


class Forecast(nn.Module, OneStepNetwork):
    """A denoiser of histories that end too early.

    The forward process takes a history to step t by forgetting what followed a random cut and adding the Gaussian noise
    of the step to what is left, seen on several time scales. The denoiser is trained to say what followed. Ranking is
    its last step: from the whole history, without noise, to what will follow.

    Parameters
    ----------
    denoiser : Denoiser
        From the views of a history side by side to the items.
    process : GaussianProcess
        Its noise.
    anchor : LinearMap, optional
        From the same views to the items; added to the denoiser's scores with a learnt weight.
    settings : DiffRecSettings
        For likelihood, dropout and optimizer.
    """

    narrow_on_processor: ClassVar[bool] = False
    anchor_start: ClassVar[float] = LIKELIHOOD_SCALE["softmax"]

    def __init__(
        self,
        denoiser: Denoiser,
        process: GaussianProcess,
        anchor: LinearMap | None,
        settings: DiffRecSettings,
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.process = process
        self.anchor = anchor
        self.settings = settings
        # Only files have one: what it read of the order, a transformer over all of it reads better.
        self.encoder: HistoryEncoder | None = None
        if settings.encoder_length:
            sizes = (settings.encoder_length, settings.encoder_width, settings.encoder_layers)
            self.encoder = HistoryEncoder(len(denoiser.items_out), *sizes, settings.dims[-1])
        self.sampler = UniformSteps(process.steps, process.betas.device)
        # What each view of how a user took an item before adds to that item's score.
        self.own = nn.Parameter(torch.zeros(len(settings.own_terms))) if settings.own_terms else None
        self.log_anchor_scale = None
        if anchor is not None:
            start = LIKELIHOOD_SCALE[settings.likelihood] if settings.anchor_scale is None else settings.anchor_scale
            log_scale = torch.tensor(math.log(max(start, 1e-30)))
            self.log_anchor_scale = nn.Parameter(log_scale, requires_grad=settings.anchor_scale is None)

    @classmethod
    def of(
        cls,
        s: DiffRecSettings,
        items: int,
        anchor: LinearMap | None,
        device: torch.device,
        part: Part | None = None,
    ) -> "Forecast":
        """Build as the settings say, with fresh weights; of a part of the items where it is spread."""
        denoiser = Denoiser(items, s.dims, s.time_embedding, views=len(s.time_scales), part=part)
        betas = noise_betas(s.noise_schedule, s.steps, s.noise_scale, s.noise_min, s.noise_max)
        return cls(denoiser, GaussianProcess(betas, "x0", device), anchor, s).to(device)

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.denoiser.bias_out.device

    @property
    def anchor_scale(self) -> float | None:
        """The learnt weight of the anchor's scores; None without an anchor."""
        return None if self.log_anchor_scale is None else float(self.log_anchor_scale.detach().exp())

    def parameter_groups(self) -> list[dict[str, object]]:
        """The optimizer's parameter groups."""
        s = self.settings
        # Decay would draw the anchor's weight towards 1. The few own weights are sure, and have a long way to go.
        apart = [
            (parameter, rate)
            for parameter, rate in ((self.log_anchor_scale, 1.0), (self.own, _OWN_RATE))
            if parameter is not None
        ]
        rest = [p for p in self.parameters() if all(p is not one for one, _ in apart)]
        groups: list[dict[str, object]] = [{"params": rest, "lr": s.lr, "weight_decay": s.weight_decay}]
        return groups + [{"params": [one], "lr": rate * s.lr, "weight_decay": 0.0} for one, rate in apart]

    def rows_by_item(self) -> dict[str, Tensor]:
        """Name the weights that have rows of items: number of the view * items + item of each."""
        return {f"denoiser.{name}": rows for name, rows in self.denoiser.rows_by_item().items()}

    def loss(self, batch: CutBatch) -> Tensor:
        """Mean loss of n cut histories, each at a drawn step."""
        s, denoiser, part = self.settings, self.denoiser, self.denoiser.part
        n, own_rows = part.rows(len(batch))
        t = self.sampler.sample(n)[0][own_rows]
        signal, spread = self.process.forward_coefficients(t)
        seen, own = self._parted(batch.x)
        kept = part.dropout_entries(seen, s.dropout, training=self.training)
        projected = signal[:, None] * (kept @ denoiser.items_in)
        if self.process.noisy:
            projected = projected + spread[:, None] * self._noise(len(batch))
        h = denoiser.hidden(summed(part, projected), t)
        h = part.dropout(h, s.hidden_dropout, training=self.training)
        added = None if self.anchor is None else self.anchor.scores(batch.before).block(0, len(denoiser.items_out))
        return forecast_loss(
            h,
            denoiser.items_out,
            denoiser.bias_out,
            batch.after,
            s.likelihood,
            None if added is None else torch.as_tensor(added).to(denoiser.items_out),
            self.log_anchor_scale,
            own,
            part,
        )

    def noiseless_scores(
        self,
        rows: SparseRows,
        last: Sequences | None = None,
        presence: Tensor | None = None,
    ) -> LinearScores:
        """Scores of what will follow histories, n rows of views side by side, without the anchor's.

        Gradients flow to the rows' values and to presence.
        """
        denoiser = self.denoiser
        t = torch.zeros(1, dtype=torch.int64, device=self.device)
        seen, own = self._parted(rows)
        h = self._hidden(summed(denoiser.part, seen @ denoiser.items_in.detach()), t, last, presence)
        return LinearScores(h, denoiser.items_out.detach(), denoiser.bias_out.detach(), own, 1.0)

    def _scores(self, rows: SparseRows, last: Sequences | None, _fresh: RowNoise) -> Scores:
        return self.noiseless_scores(rows, last)

    @torch.no_grad()
    def noisy(self, forward_steps: int, *, sampling_noise: bool) -> Run:  # noqa: ARG002 - one step ends without noise
        """The one step from histories that are noised to ``forward_steps`` first, as in training."""
        denoiser, process = self.denoiser, self.process
        basis = NoiseBasis([denoiser.items_in.detach()])
        t = torch.tensor([forward_steps - 1], device=self.device)
        signal, spread = (float(part) for part in process.forward_coefficients(t))

        def scores(rows: SparseRows, last: Sequences | None, fresh: RowNoise) -> Scores:
            drawn = fresh.normal(torch.empty(len(rows), basis.rank, device=self.device))
            seen, own = self._parted(rows)
            projected = signal * (seen @ denoiser.items_in) + spread * (drawn @ basis.images[0])
            h = self._hidden(projected, t.expand(len(rows)), last)
            return LinearScores(h, denoiser.items_out.detach(), denoiser.bias_out.detach(), own, 1.0)

        return one_step(scores)

    def item_vectors(self) -> Tensor:
        """The last layer's row of each item, (items, width)."""
        return self.denoiser.items_out.detach()

    def _parted(self, rows: SparseRows) -> tuple[SparseRows, SparseRows | None]:
        """Part rows into what the denoiser sees and what items score by the views of themselves, (n, items)."""
        if self.own is None:
            return rows, None
        features, items = len(self.denoiser.items_in), len(self.denoiser.items_out)
        views = rows.columns(features, features + len(self.own) * items)
        # A part without items has no entries to number.
        view, item = views.indices // max(items, 1), views.indices % max(items, 1)
        weights = handed_out(self.denoiser.part, self.own)
        return rows.columns(0, features), replace(views, indices=item, values=views.values * weights[view])

    def _hidden(self, projected: Tensor, t: Tensor, last: Sequences | None, presence: Tensor | None = None) -> Tensor:
        if self.encoder is not None and last is not None:
            projected = projected + self.encoder(last.items, presence)
        return self.denoiser.hidden(projected, t)

    def _noise(self, n: int) -> Tensor:
        """Standard normal noise over the features as the first layer sees it, (n, width).

        Noise for each row would cost as much as a dense batch. A row mixes a few noise vectors instead, with
        coefficients of unit length: whatever they are, such a mixture is standard normal noise itself.
        """
        weight, part = self.denoiser.items_in, self.denoiser.part
        noises = part.normals_over_items(_NOISES, len(self.settings.time_scales), weight) @ weight
        mixing = functional.normalize(part.normal_like(weight.new_empty(n, _NOISES)))
        return mixing @ noises
