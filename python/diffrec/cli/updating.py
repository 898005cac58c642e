"""``diffrec update``."""

import time
from pathlib import Path
from typing import Annotated

import typer

from diffrec._shown import size
from diffrec.cli import options
from diffrec.cli.describe import described, in_words
from diffrec.cli.output import note, pairs, show
from diffrec.cli.reading import Source, in_kind_of, load_model, require_place
from diffrec.training.checkpoint import EPOCH
from diffrec.training.report import print_epoch


@options.reads_columns
def update(
    model: options.Model,
    file: options.Data,
    out: Annotated[
        Path,
        typer.Option(
            metavar="MODEL", help="The file to save the updated model in; it may be the one read.", show_default=False
        ),
    ],
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Passes over all histories, of what learns by passes; by default a tenth of those of the fit.",
            show_default=False,
        ),
    ] = None,
    checkpoint: options.Checkpoint = None,
    every: options.Every = EPOCH,
    device: options.Device = None,
    columns: options.Columns = options.GUESSED,
    items: options.ItemFacts = None,
    part: options.Part = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn further interactions into a model, networks and iALS in a fraction of the time of a fit.

    New users and items are added, and events of known users join their histories.

    Examples
    --------
    diffrec update model.diffrec newcomers.csv --out updated.diffrec
    diffrec update model.diffrec newcomers.csv --out updated.diffrec --epochs 2
    """
    require_place(out, file, items, checkpoint)
    if checkpoint is not None:
        require_place(checkpoint, file, items, model)
    source = Source(file, columns, part, items, quiet)
    new, updated = source.interactions(), load_model(model, device)
    before = updated.train_.shape
    updated.set_params(progress=not quiet, callbacks=[] if quiet else [print_epoch])
    started = time.perf_counter()
    updated.update(in_kind_of(new, updated.train_), epochs=epochs, checkpoint=checkpoint, every=every)
    seconds = time.perf_counter() - started
    updated.save(out)

    users, added = (now - then for now, then in zip(updated.train_.shape, before, strict=True))
    note(f"{file}: {len(new):,} interactions; {users:,} users and {added:,} items are new", quiet=quiet)
    values = {"file": str(out), "bytes": out.stat().st_size, "seconds": seconds, **described(updated)}
    values |= {"new_users": users, "new_items": added}
    words = in_words(values) | {"updated in": f"{seconds:.1f} s", "saved to": f"{out} ({size(values['bytes'])})"}
    show(pairs(words), values, as_json=as_json)
