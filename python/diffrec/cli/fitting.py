"""``diffrec fit``."""

import time
from pathlib import Path
from typing import Annotated

import typer

import diffrec
from diffrec import Interactions, Split
from diffrec._processes import leads, started_with_others
from diffrec._shown import size
from diffrec.cli import options
from diffrec.cli.describe import described, in_words
from diffrec.cli.named_settings import DEFAULT_BUDGET, DEFAULT_VARIANT, NAMES, fit_arguments
from diffrec.cli.output import note, pairs, show, warnings_as_notes
from diffrec.cli.reading import Source, known_part, refuse, require_place, say_left_out
from diffrec.data.streamed import is_prepared
from diffrec.recommenders import PRESETS
from diffrec.recommenders.fit import AUTO, require_settings
from diffrec.training.checkpoint import EPOCH
from diffrec.training.report import print_epoch

_LEARNING = "What learns"
_TOGETHER = "Under torchrun"


@options.reads_columns
def fit(
    file: options.Data,
    out: Annotated[
        Path,
        typer.Option(metavar="MODEL", help="The file to save the model in, such as model.diffrec.", show_default=False),
    ],
    valid: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Later interactions of the same users, to choose and stop on. Without it, auto holds out the newest "
            "fifth of each history, a model trained by epochs its setting holdout, and a closed form nothing.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Which recommender: {', '.join(NAMES)}; by default {DEFAULT_VARIANT}.",
            rich_help_panel=_LEARNING,
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Published settings for a data set: {', '.join(PRESETS)}.",
            rich_help_panel=_LEARNING,
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=f"Time that {AUTO} may take to choose, such as 90s or 1h; by default {DEFAULT_BUDGET}.",
            rich_help_panel=_LEARNING,
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting of the recommender, and as many as you like: --set dims=600,200 --set lr=1e-4 "
            "--set normalize=true --set half_life=30d. A name that is unknown is answered with those there are.",
            rich_help_panel=_LEARNING,
            show_default=False,
        ),
    ] = None,
    checkpoint: options.Checkpoint = None,
    every: options.Every = EPOCH,
    repeats: options.Repeats = "exclude",
    replicas: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="How many times all items are held: each replica computes a part of the users of every batch.",
            rich_help_panel=_TOGETHER,
        ),
    ] = 1,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long a process waits for the others before it gives up.",
            rich_help_panel=_TOGETHER,
        ),
    ] = 60.0,
    seed: options.Seed = None,
    device: options.Device = None,
    columns: options.Columns = options.GUESSED,
    items: options.ItemFacts = None,
    part: options.Part = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn a model from a file of interactions and save it.

    Examples
    --------
    diffrec fit ratings.csv --out model.diffrec
    diffrec fit train.csv --valid valid.csv --out model.diffrec --variant t-diffrec
    diffrec fit ratings.csv --out model.diffrec --variant ease --set l2=500
    diffrec fit ratings.csv --out model.diffrec --variant diffrec --checkpoint fit.checkpoint --every 5min
    diffrec fit prepared --out model.diffrec --variant diffrec
    """
    quiet = quiet or not leads()
    arguments = fit_arguments(settings, variant=variant, preset=preset, seed=seed, device=device, budget=budget)
    if repeats != "exclude":
        arguments["repeats"] = repeats
    if started_with_others():
        from diffrec.distributed import World

        arguments["distributed"] = World.join(replicas=replicas, timeout=timeout)
        # Before the data is read, which may take long.
        require_settings(**arguments)
    elif replicas != 1:
        raise ValueError(f"replicas={replicas} needs processes that torchrun started together, and this is one alone")
    require_place(out, file, valid, items, checkpoint)
    if checkpoint is not None:
        # Processes keep theirs together, in a folder.
        require_place(checkpoint, file, valid, items, folder=started_with_others())
        arguments |= {"checkpoint": checkpoint, "every": every}
    train, held_out = _data(Source(file, columns, part, items, quiet), valid, quiet=quiet)

    started = time.perf_counter()
    callbacks = [] if quiet else [print_epoch]
    with warnings_as_notes():
        model = diffrec.fit(train, valid=held_out, progress=not quiet, callbacks=callbacks, **arguments)
    seconds = time.perf_counter() - started
    model.save(out)

    # The others may not see what the first has written.
    if not leads():
        return
    values = {"file": str(out), "bytes": out.stat().st_size, "seconds": seconds, **described(model)}
    # Which of the candidates it is, and over which others, where a choice was made.
    chosen = {name: why for name, why in model.training_.facts.items() if name == "chosen"}
    done = {"fitted in": f"{seconds:.1f} s", "saved to": f"{out} ({size(values['bytes'])})"}
    words = in_words(values) | chosen | done
    show(pairs(words), values, as_json=as_json)


def _data(
    source: Source, valid: Path | None, *, quiet: bool
) -> tuple[Path, Path | None] | tuple[Interactions, Interactions | None]:
    """Return interactions, or a folder of them, to learn from, and others to stop on."""
    if is_prepared(source.file):
        # The fit itself reads it, block by block.
        refuse("a folder that was prepared", source.told())
        return source.file, valid
    data = source.read()
    train, held_out = (data.train, data.valid) if isinstance(data, Split) else (data, None)
    if held_out is not None and len(held_out) == 0:
        held_out = None
    note(
        f"{source.file}: {train.shape[0]:,} users x {train.shape[1]:,} items, {len(train):,} interactions", quiet=quiet
    )
    if isinstance(data, Split):
        note("learning from the train part of this split, stopping on its valid part", quiet=quiet)
    if valid is not None:
        held_out, left_out = known_part(source.beside(valid).interactions("valid"), train, valid)
        say_left_out(left_out, valid, quiet=quiet)
    return train, held_out
