"""A server that nobody holds up: so many connections at once, and none that takes its time."""

import contextlib
import math
import socket
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Seconds that a request may take to arrive, and its answer to be taken.
PATIENCE = 20.0
# Seconds that what is still on its way is taken for, once a connection has had its answer.
LINGER = 1.0
# Connections that are held at once; one more is closed as it comes.
CONNECTIONS = 64


class BoundedServer(ThreadingHTTPServer):
    """An HTTP server with bounds on the number of its connections and on what each may take.

    A client that sends or takes a byte now and then is dropped as one that does neither: what counts is the time since
    the request began. That is no matter of a socket's own timeout, which starts again with every byte.
    """

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler]) -> None:
        self._deadlines: dict[socket.socket, float] = {}
        super().__init__(address, handler)

    def wait_for(self, connection: socket.socket) -> None:
        """Give the client PATIENCE seconds to send its request or take its answer."""
        self._deadlines[connection] = time.monotonic() + PATIENCE

    def work_for(self, connection: socket.socket) -> None:
        """Suspend the deadline while an answer is computed."""
        self._deadlines[connection] = math.inf

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the standard library's
        """Whether there is room for another connection."""
        return len(self._deadlines) < CONNECTIONS

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        self.wait_for(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer what a connection asks, then hear it out for a moment.

        Who is refused may still be sending, and on a connection that has been closed it would never see why.
        """
        super().finish_request(request, client_address)
        end = time.monotonic() + LINGER
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            request.settimeout(LINGER)
            while time.monotonic() < end and request.recv(1 << 16):
                pass

    def service_actions(self) -> None:
        """Twice a second: end the connections whose time is up, which their threads notice."""
        now = time.monotonic()
        for connection, deadline in list(self._deadlines.items()):
            if deadline < now:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, but for clients that are gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)
