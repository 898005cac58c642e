"""``fit``: the function most people need."""

import datetime
from collections.abc import Sequence
from typing import Any

from diffrec.checks import duration, known
from diffrec.recommenders.auto import choose_and_fit
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.registry import VARIANTS, make
from diffrec.training import Callback

AUTO = "auto"
_BUDGET = "10min"


def fit(
    data: Any,
    *,
    variant: str = AUTO,
    valid: Any = None,
    preset: str | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
    budget: str | float | datetime.timedelta = _BUDGET,
    **settings: Any,
) -> Recommender:
    """Fit a recommender.

    Parameters
    ----------
    data : Interactions, scipy.sparse matrix or array, ndarray or data frame
        Users x items.
    variant : str
        ``"auto"`` chooses among the forms of DiffRec, and hands out a rival only where that ranks better: a short
        search on validation, then a fit on all of ``data``. What it chose and why stands in
        ``model.training_.facts["chosen"]``. Where a preset or settings are named there is nothing to search for, and
        it means ``"diffrec"``.

        A form of DiffRec (``"diffrec"``, ``"t-diffrec"``, ``"l-diffrec"``, ``"lt-diffrec"``), the closed-form part of
        one (``"anchor"``), or a rival (``"popularity"``, ``"itemknn"``, ``"rp3beta"``, ``"ease"``, ``"ials"``,
        ``"lightgcn"``, ``"multivae"``, ``"multidae"``, ``"cfgan"``).
    valid : the same kinds, optional
        Later interactions on which ``"auto"`` chooses and training stops early. Without it ``"auto"`` holds out a
        tenth of the data while it searches, and models that train by epochs hold out a share of each history
        (``holdout``).
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
    budget : str, number or timedelta
        Time that ``"auto"`` may take, as ``"90s"``, ``"5min"``, ``"1h"`` or in seconds. It is a limit to what is begun,
        not an alarm clock. Where there is nothing to search for it is refused.
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
    named = {"device": device, "seed": seed, "progress": progress, "callbacks": callbacks}
    seconds = duration("budget", budget)
    known("variant", variant, {AUTO: None, **VARIANTS})
    if variant == AUTO and preset is None and not settings:
        return choose_and_fit(data, valid, seconds, named)
    if seconds != duration("budget", _BUDGET):
        raise ValueError(
            f"budget is the time for choosing a variant, got {budget!r} where a variant, preset or setting is named; "
            "leave it out, or search this variant's settings by diffrec.tune"
        )
    return make("diffrec" if variant == AUTO else variant, preset, **(settings | named)).fit(data, valid)
