"""The worker's HTTP face: one gate, then routes; each refusal with a reason and a way out."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Request
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

import auth
import intake
from blobs import StoreFull, WrongHash
from describe import LAST_EVENT_ID, STREAM, body_of, describe, model, refusals
from gate import Gate, reply
from intake import Refused
from janitor import private_folder
from machine import MB
from model import make_model
from prompts import Prompts
from service import Service
from sse import EventStream, disconnected
from transfer import BlobDownload, receive_blob
from version import VERSION
from wire import (
    PROTOCOL,
    AttemptId,
    AttemptState,
    ExecuteResponse,
    Health,
    Refusal,
    Sha256,
    StatusReport,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from attempt import Attempt
    from config import Config
    from sandbox.base import Sandbox

AttemptPath = Annotated[AttemptId, PathParameter(description="as given in the request")]
_UNWATCHED_S = 0.05
BlobPath = Annotated[Sha256, PathParameter(description="SHA-256 of the bytes, hex")]


def create_app(config: Config, sandbox: Sandbox | None = None) -> FastAPI:
    """The application of one worker. `app.state.service` is its state; the sandbox starts with the lifespan.

    Raises ConfigError when the worker's model is set up wrongly.
    """
    if sandbox is None:
        from sandbox import make_sandbox

        sandbox = make_sandbox(preload=config.preload, capacity=config.capacity)
    prompts = Prompts(sandbox, make_model(config.model, config.model_key)) if config.model else None
    service = Service(config, sandbox, prompts)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with private_folder("nadg-worker-") as folder:
            await service.open(folder / "blobs")
            try:
                yield
            finally:
                await service.close()

    app = FastAPI(
        title="NADG worker",
        version=VERSION,
        summary=f"Runs Python attempts confined; protocol {PROTOCOL}.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=refusals(),
    )
    app.state.service = service
    app.add_middleware(Gate, config=config)
    _handle_errors(app)
    _about(app, service)
    _attempt_routes(app, service)
    _blob_routes(app, service)
    describe(app)
    return app


def _handle_errors(app: FastAPI) -> None:
    """Every answer that is not 2xx has the body of a Refusal."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> Response:
        return reply(error.body.model_dump_json().encode(), status=error.status, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        shown = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        return reply(Refusal(error=shown[:2000]).model_dump_json().encode(), status=422)

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> Response:
        body = Refusal(error=str(error.detail), hint="GET / lists what there is")
        return reply(body.model_dump_json().encode(), status=error.status_code, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def broken(_request: Request, error: Exception) -> Response:
        body = Refusal(error=f"the worker failed ({type(error).__name__})", hint="the worker's log says more")
        return reply(body.model_dump_json().encode(), status=500)


def _about(app: FastAPI, service: Service) -> None:
    @app.get("/")
    async def root() -> dict[str, Any]:
        """Name, version, links."""
        return {
            "name": "NADG worker",
            "version": VERSION,
            "protocol": PROTOCOL,
            "links": {name: f"/{name}" for name in ("health", "status", "execute", "openapi.json")},
        }

    @app.get("/health", response_model=Health)
    async def health() -> Response:
        """Whether it runs code, how much of it is free, which layers of the sandbox are proved."""
        return reply(service.health().model_dump_json().encode())

    @app.get("/status", response_model=StatusReport)
    async def status() -> Response:
        """Packages, limits, counters, recent durations."""
        return reply((await service.status()).model_dump_json().encode())


def _attempt_routes(app: FastAPI, service: Service) -> None:
    def existing(attempt_id: str) -> Attempt:
        attempt = service.attempts.get(attempt_id)
        if attempt is None:
            raise Refused(
                404, f"no attempt {attempt_id} on this boot", "if it was sent before, it is lost: send it again"
            )
        return attempt

    @app.post(
        "/execute",
        response_model=ExecuteResponse,
        responses={200: {"content": STREAM}, **refusals(400, 409, 410, 413, 415, 422, 424, 429)},
        openapi_extra=body_of("application/json", model("ExecuteRequest")),
    )
    async def execute(request: Request) -> Response:
        """Run one attempt to its end. With `Accept: text/event-stream` its events come while it runs."""
        if not auth.is_json(request.scope["headers"]):
            raise Refused(auth.NOT_JSON.status, auth.NOT_JSON.error, auth.NOT_JSON.hint)
        body = await intake.read_body(request, service.config.max_body_mb * MB)
        parsed = intake.parse(body)
        attempt = service.admit(parsed, hashlib.sha256(body).digest())
        # An attempt with an id can be asked for again, so it outlives its connection.
        orphan = None if parsed.attempt_id is not None else lambda: service.attempts.kill(attempt)
        if "text/event-stream" in request.headers.get("accept", ""):
            return EventStream(attempt.events, gone=orphan)
        await _until_done(attempt, request, watch=orphan is not None)
        if orphan is not None and not attempt.done.is_set():
            orphan()
        return reply(attempt.answer or b"")

    @app.get("/attempts/{attempt_id}", response_model=AttemptState, responses=refusals(404, 422))
    async def attempt_state(attempt_id: AttemptPath) -> Response:
        """Whether it runs, or its answer."""
        return reply(_state(existing(attempt_id)))

    @app.get(
        "/attempts/{attempt_id}/events",
        status_code=200,
        response_class=Response,
        responses={200: {"content": STREAM, "description": "the stream"}, **refusals(400, 404, 422)},
        openapi_extra={"parameters": [LAST_EVENT_ID]},
    )
    async def attempt_events(attempt_id: AttemptPath, request: Request) -> Response:
        """The events after `Last-Event-ID`, then those to come."""
        attempt = existing(attempt_id)
        return EventStream(attempt.events, _last_event_id(request, attempt))

    @app.delete("/attempts/{attempt_id}", response_model=AttemptState, responses=refusals(410, 422))
    async def cancel(attempt_id: AttemptPath) -> Response:
        """Kill it and all it started. One that has not come yet will be answered `cancelled` when it comes."""
        return reply(_state(await service.attempts.cancel(attempt_id)))


def _blob_routes(app: FastAPI, service: Service) -> None:
    binary = {"type": "string", "format": "binary"}

    @app.put(
        "/blobs/{sha256}",
        status_code=204,
        response_class=Response,
        responses=refusals(413, 422, 507),
        openapi_extra=body_of("application/octet-stream", binary),
    )
    async def put_blob(sha256: BlobPath, request: Request) -> Response:
        """Keep bytes that attempts will need. They are hashed as they come."""
        try:
            await receive_blob(service.blobs, sha256, request, service.config.blob_quota_mb * MB)
        except WrongHash as error:
            raise Refused(422, f"{error}, not to the name that was given") from None
        except StoreFull as error:
            raise Refused(507, str(error), "wait until attempts end, or raise the quota") from None
        return Response(status_code=204)

    @app.get(
        "/blobs/{sha256}",
        status_code=200,
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {"schema": binary}}}, **refusals(404, 422)},
    )
    async def get_blob(sha256: BlobPath) -> Response:
        """The bytes of an input, a result or an artifact."""
        try:
            return BlobDownload(service.blobs, sha256)
        except KeyError:
            raise Refused(404, f"no blob {sha256} here", "it may have been evicted: run its attempt again") from None


