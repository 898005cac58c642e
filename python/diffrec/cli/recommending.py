"""``diffrec recommend``: lists for any number of users, a block of them in memory at a time."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from diffrec import Ids, Interactions, Recommender, Top
from diffrec._progress import progress_bar
from diffrec.checks import one_of
from diffrec.cli import options
from diffrec.cli.output import json_lines, note, show, standard_output
from diffrec.cli.reading import (
    Source,
    alike,
    known_items,
    load_model,
    one_of_two,
    onto,
    picked,
    picked_with_strangers,
    refuse,
    require_place,
    say_left_out,
    steering,
)
from diffrec.cli.recommending_lists import list_columns, recommend_lists, recommend_on
from diffrec.data._encode import IdArray
from diffrec.data.facts import fact_table, facts_of, title_of
from diffrec.data.tables import Append, table_file, table_format, text_rows
from diffrec.recommenders.histories import learnt_from
from diffrec.recommenders.rankings import USER_BLOCK

# Rows of the table held at once, about: each takes some tens of bytes, more with long text ids.
_ROWS_AT_ONCE = 1 << 19
# Options that say how rows of single events are read.
_OF_EVENTS = ("--negatives", "--on-bad-row", "--dayfirst")


@options.reads_columns
def recommend(
    model: options.Model,
    k: Annotated[int, typer.Option("--k", "-k", min=1, metavar="K", help="How many items for each user.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to write: .csv, .tsv, .inter, .parquet or .npz. Without it, CSV goes to standard output.",
            show_default=False,
        ),
    ] = None,
    users: options.Users = None,
    histories: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recommend to the people in this file from their interactions there, known to the model or not. "
            "Parquet may have a row for each person, with a list of items: it is read and ranked by batches.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    unknown: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="What becomes of --users that the model does not know: error, skip (left out) or popular (they get "
            "what most users have).",
        ),
    ] = "error",
    allow: options.Allow = None,
    deny: options.Deny = None,
    candidates: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Rank for each user these items alone: pairs of user and item, one on each row. Without --users for "
            "those it names.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse items that the model does not know in --allow, --deny, --candidates and --histories, instead "
            "of leaving them out and counting them.",
        ),
    ] = False,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Recommend also what a user has taken already.")
    ] = False,
    now: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="The moment of serving, such as 2026-01-31T12:30 or seconds: what models that count ages by the clock "
            "count them from, instead of from each user's newest interaction.",
            show_default=False,
        ),
    ] = None,
    titles: Annotated[
        bool, typer.Option("--titles", help="Write also what people call the items, where the model knows it.")
    ] = False,
    items: options.ItemFacts = None,
    cold_items: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Rank also these items, which nobody has touched, by facts about them: a row for each, with its id "
            "and columns named as the facts that the model was fitted with; .csv, .tsv or .parquet.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    steer: options.Steer = None,
    novelty: options.Novelty = 0.0,
    diversity: options.Diversity = 0.0,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=options.checked(lambda value: one_of(("ray", "spark"))("engine", value)),
            help="Rank a folder of lists on the cluster that ray or spark are set up for, into a folder of Parquet.",
            show_default=False,
        ),
    ] = None,
    actors: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many actors of Ray rank at a time, each with the model.")
    ] = 1,
    device: options.Device = None,
    columns: options.Columns = options.GUESSED,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object: with --out of what was written, else for each row.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Recommend items to users, as a table of user, item, rank and score.

    The best item of a user has rank 1. What a user has taken already is left out. The table is written as it is made,
    so it may be larger than memory. --steer, --novelty and --diversity guide a diffusion model while it recommends.

    Examples
    --------
    diffrec recommend model.diffrec --k 10 --out recommendations.csv
    diffrec recommend model.diffrec --k 5 --users 12,57
    diffrec recommend model.diffrec --histories newcomers.csv --out recommendations.parquet
    diffrec recommend model.diffrec --histories lists.parquet --out recommendations.parquet
    diffrec recommend titled.diffrec --k 5 --cold-items new.csv
    """
    one_of_two(users, histories, "--users / --histories")
    one_of_two(candidates, histories, "--candidates / --histories")
    source = histories or candidates
    columns.require_file(source is not None, "only --histories and --candidates have columns; --users names the people")
    lists = None if histories is None else list_columns(histories, columns)
    if engine is not None and (lists is None or out is None):
        raise typer.BadParameter("needs --histories with lists in Parquet, and --out", param_hint="--engine")
    if out is not None:
        _require_out(out, engine, model, source, items, cold_items)
    given = Source(source or Path(), columns, quiet=quiet)
    if lists is not None:
        told = {"--titles": titles, "--items": items, "--cold-items": cold_items, "--unknown": unknown != "error"}
        refuse("a file of lists", told | {name: given.told()[name] for name in _OF_EVENTS})
    if engine is not None:
        refuse("an engine, whose workers choose their own", {"--device": device})
    if engine != "ray":
        refuse("a run without --engine ray", {"--actors": actors != 1})
    fitted = load_model(model, device)
    known = fitted.train_
    # People who are named have to be in the model, but for those who may be unknown to it.
    if histories is None and (users is None or unknown == "error"):
        learnt_from(fitted.train_, "name a file of them by --histories")
    new, catalogue = _cold(cold_items, known.items)
    choice: dict[str, Any] = {
        "exclude_seen": not include_seen,
        "now": now,
        "allow": known_items(allow, catalogue, "--allow", strict=strict, quiet=quiet),
        "deny": known_items(deny, catalogue, "--deny", strict=strict, quiet=quiet),
        "steer": steering(steer, known.items),
        "novelty": novelty,
        "diversity": diversity,
    }
    if histories is not None and lists is not None:
        choice["strict"] = strict
        if engine is not None and out is not None:
            recommend_on(engine, model, histories, lists, k, out, actors, **choice)
            show(f"{out}: written by {engine}", {"file": str(out), "k": k}, as_json=as_json)
            return
        _say(out, *recommend_lists(fitted, histories, lists, k, out, as_json=as_json, **choice), k, as_json=as_json)
        return
    named = _titles(items, catalogue, columns.item, quiet=quiet)
    people: Interactions | IdArray | None
    pairs: Interactions | None = None
    if histories is not None:
        people = _read(given, known.items, strict=strict)
    else:
        people = (picked if unknown == "error" else picked_with_strangers)(users, known.users)
        if candidates is not None:
            pairs = _read(given, catalogue, known.users, strict=strict)
            people = _named_in(pairs, candidates) if people is None else people
    choice |= {"unknown": unknown, "cold_items": new}
    tops = blocks(fitted, known.users.ids if people is None else people, k, pairs, quiet=quiet, **choice)
    if named is not None:
        tops = (replace(top, titles=named) for top in tops)
    _say(out, *_written(tops, out, titles=titles or items is not None, as_json=as_json), k, as_json=as_json)


