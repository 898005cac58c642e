"""``diffrec split``."""

from pathlib import Path
from typing import Annotated

import typer

from diffrec import Split
from diffrec.cli import options
from diffrec.cli.output import pairs, show
from diffrec.cli.reading import Source, require_place
from diffrec.data.files import PARTS
from diffrec.data.tables import table_format
from diffrec.data.text import suffix_of


@options.reads_columns
def split(
    file: options.Data,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Where train, valid and test are written, in files of these names; by users, visible, too.",
            show_default=False,
        ),
    ],
    by: options.By = None,
    valid: Annotated[float, typer.Option(metavar="SHARE", help="Share of each history to stop training on.")] = 0.1,
    test: Annotated[float, typer.Option(metavar="SHARE", help="Share of each history to predict.")] = 0.2,
    seed: options.Seed = None,
    suffix: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="SUFFIX",
            help="csv, tsv, inter, parquet or npz; by default that of the file, without .gz or .zst.",
            show_default=False,
        ),
    ] = None,
    columns: options.Columns = options.GUESSED,
    as_json: options.Json = False,
) -> None:
    """Part each user's history into train, valid and test, for `diffrec fit` and `diffrec evaluate`.

    Examples
    --------
    diffrec split ratings.csv --out parts
    diffrec split ratings.csv --out parts --by random --seed 7 --format parquet
    """
    # What is packed is written unpacked, and a folder is one of Parquet.
    own = ".parquet" if file.is_dir() else suffix_of(file)
    ending = own if suffix is None else f".{suffix.removeprefix('.')}"
    # Of whole users that are held out a part is visible: histories to recommend for.
    names = (*PARTS, "visible") if by == "users" else PARTS
    files = {name: out / f"{name}{ending}" for name in names}
    for one in files.values():
        table_format(one)
        require_place(one, file)
    data = Source(file, columns).read()
    if isinstance(data, Split):
        raise ValueError(f"{file} is a split already; fit and evaluate take it as it is")
    found = data.split(by, valid, test, seed or 0)
    parts = {name: getattr(found, name) for name in names}
    for name, part in parts.items():
        part.write(files[name])
    values = {name: {"file": str(files[name]), "interactions": len(part)} for name, part in parts.items()}
    words = {name: f"{len(part):,} interactions in {files[name]}" for name, part in parts.items()}
    show(pairs(words), values, as_json=as_json)
