"""``diffrec export``: a model as a graph that serves without diffrec, or its vectors."""

from pathlib import Path
from typing import Annotated

import typer

from diffrec import export as exports
from diffrec._shown import size
from diffrec.checks import one_of
from diffrec.cli import options
from diffrec.cli.output import show, warnings_as_notes
from diffrec.cli.reading import load_model, refuse, require_place
from diffrec.data._replace import companions

_WRITERS = {".onnx": exports.onnx, ".pt2": exports.pt2}
_VECTORS = (".parquet", ".faiss", ".hnsw")
_K = 20


def export(
    model: options.Model,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Where to write: .onnx for onnxruntime, .pt2 for torch.export; vectors to .parquet, .faiss or .hnsw.",
            show_default=False,
        ),
    ],
    k: Annotated[int, typer.Option("--k", "-k", min=1, metavar="K", help="How many items for each history.")] = _K,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Recommend also what is in the history already.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare some lists with the model's before anything is written.")
    ] = True,
    of: Annotated[
        str, typer.Option(metavar="WHOSE", help="Whose vectors, where vectors are written: items or users.")
    ] = "items",
    index: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            callback=options.checked(lambda value: one_of(("flat", "hnsw"))("index", value)),
            help="Of .faiss: flat compares with every vector; hnsw follows a graph of neighbours and finds most of "
            "what flat would, faster.",
        ),
    ] = "flat",
    as_json: options.Json = False,
) -> None:
    """Export a model as a graph that serves it without diffrec: history and weights in, best items and scores out.

    It works in item rows; the file holds their ids as JSON, and says what its inputs mean. Where a model's scores are
    inner products, its vectors go into a table or an index of neighbours instead.

    Examples
    --------
    diffrec export model.diffrec --out model.onnx --k 20
    diffrec export model.diffrec --out model.pt2
    diffrec export model.diffrec --out items.parquet
    """
    if out.suffix not in (*_WRITERS, *_VECTORS):
        suffixes = " or ".join((*_WRITERS, *_VECTORS))
        raise typer.BadParameter(f"{str(out)!r} must end in {suffixes}", param_hint="--out")
    if out.suffix in _VECTORS:
        refuse("vectors", {"--k": k != _K, "--include-seen": include_seen, "--no-check": not check})
    else:
        refuse("a graph", {"--of": of != "items"})
    if out.suffix != ".faiss":
        refuse("anything but .faiss", {"--index": index != "flat"})
    require_place(out, model)
    fitted = load_model(model, "cpu")
    if out.suffix in _VECTORS:
        exports.vectors(fitted, out, of, index=index)
        n = fitted.train_.shape[1 if of == "items" else 0]
        values = {"file": str(out), "bytes": out.stat().st_size, "of": of, "vectors": n}
        show(f"{out}: vectors of {n:,} {of} ({size(out.stat().st_size)})", values, as_json=as_json)
        return
    write = _WRITERS[out.suffix]
    with warnings_as_notes():
        write(fitted, out, k, exclude_seen=not include_seen, check=check)
    items = fitted.train_.shape[1]
    # Large weights lie beside it.
    count = sum(file.stat().st_size for file in (out, *companions(out)))
    show(
        f"{out}: the best {k} of {items:,} items ({size(count)})",
        {"file": str(out), "bytes": count, "k": k, "items": items, "exclude_seen": not include_seen},
        as_json=as_json,
    )
