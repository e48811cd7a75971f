"""From the bytes of a request to a job that may start: bounded, validated, every needed blob named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from values import is_null
from wire import PROTOCOL, ExecuteRequest, Limits, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from wire import ValueRef

_SHOWN_PROBLEMS = 5


class Refused(Exception):  # noqa: N818 - the protocol's own word
    """The worker says no. Carries the HTTP answer."""

    def __init__(
        self,
        status: int,
        error: str,
        hint: str = "",
        *,
        missing: list[str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Build the body of the answer."""
        super().__init__(error)
        self.status = status
        self.body = Refusal(error=error, hint=hint, missing=missing or [])
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


async def read_body(request: Request, most: int) -> bytes:
    """The body, if it is at most `most` bytes: refused with 413 before parsing, chunked ones as soon as they exceed."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise too_large(most)
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > most:
            raise too_large(most)
    return bytes(chunks)


def too_large(most: int) -> Refused:
    """The refusal of a body over the limit."""
    return Refused(
        413, f"the body is larger than {most} bytes", "send large inputs as blobs first (PUT /blobs/{sha256})"
    )


def parse(body: bytes) -> ExecuteRequest:
    """Read one attempt. Raises Refused: 400 for no JSON or another protocol, 422 for a field that does not fit."""
    try:
        request = ExecuteRequest.model_validate_json(body)
    except ValidationError as error:
        _check_protocol(_protocol_of(body))
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        if problems[0]["type"] == "json_invalid":
            raise Refused(400, f"the body is not JSON: {problems[0]['msg']}") from None
        shown = [f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in problems[:_SHOWN_PROBLEMS]]
        more = [f"{len(problems) - _SHOWN_PROBLEMS} more"] if len(problems) > _SHOWN_PROBLEMS else []
        raise Refused(422, "; ".join(shown + more)[:2000], "GET /openapi.json describes the request") from None
    _check_protocol(request.protocol)
    _check_files(request)
    if request.shard >= request.shards:
        raise Refused(422, f"shard {request.shard} does not exist among {request.shards}: the first is 0")
    return request


def _protocol_of(body: bytes) -> object:
    """The protocol that a request names which does not fit our model: a newer one may look different."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return PROTOCOL
    return content.get("protocol", PROTOCOL) if isinstance(content, dict) else PROTOCOL


def _check_protocol(theirs: object) -> None:
    if isinstance(theirs, int) and theirs != PROTOCOL:
        older = "the worker" if theirs > PROTOCOL else "the caller"
        shown = theirs if abs(theirs) < 10**9 else "another"
        raise Refused(400, f"protocol mismatch: this worker speaks {PROTOCOL}, the request {shown}", f"update {older}")


def _check_files(request: ExecuteRequest) -> None:
    seen = set()
    for file in request.files:
        parts = file.path.split("/")
        if any(part in {"", ".", ".."} for part in parts) or any(
            ord(char) < ord(" ") or char in "\\:\x7f" for char in file.path
        ):
            raise Refused(422, f"files: {file.path[:100]!r} is no relative path with forward slashes and without `..`")
        if file.path in seen:
            raise Refused(422, f"files: {file.path[:100]!r} comes twice")
        seen.add(file.path)


def check_limits(asked: Limits, most: Limits) -> None:
    """Refuse limits that this worker does not grant, naming both numbers."""
    for name, unit in (
        ("timeout_s", "s"),
        ("memory_mb", "MB"),
        ("disk_mb", "MB"),
        ("output_kb", "KB"),
        ("processes", ""),
    ):
        wanted, granted = getattr(asked, name), getattr(most, name)
        if wanted > granted:
            raise Refused(
                422,
                f"limits.{name}: {wanted:g} {unit} asked, this worker grants {granted:g}",
                "GET /status lists its limits",
            )


def blob_hashes(request: ExecuteRequest) -> list[str]:
    """Hashes of all blobs that the attempt needs, each once."""
    found = [file.sha256 for file in request.files]
    for ref in request.inputs.values():
        found.extend(_leaves(ref))
    return list(dict.fromkeys(found))


def input_hashes(request: ExecuteRequest) -> list[str]:
    """Hashes of the blobs that its inputs need, each once."""
    return list(dict.fromkeys(sha256 for ref in request.inputs.values() for sha256 in _leaves(ref)))


def _leaves(ref: ValueRef) -> Iterator[str]:
    """As `values.from_ref` reads a reference: what is neither inline nor a container is a blob."""
    if ref.format in {"list", "dict"}:
        for item in ref.items or ():
            yield from _leaves(item)
        return
    plain = {"format": ref.format, "sha256": ref.sha256}
    if ref.data is None and ref.value is None and ref.sha256 and not is_null(plain):
        yield ref.sha256
