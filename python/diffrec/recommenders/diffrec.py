"""DiffRec and its forms: T (time-aware), L (latent) and LT, each a matter of settings."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast, get_args

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from diffrec.data import Csr, Decay, Interactions, time_weights
from diffrec.diffusion import NOISE_SCHEDULES, STEP_SAMPLINGS, SparseRows, noise_betas
from diffrec.ranking import Scores
from diffrec.recommenders.embeddings import embeddings, group_items
from diffrec.recommenders.inputs import as_interactions
from diffrec.recommenders.item_diffusion import ItemDiffusion
from diffrec.recommenders.latent_diffusion import LatentDiffusion
from diffrec.recommenders.planning import planned
from diffrec.recommenders.settings import age, flag, one_of, optional, real, setting, whole, widths
from diffrec.recommenders.trained import NetworkSettings, TrainedRecommender
from diffrec.training import NoisedBatches, Plan, SparseBatches, product_dtype, resolve_device, run_batches


@dataclass(frozen=True, kw_only=True)
class DiffRecSettings(NetworkSettings):
    """Settings of the diffusion recommenders; the paper's symbols in brackets."""

    # The denoiser
    dims: tuple[int, ...] = setting((1000,), widths(), "hidden widths of the decoder, bottleneck first")
    time_embedding: int = setting(10, whole(1), "width of the step embedding")
    normalize: bool = setting(False, flag, "scale every noised history to unit length")
    dropout: float = setting(0.5, real(0, 1, open_high=True), "share of the input entries dropped in training")
    # The diffusion process
    steps: int = setting(5, whole(1), "diffusion steps [T]")
    noise_schedule: str = setting("linear-var", one_of(NOISE_SCHEDULES), "how the noise grows")
    noise_scale: float = setting(0.1, real(0), "scale of the noise [s]; 0 for none")
    noise_min: float = setting(0.001, real(0, open_low=True), "noise of the first step [alpha_min]")
    noise_max: float = setting(0.02, real(0, open_low=True), "noise of the last step [alpha_max]")
    predict: str = setting("x0", one_of(("x0", "eps")), "what the denoiser predicts")
    step_sampling: str = setting("importance", one_of(STEP_SAMPLINGS), "how training steps are drawn [p_t]")
    reweight: bool = setting(True, flag, "weigh the loss by the step's part in the variational bound")
    forward_steps: int = setting(0, whole(0), "noise a history to this step before the reverse chain [T']")
    sampling_noise: bool = setting(False, flag, "add the posterior's noise in the reverse chain")
    objective: str = setting("reconstruct", one_of(("reconstruct",)), "what the denoiser learns to produce")
    # The histories
    binarize: bool = setting(True, flag, "take every interaction as 1; otherwise by its value")
    time_weights: Decay | None = setting(
        None, one_of((None, *get_args(Decay))), "weigh interactions by age (T-DiffRec)"
    )
    w_min: float = setting(0.1, real(0), "weight of the oldest interaction [w_min]")
    w_max: float = setting(1.0, real(0), "weight of the newest interaction [w_max]")
    half_life: float | datetime.timedelta = setting(
        5.0, age, "age at which exponential and power weights are half way down: interactions, or a timedelta"
    )

    # The latent forms
    groups: int | None = setting(None, optional(whole(1)), "groups of items with an encoder each (L-DiffRec) [C]")
    latent_dims: tuple[int, ...] = setting((300,), widths(), "widths of latent and encoder, the latent's first")
    decoder_dims: tuple[int, ...] = setting(
        (), widths(at_least_one=False), "hidden widths of a decoder per group; () for one layer over all"
    )
    item_embeddings: Any = setting(
        None,
        embeddings,
        "what groups are made of: 'svd' (also None), 'lightgcn', or an array (items, width)",
        saved=False,
    )
    group_balance: float | None = setting(
        1.5, optional(real(1)), "largest group at most this multiple of the mean; None for groups of any size"
    )
    encoder_dropout: float = setting(0.1, real(0, 1, open_high=True), "share of a history dropped before encoding")
    autoencoder_lr: float = setting(1e-3, real(0, open_low=True), "learning rate of the autoencoder")
    autoencoder_weight_decay: float = setting(0.0, real(0), "weight decay of the autoencoder")
    kl_weight: float = setting(0.3, real(0), "weight of the KL term, once annealed [gamma]")
    kl_anneal_batches: int = setting(200, whole(0), "batches times this weight would reach 1 [its slope]; 0 for none")
    diffusion_weight: float = setting(0.03, real(0), "weight of the diffusion loss at first [lambda]")
    diffusion_weight_min: float = setting(0.005, real(0), "weight it falls to")
    diffusion_anneal_epochs: int = setting(500, whole(0), "epochs in which it would fall to 0; 0 for a constant weight")

    def check_together(self) -> None:
        """Refuse combinations that no data could make possible."""
        if self.noise_min > self.noise_max:
            raise ValueError(f"noise_min must be at most noise_max={self.noise_max}, got {self.noise_min}")
        if self.w_min > self.w_max:
            raise ValueError(f"w_min must be at most w_max={self.w_max}, got {self.w_min}")
        if self.forward_steps > self.steps:
            raise ValueError(f"forward_steps must be at most steps={self.steps}, got {self.forward_steps}")
        if self.predict == "eps" and self.noise_scale == 0:
            raise ValueError("predict='eps' needs noise to predict: noise_scale must be above 0, got 0")
        noise_betas(self.noise_schedule, self.steps, self.noise_scale, self.noise_min, self.noise_max)


