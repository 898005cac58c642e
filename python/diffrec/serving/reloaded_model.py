"""The model that answers, and the file it comes from."""

import asyncio
import logging
import time
from pathlib import Path

from diffrec.data import empty_matrix
from diffrec.recommenders import Recommender, load
from diffrec.serving.metrics import Counter

_log = logging.getLogger(__name__)


class ReloadedModel:
    """Holds the model of a file; another one takes its place when it is whole.

    Parameters
    ----------
    path : str or Path
        A file of ``Recommender.save``.
    device : str
        Where it is to run.

    Attributes
    ----------
    model : Recommender
        Answers; a call that has begun ends with the model that it began with.
    loaded : float
        When it was loaded, in seconds since the epoch.
    reloads : Counter
        How often it was loaded anew, or could not be.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As ``diffrec.load``.
    """

    def __init__(self, path: str | Path, device: str = "auto") -> None:
        self.path, self._device = Path(path), device
        self.reloads = Counter("diffrec_reloads_total", "Times that the model's file was read again, by outcome.")
        self._alone: asyncio.Lock | None = None
        self.model = self._read()
        self.loaded = time.time()

    async def reload(self) -> str | None:
        """Read the file again; requests are answered by the old model until the new one is whole.

        Returns
        -------
        str or None
            Why the model stays as it was, if it does: the file is absent or damaged, say.
        """
        if self._alone is None:
            self._alone = asyncio.Lock()
        # One after the other: two at once would hold three models.
        async with self._alone:
            try:
                self.model = await asyncio.to_thread(self._read)
            except Exception as error:  # whatever it is, the old model answers on; a full GPU is a RuntimeError
                self.reloads.add(outcome="failed")
                _log.error("the model stays as it was: %s", error)
                return f"the model stays as it was: {error}"
            self.loaded = time.time()
        self.reloads.add(outcome="done")
        _log.info("%s is loaded anew: %r", self.path, self.model)
        return None

    def _read(self) -> Recommender:
        model = load(self.path, device=self._device)
        # What is prepared from the weights when it is first needed is prepared now, so that nobody waits for it. Where
        # the model keeps no histories of its users, fitted from files, somebody who has none asks.
        users = model.train_.users.ids[:1]
        model.recommend(users if len(users) else empty_matrix(1, model.train_.shape[1]), k=1)
        return model
