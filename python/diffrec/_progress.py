"""Progress bars: where there is somebody to see them, and without a word about what is not installed."""

import sys
import warnings
from collections.abc import Mapping
from typing import Any, Self

with warnings.catch_warnings():
    # In a notebook without ipywidgets tqdm asks for them, and then draws its bar in text, which is as good.
    warnings.simplefilter("ignore")
    from tqdm.auto import tqdm

__all__ = ["progress_bar"]


class _Unseen:
    """A bar that nobody sees.

    tqdm's own, where it is disabled, takes a lock that forked processes share: if one of them is killed as it holds it,
    the others wait for ever.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def update(self, n: float = 1) -> None:
        """Go on."""

    def set_postfix(self, values: Mapping[str, Any], *, refresh: bool = True) -> None:
        """Say something behind the bar."""

    def set_postfix_str(self, text: str) -> None:
        """Say something behind the bar."""

    def close(self) -> None:
        """End."""


def progress_bar(wanted: bool, **drawn: Any) -> "tqdm[Any] | _Unseen":
    """Make a bar of tqdm, if it is wanted and somebody sees it: on a terminal, and in a notebook.

    Examples
    --------
    >>> with progress_bar(False, total=2) as bar:
    ...     bar.update()
    """
    return tqdm(**drawn) if wanted and _is_seen() else _Unseen()


def _is_seen() -> bool:
    """Whether standard error is a terminal, or belongs to a notebook, whose streams are none."""
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", ())