def _written(tops: Iterator[Top], out: Path | None, *, titles: bool, as_json: bool) -> tuple[int, int]:
    """Write lists as they are made; how many people there were, and rows."""
    n = rows = 0
    with _opened(out, as_json=as_json) as append:
        for top in tops:
            block = top.columns(titles=titles)
            append(block)
            n, rows = n + len(top), rows + len(block["user"])
    return n, rows


def _read(given: Source, items: Ids, users: Ids | None = None, *, strict: bool) -> Interactions:
    """Read histories or candidates, of which what the model does not know is counted or refused."""
    found, left_out = onto(given.interactions(), items, users)
    say_left_out(left_out, given.file, strict=strict, quiet=given.quiet)
    return found


def _named_in(pairs: Interactions, file: Path) -> IdArray:
    """The users that a file of candidates names."""
    rows = np.flatnonzero(np.diff(pairs.matrix.indptr))
    if not len(rows):
        raise ValueError(f"{file} names no user that the model knows: there is nobody to recommend to")
    named: IdArray = pairs.users[rows]
    return named


def _cold(file: Path | None, known: Ids) -> tuple[dict[str, Any] | None, Ids]:
    """Read items that nobody has touched, once for all blocks; and the ids of all items that are ranked."""
    if file is None:
        return None, known
    ids, info = fact_table(file, "item", "--cold-items")
    ids = alike(ids, known)
    # One that the model knows is refused where it is ranked.
    return {"item": ids.ids, **info}, Ids.trusted(np.concatenate([known.ids, ids.ids]), "item")


