"""The only way out for a task with the network permission: an HTTP proxy that reaches global addresses and no others.

It resolves a name itself, refuses if any of its addresses is not global, and connects to the address that it checked,
so that a name that changes its mind in between gains nothing. Plain HTTP and CONNECT (for TLS) are served.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD_BYTES = 64 * 1024
_HEAD_S = 15.0
_CONNECT_S = 15.0
_IDLE_S = 300.0
_CHUNK = 1 << 16
_CONNECTIONS = 128
_HTTP, _HTTPS = 80, 443
_DROPPED = (b"proxy-authorization", b"proxy-connection", b"connection")

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):  # noqa: N818
    """A request that is not served: status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def is_global(text: str) -> bool:
    """Whether an address is reachable from everywhere: no private, loopback, link-local, shared or multicast one.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, Teredo, NAT64) are judged by what they lead to.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_global(str(inner))
    return address.is_global and not address.is_multicast


class Proxy:
    """Serves on loopback. `allowed` judges an address; a test gives its own."""

    def __init__(self, allowed: Callable[[str], bool] = is_global) -> None:
        self._allowed = allowed
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Other users of this machine find the port too; without the password it is of no use to them.
        self._password = secrets.token_urlsafe(18)
        self._expected = b"Basic " + b64encode(f"task:{self._password}".encode())
        self.port = 0

    @property
    def url(self) -> str:
        """What a task's HTTP_PROXY and HTTPS_PROXY hold."""
        return f"http://task:{self._password}@127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                if len(self._tasks) > _CONNECTIONS:
                    raise Refused(503, "too many connections")
                await self._relay(reader, writer)
            except Refused as error:
                body = f"{error}\n".encode()
                writer.write(b"HTTP/1.1 %d Refused\r\nContent-Length: %d\r\n" % (error.status, len(body)))
                writer.write(b"Connection: close\r\n\r\n" + body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # one of the two ends went away: there is nobody to tell
        finally:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S):
            head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        headers = [(name.strip().lower(), line) for line in lines for name in [line.partition(b":")[0]]]
        self._check_password(headers)
        try:
            method, target, version = first.decode("ascii").split(" ")
            host, port = _destination(method, target)
        except ValueError as error:
            raise Refused(400, "not a proxy request") from error
        there_reader, there_writer = await self._connect(host, port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = urlsplit(target)._replace(scheme="", netloc="").geturl() or "/"
                kept = [line for name, line in headers if name not in _DROPPED]
                there_writer.write(f"{method} {path} {version}\r\n".encode("ascii"))
                there_writer.write(b"\r\n".join([*kept, b"Connection: close", b"", b""]))
            await _both_ways((reader, there_writer), (there_reader, writer))
        finally:
            there_writer.close()

    def _check_password(self, headers: list[tuple[bytes, bytes]]) -> None:
        given = [line.partition(b":")[2].strip() for name, line in headers if name == b"proxy-authorization"]
        if len(given) != 1 or not secrets.compare_digest(given[0], self._expected):
            raise Refused(407, "use the proxy's address as it stands in HTTPS_PROXY")

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_S):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise Refused(502, f"{host} has no address") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses or not all(self._allowed(address) for address in addresses):
            raise Refused(403, f"{host} is not an address of the public internet")
        for address in addresses:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_S):
                    return await asyncio.open_connection(address, port, limit=_HEAD_BYTES)
        raise Refused(502, f"{host} does not answer on port {port}")


def _destination(method: str, target: str) -> tuple[str, int]:
    """Host and port of a request line. Raises ValueError."""
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    if method != "CONNECT" and parts.scheme != "http":
        raise ValueError(parts.scheme)
    port = parts.port or (_HTTPS if method == "CONNECT" else _HTTP)
    if not parts.hostname or parts.username is not None:
        raise ValueError(target)
    return parts.hostname, port


async def _both_ways(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy until both directions have ended, or one breaks."""
    async with asyncio.TaskGroup() as group:
        for source, target in ways:
            group.create_task(_copy(source, target))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        while True:
            async with asyncio.timeout(_IDLE_S):
                data = await source.read(_CHUNK)
            if not data:
                break
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError, RuntimeError):
        if target.can_write_eof():
            target.write_eof()
