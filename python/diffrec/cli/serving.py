"""``diffrec serve``: recommendations over HTTP."""

from typing import Annotated

import typer

from diffrec.cli import options
from diffrec.cli.output import note


def serve(
    model: options.Model,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen; the default is this machine alone, and 0.0.0.0 every address it has.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Where to listen; 0 for any free port.")
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name by which clients may call the server, besides localhost and --host; repeatable.",
            show_default=False,
        ),
    ] = None,
    max_body: Annotated[int, typer.Option(metavar="BYTES", min=1, help="The largest request.")] = 1 << 20,
    max_connections: Annotated[int, typer.Option(metavar="N", min=1, help="Connections held at once.")] = 1000,
    device: options.Device = None,
    quiet: options.Quiet = False,
) -> None:
    """Serve a model over HTTP: recommend, similar, explain, health, metrics, reload.

    Requests of single users that come at the same time are answered together. SIGHUP, or POST /reload from this
    machine, reads MODEL again while requests go on being answered. Ctrl-C ends it.

    Examples
    --------
    diffrec serve model.diffrec
    diffrec serve model.diffrec --host 0.0.0.0 --allow-host shop.example --port 9000
    """
    from diffrec.serving import Server

    where = {} if device is None else {"device": device}
    server = Server(
        model,
        host=host,
        port=port,
        hosts=allow_host or (),
        largest=max_body,
        connections=max_connections,
        **where,
    )
    print(server.url, flush=True)
    note("Ctrl-C ends it", quiet=quiet)
    # Ending it is no interruption: it is how it ends.
    try:
        server.run()
    except KeyboardInterrupt:
        note("ended", quiet=quiet)
    finally:
        server.close()
