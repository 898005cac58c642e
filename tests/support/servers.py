"""A server of ``diffrec explore`` for as long as a test asks it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from diffrec.explore import Explorer, Server


@contextmanager
def answering(explorer: Explorer) -> Iterator[Server]:
    """Let a server answer in a thread, and end it whatever becomes of the test."""
    with Server(explorer) as server:
        # It looks that often whether it is to end.
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
