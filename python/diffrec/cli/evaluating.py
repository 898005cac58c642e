"""``diffrec evaluate``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import diffrec
from diffrec.cli import options
from diffrec.cli.named_settings import whole_numbers
from diffrec.cli.output import note, show
from diffrec.cli.reading import (
    Source,
    known_part,
    load_model,
    read_test,
    refuse,
    require_place,
    say_left_out,
)
from diffrec.data.facts import facts_of
from diffrec.data.streamed import is_prepared
from diffrec.data.tables import table_file, table_format
from diffrec.recommenders.histories import learnt_from


@options.reads_columns
def evaluate(
    model: options.Model,
    test: Annotated[
        Path,
        typer.Argument(
            metavar="TEST",
            help="What the users took later, in a file like that of `diffrec fit`.",
            show_default=False,
            readable=False,
        ),
    ],
    seen: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Interactions not to be ranked, besides those the model learnt from: those it stopped on.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    include_seen: options.IncludeSeen = False,
    k: options.Cuts = "10,20",
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACT",
            help="Figures by group besides: activity (of users), popularity (of items), a column of the items' facts "
            "or of --user-facts; repeatable.",
            show_default=False,
        ),
    ] = None,
    user_facts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Facts about users for --by, one user on each row, the column of ids named as in TEST: .csv, .tsv or "
            ".parquet.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    per_user: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the metrics of each user here: .csv, .tsv, .inter, .parquet or .npz.",
            show_default=False,
        ),
    ] = None,
    device: options.Device = None,
    columns: options.Columns = options.GUESSED,
    part: options.Part = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how well a model predicts what its users took later.

    Metrics are means over the users who took something. Of recall, precision, ndcg, map, mrr and hit rate, from 0 to
    1, more is better; novelty is in bits, and gini is 0 where all items are shown equally often.

    Examples
    --------
    diffrec evaluate model.diffrec test.csv
    diffrec evaluate model.diffrec test.csv --seen valid.csv --k 5,50 --json
    diffrec evaluate model.diffrec test.csv --include-seen
    diffrec evaluate of-files.diffrec prepared
    diffrec evaluate model.diffrec test.csv --by activity --by popularity
    """
    cuts = whole_numbers(k, "--k")
    if seen is not None and include_seen:
        raise typer.BadParameter("names what is not to be ranked: --include-seen ranks all", param_hint="--seen")
    source = Source(test, columns, part, quiet=quiet)
    prepared = is_prepared(test)
    if prepared:
        told = {"--seen": seen, "--by": by, "--user-facts": user_facts}
        refuse("a folder that was prepared", told | source.told())
    if per_user is not None:
        table_format(per_user)
        require_place(per_user, model, test, seen, user_facts)
    fitted = load_model(model, device)
    if prepared:
        report = fitted.evaluate(test, exclude_seen=not include_seen, k=cuts)
    else:
        learnt_from(fitted.train_, "name the folder that was prepared as TEST")
        later, masked = read_test(source, seen)
        relevant, left_out = known_part(later, fitted.train_, test)
        if include_seen or masked is None or not len(masked):
            masked = None
        else:
            masked, unknown = known_part(masked, fitted.train_, seen or test)
            say_left_out(unknown, seen or test, quiet=quiet)
        facts = _facts(by, user_facts, fitted.train_, columns.user, quiet=quiet)
        report = fitted.evaluate(relevant, seen=masked, exclude_seen=not include_seen, k=cuts, by=facts)
        report = replace(report, interactions_left_out=left_out)
    if per_user is not None:
        with table_file(per_user) as append:
            append({"user": report.users, **report.per_user})
    values = {
        "question": report.question,
        "metrics": report.means,
        "users": len(report.users),
        "users_without_relevant": report.users_without_relevant,
        "interactions_left_out": report.interactions_left_out,
        "repeats_left_out": report.repeats_left_out,
        "dislikes_left_out": report.dislikes_left_out,
    }
    if report.groups:
        values["groups"] = {name: [one._asdict() for one in groups] for name, groups in report.groups.items()}
    show(str(report), values, as_json=as_json)


def _facts(
    by: list[str] | None, file: Path | None, train: diffrec.Interactions, user: str | None, *, quiet: bool
) -> list[str | dict[str, Any]] | None:
    """Facts to group by, those of users from their file."""
    if file is None:
        return None if by is None else list(by)
    facts = facts_of(str(file), train.users, user)
    note(facts.note, quiet=quiet)
    wanted = list(facts.info) if by is None else by
    return [{name: facts.info[name]} if name in facts.info else name for name in wanted]
