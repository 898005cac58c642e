"""HTTP of which no client takes more than its share: heads of bounded size, bounded waiting, so many connections."""

import asyncio
import json
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from diffrec.serving import gate

#: Bytes of a request's head, its address and its headers, at most.
LARGEST_HEAD = 1 << 16


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the bounds that it leaves out; those of bodies are the gate's.

    A client has ``gate.PATIENCE`` seconds from its connection, or from the first byte after an answer, until the head
    of its request is whole, however its bytes drip; and as long to take some of an answer that fills all buffers.
    Connections beyond ``limit_concurrency`` are told so and closed.
    """

    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _in_head = True
    # Whether a head or a body ended with what came last: how much of that is of the next head the parser does not say.
    _ended = False
    # Bytes of a head: that came while it is not whole, which the parser keeps; and of its parts that are.
    _came = _parsed = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are as many as there may be."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self.connections.discard(self)  # it takes nobody's place
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "the server has as many connections as it may")
        else:
            self._reading = self.loop.call_later(gate.PATIENCE, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_reading()
        self._stop_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        was_in_head, self._ended = self._in_head, False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._reading is None and (self.cycle is None or self.cycle.response_complete):
            self._reading = self.loop.call_later(gate.PATIENCE, self._head_is_late)
        if was_in_head and self._in_head and not self._ended:
            self._came += len(data)
            if self._came > LARGEST_HEAD:
                self._head_is_large()

    def on_message_begin(self) -> None:
        """Begin with a head."""
        super().on_message_begin()
        self._in_head, self._parsed = True, 0

    def on_url(self, url: bytes) -> None:
        """Take a part of an address."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Have a request answered whose head is whole."""
        self._stop_reading()
        self._in_head, self._came, self._ended = False, 0, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect another head."""
        super().on_message_complete()
        self._in_head = self._ended = True

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, or need not be."""
        if self._parsed > LARGEST_HEAD:
            self._head_is_large()
        else:
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Wait for a client that does not take its answer."""
        super().pause_writing()
        # No answer would reach it, nor would closing wait in vain for what is left.
        self._writing = self.loop.call_later(gate.PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with a client that took some of its answer."""
        super().resume_writing()
        self._stop_writing()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _count(self, size: int) -> None:
        self._parsed += size
        if self._parsed > LARGEST_HEAD:
            raise ValueError("the head is too large")  # ends the parsing of what came

    def _head_is_large(self) -> None:
        text = f"the address and headers of a request may have {LARGEST_HEAD} bytes"
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def _head_is_late(self) -> None:
        if self._came:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"a request must arrive within {gate.PATIENCE:g} s")
        else:  # who has asked nothing would take an answer for that to the next question
            self.transport.close()

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        body = json.dumps({"error": text}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
