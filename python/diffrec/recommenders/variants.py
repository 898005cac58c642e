"""Variants by name, and the two functions most people need: ``fit`` and ``load``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffrec.data._checks import nearest
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
from diffrec.training import Callback

# A variant is a class and the settings that make it that variant; whoever fits it may set them otherwise.
VARIANTS: dict[str, tuple[type[Recommender], dict[str, Any]]] = {
    "diffrec": (DiffRec, {}),
    "t-diffrec": (DiffRec, {"time_weights": "linear"}),
    "l-diffrec": (DiffRec, {"groups": 2, "dims": (300,)}),
    "lt-diffrec": (DiffRec, {"groups": 2, "dims": (300,), "time_weights": "linear"}),
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


def fit(
    data: Any,
    *,
    variant: str = "diffrec",
    valid: Any = None,
    preset: str | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Recommender:
    """Fit a recommender.

    Parameters
    ----------
    data : Interactions, scipy.sparse matrix or array, ndarray or data frame
        Users x items.
    variant : str
        A form of DiffRec (``"diffrec"``, ``"t-diffrec"``, ``"l-diffrec"``, ``"lt-diffrec"``) or a rival
        (``"popularity"``, ``"itemknn"``, ``"rp3beta"``, ``"ease"``, ``"ials"``, ``"lightgcn"``, ``"multivae"``,
        ``"multidae"``, ``"cfgan"``).
    valid : the same kinds, optional
        Later interactions on which training stops early. Without it, models that train by epochs hold out a share of
        each history (``holdout``).
    preset : str, optional
        Published settings such as ``"paper/ml-1m_clean"``; named ``settings`` come before them.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    seed : int
        Of every random draw.
    progress : bool
        Show a progress bar on a terminal.
    callbacks : sequence of callable
        Called with every epoch's record.
    **settings
        The variant's settings.

    Returns
    -------
    Recommender
        Fitted.

    Raises
    ------
    TypeError
        When a setting is unknown or of the wrong type, or the data of no known kind.
    ValueError
        When a value is impossible.

    Examples
    --------
    >>> import numpy as np
    >>> model = fit(np.array([[1, 1, 0], [0, 1, 1]]), dims=(4,), epochs=2, holdout=0)
    >>> model.recommend(k=1).items
    array([[2],
           [0]])
    """
    kind, fixed = VARIANTS[_known("variant", variant, VARIANTS)]
    named = {"device": device, "seed": seed, "progress": progress, "callbacks": callbacks}
    return kind(**(fixed | preset_settings(preset, variant) | settings | named)).fit(data, valid)


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
    >>> model = fit(np.array([[1, 0], [1, 1]]), variant="popularity")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "popular.diffrec")
    ...     load(Path(folder) / "popular.diffrec").score([0])
    array([[2., 1.]], dtype=float32)
    """
    stored = read(Path(path))
    kind, _ = VARIANTS[_known("variant", stored.variant, VARIANTS)]
    return kind._from_stored(stored, device=device)


def _known(argument: str, name: str, table: Mapping[str, Any]) -> str:
    if name not in table:
        raise ValueError(f"{argument} must be one of {', '.join(table)}, got {name!r}{nearest(name, table)}")
    return name
