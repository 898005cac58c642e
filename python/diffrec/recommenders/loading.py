"""From a file to the recommender that was saved in it."""

from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.checks import one_of
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.model_file import blamed_on, read
from diffrec.recommenders.registry import VARIANTS
from diffrec.recommenders.settings import a_device
from diffrec.recommenders.spreading import share_for
from diffrec.training.share import ALONE

if TYPE_CHECKING:
    from diffrec.distributed import World


def load(path: str | Path, *, device: str = "auto", distributed: "str | World" = "never") -> Recommender:
    """Load a model that ``Recommender.save`` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    device : str
        Where the model is to run.
    distributed : {"never", "auto"} or World
        ``"auto"`` spreads the model over the processes that torchrun started along with this one, if it did: all of
        them make the same call, and each takes its own rows of the file.

    Returns
    -------
    Recommender
        Fitted; it recommends exactly what it did when it was saved.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ModelFileError
        When it is not a model's file, is damaged, or was written by a newer version. Every array, setting and id is
        checked before it is used, and what was written since checksums came is held against them.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> import diffrec
    >>> model = diffrec.Popularity().fit(np.array([[1, 0], [1, 1]]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "popular.diffrec")
    ...     diffrec.load(Path(folder) / "popular.diffrec").score([0])
    array([[2., 1.]], dtype=float32)
    """
    a_device("device", device)  # is the caller's, not the file's
    share = share_for(distributed)
    saved = read(Path(path), mapped=share is not ALONE)
    with blamed_on(Path(path)):
        return VARIANTS[one_of(VARIANTS)("variant", saved.variant)].kind._from_saved(saved, share, device=device)
