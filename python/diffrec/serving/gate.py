"""The gate before the answers: whose requests are taken, how large they may be, and what is counted."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from diffrec.checks import shown
from diffrec.serving.metrics import LATENCIES, Counter, Histogram

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

# So many times the largest body is read of one that is refused: most clients listen when they have said all.
_DRAINED = 16


#: Seconds in which a request's head must arrive, then its body, and in which some of an answer must be taken.
PATIENCE = 20.0


class Gate:
    """Lets requests through to an ASGI application that are for this server, and no larger than they may be.

    The name in ``Host`` must be one of the server's, and so must that in ``Origin``, where there is one: a name that
    only resolves to this machine is a foreign page's way in. A body is read whole before anything else sees it, and it
    must be JSON: other sites' pages cannot send that without asking first, and are not answered.

    Parameters
    ----------
    inner : ASGI application
        Answers.
    hosts : collection of str
        Names and addresses by which the server may be called, without ports.
    largest : int
        Bytes of a body.
    paths : collection of str
        Those that are counted under their own name.
    """

    def __init__(self, inner: Application, hosts: Collection[str], largest: int, paths: Collection[str]) -> None:
        self._inner, self._largest = inner, largest
        self._hosts, self._paths = frozenset(map(str.lower, hosts)), tuple(paths)
        self.requests = Counter("diffrec_requests_total", "Requests by path and status.")
        self.seconds = Histogram("diffrec_request_seconds", "Seconds from a request to its answer.", LATENCIES)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take a request, refuse it or hand it on."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            try:
                body: bytes | None = b""
                if scope["method"] not in ("GET", "HEAD"):
                    body = await asyncio.wait_for(_body(receive, self._largest), PATIENCE)
            except TimeoutError:
                await _refuse(noted, 408, f"a request must arrive within {PATIENCE:g} s", close=True)
                return
            refused = self._refusal(scope, body)
            if refused is None:
                await self._inner(scope, _once(body or b"", receive), noted)
            else:
                # Of a body that is too large the rest is still on its way.
                await _refuse(noted, *refused, close=body is None)
        finally:
            path = next(
                (one for one in self._paths if scope["path"] == one or scope["path"].startswith(f"{one}/")), "other"
            )
            self.requests.add(path=path, status=str(status))
            self.seconds.add(time.perf_counter() - started, path=path)

    def _refusal(self, scope: Message, body: bytes | None) -> tuple[int, str] | None:
        """Why a request is not answered, as a status and a sentence; None where it is."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = _name_of(headers.get("host", ""))
        if host not in self._hosts:
            return 403, f"host must be one of {', '.join(sorted(self._hosts))}, got {shown(host)}"
        origin = headers.get("origin")
        if origin is not None and _name_of(origin.partition("://")[2]) not in self._hosts:
            return 403, f"origin must be of {', '.join(sorted(self._hosts))}, got {shown(origin)}"
        if body is None:
            size = headers.get("content-length", "more")
            return 413, f"a request must have at most {self._largest} bytes, got {size}"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] not in ("GET", "HEAD") and kind != "application/json":
            return 415, f"content-type must be application/json, got {shown(kind)}"
        return None


async def _body(receive: Receive, largest: int) -> bytes | None:
    """Read a request's body to its end; None where it is larger than it may be, of which no more is kept."""
    body, size, more = b"", 0, True
    while more and size <= _DRAINED * largest:
        message = await receive()
        size += len(message.get("body", b""))
        body = body + message.get("body", b"") if size <= largest else b""
        more = message.get("more_body", False)
    return body if size <= largest else None


def _once(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that hands out a body that was read already, and then what comes after it."""
    handed = False

    async def given() -> Message:
        nonlocal handed
        if handed:
            return await receive()
        handed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return given


async def _refuse(send: Send, status: int, text: str, *, close: bool = False) -> None:
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if close:  # the rest of what was asked is still on its way
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _name_of(host: str) -> str:
    """The name or address in a Host header, without port.

    Examples
    --------
    >>> _name_of("localhost:8000"), _name_of("[::1]:8000"), _name_of("::1"), _name_of("Shop.example")
    ('localhost', '::1', '::1', 'shop.example')
    """
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]
