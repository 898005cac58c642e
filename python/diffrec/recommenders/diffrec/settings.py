"""Settings of the diffusion recommenders."""

import datetime
from dataclasses import dataclass
from typing import Any, get_args

from diffrec.anchors.ridge import EXACT
from diffrec.checks import age, each, flag, layers, one_of, optional, real, span, stretch, whole, width, widths
from diffrec.data import REPEAT_VIEWS, Decay, RepeatView, TimeScale
from diffrec.diffusion import LIKELIHOODS, NOISE_SCHEDULES, STEP_SAMPLINGS, noise_betas
from diffrec.recommenders.diffrec.groups import embeddings
from diffrec.recommenders.settings import setting
from diffrec.recommenders.trained import NetworkSettings

OBJECTIVES = ("reconstruct", "forecast")
# What a forecast that may repeat knows of an item by default, if a history has it: chosen on the last basket but one of
# each customer of Online Retail.
OWN_VIEWS: tuple[TimeScale | RepeatView, ...] = ("had", "often", "ago", "usual", 3.0, datetime.timedelta(days=60))
DENOISERS = ("mlp", "sequence")
# Settings that only the latent forms read.
_OF_GROUPS = (
    "latent_dims", "decoder_dims", "item_embeddings", "group_balance", "encoder_dropout", "autoencoder_lr",
    "autoencoder_weight_decay", "kl_weight", "kl_anneal_batches", "diffusion_weight", "diffusion_weight_min",
    "diffusion_anneal_epochs",
)  # fmt: skip


