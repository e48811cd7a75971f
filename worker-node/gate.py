"""The gate as ASGI middleware, and the one way in which this worker writes a JSON answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

import auth
from wire import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from config import Config

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Gate:
    """Asks auth.check about every request, before any of its body is read."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        """Stand in front of `app`."""
        self._app, self._config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request pass, or answer it."""
        if scope["type"] == "http":
            denied = auth.check(self._config, scope["method"], scope["path"], scope["headers"])
            if denied is not None:
                body = Refusal(error=denied.error, hint=denied.hint)
                await reply(body.model_dump_json().encode(), status=denied.status)(scope, receive, send)
                return
        elif scope["type"] != "lifespan":
            return  # no websockets here: the server closes what nobody accepts
        await self._app(scope, receive, send)


def reply(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON bytes as an answer."""
    return Response(body, status, {**_HEADERS, **(headers or {})}, "application/json")
