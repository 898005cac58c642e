"""``diffrec prepare``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from diffrec.checks import one_of
from diffrec.cli import options
from diffrec.cli.output import pairs, show
from diffrec.data.prepare import WAYS
from diffrec.data.prepare import prepare as prepare_files


def prepare(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="RAW",
            help="Events, one on each row, larger than memory perhaps: .csv, .tsv, .parquet or a folder of Parquet.",
            show_default=False,
            readable=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The folder to make, which `diffrec fit` takes.", show_default=False)
    ],
    core: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Leave out users and items with fewer than N of the other, until there are none."
        ),
    ] = 1,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="WAY",
            callback=options.checked(lambda value: one_of(WAYS)("by", value)),
            help="How to part each history: time (newest last), leave-last or random; by default time where there are "
            "times, else random.",
            show_default=False,
        ),
    ] = None,
    valid: Annotated[float, typer.Option(metavar="SHARE", help="Share of each history to stop training on.")] = 0.1,
    test: Annotated[float, typer.Option(metavar="SHARE", help="Share of each history to predict.")] = 0.2,
    seed: options.Seed = None,
    memory: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="Memory that DuckDB may use while it sorts, such as 4GB; it spills to disk beyond that.",
        ),
    ] = "1GB",
    user: options.User = None,
    item: options.Item = None,
    timestamp: options.Timestamp = None,
    value: options.Value = None,
    on_bad_row: options.OnBadRow = "error",
    as_json: options.Json = False,
) -> None:
    """Prepare interactions larger than memory for training: ids to rows, k-core, a split, sorted by user.

    Examples
    --------
    diffrec prepare ratings.csv --out blocks
    diffrec prepare ratings.csv --out core --core 2 --by leave-last
    """
    report = prepare_files(
        file,
        out,
        user=user,
        item=item,
        timestamp=timestamp,
        value=value,
        core=core,
        by=by,
        valid=valid,
        test=test,
        seed=seed or 0,
        on_bad_row=on_bad_row,
        memory=memory,
    )
    words = {name.replace("_", " "): f"{count:,}" for name, count in asdict(report).items()}
    show(pairs({"folder": out, **words}), {"folder": str(out), **asdict(report)}, as_json=as_json)
