"""Variants by name: what makes each, and how one is read back from its file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffrec.data._checks import nearest
from diffrec.recommenders.anchor import Anchor
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.cfgan import CFGAN
from diffrec.recommenders.diffrec import DiffRec
from diffrec.recommenders.ease import EASE
from diffrec.recommenders.ials import IALS
from diffrec.recommenders.itemknn import ItemKNN
from diffrec.recommenders.lightgcn import LightGCN
from diffrec.recommenders.multivae import MultiDAE, MultiVAE
from diffrec.recommenders.popularity import Popularity
from diffrec.recommenders.presets import preset_settings
from diffrec.recommenders.rp3beta import RP3beta
from diffrec.recommenders.storage import read

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
    # The newest interactions say most about what comes next: none is held out to stop on.
    "holdout": 0.0,
}
_LATENT: dict[str, Any] = {"groups": 2, "dims": (300,)}

# A variant is a class and the settings that make it that variant; whoever fits it may set them otherwise.
VARIANTS: dict[str, tuple[type[Recommender], dict[str, Any]]] = {
    "diffrec": (DiffRec, {}),
    "t-diffrec": (DiffRec, _FORECAST),
    "l-diffrec": (DiffRec, _LATENT),
    "lt-diffrec": (DiffRec, _LATENT | {"objective": "forecast"}),
    "anchor": (Anchor, {}),
    "popularity": (Popularity, {}),
    "itemknn": (ItemKNN, {}),
    "rp3beta": (RP3beta, {}),
    "ease": (EASE, {}),
    "ials": (IALS, {}),
    "lightgcn": (LightGCN, {}),
    "multivae": (MultiVAE, {}),
    "multidae": (MultiDAE, {}),
    "cfgan": (CFGAN, {}),
}
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
    return kind(**(fixed | preset_settings(preset, variant) | settings))


def load(path: str | Path, *, device: str = "auto") -> Recommender:
    """Load a model that ``Recommender.save`` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    device : str
        Where the model is to run.

    Returns
    -------
    Recommender
        Fitted; it recommends exactly what it did when it was saved.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is not a model's file, is damaged, or was written by a newer version.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> model = Popularity().fit(np.array([[1, 0], [1, 1]]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "popular.diffrec")
    ...     load(Path(folder) / "popular.diffrec").score([0])
    array([[2., 1.]], dtype=float32)
    """
    stored = read(Path(path))
    kind, _ = VARIANTS[known("variant", stored.variant, VARIANTS)]
    return kind._from_stored(stored, device=device)


def known(argument: str, name: str, table: Mapping[str, Any]) -> str:
    """Return the name if the table has it, else refuse it with the nearest one that it has."""
    if name not in table:
        raise ValueError(f"{argument} must be one of {', '.join(table)}, got {name!r}{nearest(name, table)}")
    return name
