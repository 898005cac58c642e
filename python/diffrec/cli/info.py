"""``diffrec info``."""

from diffrec._shown import fact, size
from diffrec.cli import options
from diffrec.cli.describe import described, in_words
from diffrec.cli.output import pairs, show
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