async def _until_done(attempt: Attempt, request: Request, *, watch: bool) -> None:
    """Wait for the answer; with `watch` also return when the client is gone."""
    try:
        # Most attempts end before it pays to watch the connection, which costs two tasks of the event loop.
        async with asyncio.timeout(_UNWATCHED_S if watch else None):
            await attempt.done.wait()
    except TimeoutError:
        waiting = asyncio.ensure_future(attempt.done.wait())
        leaving = asyncio.ensure_future(disconnected(request.receive))
        try:
            await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            leaving.cancel()


def _state(attempt: Attempt) -> bytes:
    state = AttemptState(
        attempt_id=attempt.attempt_id,
        status=attempt.status,
        boot_id=attempt.boot_id,
        last_event_id=attempt.events.last_id,
    )
    # The answer is JSON already; it is put in as it is and not parsed again.
    text = state.model_dump_json(exclude={"answer"}).encode()
    return text[:-1] + b',"answer":' + (attempt.answer or b"null") + b"}"


def _last_event_id(request: Request, attempt: Attempt) -> int:
    text = request.headers.get("last-event-id", "0").strip() or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= attempt.events.last_id):  # noqa: PLR2004
        raise Refused(400, "Last-Event-ID is no id of this attempt's events", "leave it out to get all that are kept")
    return int(text)
