"""A server that speaks HTTP as badly as asked: raw bytes, delays, cuts and silence, counted as they happen."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

BOOT = "boot-1"


@dataclass
class Call:
    """A request that came. `raw` is everything of it, as bytes."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    raw: bytes = field(repr=False, default=b"")


@dataclass
class Wire:
    """The connection that a behaviour answers on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a RST instead of a FIN."""
        self.writer.transport.abort()

    async def silence(self) -> None:
        """Say nothing until the client leaves."""
        while await self.reader.read(1000):
            pass


Behaviour = Callable[[Call, Wire], Awaitable[None]]


class FaultServer:
    """Answers each request by the first behaviour whose method and path fit; without one with 404.

    `script(method, path, *behaviours)`: one per request in order, the last one for all that follow.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.calls: list[Call] = []
        self.connections = 0
        self._scripts: list[tuple[str, str, list[Behaviour]]] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.boot_id = BOOT

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    def script(self, method: str, path: str, *behaviours: Behaviour) -> None:
        self._scripts.insert(0, (method, path, list(behaviours)))

    def calls_of(self, method: str, path: str = "") -> list[Call]:
        return [call for call in self.calls if call.method == method and call.path.startswith(path)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while (call := await self._read(reader)) is not None:
                self.calls.append(call)
                await self._behaviour(call)(call, Wire(reader, writer))
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    def _behaviour(self, call: Call) -> Behaviour:
        for method, path, behaviours in self._scripts:
            if method == call.method and call.path.startswith(path):
                return behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        if call.path == "/health":
            return healthy(self.boot_id)
        if call.path == "/status":
            return status_report(self.boot_id)
        return refusal(404, "nothing here")

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Call | None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Call(method, path, headers, body, head + body)


def http(status: int, body: bytes, content_type: str = "application/json", **headers: str) -> bytes:
    """A whole answer as bytes."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def answer(status: int, body: bytes, content_type: str = "application/json", **headers: str) -> Behaviour:
    async def behave(_call: Call, wire: Wire) -> None:
        await wire.send(http(status, body, content_type, **headers))

    return behave


def refusal(status: int, error: str, missing: list[str] | None = None, **headers: str) -> Behaviour:
    return answer(status, json.dumps({"error": error, "hint": "", "missing": missing or []}).encode(), **headers)


def page(status: int, text: str) -> Behaviour:
    body = f"<!doctype html><html><head><title>{text}</title></head><body>{text}</body></html>"
    return answer(status, body.encode(), "text/html; charset=utf-8")


def raw(data: bytes, *, then: str = "close") -> Behaviour:
    """Send bytes as they are, then `close`, `reset` or stay `silent`."""

    async def behave(_call: Call, wire: Wire) -> None:
        await wire.send(data)
        if then == "silent":
            await wire.silence()
        elif then == "reset":
            wire.reset()
        wire.writer.close()

    return behave


async def silent(_call: Call, wire: Wire) -> None:
    """Accept and never answer."""
    await wire.silence()


async def reset(_call: Call, wire: Wire) -> None:
    wire.reset()


async def hang_up(_call: Call, wire: Wire) -> None:
    wire.writer.close()


def drip(data: bytes, pause: float = 0.0, size: int = 1) -> Behaviour:
    """Send bytes a few at a time."""

    async def behave(_call: Call, wire: Wire) -> None:
        for place in range(0, len(data), size):
            await wire.send(data[place : place + size])
            await asyncio.sleep(pause)
        wire.writer.close()

    return behave


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM_END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(number: int, kind: str, data: dict, boot_id: str = BOOT) -> bytes:
    """One server-sent event, as one HTTP chunk."""
    text = json.dumps({"id": number, "type": kind, "boot_id": boot_id, "data": data})
    return chunk(f"id: {number}\nevent: {kind}\ndata: {text}\n\n".encode())


def finished(attempt_id: str, /, number: int = 2, boot_id: str = BOOT, **fields: object) -> bytes:
    """The last event of an attempt that succeeded, or what `fields` make of it."""
    data = {
        "task_id": "s",
        "status": "completed",
        "output": "",
        "error": None,
        "executed_at": "2026-11-24T00:00:00+00:00",
        "outcome": "succeeded",
        "attempt_id": attempt_id,
        "worker_id": "w",
        "boot_id": boot_id,
        "result": {"format": "json", "value": 42, "size": 2},
    }
    return event(number, "finished", data | fields, boot_id)


def started(number: int = 1, boot_id: str = BOOT) -> bytes:
    return event(number, "started", {"worker_id": "w", "at": "2026-11-24T00:00:00+00:00"}, boot_id)


def healthy(boot_id: str = BOOT, **fields: object) -> Behaviour:
    body = {
        "status": "ok",
        "worker_id": "w",
        "boot_id": boot_id,
        "uptime_s": 1.0,
        "protocol": 1,
        "running": 0,
        "capacity": 2,
        "labels": ["cpu"],
        "sandbox": {"seccomp": "active"},
    }
    return answer(200, json.dumps(body | fields).encode())


def status_report(boot_id: str = BOOT) -> Behaviour:
    health = {
        "status": "ok", "worker_id": "w", "boot_id": boot_id, "uptime_s": 1.0, "running": 0, "capacity": 2
    }  # fmt: skip
    body = {
        "health": health,
        "python": "3.11",
        "packages": {"pandas": "3.1"},
        "modules": ["pandas"],
        "limits": {},
        "max_body_bytes": 1000,
    }
    return answer(200, json.dumps(body).encode())
