"""``fit``: the function most people need."""

import dataclasses
import datetime
import inspect
import math
import os
import time
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from diffrec.checks import duration, one_of
from diffrec.data.streamed import streamed
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.learning import offering
from diffrec.recommenders.registry import VARIANTS, make
from diffrec.recommenders.spreading import NEVER, share_for
from diffrec.training import Callback
from diffrec.training.checkpoint import EPOCH
from diffrec.training.share import ALONE

if TYPE_CHECKING:
    from diffrec.distributed import World

AUTO = "auto"
_BUDGET = "10min"
_CHOICE = "the choice of a variant (variant='auto')"


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
    budget: str | float | datetime.timedelta | None = _BUDGET,
    repeats: str = "exclude",
    init: Recommender | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: str | float | datetime.timedelta = EPOCH,
    distributed: "str | World" = "auto",
    **settings: Any,
) -> Recommender:
    """Fit a recommender.

    Parameters
    ----------
    data : Interactions, scipy.sparse matrix or array, ndarray or data frame; or files
        Users x items. The path of a folder that ``diffrec prepare`` made, or ``ParquetInteractions``, trains from
        files, some users at a time, for ``"diffrec"``, ``"multidae"`` and ``"multivae"``; the folder's valid part is
        ``valid`` then.
    variant : str
        ``"auto"`` judges closed-form maps, quick rivals and the forms of DiffRec on the newest baskets of the
        histories, and hands out what ranks best there, fitted on all of ``data``; where fewer than 30 interactions can
        be held out, RP3beta and popularity together, unjudged. What it chose and why stands in
        ``model.training_.facts["chosen"]``, how every candidate did in ``["candidates"]``. Where a preset or settings
        are named there is nothing to search for, and it means ``"diffrec"``.

        A form of DiffRec (``"diffrec"``, ``"t-diffrec"``, ``"l-diffrec"``, ``"lt-diffrec"``), the closed-form part of
        one (``"anchor"``), or a rival (``"popularity"``, ``"topfreq"``, ``"tifuknn"``, ``"itemknn"``, ``"rp3beta"``,
        ``"ease"``, ``"ials"``, ``"lightgcn"``, ``"multivae"``, ``"multidae"``, ``"cfgan"``,
        ``"sasrec"``).
    valid : the same kinds, optional
        Later interactions on which ``"auto"`` chooses and training stops early. Without it models that train by epochs
        hold out a share of their own (``holdout``), and ``"auto"``, also where there are fewer than 30 to find, a fifth
        of each history while it searches, the newest baskets. Where users share a clock it judges by those who were
        there last.
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
    budget : str, number or timedelta, optional
        Time that ``"auto"`` may take, the last fit included, as ``"90s"``, ``"5min"``, ``"1h"`` or in seconds. None
        tries a list of candidates that does not depend on how fast the machine is. Where there is nothing to search
        for it is refused.
    repeats : {"exclude", "include"}
        What the model is chosen, stopped and trained for: items that a user discovers, or what is taken next, whether
        the user had it before or not. Recommend with ``exclude_seen=False`` in the second case.
    init : Recommender, optional
        A fitted one, at whose weights this fit begins; users and items are matched by id. Where no variant is named it
        is of the same kind, and set as that one is but for what is named. See also ``Recommender.update``.
    checkpoint : str or Path, optional
        A file that keeps the state of the work, whole at any moment. Whatever ended the process, the same call goes on
        from it, and ends, on a processor, with the bits of a call that was never stopped; a call that is over comes
        back at once. What ends by the clock (``budget``, ``time_limit``) counts the time of all runs together, and is
        never the same to the bit, resumed or not.
    every : "epoch", seconds, str or timedelta
        How often it is written: at the end of every epoch, or of the first after so much time, as ``"5min"``.
    distributed : {"auto", "never"} or World
        ``"auto"`` spreads the model over the processes that torchrun started along with this one, if it did: all of
        them make the same call, and ``checkpoint`` is a folder. ``diffrec.distributed.World.join()`` sets more.
    **settings
        The variant's settings.

    Returns
    -------
    Recommender
        Fitted.

    Raises
    ------
    CheckpointError
        When ``checkpoint`` is of other data or settings, which it names, or no checkpoint.
    TypeError
        When a setting is unknown or of the wrong type, or the data of no known kind.
    ValueError
        When a value is impossible.
    KeyboardInterrupt
        When it is interrupted. Its ``partial`` is a fitted recommender: what is trained with its best weights so far
        (those it had come to where nothing was validated), of ``"auto"`` the best candidate so far; None where there is
        none yet.

    Examples
    --------
    >>> import numpy as np
    >>> model = fit(np.array([[1, 1, 0], [0, 1, 1]]), dims=(4,), epochs=2, holdout=0)
    >>> model.recommend(k=1).items
    array([[2],
           [0]])
    """
    named = {"device": device, "seed": seed, "progress": progress, "callbacks": callbacks, "repeats": repeats}
    seconds = math.inf if budget is None else duration("budget", budget)
    one_of((AUTO, *VARIANTS))("variant", variant)
    if init is not None and not isinstance(init, Recommender):
        raise TypeError(f"init must be a fitted recommender, got {type(init).__name__}")
    share = share_for(distributed, seed)
    if variant == AUTO and preset is None and not settings and init is None:
        share.require_alone(_CHOICE)
        if streamed(data) is not None:
            raise ValueError(
                "variant='auto' needs all interactions in memory, and the data is in files: name what to train, "
                "such as variant='diffrec'"
            )
        started = time.perf_counter()
        # The search tries networks, too, and so waits for torch; what is named need not.
        from diffrec.recommenders.auto import choose_and_fit

        with offering():
            return choose_and_fit(data, valid, seconds, named, checkpoint, every, started=started)
    if seconds != duration("budget", _BUDGET):
        raise ValueError(
            f"budget is the time for choosing a variant, got {budget!r} where a variant, preset or setting is named; "
            "leave it out, or search this variant's settings by diffrec.tune"
        )
    if init is not None and variant == AUTO and preset is None:
        said = {name: value for name, value in named.items() if value != _PARAMETERS[name].default}
        model = type(init)(**(init.settings.values() | said | settings))
    else:
        model = make("diffrec" if variant == AUTO else variant, preset, **(settings | named))
    _say_idle(model, settings)
    if share is not ALONE:
        model.spread_over(share)
    return model.fit(data, valid, init=init, checkpoint=checkpoint, every=every)


