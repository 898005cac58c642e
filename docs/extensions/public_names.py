"""Pages of the public names, collected from the code: a name that is added is on them by itself."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

import diffrec
from diffrec.data.frames import Framed

# Programs: what they do stands in their help.
_PROGRAMS = ("cli", "demo")
_INTRODUCTION = """# API

What `import diffrec` gives. Settings of the recommenders are explained in [settings](../settings.md).
"""
_PARTS = """
## Modules

What the above is made of. `diffrec.diffusion`, `diffrec.latent` and `diffrec.anchors` know nothing of users and files:
they work on tensors alone.

"""


def modules() -> list[ModuleType]:
    """The package and its public modules."""
    found = [
        importlib.import_module(f"diffrec.{info.name}")
        for info in pkgutil.iter_modules(diffrec.__path__)
        if not info.name.startswith("_") and info.name not in _PROGRAMS
    ]
    return [diffrec, *found]


def names_of(module: ModuleType) -> list[str]:
    """The public names of a module: those it lists, or the classes and functions it defines."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [
            name
            for name, value in vars(module).items()
            if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__
        ]
    return sorted((name for name in listed if not name.startswith("_")), key=str.lower)


def documented() -> dict[str, dict[str, Any]]:
    """Module -> name -> object; what several modules offer stands at the first of them."""
    taken: list[Any] = []
    found: dict[str, dict[str, Any]] = {}
    for module in modules():
        here = found[module.__name__] = {}
        for name in names_of(module):
            value = getattr(module, name)
            if inspect.ismodule(value) or any(value is other for other in taken):
                continue
            taken.append(value)
            here[name] = value
    return found


def write_pages(folder: Path) -> None:
    """Write a page for each name of ``diffrec``, one for each further module, and the list of them all."""
    folder.mkdir(exist_ok=True)
    pages: dict[str, str] = {}
    found = documented()
    own = found.pop("diffrec")
    index = [_INTRODUCTION]
    for title, kind in (("Functions", _is_function), ("Recommenders", _is_recommender), ("Classes", _is_other)):
        names = {name: value for name, value in own.items() if kind(value)}
        index.append(f"\n## {title}\n\n" + _list({name: f"{name}.rst" for name in names}, names))
        pages |= {f"{name}.rst": _page(f"diffrec.{name}", [_entry("diffrec", name, names[name])]) for name in names}
    with_names = {name: importlib.import_module(name) for name, here in found.items() if here}
    index.append(_PARTS + _list({name: f"{name}.rst" for name in with_names}, with_names))
    for name, module in with_names.items():
        entries = [_entry(name, one, value) for one, value in found[name].items()]
        pages[f"{name}.rst"] = _page(name, [inspect.getdoc(module) or "", *entries])
    order = "\n".join(page.removesuffix(".rst") for page in pages)
    index.append(f"\n```{{toctree}}\n:hidden:\n\n{order}\n```\n")
    pages["index.md"] = "".join(index)
    for old in folder.iterdir():
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def _is_function(value: Any) -> bool:
    return inspect.isfunction(value)


def _is_recommender(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, diffrec.Recommender)


def _is_other(value: Any) -> bool:
    return not _is_function(value) and not _is_recommender(value)


def _list(links: dict[str, str], values: dict[str, Any]) -> str:
    lines = [f"| [`{name}`]({links[name]}) | {_first_line(value)} |" for name, value in values.items()]
    return "\n".join(["| | |", "|---|---|", *lines]) + "\n"


def _first_line(value: Any) -> str:
    """What a name is, in a line."""
    text = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    return text.replace("|", "\\|")


def _entry(module: str, name: str, value: Any) -> str:
    if inspect.isfunction(value):
        return f".. autofunction:: {module}.{name}"
    if inspect.isclass(value):
        inherited = "\n   :inherited-members:" if value is diffrec.Recommender else ""
        # Tables say how they become frames, and not what every sequence does.
        inherited = "\n   :inherited-members: Sequence, Mapping" if issubclass(value, Framed) else inherited
        return f".. autoclass:: {module}.{name}\n   :members:\n   :show-inheritance:{inherited}"
    # A constant: what it holds.
    held = f": {', '.join(map(str, value))}" if isinstance(value, Mapping | tuple | list) else f" {value!r}"
    return f".. py:data:: {module}.{name}\n\n   {type(value).__name__}{held}"


def _page(title: str, parts: list[str]) -> str:
    shown = title.removeprefix("diffrec.") if "." in title and title.count(".") == 1 and title[8].isupper() else title
    return "\n\n".join([f"{shown}\n{'=' * len(shown)}", *parts]) + "\n"


def short_signature(
    app: Sphinx,  # noqa: ARG001 - Sphinx's order
    what: str,
    name: str,  # noqa: ARG001
    value: Any,
    options: Any,  # noqa: ARG001
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Settings are listed below a recommender; its signature need not repeat them."""
    return ("(**settings)" if what == "class" and _is_recommender(value) else signature), returns


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir, "api")))
    app.connect("autodoc-process-signature", short_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
