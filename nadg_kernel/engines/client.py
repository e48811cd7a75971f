"""One worker's HTTP client: every way in which a request can end becomes an answer or one of four errors."""

from __future__ import annotations

import functools
import hashlib
import html
import json
import re
import ssl
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
from pydantic import ValidationError

from nadg_kernel.engines.addresses import AddressRefused, Origin, checked_addresses, parse_origin, proxy_for
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.engines.faults import Broken, NotOurs, Refused, TooLarge, Unreached, WrongBytes, in_words
from nadg_kernel.engines.sse import SseError, SseEvent, SseParser
from nadg_kernel.settings import Secret
from nadg_kernel.wire import AUTH_HEADER, AttemptState, ExecuteResponse, Health, Refusal, StatusReport, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nadg_kernel.engines.addresses import IPAddress

Answer = TypeVar("Answer", bound=Wire)

SMALL_BYTES = 256 * 1024
STATUS_BYTES = 16 * 1024 * 1024
"""Bounds of answers to /health and refusals, and to /status."""
_UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
_RETRY_AFTER_S = 3600.0
_TITLE = re.compile(r"<title[^>]*>(.{0,200}?)</title>", re.IGNORECASE | re.DOTALL)
_ASLEEP = re.compile(r"\b(sleeping|asleep|paused)\b", re.IGNORECASE)
_WAKING = re.compile(r"\b(starting|restarting|building|waking|launching|preparing|warming)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class WorkerEndpoint:
    """Where a worker is and the token that opens it, and only it. `local` ones were started by this kernel.

    `bearer` is for the host in front of it, which lets nobody else through to a private Space.
    """

    worker_id: str
    url: str
    token: Secret | None = field(default=None, repr=False)
    bearer: Secret | None = field(default=None, repr=False)
    local: bool = False
    allow_private: bool = False


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds. `silence` is how long a stream may say nothing: workers send a comment every 10 s."""

    connect: float = 10.0
    answer: float = 20.0
    silence: float = 35.0


class WorkerClient:
    """Talks to one worker at one origin. The token goes nowhere else, redirects are not followed."""

    def __init__(
        self, endpoint: WorkerEndpoint, *, timeouts: Timeouts | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """Prepare; nothing is sent yet. Raises AddressRefused for a URL that no worker may have."""
        self.endpoint = endpoint
        self._origin: Origin = parse_origin(endpoint.url)
        self._timeouts = timeouts or Timeouts()
        self._proxy = proxy_for(self._origin)
        self._tls = tls
        self._client: httpx2.AsyncClient | None = None
        self._addresses: list[IPAddress] = []
        self._closed = False

    @property
    def worker(self) -> str:
        """What to call it in messages."""
        return self.endpoint.worker_id

    async def health(self) -> Health:
        """GET /health. Raises Unreached, Broken, NotOurs, Refused; as do all calls."""
        return _parsed(Health, await self._call("GET", "/health", most=SMALL_BYTES, public=True))

    async def status(self) -> StatusReport:
        """GET /status."""
        return _parsed(StatusReport, await self._call("GET", "/status", most=STATUS_BYTES))

    async def visit(self) -> None:
        """GET / and forget the answer: what wakes a sleeping Space."""
        await self._call("GET", "/", most=STATUS_BYTES, public=True)

    async def cancel(self, attempt_id: str, most: int) -> AttemptState:
        """DELETE an attempt: killed when this returns, or a tombstone for when it arrives."""
        return _parsed(AttemptState, await self._call("DELETE", f"/attempts/{attempt_id}", most=most))

    async def put_blob(self, sha256: str, data: bytes) -> None:
        """PUT bytes that an attempt needs."""
        headers = {"Content-Type": "application/octet-stream"}
        await self._call("PUT", f"/blobs/{sha256}", content=data, headers=headers, most=SMALL_BYTES)

    async def get_blob(self, sha256: str, size: int) -> bytes:
        """The bytes of a blob that is `size` long. Raises WrongBytes for any others."""
        try:
            data = await self._call("GET", f"/blobs/{sha256}", most=size, binary=True)
        except TooLarge:
            raise WrongBytes(f"the blob {sha256[:12]} is larger than the {size} bytes that were announced") from None
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
            raise WrongBytes(f"{len(data)} bytes came for the blob {sha256[:12]}, which are not its {size} bytes")
        return data

    @asynccontextmanager
    async def execute(self, body: bytes, most: int) -> AsyncIterator[AsyncIterator[SseEvent]]:
        """POST an attempt and give its events. `most` bounds one event, in bytes."""
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        async with self._stream("POST", "/execute", headers=headers, content=body) as response:
            yield self._events(response, most)

    @asynccontextmanager
    async def resume(self, attempt_id: str, after: int, most: int) -> AsyncIterator[AsyncIterator[SseEvent]]:
        """GET the events of an attempt that come after one."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        async with self._stream("GET", f"/attempts/{attempt_id}/events", headers=headers) as response:
            yield self._events(response, most)

    async def close(self) -> None:
        """Release the connections. Whatever is asked afterwards is Unreached."""
        self._closed = True
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _events(self, response: httpx2.Response, most: int) -> AsyncIterator[SseEvent]:
        kind = _media_type(response)
        if kind == "application/json":  # a proxy, or a worker, that does not stream: the same object at once
            data = await _read(response, most)
            yield SseEvent("finished", _as_finished(data))
            return
        if kind != "text/event-stream":
            await _refuse_page(response, self.worker)
        parser = SseParser(most)
        try:
            async for chunk in response.aiter_raw():
                for event in parser.feed(chunk):
                    yield event
        except SseError as error:
            raise Broken(f"worker {self.worker} sent garbage: {error}") from error
        except httpx2.HTTPError as error:
            raise Broken(in_words(error, f"the stream from worker {self.worker} broke")) from error

    async def _call(
        self,
        method: str,
        path: str,
        *,
        most: int,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        public: bool = False,
        binary: bool = False,
    ) -> bytes:
        timeout = self._timeouts.answer
        async with self._stream(method, path, headers=headers or {}, content=content, read=timeout, public=public) as r:
            if not binary and r.status_code != httpx2.codes.NO_CONTENT and _media_type(r) != "application/json":
                await _refuse_page(r, self.worker)
            return await _read(r, most)

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        content: bytes | None = None,
        read: float | None = None,
        public: bool = False,
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request and give the answer's head if it is a success; everything else raises."""
        if self.endpoint.token is not None and not public:
            headers = {**headers, AUTH_HEADER: self.endpoint.token.reveal()}
        if self.endpoint.bearer is not None:
            headers = {**headers, "Authorization": f"Bearer {self.endpoint.bearer.reveal()}"}
        request = await self._request(method, path, headers=headers, content=content, read=read)
        assert self._client is not None  # noqa: S101 - made by _request
        try:
            response = await self._client.send(request, stream=True)
        except _UNSENT as error:
            self._forget_address()
            raise Unreached(in_words(error, f"worker {self.worker} at {self._origin} cannot be reached")) from error
        except httpx2.HTTPError as error:
            raise Broken(in_words(error, f"the connection to worker {self.worker} broke")) from error
        try:
            if not response.is_success:
                await self._refuse(response)
            yield response
        finally:
            await response.aclose()

    async def _request(
        self, method: str, path: str, *, headers: dict[str, str], content: bytes | None, read: float | None
    ) -> httpx2.Request:
        where = await self._where()
        if self._closed:
            raise Unreached(f"worker {self.worker} was let go")
        if self._client is None:
            try:
                self._client = self._new_client()
            except (ImportError, ValueError) as error:  # a kind of proxy that needs another package, or is none
                raise Unreached(f"worker {self.worker}: the proxy {self._proxy} cannot be used: {error}") from error
        silence = self._timeouts.silence if read is None else read
        timeout = httpx2.Timeout(silence, connect=self._timeouts.connect)
        extensions: dict[str, Any] = {}
        if where != str(self._origin) and self._origin.scheme == "https":
            extensions["sni_hostname"] = self._origin.host
        return self._client.build_request(
            method,
            where + path,
            headers={"Host": self._origin.authority, **headers},
            content=content,
            timeout=timeout,
            extensions=extensions,
        )

    async def _where(self) -> str:
        """The URL to connect to: the checked address itself, so that no second look-up can answer otherwise."""
        if self._proxy is not None:
            return str(self._origin)  # the proxy resolves
        if not self._addresses:
            try:
                self._addresses = await checked_addresses(self._origin, allow_private=self.endpoint.allow_private)
            except AddressRefused as error:
                raise Unreached(str(error)) from error
            except OSError as error:
                reason = error.strerror or str(error)
                raise Unreached(f"worker {self.worker}: {self._origin.host} cannot be resolved: {reason}") from error
        address = self._addresses[0]
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
        return f"{self._origin.scheme}://{host}:{self._origin.port}"

    def _forget_address(self) -> None:
        """After a failure the next address is tried, then the name is resolved again: workers move."""
        del self._addresses[:1]

    def _new_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(
                verify=self._tls or _trust(self._origin),
                trust_env=False,
                proxy=self._proxy,
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=30),
            ),
            trust_env=False,
            follow_redirects=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "nadg-kernel"},
        )

    async def _refuse(self, response: httpx2.Response) -> None:
        if response.is_redirect or response.has_redirect_location:
            raise NotOurs(f"worker {self.worker} answered with a redirect, which is not followed: check its URL")
        if _media_type(response) != "application/json":
            await _refuse_page(response, self.worker)
        data = await _read(response, SMALL_BYTES)
        try:
            refusal = Refusal.model_validate_json(data)
        except ValidationError:
            refusal = Refusal(error=f"status {response.status_code} without a reason")
        raise Refused(self.worker, response.status_code, refusal, _retry_after(response))


