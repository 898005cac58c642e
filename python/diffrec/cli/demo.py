"""``diffrec demo``."""

from pathlib import Path
from typing import Annotated

import typer

from diffrec import demo as demonstration


def demo(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="Your own interactions; by default a generated world of readers and books.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """See the whole job at once: fit, evaluate against popularity, recommend, save and reload.

    Examples
    --------
    diffrec demo
    diffrec demo ratings.csv
    """
    demonstration.main([] if file is None else [str(file)])
