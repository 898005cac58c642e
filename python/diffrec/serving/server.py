"""uvicorn around the application: a port, signals, and an end."""

import asyncio
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from diffrec.checks import whole
from diffrec.serving.app import LARGEST, LOCAL, application
from diffrec.serving.bounded_protocol import BoundedProtocol
from diffrec.serving.reloaded_model import ReloadedModel

#: Connections that are held at once.
CONNECTIONS = 1000


class Server:
    """Serves the model of a file over HTTP, by default to this machine alone.

    ``with Server(path) as server`` answers in a thread until the block ends; ``server.run()`` answers in this one until
    it is interrupted, and reads the file again at SIGHUP.

    Parameters
    ----------
    path : str or Path
        A file of ``model.save``.
    host : str
        Address to listen on; ``"0.0.0.0"`` is every one of the machine's.
    port : int
        0 takes any that is free.
    hosts : sequence of str
        Names by which clients may call the server, besides those of this machine and ``host`` itself.
    largest : int
        Bytes of a request's body, at most.
    connections : int
        How many are held at once; who comes besides is refused.
    device : str
        Where the model is to run.

    Attributes
    ----------
    url : str
        Where it answers.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As ``diffrec.load``.
    OSError
        When the address or port cannot be used.

    Examples
    --------
    >>> import diffrec, json, numpy as np, tempfile, urllib.request
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     diffrec.fit(np.array([[1, 1, 0], [0, 1, 1]]), variant="popularity").save(f"{folder}/model.diffrec")
    ...     with Server(f"{folder}/model.diffrec", port=0) as server:
    ...         asked = json.dumps({"user": 0, "k": 1}).encode()
    ...         request = urllib.request.Request(server.url + "recommend", asked, {"Content-Type": "application/json"})
    ...         with urllib.request.urlopen(request) as answer:
    ...             print(json.load(answer)["items"])
    [2]
    """

    def __init__(
        self,
        path: str | Path,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        hosts: Sequence[str] = (),
        largest: int = LARGEST,
        connections: int = CONNECTIONS,
        device: str = "auto",
    ) -> None:
        port, largest = whole(0, 65535)("port", port), whole(1)("largest", largest)
        connections = whole(1)("connections", connections)
        self.held = ReloadedModel(path, device)
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family, backlog=2048)
            # Connections take it over: without it an answer's second packet waits for the client's word, 40 ms late.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise OSError(f"{host}:{port} cannot be used ({error.strerror}); give another host or port") from None
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}/"
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(self.held, hosts=(*LOCAL, host, *hosts), largest=largest),
                log_config=None,
                access_log=False,
                server_header=False,
                http=BoundedProtocol,
                ws="none",
                # The first number of connections that are too many.
                limit_concurrency=connections + 1,
                # What has begun is answered before the server ends.
                timeout_graceful_shutdown=30,
            )
        )
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Answer until the process is interrupted or asked to end; read the model's file again at SIGHUP."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = set[asyncio.Task[object]]()

        def reload() -> None:
            # The loop itself would let go of a task that nobody holds.
            tasks.add(task := loop.create_task(self.held.reload()))
            task.add_done_callback(tasks.discard)

        hangup = getattr(signal, "SIGHUP", None)  # Windows has none: POST /reload does the same
        if hangup is not None:
            loop.add_signal_handler(hangup, reload)
        try:
            await self._server.serve([self._socket])
        finally:
            if hangup is not None:
                loop.remove_signal_handler(hangup)

    def __enter__(self) -> Self:
        """Answer in a thread from now on."""
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="diffrec-server")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Answer what was asked, and end."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self.close()

    def close(self) -> None:
        """Let go of the port; called by whoever calls ``run``, and at the end of a ``with`` block."""
        self._socket.close()
