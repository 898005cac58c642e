"""The page's server: this machine only, standard library only, nothing fetched from anywhere else."""

import json
import re
import threading
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from diffrec.explore.bounded_server import BoundedServer
from diffrec.explore.explorer import Explorer

HOST = "127.0.0.1"
# Path -> file beside this one, and its type.
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_LONGEST_REQUEST = 1 << 20


class Server(BoundedServer):
    """Serves the page of one explorer on 127.0.0.1.

    Parameters
    ----------
    explorer : Explorer
        Answers.
    port : int
        0 takes any that is free.

    Raises
    ------
    OSError
        When the port is taken.

    Examples
    --------
    >>> import diffrec, numpy as np, urllib.request
    >>> model = diffrec.fit(np.array([[1, 0], [1, 1]]), variant="popularity")
    >>> with Server(Explorer(model)) as server:
    ...     threading.Thread(target=server.serve_forever).start()
    ...     with urllib.request.urlopen(server.url + "api/about") as answer:
    ...         print(json.load(answer)["items"])
    ...     server.shutdown()
    2
    """

    def __init__(self, explorer: Explorer, port: int = 0) -> None:
        self.explorer = explorer
        # A model answers one at a time.
        self.lock = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise OSError(f"port {port} of this machine cannot be used ({error.strerror}); give another port") from None

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "diffrec"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.server.wait_for(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        if self._is_foreign():
            return
        asked = urlsplit(self.path)
        explorer = self.server.explorer
        if asked.path in _FILES:
            name, kind = _FILES[asked.path]
            self._send(HTTPStatus.OK, kind, (resources.files("diffrec.explore") / name).read_bytes())
        elif asked.path == "/api/about":
            self._answer(explorer.about)
        elif asked.path == "/api/overview":
            order = parse_qs(asked.query).get("order", ["most"])[0]
            self._answer(lambda: explorer.overview(order))
        elif asked.path in ("/api/users", "/api/items"):
            text = parse_qs(asked.query).get("q", [""])[0]
            self._answer(lambda: explorer.search(asked.path.removeprefix("/api/"), text))
        else:
            self._json(HTTPStatus.NOT_FOUND, {"error": "there is nothing here"})

    def do_POST(self) -> None:
        if self._is_foreign():
            return
        length = re.fullmatch("[0-9]{1,9}", self.headers.get("Content-Length") or "")
        # Only a page of this server may send JSON: other sites would have to ask first, and are not answered.
        if (
            self.headers.get_content_type() != "application/json"
            or "Transfer-Encoding" in self.headers
            or length is None
            or int(length[0]) > _LONGEST_REQUEST
        ):
            self.close_connection = True
            self._json(HTTPStatus.BAD_REQUEST, {"error": "a short JSON request is expected"})
            return
        body = self.rfile.read(int(length[0]))
        if self.path != "/api/recommend":
            self._json(HTTPStatus.NOT_FOUND, {"error": "there is nothing here"})
            return
        self._answer(lambda: self.server.explorer.recommend(_parsed(body)))

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: requests are no news."""

    def _is_foreign(self) -> bool:
        """Refuse what another site's page asks, whatever it asks."""
        host, origin = self.headers.get("Host") or "", self.headers.get("Origin")
        # Of pictures and the like that another site's page asks for browsers name no origin, but say whose page it is.
        site = self.headers.get("Sec-Fetch-Site")
        # A name that only resolves to this machine is a foreign page's way in.
        known = host.partition(":")[0] in (HOST, "localhost") and origin in (None, f"http://{host}")
        # The page itself may be come to from anywhere: it computes nothing until its own script asks.
        opened = self.path == "/" and self.headers.get("Sec-Fetch-Mode") == "navigate"
        opened = opened and self.headers.get("Sec-Fetch-Dest") == "document"
        if known and (opened or site in (None, "same-origin", "none")):
            return False
        self.close_connection = True
        self._send(HTTPStatus.FORBIDDEN, "text/plain", b"ask for 127.0.0.1")
        return True

    def _answer(self, answer: Callable[[], Any]) -> None:
        self.server.work_for(self.connection)
        try:
            with self.server.lock:
                found = answer()
        except (ValueError, TypeError) as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except Exception as error:
            # Nobody foresaw it: the page says what it was, and whoever runs the server sees where.
            traceback.print_exc()
            self._json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": f"{type(error).__name__}: {error}"})
        else:
            self._json(HTTPStatus.OK, found)

    def _json(self, status: HTTPStatus, values: Any) -> None:
        self._send(status, "application/json", json.dumps(values).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.server.wait_for(self.connection)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        pictures = "data: https: http:" if self.server.explorer.pictures else "data:"
        policy = f"default-src 'self'; img-src {pictures}; frame-ancestors 'none'"
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Referrer-Policy", "no-referrer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the request is no JSON") from None
    if not isinstance(asked, dict):
        raise ValueError("the request must be a JSON object")
    return asked
