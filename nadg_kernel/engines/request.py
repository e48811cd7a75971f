"""An attempt as the request that a worker takes: its body, and the blobs that the worker must have first."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nadg_kernel import values
from nadg_kernel.errors import DataError
from nadg_kernel.wire import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nadg_kernel.engines.base import AttemptSpec, Blobs
    from nadg_kernel.engines.calls import WorkerCalls

MOST_BODY_BYTES = 8 * 1024 * 1024
"""A larger request sends its inline values as blobs."""
_SMALL = 1024
AT_ONCE = 6
"""Blobs of one attempt on their way together: a folder has hundreds, and each waits for an answer."""
_REMEMBERED = 10_000


class Request:
    """The body of POST /execute, and the digests of the blobs that it names, each once."""

    def __init__(self, spec: AttemptSpec, blobs: Blobs) -> None:
        """Write the body. Raises DataError for an input that cannot be read. Puts large requests' values into blobs."""
        inputs: Mapping[str, Mapping[str, Any]] = spec.inputs
        body = _body(spec, inputs)
        if len(body) > MOST_BODY_BYTES:
            inputs = {name: _as_blobs(ref, blobs) for name, ref in inputs.items()}
            body = _body(spec, inputs)
        self.body = body
        named = [leaf["sha256"] for ref in inputs.values() for leaf in blob_leaves(ref)]
        self.needed = tuple(dict.fromkeys([*named, *(sha256 for sha256, _ in spec.files.values())]))


def _body(spec: AttemptSpec, inputs: Mapping[str, Mapping[str, Any]]) -> bytes:
    request = {
        "task": spec.code,
        "task_id": spec.subtask,
        "attempt_id": spec.attempt_id,
        "kind": spec.kind,
        "inputs": {name: dict(ref) for name, ref in inputs.items()},
        "files": [{"path": path, "sha256": sha256, "size": size} for path, (sha256, size) in spec.files.items()],
        "limits": asdict(spec.limits),
        "permissions": asdict(spec.permissions),
        "shard": spec.shard,
        "shards": spec.shards,
        "protocol": PROTOCOL,
    }
    return json.dumps(request, separators=(",", ":")).encode()


def blob_leaves(ref: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parts of a value's reference whose bytes are blobs."""
    if ref.get("format") in {"list", "dict"}:
        for item in ref.get("items") or ():
            yield from blob_leaves(item)
    elif ref.get("sha256") and ref.get("data") is None and ref.get("value") is None and not values.is_null(ref):
        yield ref


def _as_blobs(ref: Mapping[str, Any], blobs: Blobs) -> dict[str, Any]:
    if ref.get("format") in {"list", "dict"}:
        return {**ref, "items": [_as_blobs(item, blobs) for item in ref.get("items") or ()]}
    if next(blob_leaves(ref), None) is not None or ref.get("size", 0) < _SMALL:
        return dict(ref)
    try:
        data = values.from_ref(ref, blobs.get).data
    except values.ValueDecodingError as error:
        raise DataError(f"an input cannot be read: {error}") from error
    plain = {key: value for key, value in ref.items() if key not in {"value", "data"}}
    return {**plain, "sha256": blobs.put(data), "size": len(data)}


class Uploads:
    """What one boot of a worker was given, so that nothing is sent to it twice."""

    def __init__(self) -> None:
        """It has nothing yet."""
        self._has: OrderedDict[str, None] = OrderedDict()
        self._on_the_way: dict[str, asyncio.Event] = {}

    def has(self, sha256: str) -> bool:
        """Whether the worker was given these bytes, as far as is known."""
        return sha256 in self._has

    def forget(self, hashes: Iterable[str] | None = None) -> None:
        """The worker lacks these; without any named it restarted and lacks all."""
        if hashes is None:
            self._has.clear()
            return
        for sha256 in hashes:
            self._has.pop(sha256, None)

    def note(self, sha256: str) -> None:
        """The worker has these bytes, for instance as a result of its own."""
        self._has[sha256] = None
        self._has.move_to_end(sha256)
        if len(self._has) > _REMEMBERED:
            self._has.popitem(last=False)

    async def send(self, client: WorkerCalls, needed: Iterable[str], get: Callable[[str], bytes]) -> None:
        """Give the worker what it lacks, a few at a time; bytes that another attempt is sending are waited for.

        Raises DataError for bytes that are not on this side, and the client's errors.
        """
        lacking = [sha256 for sha256 in needed if sha256 not in self._has]
        if len(lacking) <= 1:
            for sha256 in lacking:
                await self._give(client, sha256, get)
            return
        missing = iter(lacking)

        async def lane() -> None:
            for sha256 in missing:
                await self._give(client, sha256, get)

        lanes = [asyncio.ensure_future(lane()) for _ in range(min(AT_ONCE, len(lacking)))]
        try:
            await asyncio.gather(*lanes)
        finally:
            for task in lanes:
                task.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def _give(self, client: WorkerCalls, sha256: str, get: Callable[[str], bytes]) -> None:
        while sha256 not in self._has:
            coming = self._on_the_way.get(sha256)
            if coming is not None:
                await coming.wait()
                continue
            self._on_the_way[sha256] = asyncio.Event()
            try:
                await client.put_blob(sha256, await asyncio.to_thread(_read, get, sha256))
                self.note(sha256)
            finally:
                self._on_the_way.pop(sha256).set()


def _read(get: Callable[[str], bytes], sha256: str) -> bytes:
    try:
        return get(sha256)
    except KeyError:
        raise DataError(f"an input's bytes ({sha256[:12]}) are not in this machine's blob folder") from None
