"""Tables of settings, made of the classes that declare them.

``{settings} DiffRec`` shows what the settings of ``DiffRec`` add to those they extend: with names as its content these
in their order, without content all that the page has not shown yet. ``{variants}`` shows what the variants set, and
``{presets}`` the settings published for data sets.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from diffrec.recommenders import PRESETS, VARIANTS
from diffrec.recommenders.settings import Settings
from diffrec.recommenders.trained import NetworkSettings, TrainedSettings

_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "lambda": "λ"}  # noqa: RUF001 - Greek is meant
# Nodes of one cell.
Cell = Sequence[nodes.Node]


def settings_classes() -> dict[str, type[Settings]]:
    """Every class of settings, by the name of its recommender where it has one."""
    shared = {kind.__name__: kind for kind in (Settings, TrainedSettings, NetworkSettings)}
    own = {variant.kind.__name__: variant.kind.settings_type for variant in VARIANTS.values()}
    # Recommenders that add none, or share another's.
    return shared | {name: kind for name, kind in own.items() if list(own.values()).index(kind) == [*own].index(name)}


def fields_of(kind: type[Settings]) -> list[dataclasses.Field[Any]]:
    """What a class of settings adds to those it extends, or has another default for."""
    declared = vars(kind).get("__annotations__", {})
    return [field for field in dataclasses.fields(kind) if field.name in declared]


def symbol_nodes(symbol: str) -> Cell:
    """Lay a symbol out: ``alpha_min`` as a Greek letter with its index.

    Examples
    --------
    >>> [node.astext() for node in symbol_nodes("w_min")]
    ['w', 'min']
    """
    if not symbol:
        return []
    letter, _, index = symbol.partition("_")
    shown: list[nodes.Node] = [nodes.emphasis("", _GREEK.get(letter, letter))]
    if index:
        shown.append(nodes.subscript("", index))
    return shown


def table(heads: Sequence[str], widths: Sequence[int], rows: Sequence[Sequence[Cell]]) -> nodes.table:
    """Make a table."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in widths), cols=len(widths))
    group += nodes.thead("", _row([[nodes.Text(head)] for head in heads]))
    group += nodes.tbody("", *(_row(cells) for cells in rows))
    return nodes.table("", group, classes=["settings"])


def _row(cells: Sequence[Cell]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def _text(text: str) -> Cell:
    """Text with code between backticks."""
    parts = re.split(r"`+([^`]+)`+", text)
    return [nodes.literal("", part) if place % 2 else nodes.Text(part) for place, part in enumerate(parts)]


def _values(values: dict[str, Any]) -> Cell:
    """Settings as keyword arguments."""
    shown: list[nodes.Node] = []
    for name, value in values.items():
        shown += [nodes.literal("", f"{name}={value!r}"), nodes.Text(" ")]
    return shown


class SettingsTable(SphinxDirective):
    """Some or all settings of a class: name, default, meaning, symbol."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        name = self.arguments[0]
        if name not in settings_classes():
            raise self.error(f"{name} has no settings of its own; those with are {', '.join(settings_classes())}")
        shown = self.env.temp_data.setdefault(f"settings {name}", set())
        fields = {field.name: field for field in fields_of(settings_classes()[name])}
        wanted = list(self.content) or [one for one in fields if one not in shown]
        if unknown := [one for one in wanted if one not in fields]:
            raise self.error(f"{name} declares no setting {unknown[0]}")
        shown.update(wanted)
        if not wanted:
            return []
        heads, widths = ["setting", "default", "meaning"], [22, 18, 50]
        rows = [_row_of(fields[one]) for one in wanted]
        if any(cells[3] for cells in rows):
            return [table([*heads, "symbol"], [*widths, 8], rows)]
        return [table(heads, widths, [cells[:3] for cells in rows])]


def _row_of(field: dataclasses.Field[Any]) -> list[Cell]:
    return [
        [nodes.literal("", field.name)],
        [nodes.literal("", repr(field.default))],
        _text(field.metadata["doc"]),
        symbol_nodes(field.metadata["symbol"]),
    ]


class VariantsTable(SphinxDirective):
    """The variants, their classes and what they set."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        rows: list[list[Cell]] = [
            [[nodes.literal("", name)], [nodes.literal("", variant.kind.__name__)], _values(variant.settings)]
            for name, variant in VARIANTS.items()
        ]
        return [table(["variant", "class", "sets"], [15, 15, 70], rows)]


class PresetsTable(SphinxDirective):
    """The published settings, a row for each data set and variant."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        rows: list[list[Cell]] = [
            [[nodes.literal("", preset)], [nodes.literal("", variant)], _values(values)]
            for preset, by_variant in PRESETS.items()
            for variant, values in by_variant.items()
        ]
        return [table(["preset", "variant", "sets"], [25, 15, 60], rows)]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("settings", SettingsTable)
    app.add_directive("variants", VariantsTable)
    app.add_directive("presets", PresetsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
