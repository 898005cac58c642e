"""``diffrec compare``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import diffrec
from diffrec.cli import options
from diffrec.cli.named_settings import parse_settings, require_possible, whole_numbers
from diffrec.cli.output import show
from diffrec.cli.reading import Source, named_files, require_place
from diffrec.comparison import DEFAULT_VARIANTS
from diffrec.data.tables import table_file, table_format
from diffrec.training.checkpoint import EPOCH


@options.reads_columns
def compare(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Interactions, one on each row, as for `diffrec fit`; of several files each is a data set.",
            show_default=False,
            readable=False,
        ),
    ],
    variants: Annotated[
        str,
        typer.Option(metavar="NAME,NAME", help="What to compare, separated by commas; see `diffrec fit --variant`."),
    ] = ",".join(DEFAULT_VARIANTS),
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="VARIANT.NAME=VALUE",
            help="A setting of one of them, and as many as you like: --set diffrec.dims=600 --set ease.l2=500.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Fits of each recommender that draws random numbers.")
    ] = 3,
    metric: options.Metric = "ndcg@20",
    k: options.Cuts = "10,20",
    by: options.ByHistory = None,
    include_seen: options.IncludeSeen = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the table here, too: .csv, .tsv, .inter, .parquet or .npz.",
            show_default=False,
        ),
    ] = None,
    checkpoint: options.Checkpoint = None,
    every: options.Every = EPOCH,
    device: options.Device = None,
    columns: options.Columns = options.GUESSED,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit several recommenders on the same data and say which wins, and whether it may be luck.

    Each history is parted: 70% to learn from, 10% to stop on, 20% to predict. A .npz file that holds a split is used
    as it is. Of several files the table has a column for each, and everybody's average rank.

    Examples
    --------
    diffrec compare ratings.csv
    diffrec compare ratings.csv --variants popularity,ease,t-diffrec --seeds 1 --out table.csv
    diffrec compare ratings.csv train.csv --variants popularity,ease
    """
    cuts = whole_numbers(k, "--k")
    chosen = _variants(variants, settings, device)
    if out is not None:
        table_format(out)
        require_place(out, *files, checkpoint)
    if checkpoint is not None:
        require_place(checkpoint, *files)
    where: dict[str, Any] = {} if device is None else {"device": device}
    sets = {name: Source(file, columns, quiet=quiet).read() for name, file in named_files(files, "FILE").items()}
    where |= {"exclude_seen": not include_seen, "checkpoint": checkpoint, "every": every}
    data = sets if len(sets) > 1 else next(iter(sets.values()))
    table = diffrec.compare(data, chosen, seeds=seeds, metric=metric, k=cuts, by=by, progress=not quiet, **where)
    found = table.columns()
    if out is not None:
        with table_file(out) as append:
            append({name: np.asarray(column) for name, column in found.items()})
    values: dict[str, Any] = {"verdict": table.verdict, "metric": metric, "rows": _rows(found)}
    if isinstance(table, diffrec.Comparisons):
        values["sets"] = {name: _of_one(one) for name, one in table.items()}
    else:
        values |= _of_one(table)
    show(str(table), values, as_json=as_json)


def _of_one(table: diffrec.Comparison) -> dict[str, Any]:
    return {
        "verdict": table.verdict, "users": table.users, "rows": _rows(table.columns()), "refused": table.refused,
    }  # fmt: skip


def _rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _variants(names: str, settings: Sequence[str] | None, device: str | None) -> dict[str, dict[str, Any]]:
    """Return the settings to fit each variant with, checked before any data is read."""
    chosen: dict[str, dict[str, Any]] = {name: {} for part in names.split(",") if (name := part.strip())}
    if not chosen:
        raise typer.BadParameter("names no recommender", param_hint="--variants")
    for name, value in parse_settings(settings).items():
        variant, dot, setting = name.partition(".")
        variant = next((known for known in chosen if known.replace("-", "_") == variant), "")
        if not variant or not dot:
            raise typer.BadParameter(
                f"{name!r} must begin with one of the variants, such as {next(iter(chosen))}.{name}", param_hint="--set"
            )
        chosen[variant][setting] = value
    for variant, values in chosen.items():
        require_possible({"variant": variant, **values} | ({} if device is None else {"device": device}))
    return chosen
