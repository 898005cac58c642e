"""``diffrec.fit`` for type checkers: variants, their settings and classes; written by .ci/fit_types.py."""

import datetime
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, overload

from diffrec.distributed import World
from diffrec.recommenders import (
    CFGAN,
    EASE,
    IALS,
    TIFUKNN,
    Anchor,
    DiffRec,
    ItemKNN,
    LightGCN,
    MultiDAE,
    MultiVAE,
    Popularity,
    Recommender,
    RP3beta,
    SASRec,
    Stack,
    TopFreq,
)
from diffrec.training import Callback

class _OfEveryFit(TypedDict, total=False):
    valid: Any
    preset: str | None
    device: str
    seed: int
    progress: bool
    callbacks: Sequence[Callback]
    budget: str | float | datetime.timedelta | None
    repeats: str
    init: Recommender | None
    checkpoint: str | os.PathLike[str] | None
    every: str | float | datetime.timedelta
    distributed: str | World

class _TrainedSettings(_OfEveryFit, total=False):
    lr: float
    lr_schedule: str
    batch_size: int
    epochs: int
    patience: int
    validate_every: int
    holdout: float
    time_limit: str | float | datetime.timedelta | None
    deterministic: bool

class _NetworkSettings(_TrainedSettings, total=False):
    weight_decay: float
    precision: str

class _DiffRecSettings(_NetworkSettings, total=False):
    dims: int | Sequence[int]
    time_embedding: int
    normalize: bool
    dropout: float
    steps: int
    noise_schedule: str
    noise_scale: float
    noise_min: float
    noise_max: float
    predict: str
    step_sampling: str
    reweight: bool
    forward_steps: int
    sampling_noise: bool
    objective: str
    binarize: bool
    time_weights: Literal["linear", "exponential", "power"] | None
    w_min: float
    w_max: float
    half_life: float | datetime.timedelta | str
    time_scales: Sequence[float | datetime.timedelta | str | None]
    own_views: Sequence[float | datetime.timedelta | str | Literal["had", "often", "ago", "due", "usual"] | None] | None
    horizon: int
    cuts: int
    forecast_half_life: datetime.timedelta | str | None
    likelihood: str
    hidden_dropout: float
    denoiser: str
    sequence_length: int
    sequence_width: int
    sequence_layers: int
    sequence_heads: int
    sequence_dropout: float
    sequence_negatives: int | None
    sequence_clock: bool
    encoder_length: int
    encoder_width: int
    encoder_layers: int
    horizon_decay: float
    anchor: bool
    anchor_l2: float
    anchor_damping: float
    anchor_row_damping: float
    anchor_half_life: datetime.timedelta | str | None
    anchor_cuts: int
    anchor_exact: int
    anchor_rank: int
    anchor_neighbors: int
    anchor_scale: float | None
    groups: int | None
    latent_dims: int | Sequence[int]
    decoder_dims: int | Sequence[int]
    item_embeddings: Any
    group_balance: float | None
    encoder_dropout: float
    autoencoder_lr: float
    autoencoder_weight_decay: float
    kl_weight: float
    kl_anneal_batches: int
    diffusion_weight: float
    diffusion_weight_min: float
    diffusion_anneal_epochs: int

class _PopularitySettings(_OfEveryFit, total=False):
    half_life: float | datetime.timedelta | str | None

class _TopFreqSettings(_OfEveryFit, total=False):
    half_life: float | datetime.timedelta | str | None
    popularity: float

class _TIFUKNNSettings(_OfEveryFit, total=False):
    neighbors: int
    alpha: float
    group_size: int
    within_decay: float
    group_decay: float

class _ItemKNNSettings(_OfEveryFit, total=False):
    neighbors: int
    weighting: str
    bm25_k1: float
    bm25_b: float
    binarize: bool

class _RP3betaSettings(_OfEveryFit, total=False):
    alpha: float
    beta: float
    neighbors: int
    binarize: bool

class _EASESettings(_OfEveryFit, total=False):
    l2: float
    binarize: bool
    half_life: float | datetime.timedelta | str | None
    w_min: float

class _IALSSettings(_OfEveryFit, total=False):
    factors: int
    l2: float
    alpha: float
    binarize: bool
    iterations: int
    solver: str
    cg_steps: int

class _LightGCNSettings(_TrainedSettings, total=False):
    factors: int
    layers: int
    l2: float

class _MultiDAESettings(_NetworkSettings, total=False):
    dims: int | Sequence[int]
    latent: int
    dropout: float

class _MultiVAESettings(_MultiDAESettings, total=False):
    anneal_cap: float
    anneal_batches: int

class _CFGANSettings(_NetworkSettings, total=False):
    dims: int | Sequence[int]
    discriminator_dims: int | Sequence[int]
    zero_share: float
    zero_weight: float
    mask_share: float
    discriminator_lr: float
    discriminator_epochs: int
    generator_epochs: int

class _SASRecSettings(_NetworkSettings, total=False):
    length: int
    width: int
    layers: int
    heads: int
    dropout: float
    clock: bool
    loss: str
    negatives: int
    calibration: float

class _StackSettings(_OfEveryFit, total=False):
    parts: Sequence[str | tuple[str, Mapping[str, Any]]]
    weights: Sequence[float] | None

@overload
def fit(data: Any, *, variant: Literal["auto"] = ..., **settings: Unpack[_OfEveryFit]) -> Recommender: ...
@overload
def fit(
    data: Any,
    *,
    variant: Literal["auto", "diffrec", "t-diffrec", "l-diffrec", "lt-diffrec"] = ...,
    **settings: Unpack[_DiffRecSettings],
) -> DiffRec: ...
@overload
def fit(data: Any, *, variant: Literal["anchor"], **settings: Unpack[_DiffRecSettings]) -> Anchor: ...
@overload
def fit(data: Any, *, variant: Literal["popularity"], **settings: Unpack[_PopularitySettings]) -> Popularity: ...
@overload
def fit(data: Any, *, variant: Literal["topfreq"], **settings: Unpack[_TopFreqSettings]) -> TopFreq: ...
@overload
def fit(data: Any, *, variant: Literal["tifuknn"], **settings: Unpack[_TIFUKNNSettings]) -> TIFUKNN: ...
@overload
def fit(data: Any, *, variant: Literal["itemknn"], **settings: Unpack[_ItemKNNSettings]) -> ItemKNN: ...
@overload
def fit(data: Any, *, variant: Literal["rp3beta"], **settings: Unpack[_RP3betaSettings]) -> RP3beta: ...
@overload
def fit(data: Any, *, variant: Literal["ease"], **settings: Unpack[_EASESettings]) -> EASE: ...
@overload
def fit(data: Any, *, variant: Literal["ials"], **settings: Unpack[_IALSSettings]) -> IALS: ...
@overload
def fit(data: Any, *, variant: Literal["lightgcn"], **settings: Unpack[_LightGCNSettings]) -> LightGCN: ...
@overload
def fit(data: Any, *, variant: Literal["multivae"], **settings: Unpack[_MultiVAESettings]) -> MultiVAE: ...
@overload
def fit(data: Any, *, variant: Literal["multidae"], **settings: Unpack[_MultiDAESettings]) -> MultiDAE: ...
@overload
def fit(data: Any, *, variant: Literal["cfgan"], **settings: Unpack[_CFGANSettings]) -> CFGAN: ...
@overload
def fit(data: Any, *, variant: Literal["sasrec"], **settings: Unpack[_SASRecSettings]) -> SASRec: ...
@overload
def fit(data: Any, *, variant: Literal["stack"], **settings: Unpack[_StackSettings]) -> Stack: ...
