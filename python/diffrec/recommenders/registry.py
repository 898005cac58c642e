"""Variants by name: the class and the settings that make each."""

from typing import Any

from diffrec.checks import known
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.diffrec.anchor import Anchor
from diffrec.recommenders.diffrec.model import DiffRec
from diffrec.recommenders.diffrec.presets import preset_settings
from diffrec.recommenders.model_file import KINDS
from diffrec.recommenders.rivals.cfgan import CFGAN
from diffrec.recommenders.rivals.ease import EASE
from diffrec.recommenders.rivals.ials import IALS
from diffrec.recommenders.rivals.itemknn import ItemKNN
from diffrec.recommenders.rivals.lightgcn import LightGCN
from diffrec.recommenders.rivals.multivae import MultiDAE, MultiVAE
from diffrec.recommenders.rivals.popularity import Popularity
from diffrec.recommenders.rivals.rp3beta import RP3beta
from diffrec.recommenders.rivals.sasrec import SASRec
from diffrec.recommenders.rivals.tifuknn import TIFUKNN
from diffrec.recommenders.rivals.topfreq import TopFreq

# What forecasting needs beyond the defaults of reconstructing: chosen on the last tenth of ml-1m_clean's training part.
_FORECAST: dict[str, Any] = {
    "objective": "forecast",
    "dims": (600,),
    "batch_size": 512,
    "epochs": 20,
    "lr_schedule": "cosine",
    "dropout": 0.3,
    "hidden_dropout": 0.3,
    "noise_scale": 0.001,
    "anchor": True,
    "anchor_damping": 0.0,
    "validate_every": 2,
}
# Beyond these what a transformer needs that is trained at every place of a history; none of it on one set alone.
_SEQUENCE: dict[str, Any] = {
    "batch_size": 2048,
    "lr": 2e-3,
    "weight_decay": 0.01,
    "horizon": 1,
}
_LATENT: dict[str, Any] = {"groups": 2, "dims": (300,)}

# A variant is a class and the settings that make it that variant; whoever fits it may set them otherwise.
VARIANTS: dict[str, tuple[type[Recommender], dict[str, Any]]] = {}


def register(variant: str, kind: type[Recommender], /, **settings: Any) -> None:
    """Let ``fit``, ``load`` and the command line know a variant.

    Parameters
    ----------
    variant : str
        Its name.
    kind : type
        The recommender's class.
    **settings
        What the variant sets otherwise than the class.

    Examples
    --------
    >>> import diffrec
    >>> register("ease-light", diffrec.EASE, l2=10.0)
    >>> make("ease-light").settings.l2
    10.0
    >>> del VARIANTS["ease-light"], KINDS["ease-light"]
    """
    VARIANTS[variant] = (kind, settings)
    KINDS[variant] = kind


for _name, _kind, _settings in (
    ("diffrec", DiffRec, {}),
    ("t-diffrec", DiffRec, _FORECAST),
    ("l-diffrec", DiffRec, _LATENT),
    ("lt-diffrec", DiffRec, _LATENT | {"objective": "forecast"}),
    ("anchor", Anchor, {}),
    ("popularity", Popularity, {}),
    ("topfreq", TopFreq, {}),
    ("tifuknn", TIFUKNN, {}),
    ("itemknn", ItemKNN, {}),
    ("rp3beta", RP3beta, {}),
    ("ease", EASE, {}),
    ("ials", IALS, {}),
    ("lightgcn", LightGCN, {}),
    ("multivae", MultiVAE, {}),
    ("multidae", MultiDAE, {}),
    ("cfgan", CFGAN, {}),
    ("sasrec", SASRec, {}),
):
    register(_name, _kind, **_settings)

# The time-aware forms as the paper has them: histories reconstructed, recent interactions weighing more.
_WEIGHTED: dict[str, dict[str, Any]] = {
    "t-diffrec": {"time_weights": "linear"},
    "lt-diffrec": _LATENT | {"time_weights": "linear"},
}
# Settings that mean nothing to a forecast: who names one asks for the paper's form.
_OF_TIME_WEIGHTS = frozenset({"time_weights", "w_min", "w_max", "half_life"})


def make(variant: str, preset: str | None = None, **settings: Any) -> Recommender:
    """Make a variant's recommender, not fitted yet.

    Parameters
    ----------
    variant : str
        One of ``VARIANTS``.
    preset : str, optional
        Published settings; named ``settings`` come before them.
    **settings
        The variant's settings.

    Examples
    --------
    >>> make("t-diffrec").settings.objective, make("t-diffrec", half_life=3.5).settings.objective
    ('forecast', 'reconstruct')
    """
    kind, fixed = VARIANTS[known("variant", variant, VARIANTS)]
    if variant in _WEIGHTED:
        as_published = preset is not None or _OF_TIME_WEIGHTS & settings.keys()
        if settings.get("objective", "reconstruct" if as_published else "forecast") == "reconstruct":
            fixed = _WEIGHTED[variant]
    if settings.get("denoiser") == "sequence":
        fixed = fixed | _SEQUENCE
    return kind(**(fixed | preset_settings(preset, variant) | settings))
