"""The server's paths: what each is asked and what it answers."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from diffrec._core import __version__
from diffrec.recommenders import Recommender
from diffrec.serving.answers import UnknownError, explanations, recommendations, similar
from diffrec.serving.batching import Batcher, BusyError
from diffrec.serving.gate import Gate
from diffrec.serving.metrics import BATCHES, Histogram, gauge, resident_bytes
from diffrec.serving.questions import Explain, Recommend, Similar, refusal
from diffrec.serving.reloaded_model import ReloadedModel

#: By which names a server on this machine is called.
LOCAL = ("127.0.0.1", "::1", "localhost")
#: Bytes of a request, at most.
LARGEST = 1 << 20

_ASKED: dict[str, type[BaseModel]] = {"/recommend": Recommend, "/similar": Similar, "/explain": Explain}
_PATHS = (*_ASKED, "/health", "/metrics", "/reload")


def application(held: ReloadedModel, *, hosts: Sequence[str] = LOCAL, largest: int = LARGEST) -> Gate:
    """Make the ASGI application that answers for a model.

    Parameters
    ----------
    held : ReloadedModel
        The model and its file.
    hosts : sequence of str
        Names and addresses by which the server may be called.
    largest : int
        Bytes of a request, at most.

    Returns
    -------
    Gate
        For uvicorn, or another server of ASGI applications.
    """
    sizes = Histogram("diffrec_batch_size", "Requests that one call of the model answered.", BATCHES)

    def batcher(kind: str, answer: Callable[[Recommender, Sequence[Any]], Sequence[Any]]) -> Batcher[Any]:
        # The model is looked up once for each call, which ends with the one it began with.
        return Batcher(lambda some: answer(held.model, some), told=lambda size: sizes.add(size, kind=kind))

    recommend = batcher("recommend", recommendations)
    alike = batcher("similar", similar)
    explain = batcher("explain", explanations)
    batchers = (recommend, alike, explain)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for one in batchers:
            one.close()

    # Its pages of documentation would load scripts from elsewhere; the schema itself is at /openapi.json.
    app = FastAPI(title="diffrec", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)

    @app.post("/recommend")
    async def _recommend(question: Recommend) -> JSONResponse:
        """Recommend items to a user that the model knows, or to anybody by their history."""
        return JSONResponse(await recommend.ask(question))

    @app.post("/similar")
    async def _similar(question: Similar) -> JSONResponse:
        """Find the items most like one."""
        return JSONResponse(await alike.ask(question))

    @app.post("/explain")
    async def _explain(question: Explain) -> JSONResponse:
        """Say which past items carried the score of one."""
        return JSONResponse(await explain.ask(question))

    @app.get("/health")
    async def _health() -> JSONResponse:
        """Say that the server answers, and with which model."""
        return JSONResponse({"status": "ok", **_about(held)})

    @app.get("/metrics")
    async def _metrics() -> PlainTextResponse:
        """Counters in Prometheus' text format."""
        model = held.model
        memory = resident_bytes()
        parts = [
            gate.requests.text(),
            gate.seconds.text(),
            sizes.text(),
            held.reloads.text(),
            gauge("diffrec_waiting", "Requests that wait for the model.", sum(one.waiting for one in batchers)),
            gauge("diffrec_model_loaded_seconds", "When the model was loaded, since the epoch.", held.loaded),
            gauge("diffrec_model_items", "Items of the model.", model.train_.shape[1], {"variant": model.variant}),
        ]
        if memory is not None:
            parts.append(gauge("process_resident_memory_bytes", "Memory that the server holds.", memory))
        return PlainTextResponse("\n".join(parts) + "\n", media_type="text/plain; version=0.0.4")

    @app.post("/reload")
    async def _reload(request: Request) -> JSONResponse:
        """Read the model's file again; asked from this machine alone. Requests go on being answered."""
        if request.client is None or request.client.host not in LOCAL:
            return _refused(403, "reload is asked from the server's own machine alone")
        problem = await held.reload()
        return JSONResponse(_about(held)) if problem is None else _refused(500, problem)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _refused(400, refusal(error.errors(), _ASKED.get(request.url.path)))

    @app.exception_handler(UnknownError)
    async def _not_known(_: Request, error: UnknownError) -> JSONResponse:
        return _refused(404, str(error))

    async def _impossible(_: Request, error: Exception) -> JSONResponse:
        return _refused(400, str(error))

    for kind in (ValueError, TypeError, OverflowError):
        app.add_exception_handler(kind, _impossible)

    @app.exception_handler(BusyError)
    async def _busy(_: Request, error: BusyError) -> JSONResponse:
        return _refused(503, str(error), {"retry-after": "1"})

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        path = request.url.path[:200]
        said = {
            404: f"there is nothing at {path}; there are {', '.join(_PATHS)}",
            405: f"{request.method} is not answered at {path}",
        }
        return _refused(error.status_code, said.get(error.status_code, str(error.detail)))

    @app.exception_handler(Exception)
    async def _failed(_: Request, __: Exception) -> JSONResponse:
        return _refused(500, "the server failed at this; its log says where")

    gate = Gate(app, hosts, largest, _PATHS)
    return gate


def _about(held: ReloadedModel) -> dict[str, Any]:
    model = held.model
    users, items = model.train_.shape
    loaded = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(held.loaded))
    return {"model": repr(model), "variant": model.variant, "users": users, "items": items, "loaded": loaded}


def _refused(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": text}, status, headers)
