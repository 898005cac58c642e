"""Settings of the diffusion recommenders."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from diffrec.anchors.ridge import EXACT
from diffrec.checks import age, flag, layers, one_of, optional, real, span, whole, width, widths
from diffrec.data import REPEAT_VIEWS, Decay, RepeatView, TimeScale
from diffrec.diffusion import LIKELIHOODS, NOISE_SCHEDULES, STEP_SAMPLINGS, noise_betas
from diffrec.recommenders.diffrec.groups import embeddings
from diffrec.recommenders.settings import setting
from diffrec.recommenders.trained import NetworkSettings

OBJECTIVES = ("reconstruct", "forecast")
# What a forecast that may repeat knows of an item by default, if a history has it: chosen on the last basket but one of
# each customer of Online Retail.
OWN_VIEWS: tuple[TimeScale | RepeatView, ...] = ("had", "often", "ago", "due", 3.0, datetime.timedelta(days=60))
DENOISERS = ("mlp", "sequence")


def time_scales(name: str, value: Any) -> tuple[TimeScale, ...]:
    """Accept at least one time constant: a positive number, a positive timedelta, or None."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a sequence of numbers, timedeltas and None, got {value!r}")
    scales = tuple(optional(age)(name, scale) for scale in value)
    if not scales:
        raise ValueError(f"{name} must name at least one time constant, got {value!r}")
    return value if isinstance(value, tuple) and value == scales else scales