def _own_view(name: str, value: Any) -> TimeScale | RepeatView:
    """Accept a time constant, or a view of how an item was taken before."""
    named = isinstance(value, str) and stretch(value) is None
    return (one_of(REPEAT_VIEWS) if named else optional(age))(name, value)  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class DiffRecSettings(NetworkSettings):
    """Settings of the diffusion recommenders; symbols are those of the paper."""

    # The denoiser
    dims: tuple[int, ...] = setting(
        (1000,), widths(), "widths of the denoiser's hidden layers, those of its decoder, bottleneck first"
    )
    time_embedding: int = setting(10, width, "width of the embedding that tells the denoiser the diffusion step")
    normalize: bool = setting(False, flag, "whether every noised history is scaled to unit length")
    dropout: float = setting(
        0.5, real(0, 1, open_high=True), "share of the denoiser's input entries dropped in training"
    )
    # The diffusion process
    steps: int = setting(5, whole(1, most=10_000), "number of diffusion steps", symbol="T")
    noise_schedule: str = setting(
        "linear-var", one_of(NOISE_SCHEDULES), "name of the schedule by which the noise grows from step to step"
    )
    noise_scale: float = setting(
        0.1, real(0), "factor of the noise of all steps of a linear schedule; 0 for a process without noise", symbol="s"
    )
    noise_min: float = setting(
        0.001,
        real(0, open_low=True),
        "noise of the first step of a linear schedule, before `noise_scale` multiplies it",
        symbol="alpha_min",
    )
    noise_max: float = setting(
        0.02,
        real(0, open_low=True),
        "noise of the last step of a linear schedule, before `noise_scale` multiplies it",
        symbol="alpha_max",
    )
    predict: str = setting(
        "x0",
        one_of(("x0", "eps")),
        "quantity that the denoiser predicts: the clean history ('x0') or the noise ('eps')",
    )
    step_sampling: str = setting(
        "importance",
        one_of(STEP_SAMPLINGS),
        "how the diffusion step of a training row is drawn: 'uniform', or 'importance' for steps of large "
        "loss more often",
        symbol="p_t",
    )
    reweight: bool = setting(True, flag, "whether the loss of a step is weighed by its part in the variational bound")
    forward_steps: int = setting(
        0,
        whole(0),
        "number of steps by which a history is noised before the reverse chain ranks; 0 for none",
        symbol="T'",
    )
    sampling_noise: bool = setting(False, flag, "whether the reverse chain adds the posterior's noise when it ranks")
    objective: str = setting(
        "reconstruct",
        one_of(OBJECTIVES),
        "what the denoiser learns to produce: the history ('reconstruct'), or the items that come after a "
        "random cut of it ('forecast', which needs timestamps)",
    )
    # The histories
    binarize: bool = setting(
        True,
        flag,
        "whether every interaction is trusted alike; otherwise the value of an interaction is the confidence "
        "in it, the weight of its part of the loss (the anchor, in closed form, counts it as 1)",
    )
    time_weights: Decay | None = setting(
        None,
        one_of((None, *get_args(Decay))),
        "how the weight of an interaction falls with its age (T-DiffRec); None for even weights",
    )
    w_min: float = setting(
        0.1, real(0), "weight of the oldest interaction of a history; read where `time_weights` is set", symbol="w_min"
    )
    w_max: float = setting(
        1.0, real(0), "weight of the newest interaction of a history; read where `time_weights` is set", symbol="w_max"
    )
    half_life: float | datetime.timedelta = setting(
        5.0,
        age,
        "age, as a number of the user's newer baskets or a timedelta (or '3d'), at which exponential and power weights "
        "are half way down from `w_max` to `w_min`",
    )

    # Forecasting
    time_scales: tuple[TimeScale, ...] = setting(
        (1.0, 5.0, None),
        each(optional(age), "numbers, timedeltas and None"),
        "views of a history that a forecast sees, one for each time constant of its weights: numbers of baskets, "
        "timedeltas, or None for even weights",
    )
    own_views: tuple[TimeScale | RepeatView, ...] | None = setting(
        None,
        optional(each(_own_view, f"{', '.join(REPEAT_VIEWS)}, numbers and timedeltas", least=0)),
        "how a user took an item before, each with a learnt weight in that item's score: 'had', 'often', 'ago', 'due', "
        "'usual', or time scales; None for all that help next baskets where repeats='include', and for none elsewhere",
    )
    horizon: int = setting(5, whole(1), "number of items after the cut of a history that are forecast")
    cuts: int = setting(4, whole(1), "number of random cuts of each history in an epoch of a forecast")
    forecast_half_life: datetime.timedelta | None = setting(
        None,
        optional(span),
        "age of what is to be forecast, before the newest interaction of all, at which it counts half in the "
        "denoiser's loss; None for even weights",
    )
    likelihood: str = setting(
        "softmax",
        one_of(LIKELIHOODS),
        "likelihood of the items to be forecast: 'softmax' or 'squared' (squared errors)",
    )
    hidden_dropout: float = setting(
        0.0, real(0, 1, open_high=True), "share of the units of the denoiser's last hidden layer dropped in training"
    )
    denoiser: str = setting(
        "mlp",
        one_of(DENOISERS),
        "network that learns to forecast: 'mlp', layers over the views of a cut history, or 'sequence', a "
        "causal transformer over its last events that learns every cut of a history at once",
    )
    sequence_length: int = setting(
        200, whole(1, most=10_000), "number of a user's last events that the transformer reads", symbol="L"
    )
    sequence_width: int = setting(
        64, width, "width of the transformer's states and of its item embeddings, at its input and its output"
    )
    sequence_layers: int = setting(2, layers, "number of layers of the transformer")
    sequence_heads: int = setting(
        2, whole(1), "number of attention heads in each layer of the transformer; must divide `sequence_width`"
    )
    sequence_dropout: float = setting(
        0.2, real(0, 1, open_high=True), "share of the transformer's states dropped in training"
    )
    sequence_negatives: int | None = setting(
        None,
        optional(whole(1)),
        "number of items that the transformer's softmax is estimated from in training; None for all of up to "
        "50,000 items, and for 8,192 of more",
    )
    sequence_clock: bool = setting(
        False, flag, "whether the transformer reads the time between events beside their order"
    )
    encoder_length: int = setting(
        0,
        whole(0, most=10_000),
        "number of last items that the encoder of a model saved by an older version reads; 0 for no encoder, "
        "as in every new fit",
    )
    encoder_width: int = setting(
        64, width, "width of the encoder of a model saved by an older version; read where `encoder_length` is set"
    )
    encoder_layers: int = setting(
        2,
        layers,
        "number of layers of the encoder of a model saved by an older version; read where `encoder_length` is set",
    )
    horizon_decay: float = setting(
        0.5,
        real(0, 1, open_low=True),
        "weight of a basket among those that the transformer forecasts from one place, as a share of the "
        "weight of the basket before",
    )

    # The anchor: a linear map in closed form whose scores are added to the denoiser's
    anchor: bool = setting(
        False, flag, "whether the scores of a ridge regression, the anchor, are added to the denoiser's"
    )
    anchor_l2: float = setting(
        10.0,
        real(0, open_low=True),
        "regularisation of the anchor, as a multiple of the mean energy of its features; higher values "
        "shrink its weights",
    )
    anchor_damping: float = setting(
        0.25,
        real(0, 1),
        "how much less the anchor's regularisation holds back popular items than rare ones; 0 for alike",
    )
    anchor_row_damping: float = setting(
        0.0,
        real(0, 1),
        "how much less a long history counts in the anchor: n items weigh n to the power of minus this; 0 for alike",
    )
    anchor_half_life: datetime.timedelta | None = setting(
        None,
        optional(span),
        "age of what came after a cut, before the newest interaction of all, at which it counts half in a "
        "forecast's anchor; None for even weights",
    )
    anchor_cuts: int = setting(
        20, whole(1), "number of cuts of each history from which a forecast's anchor is computed, at most"
    )
    anchor_exact: int = setting(
        EXACT, whole(0), "number of features up to which the anchor is solved exactly; it is approximated beyond"
    )
    anchor_rank: int = setting(128, whole(1), "number of singular vectors in the approximation of the anchor")
    anchor_neighbors: int = setting(
        200, whole(1), "number of items kept directly for each feature in the approximation of the anchor"
    )
    anchor_scale: float | None = setting(
        None,
        optional(real(0)),
        "weight of the anchor's scores beside the denoiser's; None learns it along with a forecast, or else "
        "chooses it on validation",
    )

    # The latent forms
    groups: int | None = setting(
        None,
        optional(whole(1)),
        "number of groups of items, each with an encoder of its own (L-DiffRec); None for diffusion over the "
        "items themselves",
        symbol="C",
    )
    latent_dims: tuple[int, ...] = setting(
        (300,),
        widths(),
        "widths of the latent and of the encoder's hidden layers, the latent's first, shared out among the groups",
    )
    decoder_dims: tuple[int, ...] = setting(
        (),
        widths(at_least_one=False),
        "widths of the hidden layers of a decoder for each group; () for one linear layer over all groups",
    )
    item_embeddings: Any = setting(
        None,
        embeddings,
        "vectors that items are grouped by: 'svd' (also None), 'lightgcn', or an array (items, width)",
        saved=False,
    )
    group_balance: float | None = setting(
        1.5,
        optional(real(1)),
        "size of the largest group at most, as a multiple of the mean size; None for groups of any size",
    )
    encoder_dropout: float = setting(
        0.1, real(0, 1, open_high=True), "share of a history's entries dropped before it is encoded, in training"
    )
    autoencoder_lr: float = setting(1e-3, real(0, open_low=True), "learning rate of the autoencoder's weights")
    autoencoder_weight_decay: float = setting(
        0.0, real(0), "weight decay of the autoencoder's weights; higher values keep them smaller"
    )
    kl_weight: float = setting(
        0.3,
        real(0),
        "largest weight of the KL term of the autoencoder's loss",
        symbol="gamma",
    )
    kl_anneal_batches: int = setting(
        200,
        whole(0),
        "number of batches in which the weight of the KL term would rise to 1, stopping at `kl_weight`; 0 "
        "for `kl_weight` from the start",
    )
    diffusion_weight: float = setting(
        0.03, real(0), "weight of the diffusion loss beside the autoencoder's in the first epoch", symbol="lambda"
    )
    diffusion_weight_min: float = setting(
        0.005, real(0), "weight of the diffusion loss at which its fall from `diffusion_weight` ends"
    )
    diffusion_anneal_epochs: int = setting(
        500,
        whole(0),
        "number of epochs in which the weight of the diffusion loss would fall from `diffusion_weight` to 0; "
        "0 for a constant weight",
    )

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

    def idle(self) -> dict[str, str]:
        """Name settings of weights by age, and of latent forms, where these are not asked for."""
        idle = {} if self.groups is not None else dict.fromkeys(_OF_GROUPS, "has no effect without groups")
        if self.time_weights is None:
            idle |= dict.fromkeys(("w_min", "w_max", "half_life"), "has no effect without time_weights")
        elif self.time_weights == "linear" and not isinstance(self.half_life, datetime.timedelta):
            # One by the clock makes weights that are linear in time, whatever its length.
            idle["half_life"] = (
                "does not count by its length with time_weights='linear'; time_weights='exponential' uses it"
            )
        return idle

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
            self._require_only(
                "objective='forecast'", time_weights=None, predict="x0", forward_steps=0, sampling_noise=False
            )
        else:
            for name in ("anchor_half_life", "forecast_half_life"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} needs objective='forecast', got {getattr(self, name)!r}")
        if self.forecast_half_life is not None:
            self._require_only("forecast_half_life", likelihood="softmax")
        if self.own_views and not self.own_terms:
            raise ValueError(
                "own_views is for objective='forecast' and denoiser='mlp' without groups, which alone has weights for "
                f"them, got {self.own_views!r}"
            )
        if self.denoiser == "sequence":
            self._require_only(
                "denoiser='sequence'", objective="forecast", groups=None, likelihood="softmax", encoder_length=0
            )
            if self.sequence_width % self.sequence_heads:
                raise ValueError(
                    f"sequence_heads must divide sequence_width={self.sequence_width}, got {self.sequence_heads}"
                )
        betas = noise_betas(self.noise_schedule, self.steps, self.noise_scale, self.noise_min, self.noise_max)
        if (self.predict == "eps" or self.denoiser == "sequence") and float(betas.max()) == 1:
            what = "predict='eps'" if self.predict == "eps" else "denoiser='sequence'"
            raise ValueError(
                f"{what} needs a trace of the history at every step, and noise_schedule={self.noise_schedule!r} with "
                f"steps={self.steps}, noise_scale={self.noise_scale}, noise_max={self.noise_max} ends in noise alone"
            )

    def _require_only(self, where: str, **only: Any) -> None:
        """Refuse other values than these of settings that have no say ``where`` something else is set."""
        for name, value in only.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} must be {value!r} with {where}, got {getattr(self, name)!r}")
