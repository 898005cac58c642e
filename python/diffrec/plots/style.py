"""The look of every picture: colours, sizes, axes, and figures that a notebook shows."""

import io
import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe & Ito: told apart by people of every colour vision. The darkest ones first, yellow left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":", "-.")
# Colour of what is drawn for comparison only.
QUIET = "#8a8a8a"
# Runs from dark to light evenly, also in grey and for every colour vision.
HEAT = "cividis"

_SMALL, _TEXT, _TITLE = 8, 9, 10
# Beyond so many points a marker on each would hide the line.
_MARKED = 25


class _Picture(Figure):
    """A figure that a notebook shows although pyplot does not know of it."""

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()

    def __repr__(self) -> str:
        return super().__repr__().replace(type(self).__name__, "Figure")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches, whose parts keep out of each other's way."""
    return _Picture(figsize=(width, height), layout="constrained")


def dress(axes: Axes, *, x: str = "", y: str = "", title: str = "", grid: str = "y") -> None:
    """Label axes and take away what carries nothing; ``grid`` is "x", "y", "both" or ""."""
    axes.set_xlabel(x, fontsize=_TEXT)
    axes.set_ylabel(y, fontsize=_TEXT)
    axes.set_title(title, fontsize=_TITLE, loc="left")
    axes.tick_params(which="both", labelsize=_SMALL)
    axes.tick_params(length=3)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(axis=grid, color="#e6e6e6", linewidth=0.8)  # type: ignore[arg-type]
        axes.set_axisbelow(True)


def heading(figure: Figure, text: str) -> None:
    """Put a line over all panels."""
    figure.suptitle(text, fontsize=_TITLE, x=0.01, ha="left")


def legend(axes: Axes, **where: Any) -> None:
    """Draw the legend without a box."""
    axes.legend(**{"fontsize": _SMALL, "frameon": False, **where})


def whole_ticks(axis: Axis, most: int = 8) -> None:
    """Ticks at whole numbers only, a few of them."""
    axis.set_major_locator(MaxNLocator(nbins=most, integer=True, min_n_ticks=1))


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis, at most six: a narrow range has labelled ticks, too.

    Examples
    --------
    >>> log_ticks(0.3, 6.0), log_ticks(0.02, 300.0)
    ([0.5, 1.0, 2.0, 5.0], [0.1, 1.0, 10.0, 100.0])
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for every, factors in ((1, (1, 2, 5)), (1, (1,)), (2, (1,)), (4, (1,))):
        # Division is exact where multiplying with 0.001 is not.
        ticks = [float(f * 10**d) if d >= 0 else f / 10**-d for d in decades[::every] for f in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= 6:
            break
    return ticks


def line_of(place: int, points: int) -> dict[str, Any]:
    """The look of the line at a place among others, which differ also without colour."""
    marked = points <= _MARKED
    return {
        "color": PALETTE[place % len(PALETTE)],
        "linestyle": LINES[place // len(PALETTE) % len(LINES)],
        "marker": MARKERS[place % len(MARKERS)] if marked else None,
        "markersize": 4,
        "linewidth": 1.4,
    }


def short(text: object, longest: int = 32) -> str:
    """A label that leaves room for the picture."""
    label = str(text)
    return label if len(label) <= longest else label[: longest - 1].rstrip() + "…"