def own_views(name: str, value: Any) -> tuple[TimeScale | RepeatView, ...]:
    """Accept any number of time constants and of the views of how an item was taken before."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(
            f"{name} must be a sequence of {', '.join(REPEAT_VIEWS)}, numbers and timedeltas, got {value!r}"
        )
    view, scale = one_of(REPEAT_VIEWS), optional(age)
    views = tuple(view(name, one) if isinstance(one, str) else scale(name, one) for one in value)
    return value if isinstance(value, tuple) and value == views else views


@dataclass(frozen=True, kw_only=True)
class DiffRecSettings(NetworkSettings):
    """Settings of the diffusion recommenders; symbols are those of the paper."""

    # The denoiser
    dims: tuple[int, ...] = setting((1000,), widths(), "hidden widths of the decoder, bottleneck first")
    time_embedding: int = setting(10, width, "width of the step embedding")
    normalize: bool = setting(False, flag, "scale every noised history to unit length")
    dropout: float = setting(0.5, real(0, 1, open_high=True), "share of the input entries dropped in training")
    # The diffusion process
    steps: int = setting(5, whole(1, most=10_000), "diffusion steps", symbol="T")
    noise_schedule: str = setting("linear-var", one_of(NOISE_SCHEDULES), "how the noise grows")
    noise_scale: float = setting(0.1, real(0), "scale of the noise; 0 for none", symbol="s")
    noise_min: float = setting(0.001, real(0, open_low=True), "noise of the first step", symbol="alpha_min")
    noise_max: float = setting(0.02, real(0, open_low=True), "noise of the last step", symbol="alpha_max")
    predict: str = setting("x0", one_of(("x0", "eps")), "what the denoiser predicts")
    step_sampling: str = setting("importance", one_of(STEP_SAMPLINGS), "how training steps are drawn", symbol="p_t")
    reweight: bool = setting(True, flag, "weigh the loss by the step's part in the variational bound")
    forward_steps: int = setting(0, whole(0), "noise a history to this step before the reverse chain", symbol="T'")
    sampling_noise: bool = setting(False, flag, "add the posterior's noise in the reverse chain")
    objective: str = setting(
        "reconstruct",
        one_of(OBJECTIVES),
        "what the denoiser learns to produce: the history, or what follows a random cut of it (needs timestamps)",
    )
    # The histories
    binarize: bool = setting(
        True,
        flag,
        "trust every interaction alike; otherwise its value is the confidence in it: what its part of the loss weighs "
        "(the anchor, in closed form, counts it as 1)",
    )
    time_weights: Decay | None = setting(
        None, one_of((None, *get_args(Decay))), "weigh interactions by age (T-DiffRec)"
    )
    w_min: float = setting(0.1, real(0), "weight of the oldest interaction", symbol="w_min")
    w_max: float = setting(1.0, real(0), "weight of the newest interaction", symbol="w_max")
    half_life: float | datetime.timedelta = setting(
        5.0, age, "age at which exponential and power weights are half way down: interactions, or a timedelta"
    )

    # Forecasting
    time_scales: tuple[TimeScale, ...] = setting(
        (1.0, 5.0, None),
        time_scales,
        "views of a history, by the time constants of their weights: interactions, timedeltas, or None for even ones",
    )
    own_views: tuple[TimeScale | RepeatView, ...] | None = setting(
        None,
        optional(own_views),
        "how a user took an item before, each with a learnt weight in that item's score: 'had', 'often', 'ago', 'due', "
        "or time scales; None for all that help next baskets where repeats='include', and for none elsewhere",
    )
    horizon: int = setting(5, whole(1), "items after the cut that are forecast")
    cuts: int = setting(4, whole(1), "cuts of each history in an epoch")
    likelihood: str = setting("softmax", one_of(LIKELIHOODS), "of the items that follow")
    hidden_dropout: float = setting(0.0, real(0, 1, open_high=True), "share of the last hidden layer dropped")
    denoiser: str = setting(
        "mlp",
        one_of(DENOISERS),
        "what learns to forecast: layers over the views of a cut history, or a causal transformer over its last events "
        "that learns every cut of it at once",
    )
    sequence_length: int = setting(200, whole(1, most=10_000), "last events that the transformer reads", symbol="L")
    sequence_width: int = setting(64, width, "width of its item embeddings, those of its output, too")
    sequence_layers: int = setting(2, layers, "its layers")
    sequence_heads: int = setting(2, whole(1), "heads of its attention; they divide its width")
    sequence_dropout: float = setting(0.2, real(0, 1, open_high=True), "share of its states dropped in training")
    sequence_negatives: int | None = setting(
        None,
        optional(whole(1)),
        "items that its softmax is estimated from in training; None for all of up to 50,000, else for 8,192",
    )
    sequence_clock: bool = setting(False, flag, "read the time between events beside their order")
    encoder_length: int = setting(
        0, whole(0, most=10_000), "of files alone: last items that a denoiser of an older version reads; 0 for none"
    )
    encoder_width: int = setting(64, width, "of files alone: width of the encoder that reads them")
    encoder_layers: int = setting(2, layers, "of files alone: its layers")
    horizon_decay: float = setting(
        0.5, real(0, 1, open_low=True), "how much less each further basket counts among those it forecasts"
    )

    # The anchor: a linear map in closed form whose scores are added to the denoiser's
    anchor: bool = setting(False, flag, "add the scores of a ridge regression")
    anchor_l2: float = setting(
        10.0, real(0, open_low=True), "its regularisation, a multiple of the features' mean energy"
    )
    anchor_damping: float = setting(0.25, real(0, 1), "how much less it holds back popular items than rare ones")
    anchor_row_damping: float = setting(0.0, real(0, 1), "how much less long histories count in it")
    anchor_half_life: datetime.timedelta | None = setting(
        None,
        optional(span),
        "age, before the newest interaction of all, at which what followed a cut counts half in it, when forecasting; "
        "None for even weights",
    )
    anchor_cuts: int = setting(20, whole(1), "cuts of each history it is made of, when forecasting")
    anchor_exact: int = setting(EXACT, whole(0), "features up to which it is exact")
    anchor_rank: int = setting(128, whole(1), "singular vectors of the approximation beyond that")
    anchor_neighbors: int = setting(200, whole(1), "items it keeps directly for each feature there")
    anchor_scale: float | None = setting(
        None, optional(real(0)), "weight of its scores; None learns it, with the forecast or on what validation holds"
    )

    # The latent forms
    groups: int | None = setting(
        None, optional(whole(1)), "groups of items with an encoder each (L-DiffRec)", symbol="C"
    )
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
    kl_weight: float = setting(0.3, real(0), "weight of the KL term, once annealed", symbol="gamma")
    kl_anneal_batches: int = setting(200, whole(0), "batches times this weight would reach 1; 0 for none")
    diffusion_weight: float = setting(0.03, real(0), "weight of the diffusion loss at first", symbol="lambda")
    diffusion_weight_min: float = setting(0.005, real(0), "weight it falls to")
    diffusion_anneal_epochs: int = setting(500, whole(0), "epochs in which it would fall to 0; 0 for a constant weight")

    @property
    def n_seen(self) -> int:
        """Number of views of a history that network and anchor see."""
        return len(self.time_scales) if self.objective == "forecast" else 1

    @property
    def own_terms(self) -> tuple[TimeScale | RepeatView, ...]:
        """The views whose weights a forecast learns for the item they are of."""
        if self.objective != "forecast" or self.groups is not None or self.denoiser == "sequence":
            return ()
        if self.own_views is not None:
            return self.own_views
        return OWN_VIEWS if self.repeats == "include" else ()

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
        if self.objective == "forecast":
            # A forecast is the chain's last step, from a history whose weights are those of its time scales.
            idle: dict[str, Any] = {"time_weights": None, "predict": "x0", "forward_steps": 0, "sampling_noise": False}
            for name, only in idle.items():
                if getattr(self, name) != only:
                    raise ValueError(f"{name} must be {only!r} with objective='forecast', got {getattr(self, name)!r}")
        elif self.anchor_half_life is not None:
            raise ValueError(f"anchor_half_life needs objective='forecast', got {self.anchor_half_life!r}")
        if self.own_views and not self.own_terms:
            raise ValueError(
                "own_views is for objective='forecast' and denoiser='mlp' without groups, which alone has weights for "
                f"them, got {self.own_views!r}"
            )
        if self.denoiser == "sequence":
            wanted: dict[str, Any] = {
                "objective": "forecast",
                "groups": None,
                "likelihood": "softmax",
                "encoder_length": 0,
            }
            for name, only in wanted.items():
                if getattr(self, name) != only:
                    raise ValueError(f"{name} must be {only!r} with denoiser='sequence', got {getattr(self, name)!r}")
            if self.sequence_width % self.sequence_heads:
                raise ValueError(
                    f"sequence_heads must divide sequence_width={self.sequence_width}, got {self.sequence_heads}"
                )
        noise_betas(self.noise_schedule, self.steps, self.noise_scale, self.noise_min, self.noise_max)
