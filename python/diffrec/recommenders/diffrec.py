"""DiffRec and its forms: T (time-aware), L (latent) and LT, each a matter of settings."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from diffrec.anchors import LinearMap
from diffrec.data import Csr, Interactions, Timeline, time_weights
from diffrec.diffusion import SparseRows
from diffrec.ranking import LinearScores
from diffrec.recommenders.anchoring import anchor_equations, best_scale
from diffrec.recommenders.diffrec_settings import DiffRecSettings
from diffrec.recommenders.embeddings import group_items
from diffrec.recommenders.explanation import Reasons, gradient_reasons, linear_reasons
from diffrec.recommenders.inputs import as_interactions
from diffrec.recommenders.item_diffusion import ItemDiffusion
from diffrec.recommenders.item_forecast import ItemForecast
from diffrec.recommenders.latent_diffusion import LatentDiffusion
from diffrec.recommenders.planning import planned
from diffrec.recommenders.reverse_chain import ReverseChain
from diffrec.recommenders.trained import VALIDATION_METRIC
from diffrec.training import (
    CutBatches,
    NoisedBatches,
    Plan,
    SparseBatches,
    product_dtype,
    resolve_device,
    run_batches,
)

# Scores of the anchor in x_0's own units while no validation can say more.
_UNLEARNT_SCALE = 4.0


class DiffRec(ReverseChain):
    """Diffusion recommender model (Wang et al., SIGIR 2023, arXiv 2304.04971).

    A user's history is an item vector x_0. Training adds Gaussian noise to it over T steps and teaches a denoiser to
    find x_0 again (eq. 10); inference runs the learnt reverse chain from the history itself, and the x_0 it ends with
    scores every item (section 3.4).

    With ``time_weights`` it is T-DiffRec (section 4.2): recent interactions weigh more. With ``groups`` it is L-DiffRec
    (section 4.1): items are clustered by their embeddings, a variational encoder per group compresses a history, the
    diffusion runs over the latents, and a decoder scores the items. With both it is LT-DiffRec.

    With ``objective="forecast"`` the forward process forgets the newest interactions: a history is cut at random, and
    the denoiser predicts what followed. With ``anchor`` the scores of a ridge regression in closed form are added to
    its own.

    Attributes
    ----------
    train_ : Interactions
        The training data.
    training_ : TrainingReport
        Losses and validation metrics by epoch.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> model = DiffRec(dims=(16,), epochs=5, progress=False).fit(data)
    >>> model.recommend(k=3).items.shape
    (60, 3)
    """

    settings_type = DiffRecSettings
    settings: DiffRecSettings
    # The histories scored last, and what was made of them.
    _seen: tuple[Interactions, "Csr | Timeline"] | None = None

    @property
    def variant(self) -> str:
        """Which of the four forms the settings make it.

        Examples
        --------
        >>> DiffRec(groups=2).variant, DiffRec(groups=2, time_weights="linear").variant
        ('l-diffrec', 'lt-diffrec')
        """
        s = self.settings
        latent, timed = s.groups is not None, s.time_weights is not None or s.objective == "forecast"
        form = "l" * latent + "t" * timed
        return f"{form}-diffrec" if form else "diffrec"

    def plan(self, data: Any, valid: Any = None) -> Plan:
        """Estimate what ``fit`` would take with the same arguments: parameters, memory, time of an epoch.

        ``fit`` makes the same estimate before it begins, and refuses what cannot fit.

        Parameters
        ----------
        data, valid
            As for ``fit``.

        Returns
        -------
        Plan
            The time comes from the speed of a small product and a small sum, measured on this machine; expect it
            to be right within a factor of two on an idle one.

        Examples
        --------
        >>> import diffrec
        >>> DiffRec(dims=(16,)).plan(diffrec.datasets.synthetic(users=60, items=40, seed=1)).parameters
        1606
        """
        train = as_interactions(data, "data")
        validated = valid is not None or self.settings.holdout > 0
        return planned(self.settings, train.shape, len(train), resolve_device(self.settings.device), validated)

    @property
    def item_groups_(self) -> NDArray[np.int64]:
        """The group of each item, int64 (items,), of a model fitted with ``groups``.

        Raises
        ------
        TypeError
            When it has none.
        """
        model = getattr(self._fitted(), "_model", None)  # an anchor has none
        if not isinstance(model, LatentDiffusion):
            raise TypeError(
                f"{type(self).__name__} with these settings has no groups of items; groups=2 would make two"
            )
        groups: NDArray[np.int64] = model.autoencoder.group_of_item.cpu().numpy()
        return groups

    def _foresee(self, learn: Interactions, device: torch.device, validated: bool) -> Plan:
        plan = planned(self.settings, learn.shape, len(learn), device, validated)
        plan.require(device, "use smaller dims or batch_size, or l-diffrec with groups")
        return plan

    def _holdout_by(self) -> str:
        return "time" if self._forecasting or self.settings.time_weights else "random"

    @property
    def _forecasting(self) -> bool:
        return self.settings.objective == "forecast"

    def _prepare(self, learn: Interactions, device: torch.device) -> tuple[nn.Module, Callable[[int], float]]:
        s = self.settings
        self._seen = None
        inputs = self._prepared(learn)
        self._anchor, self._anchor_scale = None, 0.0
        if s.anchor:
            self._anchor = anchor_equations(s, inputs).solve(s.anchor_l2)
        if s.groups is not None:
            groups = group_items(learn, s.groups, s.item_embeddings, balance=s.group_balance, seed=s.seed)
            self._model = LatentDiffusion.of(s, groups, device)
        elif self._forecasting:
            self._model = ItemForecast.of(s, learn.shape[1], self._anchor, device)
        else:
            self._model = ItemDiffusion.of(s, learn.shape[1], device)
        model = self._model
        optimizer = torch.optim.AdamW(model.parameter_groups(), fused=True)
        dtype = product_dtype(s.precision, device, on_processor=isinstance(model, ItemDiffusion))
        schedule = CosineAnnealingLR(optimizer, s.epochs) if s.lr_schedule == "cosine" else None
        loss, batches = self._objective(inputs, device)

        def run_epoch(epoch: int) -> float:
            if isinstance(model, LatentDiffusion):
                model.start_epoch(epoch)
            mean = run_batches(loss, batches(), optimizer, dtype)
            if schedule is not None:
                schedule.step()
            return mean

        return model, run_epoch

    def _objective(
        self, inputs: "Csr | Timeline", device: torch.device
    ) -> tuple[Callable[[Any], Tensor], Callable[[], Iterable[Any]]]:
        """What is minimised, and what makes an epoch's batches for it."""
        s, model = self.settings, self._model
        if isinstance(inputs, Timeline):
            cuts = CutBatches(
                inputs,
                s.time_scales,
                horizon=s.horizon,
                cuts=s.cuts,
                length=s.encoder_length,
                batch_size=s.batch_size,
                device=device,
                seed=s.seed,
            )
            return (model.forecast_loss if isinstance(model, LatentDiffusion) else model.loss), lambda: cuts
        shuffle = np.random.default_rng(s.seed)
        if isinstance(model, ItemDiffusion):
            return model.loss, NoisedBatches(inputs, s.batch_size, device, shuffle, seed=s.seed).noised
        batches = SparseBatches(inputs, s.batch_size, device, shuffle)
        return model.loss, lambda: batches

    def _finish(self, learn: Interactions, valid: Interactions | None) -> None:
        if self._anchor is None:
            return
        if isinstance(self._model, ItemForecast):
            self._anchor_scale = self._model.anchor_scale
        elif self.settings.anchor_scale is not None or valid is None:
            given = self.settings.anchor_scale
            self._anchor_scale = _UNLEARNT_SCALE if given is None else given
        else:

            def validation(scale: float) -> float:
                self._anchor_scale = scale
                return self._validation(learn, valid, VALIDATION_METRIC)

            self._anchor_scale = best_scale(validation)

    def _facts(self) -> dict[str, str | int | float]:
        s = self.settings
        anchored: dict[str, str | int | float] = {} if self._anchor is None else {"anchor_scale": self._anchor_scale}
        if s.groups is None:
            return anchored
        given = (
            "given" if s.item_embeddings is not None and not isinstance(s.item_embeddings, str) else s.item_embeddings
        )
        return anchored | {"item_embeddings": given or "svd"}

    def _weights_changed(self) -> None:
        self._model.changed()

    def _prepared(self, histories: Interactions) -> "Csr | Timeline":
        """What the objective looks at: histories in the order of time, or vectors x_0."""
        if self._forecasting:
            if histories.timestamps is None and len(histories):
                raise ValueError(
                    "objective='forecast' needs timestamps, and these interactions have none: "
                    "give histories with times, such as Interactions.from_arrays(users, items, timestamp=...)"
                )
            return Timeline(histories)
        return self._inputs_of(histories)

    def _inputs_of(self, histories: Interactions) -> Csr:
        """The vectors x_0: the histories, binary or by value, weighted by age."""
        s = self.settings
        matrix = histories.matrix
        values = np.ones_like(matrix.data) if s.binarize else matrix.data
        if s.time_weights is not None and len(histories):
            if histories.timestamps is None:
                raise ValueError(f"time_weights={s.time_weights!r} needs timestamps, and these interactions have none")
            weights = time_weights(histories, s.time_weights, w_min=s.w_min, w_max=s.w_max, half_life=s.half_life)
            values = values * weights.data
        return sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)

    def _vectors(self, histories: Interactions, start: int, stop: int) -> tuple[Csr, Tensor | None]:
        """What denoiser and anchor see of some users: their vectors, and their last items for an encoder."""
        # Blocks of the same histories follow one another: what is made of them is made once.
        # Read once and replaced whole: other threads keep theirs here, too.
        seen = self._seen
        if seen is None or seen[0] is not histories:
            seen = self._seen = (histories, self._prepared(histories))
        inputs = seen[1]
        if not isinstance(inputs, Timeline):
            return inputs[start:stop], None
        rows, cuts, length = np.arange(start, stop), inputs.lengths[start:stop], self.settings.encoder_length
        last = torch.from_numpy(inputs.last(rows, cuts, length)) if length else None
        return inputs.before(rows, cuts, self.settings.time_scales), last

    def _reasons(self, histories: Interactions, row: int, items: NDArray[np.int64], points: int) -> Reasons:
        model, anchor = self._model, self._anchor
        x, last = self._vectors(histories, row, row + 1)
        matrix = histories.matrix
        past = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]

        def scores(rows: SparseRows, presence: Tensor | None) -> LinearScores:
            if not isinstance(model, ItemForecast):
                return model.noiseless_scores(rows)
            read = None if last is None else last.to(model.device).expand(len(rows), -1)
            return model.scores(rows, read, presence)

        reasons = gradient_reasons(
            scores, x, past, items, points=points, device=model.device, last=None if last is None else last[0].numpy()
        )
        if anchor is None:
            return reasons
        return reasons.plus(linear_reasons(x, anchor, past, items), self._scale_of_anchor)

    def _item_vectors(self) -> Tensor:
        return self._model.item_vectors()

    def _state(self) -> dict[str, Tensor]:
        state = self._model.state_dict()
        if self._anchor is not None:
            state |= {f"anchor.{name}": tensor for name, tensor in self._anchor.state().items()}
            state["anchor_scale"] = torch.tensor(self._anchor_scale)
        return state

    def _restore(self, state: dict[str, Tensor]) -> None:
        s, device = self.settings, resolve_device(self.settings.device)
        anchor = {name.removeprefix("anchor."): tensor for name, tensor in state.items() if name.startswith("anchor.")}
        if anchor:
            self._anchor = LinearMap.from_state(anchor)
            self._anchor_scale = float(state["anchor_scale"])
        if s.groups is not None:
            self._model = LatentDiffusion.of(s, state["autoencoder.group_of_item"], device)
        elif self._forecasting:
            self._model = ItemForecast.of(s, self._n_items, self._anchor, device)
        else:
            self._model = ItemDiffusion.of(s, self._n_items, device)
        network = {name: tensor for name, tensor in state.items() if not name.startswith("anchor")}
        self._model.load_state_dict(network)
        self._model.eval()