async def _read(response: httpx2.Response, most: int) -> bytes:
    data = bytearray()
    try:
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > most:
                raise TooLarge(f"an answer is larger than {most} bytes")
    except httpx2.HTTPError as error:
        raise Broken(in_words(error, "an answer broke off")) from error
    return bytes(data)


async def _refuse_page(response: httpx2.Response, worker: str) -> None:
    """Raise what an answer that is no JSON says: a host's page about a sleeping worker, a gateway's error."""
    status = response.status_code
    try:
        text = (await _read(response, SMALL_BYTES)).decode("utf-8", "replace")
    except Broken:
        text = ""
    found = _TITLE.search(text)
    title = " ".join(html.unescape(found.group(1)).split())[:100] if found else ""
    shown = f" ({title!r})" if title else ""
    if _ASLEEP.search(text):
        paused = "paused by its owner" if re.search(r"\bpaused\b", text, re.IGNORECASE) else "asleep"
        raise NotOurs(f"worker {worker} is {paused}: its host answers with a web page{shown}", WorkerHealth.ASLEEP)
    if _WAKING.search(text):
        raise NotOurs(f"worker {worker} is waking: its host answers with a web page{shown}", WorkerHealth.WAKING)
    if status in {502, 503, 504}:
        raise Broken(f"a gateway in front of worker {worker} answered {status}{shown}")
    raise NotOurs(f"what answers for worker {worker} is no NADG worker: status {status}, a web page{shown}")


