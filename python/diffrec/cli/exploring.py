"""``diffrec explore``: a page to look at a model with."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from diffrec import Interactions
from diffrec.cli import options
from diffrec.cli.output import note
from diffrec.cli.reading import Source, known_part, load_model, named_files, onto, say_left_out
from diffrec.explore import Explorer, Server
from diffrec.recommenders.histories import learnt_from


@options.reads_columns
def explore(
    model: options.Model,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="Look at the people in this file, as they are there, instead of those the model learnt from.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MODEL",
            help="Another model of the same items, to be looked at beside it; repeatable.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What the model's users took later: the overview says how well it is predicted, and for whom.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    seen: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --test, interactions not to be ranked besides those the model learnt from: those it stopped on.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures",
            help="Load pictures of items from the addresses in the items' facts, whose servers then see what is "
            "looked at.",
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port of the page; 0 for any that is free.")
    ] = 8642,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    device: options.Device = None,
    columns: options.Columns = options.GUESSED,
    quiet: options.Quiet = False,
) -> None:
    """Explore a model on a page: histories beside recommendations, their reasons, the steps of the reverse chain.

    Choose a user or type a history; deny items and see the lists change. The page is served to this machine alone
    (127.0.0.1) and needs no network but for --pictures. Ctrl-C ends it.

    Examples
    --------
    diffrec explore model.diffrec
    diffrec explore model.diffrec newcomers.csv --port 0
    diffrec explore model.diffrec --against guided.diffrec --test test.csv
    """
    columns.require_file(data is not None or test is not None, "only DATA has columns, and --test")
    if data is not None and test is not None:
        raise typer.BadParameter("measures those the model learnt from, and DATA has others", param_hint="--test")
    if seen is not None and test is None:
        raise typer.BadParameter("says what --test does not rank: name that, too", param_hint="--seen")
    fitted = load_model(model, device)
    others = {name: load_model(file, device) for name, file in named_files(against or (), "--against").items()}

    def source(file: Path) -> Source:
        return Source(file, columns, quiet=quiet)

    def known(file: Path, part: str) -> Interactions:
        """Read what the model's users did, of a split this part."""
        learnt_from(fitted.train_, "there is nobody whose later interactions could be measured")
        found, left_out = known_part(source(file).interactions(part), fitted.train_, file)
        say_left_out(left_out, file, quiet=quiet)
        return found

    people = None
    if data is not None:
        people, left_out = onto(source(data).interactions(), fitted.train_.items)
        say_left_out(left_out, data, quiet=quiet)
    later = None if test is None else known(test, "test")
    stopped_on = None if seen is None else known(seen, "valid")
    looked_at = Explorer(fitted, people, against=others, test=later, seen=stopped_on, pictures=pictures)
    with Server(looked_at, port) as server:
        print(server.url, flush=True)
        note("Ctrl-C ends it", quiet=quiet)
        if open_page:
            webbrowser.open(server.url)
        # Ending it is no interruption: it is how it ends.
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            note("ended", quiet=quiet)
