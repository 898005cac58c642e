"""Progress bars: where there is somebody to see them, and without a word about what is not installed."""

import sys
import warnings

with warnings.catch_warnings():
    # In a notebook without ipywidgets tqdm asks for them, and then draws its bar in text, which is as good.
    warnings.simplefilter("ignore")
    from tqdm.auto import tqdm

__all__ = ["disabled", "tqdm"]


def disabled(progress: bool) -> bool | None:
    """The ``disable`` of a bar: drawn on a terminal and in a notebook, whose streams are no terminal, if it is wanted.

    Examples
    --------
    >>> disabled(True), disabled(False)
    (None, True)
    """
    if not progress:
        return True
    return False if _in_notebook() else None


def _in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", ())
