"""An attempt's events as a server-sent event stream that proxies do not cut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response

from wire import KEEPALIVE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from events import EventRing

KEEPALIVE = b": keep-alive\n\n"


async def disconnected(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Sends what the ring holds after an id, then what comes, until the ring is closed or the client is gone."""

    media_type = "text/event-stream"

    def __init__(
        self,
        ring: EventRing,
        after: int = 0,
        *,
        gone: Callable[[], object] | None = None,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        """Stream `ring` after event id `after`; `gone` is called if the client leaves before the end."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._ring, self._after, self._gone, self._keepalive_s = ring, after, gone, keepalive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Answer one request."""
        leaving = asyncio.ensure_future(disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if not await self._send_all(send, leaving) and self._gone is not None:
                self._gone()
        except OSError:  # the server says so when the client left while bytes were on their way
            if self._gone is not None:
                self._gone()
        finally:
            leaving.cancel()

    async def _send_all(self, send: Send, leaving: asyncio.Future[None]) -> bool:
        """Send to the end; False if the client left before."""
        while not leaving.done():
            frames, self._after = self._ring.frames(self._after)
            if frames:
                await send({"type": "http.response.body", "body": frames, "more_body": True})
            elif self._ring.closed:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return True
            else:
                await self._next(send, leaving)
        return False

    async def _next(self, send: Send, leaving: asyncio.Future[None]) -> None:
        coming = asyncio.ensure_future(self._ring.wait(self._after))
        try:
            done, _ = await asyncio.wait(
                (coming, leaving), timeout=self._keepalive_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            coming.cancel()
        if not done:
            await send({"type": "http.response.body", "body": KEEPALIVE, "more_body": True})