def _require_out(out: Path, engine: str | None, *read: Path | None) -> None:
    """Refuse what could not be written: a table, or of an engine a folder, which it makes."""
    require_place(out, *read, folder=engine is not None)
    if engine is None:
        table_format(out)
    elif out.exists():
        raise FileExistsError(f"{out} is there already; name a folder to be made")


def _say(out: Path | None, n: int, rows: int, k: int, *, as_json: bool) -> None:
    """Say what was written to a file."""
    if out is not None:
        show(
            f"{out}: {rows:,} recommendations for {n:,} users",
            {"file": str(out), "users": n, "rows": rows, "k": k},
            as_json=as_json,
        )


def blocks(
    model: Recommender,
    people: Interactions | IdArray,
    k: int,
    candidates: Interactions | None = None,
    *,
    quiet: bool = True,
    **choice: Any,
) -> Iterator[Top]:
    """Recommend to known users or to people with histories, some of them at a time.

    The lists are those of one call for all of them.

    Parameters
    ----------
    people : Interactions or ids (n,)
        Histories over the items of the model, or ids of users it knows.
    k : int
        Length of the lists.
    candidates : Interactions, optional
        On the model's users and items: what alone is ranked for each of the people, who are ids then.
    quiet : bool
        Show no bar on a terminal.
    **choice
        As for ``Recommender.recommend``.

    Examples
    --------
    >>> import diffrec
    >>> model = diffrec.fit(np.eye(600, 3) + 1, variant="popularity")
    >>> [len(top) for top in blocks(model, np.arange(600), 1000)]
    [512, 88]
    """
    n = len(people.users) if isinstance(people, Interactions) else len(people)
    # Whole blocks of the ranking, so that what it draws for a user is what one call would draw.
    size = USER_BLOCK * max(1, min(16, _ROWS_AT_ONCE // (USER_BLOCK * k)))
    with progress_bar(not quiet, total=n, unit=" users") as bar:
        for start in range(0, n, size):
            stop = min(start + size, n)
            some = people.take(np.arange(start, stop)) if isinstance(people, Interactions) else people[start:stop]
            yield model.recommend(some, k, **choice, **_among(candidates, some))
            bar.update(stop - start)


def _among(candidates: Interactions | None, users: Interactions | IdArray) -> dict[str, Any]:
    """Name the candidates of some users as ``Recommender.recommend`` takes them."""
    if candidates is None or isinstance(users, Interactions):
        return {}
    rows = candidates.users.find(users)
    own = zip(users.tolist(), rows.tolist(), strict=True)
    cells = candidates.matrix
    found = {user: cells.indices[cells.indptr[row] : cells.indptr[row + 1]] for user, row in own if row >= 0}
    return {"candidates": {user: candidates.items.ids[columns] for user, columns in found.items() if len(columns)}}


def _titles(file: Path | None, ids: Ids, item: str | None, *, quiet: bool) -> NDArray[Any] | None:
    """Read what people call the items."""
    if file is None:
        return None
    facts = facts_of(str(file), ids, item)
    note(facts.note, quiet=quiet)
    title = title_of(facts.info)
    if title is None:
        raise ValueError(f"{file} has no column of titles, such as 'title' or 'name'; it has {', '.join(facts.info)}")
    return facts.info[title]


def _opened(out: Path | None, *, as_json: bool) -> AbstractContextManager[Append]:
    if out is not None:
        return table_file(out)
    return nullcontext(json_lines(standard_output()) if as_json else text_rows(standard_output()))
