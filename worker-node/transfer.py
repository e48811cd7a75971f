"""Blobs over HTTP: streamed both ways, never whole in memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.responses import Response

from blobs import CHUNK
from intake import too_large

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from blobs import Blobs


async def receive_blob(blobs: Blobs, sha256: str, request: Request, most: int) -> None:
    """Take a request's body as a blob. Raises Refused (413), WrongHash, StoreFull."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise too_large(most)
    if sha256 in blobs:
        # What is here already was checked when it came; the bytes are read so that the client can finish.
        got = 0
        async for chunk in request.stream():
            got += len(chunk)
            if got > most:
                raise too_large(most)
        return
    with blobs.writing(sha256) as upload:
        async for chunk in request.stream():
            if upload.size + len(chunk) > most:
                raise too_large(most)
            upload.write(chunk)


class BlobDownload(Response):
    """A blob's bytes, read piece by piece from a descriptor that survives its eviction."""

    media_type = "application/octet-stream"

    def __init__(self, blobs: Blobs, sha256: str) -> None:
        """Open the blob. Raises KeyError if it is not here."""
        self._fd = blobs.open(sha256)
        size = os.fstat(self._fd).st_size
        super().__init__(
            headers={
                "Content-Length": str(size),
                "Content-Disposition": "attachment",
                "Cache-Control": "private, immutable",
                "ETag": f'"{sha256}"',
                "X-Content-Type-Options": "nosniff",
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Answer one request."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while chunk := os.read(self._fd, CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            os.close(self._fd)
