"""Tables in text and in HTML, for people who look at results."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

#: Rows of a long table that are shown.
SHOWN = 20
# What moves a cursor, rings, or begins a command to a terminal, by what is shown in its place.
_OBEYED = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)] if chr(code) not in "\n\t"}


def as_text(columns: Mapping[str, Any], total: int, what: str) -> str:
    """Lay columns out under their names, numbers to the right.

    Parameters
    ----------
    columns : mapping of str to sequence or array
        The first rows of a table.
    total : int
        How many rows it has.
    what : str
        What a row is, in the plural.

    Examples
    --------
    >>> print(as_text({"item": ["tea", "milk"], "score": [1.0, 0.25]}, 5, "recommendations"))
    item   score
    tea   1.0000
    milk  0.2500
    and 3 more recommendations
    """
    cells = {name: [_cell(value) for value in column] for name, column in columns.items()}
    lines = []
    widths = [max(map(len, [name, *column])) for name, column in cells.items()]
    right = [_is_number(column) for column in columns.values()]
    for row in [list(cells), *zip(*cells.values(), strict=True)]:
        placed = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        lines.append("  ".join(placed).rstrip())
    return "\n".join([*lines, *_more(columns, total, what)])


def as_html(columns: Mapping[str, Any], caption: str, total: int | None = None, what: str = "rows") -> str:
    """Lay columns out as a table for a notebook; nothing in them is taken for HTML.

    Parameters
    ----------
    columns : mapping of str to sequence or array
        The first rows of a table.
    caption : str
        What stands above it.
    total : int, optional
        How many rows it has; by default those that are there.
    what : str
        What a row is, in the plural.

    Examples
    --------
    >>> table = as_html({"item": ["<b>"]}, "best")
    >>> table.partition("</thead>")[2]
    '<tbody><tr><td style="text-align: left">&lt;b&gt;</td></tr></tbody></table>'
    """
    # Notebooks put everything to the right that says nothing else.
    sides = ["right" if _is_number(column) else "left" for column in columns.values()]
    head = "".join(
        f'<th style="text-align: {side}">{html.escape(name)}</th>' for name, side in zip(columns, sides, strict=True)
    )
    rows = (
        "".join(
            f'<td style="text-align: {side}">{html.escape(_cell(value))}</td>'
            for value, side in zip(row, sides, strict=True)
        )
        for row in zip(*columns.values(), strict=True)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    more = "".join(f"<p>{html.escape(line)}</p>" for line in _more(columns, total, what))
    return f"<table>{_caption(caption)}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def facts_as_html(facts: Mapping[str, Any], caption: str) -> str:
    """Lay names and what they stand for out as rows of a table, for a notebook.

    Examples
    --------
    >>> table = facts_as_html({"density": "1%"}, "data")
    >>> table.partition("</caption>")[2]
    '<tbody><tr><th style="text-align: left">density</th><td style="text-align: left">1%</td></tr></tbody></table>'
    """
    left = 'style="text-align: left"'
    rows = "".join(
        f"<tr><th {left}>{html.escape(name)}</th><td {left}>{_lines(_cell(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{_caption(caption)}<tbody>{rows}</tbody></table>"


def fact(name: str, value: str | int | float) -> str:
    """A fact about a fit as people read it.

    Examples
    --------
    >>> fact("peak_memory", 774_340_608), fact("seconds", 7.66e-05), fact("parameters", 82_000_000)
    ('774.3 MB', '7.66e-05 s', '82,000,000')
    """
    if isinstance(value, str):
        return value
    if name.endswith("memory"):
        return size(int(value))
    number = f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
    return f"{number} s" if name.endswith("seconds") else number


def size(count: int) -> str:
    """A number of bytes in the unit that suits it.

    Examples
    --------
    >>> size(950), size(12_400), size(774_340_608)
    ('950 bytes', '12.4 kB', '774.3 MB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def _caption(text: str) -> str:
    """Return the lines above a table, as long as they are, however narrow the table is."""
    return f'<caption style="text-align: left; white-space: nowrap">{_lines(text)}</caption>'


def _lines(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def _cell(value: Any) -> str:
    value = value.item() if hasattr(value, "item") else value
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _is_number(column: Sequence[Any]) -> bool:
    values = [value.item() if hasattr(value, "item") else value for value in column]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _more(columns: Mapping[str, Any], total: int | None, what: str) -> list[str]:
    shown = max(map(len, columns.values()), default=0)
    return [f"and {total - shown:,} more {what}"] if total is not None and total > shown else []


def harmless(text: str) -> str:
    r"""Text that a terminal shows and does not obey: ids and titles may come from a stranger's file.

    Examples
    --------
    >>> print(harmless("\x1b[2Jtea\ud800\nmilk"))
    \x1b[2Jtea\ud800
    milk
    """
    return text.translate(_OBEYED).encode(errors="backslashreplace").decode()
