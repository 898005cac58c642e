"""``diffrec info`` and ``diffrec demo``."""

from pathlib import Path
from typing import Annotated

import typer

from diffrec import demo as demonstration
from diffrec.cli import options
from diffrec.cli.describe import described, fact, in_words
from diffrec.cli.output import pairs, show, size
from diffrec.cli.reading import load_model


def info(model: options.Model, as_json: options.Json = False) -> None:
    """Say what a model is: its kind and settings, what it learnt from, how training went.

    Examples
    --------
    diffrec info model.diffrec
    diffrec info model.diffrec --json
    """
    values = {"file": str(model), **described(load_model(model, "cpu")), "bytes": model.stat().st_size}
    words = in_words(values) | {"file": f"{model} ({size(values['bytes'])})"}
    settings = pairs({f"  {name}": value for name, value in values["settings"].items()})
    facts = pairs({f"  {name}": fact(name, value) for name, value in values["facts"].items()})
    text = f"{pairs(words)}\nsettings\n{settings}" + (f"\nfacts\n{facts}" if facts else "")
    show(text, values, as_json=as_json)


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
