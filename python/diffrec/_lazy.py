"""Packages whose names are imported when they are first asked for, so that what needs no network never waits for torch.

By the ``__getattr__`` of a module (PEP 562). Type checkers read the same names from imports under ``TYPE_CHECKING``.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping


def lazy_names(
    package: str, sources: Mapping[str, Iterable[str]], submodules: Iterable[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package.

    Parameters
    ----------
    package : str
        Its name.
    sources : mapping of str to names
        Module -> what the package takes from it.
    submodules : names, optional
        Modules of the package that are among its names themselves.

    Examples
    --------
    >>> get, names = lazy_names("diffrec", {"diffrec.checks": ["nearest"]}, ["datasets"])
    >>> get("nearest")("tiem", ["time"])
    "; did you mean 'time'?"
    >>> get("nothing")
    Traceback (most recent call last):
    AttributeError: module 'diffrec' has no attribute 'nothing'
    """
    where = {name: module for module, names in sources.items() for name in names}
    own = frozenset(submodules)

    def get(name: str) -> object:
        if name in own:
            return importlib.import_module(f"{package}.{name}")
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(where[name]), name)
        # From now on it is there without asking.
        setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *where, *own})

    return get, names