class DiffRec(TrainedRecommender):
    """Diffusion recommender model (Wang et al., SIGIR 2023, arXiv 2304.04971).

    A user's history is an item vector x_0. Training adds Gaussian noise to it over T steps and teaches a denoiser to
    find x_0 again (eq. 10); inference runs the learnt reverse chain from the history itself, and the x_0 it ends with
    scores every item (section 3.4).

    With ``time_weights`` it is T-DiffRec (section 4.2): recent interactions weigh more. With ``groups`` it is L-DiffRec
    (section 4.1): items are clustered by their embeddings, a variational encoder per group compresses a history, the
    diffusion runs over the latents, and a decoder scores the items. With both it is LT-DiffRec.

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

    variant: ClassVar[str] = "diffrec"
    settings_type = DiffRecSettings
    settings: DiffRecSettings
    _model: ItemDiffusion | LatentDiffusion
    # The histories scored last, and the vectors x_0 made of them.
    _weighted: tuple[Interactions, sparse.csr_array] | None = None

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

    def _foresee(self, learn: Interactions, device: torch.device, validated: bool) -> Plan:
        plan = planned(self.settings, learn.shape, len(learn), device, validated)
        plan.require(device, "use smaller dims or batch_size, or l-diffrec with groups")
        return plan

    def _holdout_by(self) -> str:
        return "time" if self.settings.time_weights else "random"

    def _prepare(self, learn: Interactions, device: torch.device) -> tuple[nn.Module, Callable[[int], float]]:
        s = self.settings
        self._weighted = None
        inputs = self._inputs_of(learn)
        shuffle = np.random.default_rng(s.seed)
        if s.groups is None:
            model = self._model = ItemDiffusion.of(s, learn.shape[1], device)
            optimizer = torch.optim.AdamW(model.parameter_groups(), fused=True)
            batches = NoisedBatches(inputs, s.batch_size, device, shuffle, seed=s.seed)
            dtype = product_dtype(s.precision, device, on_processor=True)
            return model, lambda _epoch: run_batches(model.loss, batches.noised(), optimizer, dtype)
        return self._prepare_latent(learn, SparseBatches(inputs, s.batch_size, device, shuffle), device)

    def _prepare_latent(
        self, learn: Interactions, batches: SparseBatches, device: torch.device
    ) -> tuple[nn.Module, Callable[[int], float]]:
        s = self.settings
        group_of_item = group_items(learn, cast(int, s.groups), s.item_embeddings, balance=s.group_balance, seed=s.seed)
        model = self._model = LatentDiffusion.of(s, group_of_item, device)
        optimizer = torch.optim.AdamW(model.parameter_groups(), fused=True)

        def run_epoch(epoch: int) -> float:
            model.start_epoch(epoch)
            return run_batches(model.loss, batches, optimizer, product_dtype(s.precision, device))

        return model, run_epoch

    def _facts(self) -> dict[str, str | int | float]:
        s = self.settings
        if s.groups is None:
            return {}
        given = (
            "given" if s.item_embeddings is not None and not isinstance(s.item_embeddings, str) else s.item_embeddings
        )
        return {"item_embeddings": given or "svd"}

    def _weights_changed(self) -> None:
        self._model.changed()

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

    def _scores(self, histories: Interactions, start: int, stop: int) -> Scores:
        # Blocks of the same histories follow one another: their weights are worked out once.
        if self._weighted is None or self._weighted[0] is not histories:
            self._weighted = (histories, self._inputs_of(histories))
        inputs = self._weighted[1]
        rows = SparseRows.from_csr(inputs.indptr, inputs.indices, inputs.data, start, stop, self._model.device)
        return self._model.scores(rows, seed=self.settings.seed + start)

    def _item_vectors(self) -> Tensor:
        return self._model.item_vectors()

    def _state(self) -> dict[str, Tensor]:
        return self._model.state_dict()

    def _restore(self, state: dict[str, Tensor]) -> None:
        device = resolve_device(self.settings.device)
        if self.settings.groups is None:
            self._model = ItemDiffusion.of(self.settings, self._n_items, device)
        else:
            self._model = LatentDiffusion.of(self.settings, state["autoencoder.group_of_item"], device)
        self._model.load_state_dict(state)
        self._model.eval()
