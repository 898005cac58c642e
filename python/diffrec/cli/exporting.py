"""``diffrec export``: a model as a graph that serves without diffrec."""

from pathlib import Path
from typing import Annotated

import typer

from diffrec import export as exports
from diffrec.cli import options
from diffrec.cli.output import show, size
from diffrec.cli.reading import load_model, require_place

_WRITERS = {".onnx": exports.onnx, ".pt2": exports.pt2}


def export(
    model: options.Model,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Where to write: .onnx for onnxruntime, .pt2 for torch.export.",
            show_default=False,
        ),
    ],
    k: Annotated[int, typer.Option("--k", "-k", min=1, metavar="K", help="How many items for each history.")] = 20,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Recommend also what is in the history already.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare some lists with the model's before anything is written.")
    ] = True,
    as_json: options.Json = False,
) -> None:
    """Export a model as a graph that serves it without diffrec: history and weights in, best items and scores out.

    It works in item rows; the file holds their ids as JSON, and says what its inputs mean.

    Examples
    --------
    diffrec export model.diffrec --out model.onnx --k 20
    diffrec export model.diffrec --out model.pt2
    """
    write = _WRITERS.get(out.suffix)
    if write is None:
        raise typer.BadParameter(f"{str(out)!r} must end in {' or '.join(_WRITERS)}", param_hint="--out")
    require_place(out, model)
    fitted = load_model(model, "cpu")
    # Where large weights go; what an earlier export left there is none of this one's.
    beside = Path(f"{out}.data")
    earlier = beside.stat().st_ino if beside.is_file() else None
    write(fitted, out, k, exclude_seen=not include_seen, check=check)
    items = fitted.train_.shape[1]
    count = out.stat().st_size
    if beside.is_file() and beside.stat().st_ino != earlier:
        count += beside.stat().st_size
    show(
        f"{out}: the best {k} of {items:,} items ({size(count)})",
        {"file": str(out), "bytes": count, "k": k, "items": items, "exclude_seen": not include_seen},
        as_json=as_json,
    )