def _parsed(kind: type[Answer], data: bytes) -> Answer:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise NotOurs(f"an answer that should be {kind.__name__} is not: {place} {first['msg']}".strip()) from None


def _as_finished(data: bytes) -> bytes:
    try:
        answer = ExecuteResponse.model_validate_json(data)
    except ValidationError:
        raise Broken("an answer to /execute is no answer of the protocol") from None
    event = {"id": 1, "type": "finished", "boot_id": answer.boot_id, "data": json.loads(data)}
    return json.dumps(event).encode()


def _media_type(response: httpx2.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds to wait. A date is read by the answer's own `Date`: whose clock is wrong does not matter then."""
    text = str(response.headers.get("retry-after", "")).strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _RETRY_AFTER_S)
    until, sent = _moment(text), _moment(str(response.headers.get("date", "")))
    if until is None:
        return None
    wait = (until - (sent or datetime.now(UTC))).total_seconds()
    return min(max(wait, 0.0), _RETRY_AFTER_S)


def _moment(text: str) -> datetime | None:
    """A date of HTTP, or None for anything else."""
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _trust(origin: Origin) -> ssl.SSLContext:
    """The operating system's trust store; over http, where there is nothing to verify, one that trusts nobody."""
    return _no_trust() if origin.scheme == "http" else _system_trust()


@functools.cache
def _no_trust() -> ssl.SSLContext:
    """Made once: httpx2 makes one for each client otherwise, which is a third of what a client costs."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _system_trust() -> ssl.SSLContext:
    """Read once: certificates take up to 50 ms, and a heartbeat has a client for each of a thousand workers."""
    if sys.platform in {"win32", "darwin"}:
        try:
            import truststore
        except ImportError:
            return ssl.create_default_context()
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context()
