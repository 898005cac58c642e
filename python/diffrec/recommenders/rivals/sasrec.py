"""SASRec: a causal transformer that predicts the next item at every place of a history."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from diffrec import checks
from diffrec.checks import flag, one_of, real, whole
from diffrec.data import Csr, Interactions, Timeline, empty_like
from diffrec.data.time_weights import require_clock
from diffrec.diffusion import (
    SequenceEncoder,
    gbce_loss,
    newest_in_blocks,
    softmax_loss_in_blocks,
    states_of_baskets,
)
from diffrec.ranking import Scores
from diffrec.recommenders.explanation import Reasons, past_items
from diffrec.recommenders.gradient_reasons import gradient_reasons
from diffrec.recommenders.histories import Reading
from diffrec.recommenders.sequences import scores_by, sequences_of, standing, standing_means
from diffrec.recommenders.settings import changed, setting
from diffrec.recommenders.trained import NetworkSettings, Trainable, TrainedRecommender
from diffrec.training import WindowBatch, WindowBatches, product_dtype, run_batches

LOSSES = ("softmax", "gbce")


@dataclass(frozen=True, kw_only=True)
class SASRecSettings(NetworkSettings):
    """Settings of SASRec."""

    length: int = setting(
        200, whole(1, most=10_000), "number of a user's last events that the transformer reads", symbol="n"
    )
    width: int = setting(64, checks.width, "width of the item embeddings and of the transformer's states", symbol="d")
    layers: int = setting(2, checks.layers, "number of transformer layers", symbol="b")
    heads: int = setting(2, whole(1), "number of attention heads in each layer; must divide `width`")
    dropout: float = setting(0.2, real(0, 1, open_high=True), "share of the transformer's states dropped in training")
    clock: bool = setting(False, flag, "whether the transformer reads the time between events beside their order")
    loss: str = setting(
        "softmax",
        one_of(LOSSES),
        "training loss: 'softmax' over all items, or 'gbce', binary questions about a sample of items",
    )
    negatives: int = setting(
        256, whole(1), "number of items that a batch is asked about beside those that were taken next", symbol="k"
    )
    calibration: float = setting(
        0.75, real(0, 1), "how far 'gbce' corrects for sampling its items: 0 for not at all, 1 for in full", symbol="t"
    )
    batch_size: int = setting(2048, whole(1), "number of events in a training batch")
    lr: float = changed(NetworkSettings, "lr", 2e-3)
    weight_decay: float = changed(NetworkSettings, "weight_decay", 0.01)
    lr_schedule: str = changed(NetworkSettings, "lr_schedule", "cosine")
    epochs: int = changed(NetworkSettings, "epochs", 20)
    holdout: float = setting(
        0.0, real(0, 0.5), "share of each history, its newest part, held out to stop on; 0 trains for exactly `epochs`"
    )

    def check_together(self) -> None:
        """Refuse widths that the heads cannot share."""
        if self.width % self.heads:
            raise ValueError(f"heads must divide width={self.width}, got {self.heads}")


class SASRec(TrainedRecommender):
    """Self-attentive sequential recommendation (Kang & McAuley, ICDM 2018, arXiv 1808.09781).

    A causal transformer reads a history in the order of time and predicts at every place what comes next; embeddings
    that come in are those that go out. Three things differ from the paper. Its loss against one negative ranks far
    below those here: a softmax over all items, or gSASRec's generalised binary cross-entropy (Petrov & Macdonald,
    RecSys 2023, arXiv 2308.07192). Places are told apart by their distance instead of their number; see
    ``SequenceEncoder``. And what has the same time is a set that is predicted, and predicts, as a whole.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> model = SASRec(width=16, epochs=2, progress=False).fit(data)
    >>> model.recommend(k=3).items.shape
    (60, 3)
    """

    variant: ClassVar[str] = "sasrec"
    settings_type: ClassVar[type[SASRecSettings]] = SASRecSettings
    settings: SASRecSettings
    _network: SequenceEncoder

    def _holdout_by(self) -> str:
        return "time"

    def _require_times(self, data: Interactions) -> None:
        require_clock(data, self.variant)

    def _prepare(self, learn: Interactions, device: torch.device) -> Trainable:
        s, timeline = self.settings, self._timeline(learn)
        if timeline.baskets.max(initial=0) < 2:
            raise ValueError("sasrec needs a history with at least 2 interactions at different times; there is none")
        self._network = network = self._new_network().to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=s.lr, weight_decay=s.weight_decay, fused=True)
        dtype = product_dtype(s.precision, device, on_processor=True)
        batches = WindowBatches(
            timeline,
            length=s.length,
            horizon=1,
            decay=1.0,
            batch_size=s.batch_size,
            clock=s.clock,
            device=device,
            seed=s.seed,
            repeats=s.repeats == "include",
        )

        def run_epoch(_epoch: int) -> float:
            return run_batches(self._loss, batches, optimizer, dtype, self._pace)

        return Trainable(network, run_epoch, {"optimizer": optimizer, "batches": batches})

    def _new_network(self) -> SequenceEncoder:
        s = self.settings
        return SequenceEncoder(self._n_items, s.width, s.layers, s.heads, s.dropout, clock=s.clock)

    def _rows_by_item(self) -> dict[str, Tensor]:
        items = torch.arange(len(self._network.items))
        return {"items": items, "bias": items}

    def _loss(self, batch: WindowBatch) -> Tensor:
        s, network = self.settings, self._network
        h = states_of_baskets(network(batch.history), batch.places, batch.basket, len(batch))
        if s.loss == "softmax":
            return softmax_loss_in_blocks(h, network.items, network.bias, batch.after)
        negatives = torch.randperm(len(network.items), device=h.device)[: s.negatives]
        return gbce_loss(h, network.items, network.bias, batch.after, negatives, s.calibration)

    @staticmethod
    def _timeline(histories: Interactions) -> Timeline:
        if len(histories):
            require_clock(histories, "sasrec")
        return Timeline(histories)

    def _reading(self) -> Reading:
        meanings = standing_means(clock=self.settings.clock)
        return Reading("; ".join(meanings), views=len(meanings))

    def _read(self, block: Interactions) -> Csr:
        parts = standing(block, self._timeline(block), clock=self.settings.clock)
        return sparse.csr_array(sparse.hstack(parts, format="csr"))

    @torch.no_grad()
    def _scores(self, block: Interactions) -> Scores:
        s, network = self.settings, self._network
        history = sequences_of(self._timeline(block), s.length, clock=s.clock).to(network.bias.device)
        return scores_by(network, newest_in_blocks(network, history))

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:
        s, network = self.settings, self._network
        history = sequences_of(self._timeline(one), s.length, clock=s.clock)
        placed = history.to(network.bias.device)
        return gradient_reasons(
            lambda rows, presence: scores_by(network, network.newest(placed.repeated(len(rows)), presence)),
            empty_like(one.matrix),
            past_items(one),
            items,
            points=points,
            device=network.bias.device,
            last=history.items[0].numpy(),
        )

    def _item_vectors(self) -> Tensor:
        return self._network.items.detach()
