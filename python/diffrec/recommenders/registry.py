"""Variants by name: the class and the settings that make each."""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diffrec.checks import one_of
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.diffrec.presets import preset_settings

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
# What a forecast of next baskets sets otherwise: its network learns of each item for itself who takes it again, and the
# scores of a map of items to items then make it rank worse (on Online Retail, in docs/results.md).
_FORECAST_AGAIN: dict[str, Any] = {"anchor": False}
# Beyond these what a transformer needs that is trained at every place of a history; none of it on one set alone.
_SEQUENCE: dict[str, Any] = {
    "batch_size": 2048,
    "lr": 2e-3,
    "weight_decay": 0.01,
    "horizon": 1,
}
_LATENT: dict[str, Any] = {"groups": 2, "dims": (300,)}


@dataclass(frozen=True)
class Variant:
    """A class and the settings that make it this variant; whoever fits it may set them otherwise.

    Attributes
    ----------
    named : type or str
        The class, or ``module:class``, which is imported when it is first asked for: networks need torch, and nothing
        else should wait for it.
    settings : mapping
        What the variant sets otherwise than the class.
    """

    named: "type[Recommender] | str"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> type[Recommender]:
        """The class."""
        kind: type[Recommender] = pkgutil.resolve_name(self.named) if isinstance(self.named, str) else self.named
        return kind


_HERE = "diffrec.recommenders"
_DIFFREC, _RIVALS = f"{_HERE}.diffrec.model:DiffRec", f"{_HERE}.rivals"

#: The variants by name.
VARIANTS: dict[str, Variant] = {
    "diffrec": Variant(_DIFFREC),
    "t-diffrec": Variant(_DIFFREC, _FORECAST),
    "l-diffrec": Variant(_DIFFREC, _LATENT),
    "lt-diffrec": Variant(_DIFFREC, _LATENT | {"objective": "forecast"}),
    "anchor": Variant(f"{_HERE}.diffrec.anchor:Anchor"),
    "popularity": Variant(f"{_RIVALS}.popularity:Popularity"),
    "topfreq": Variant(f"{_RIVALS}.topfreq:TopFreq"),
    "tifuknn": Variant(f"{_RIVALS}.tifuknn:TIFUKNN"),
    "itemknn": Variant(f"{_RIVALS}.itemknn:ItemKNN"),
    "rp3beta": Variant(f"{_RIVALS}.rp3beta:RP3beta"),
    "ease": Variant(f"{_RIVALS}.ease:EASE"),
    "ials": Variant(f"{_RIVALS}.ials:IALS"),
    "lightgcn": Variant(f"{_RIVALS}.lightgcn:LightGCN"),
    "multivae": Variant(f"{_RIVALS}.multivae:MultiVAE"),
    "multidae": Variant(f"{_RIVALS}.multivae:MultiDAE"),
    "cfgan": Variant(f"{_RIVALS}.cfgan:CFGAN"),
    "sasrec": Variant(f"{_RIVALS}.sasrec:SASRec"),
    "stack": Variant(f"{_HERE}.stack:Stack"),
}


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
    >>> del VARIANTS["ease-light"]
    """
    VARIANTS[variant] = Variant(kind, settings)


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
    >>> make("t-diffrec").settings.anchor, make("t-diffrec", repeats="include").settings.anchor
    (True, False)
    """
    chosen = VARIANTS[one_of(VARIANTS)("variant", variant)]
    fixed = dict(chosen.settings)
    if variant in _WEIGHTED:
        as_published = preset is not None or _OF_TIME_WEIGHTS & settings.keys()
        if settings.get("objective", "reconstruct" if as_published else "forecast") == "reconstruct":
            fixed = _WEIGHTED[variant]
    if settings.get("denoiser") == "sequence":
        fixed = fixed | _SEQUENCE
    elif settings.get("repeats") == "include" and fixed.get("objective") == "forecast":
        fixed = fixed | _FORECAST_AGAIN
    return chosen.kind(**(fixed | preset_settings(preset, variant) | settings))