_PARAMETERS = inspect.signature(fit).parameters


def _say_idle(model: Recommender, named: Iterable[str]) -> None:
    """Warn once of settings that were named other than by default, and have no say beside the others."""
    usual = type(model.settings)()
    said = [
        f"{name} {why}"
        for name, why in model.settings.idle().items()
        if name in named and getattr(model.settings, name) != getattr(usual, name)
    ]
    if said:
        warnings.warn("; ".join(said), stacklevel=3)


def require_settings(
    variant: str = AUTO, preset: str | None = None, distributed: "str | World" = NEVER, **arguments: Any
) -> None:
    """Refuse what of the arguments of ``fit`` it would refuse whatever the data: settings, and what cannot be spread.

    Raises
    ------
    TypeError, ValueError
        When one is unknown or impossible.
    """
    share = share_for(distributed)
    if variant == AUTO and preset is None and arguments.keys() <= _PARAMETERS.keys():
        share.require_alone(_CHOICE)
    # Named settings are settings of "diffrec" where it is not said of what.
    variant = "diffrec" if variant == AUTO else variant
    own = {field.name for field in dataclasses.fields(VARIANTS[variant].kind.settings_type)}
    settings = {name: one for name, one in arguments.items() if name in own or name not in _PARAMETERS}
    made = make(variant, preset, **settings)
    if share is not ALONE:
        made.spread_over(share)
