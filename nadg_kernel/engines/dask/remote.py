"""What Dask workers run for a grid: one call of the worker protocol each, passed on to the sandbox beside them."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from distributed import get_worker

from nadg_kernel.engines.dask.frames import Frame, fault
from nadg_kernel.engines.dask.plugin import plugin_of
from nadg_kernel.engines.faults import Broken
from nadg_kernel.engines.request import blob_leaves
from nadg_kernel.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypedDict

    from distributed import Worker

    from nadg_kernel.engines.client import WorkerClient
    from nadg_kernel.engines.sse import SseEvent

    class Order(TypedDict):
        """What to carry: `call` is execute or resume; events go to `topic`, marked with `key`."""

        call: str
        key: str
        topic: str
        boot_id: str
        attempt_id: str
        after: int
        most: int
        blobs: list[str]


SMALL = 16 * 1024
"""An answer up to so many bytes comes with the events, which saves Dask the way to fetch it."""
MOST_ATTACHED = 64 * 1024 * 1024
"""Bytes of results and files that come with the answer; what is beyond is asked for one by one."""


def package_version() -> str:
    """The version of this package here: that this can be called at all proves that it can be imported."""
    try:
        return version("nadg-kernel")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return ""


async def ask(call: str, arguments: tuple[Any, ...], dask_worker: Worker) -> bytes:
    """A call with one answer: health, status, cancel, blob. Run out of band, so it never waits for a free thread."""
    try:
        client = await (await plugin_of(dask_worker)).client()
        if call == "blob":
            sha256, size = arguments
            return Frame(kind="answer", parts=(await client.get_blob(sha256, size),)).pack()
        answer = await (client.cancel(*arguments) if call == "cancel" else getattr(client, call)())
    except WorkerError as error:
        return fault(error).pack()
    return Frame(kind="answer", parts=(answer.model_dump_json().encode(),)).pack()


async def carry(order: Order, body: bytes, *blobs: bytes) -> bytes:
    """One attempt, as a Dask task: it takes a place of its worker for as long as it runs, and no thread.

    Its events go out as they come; what it gives is the end of it.
    """
    worker = get_worker()
    plugin = await plugin_of(worker)
    with plugin.in_use():
        try:
            client = await plugin.client(order["boot_id"])
            for sha256, data in zip(order["blobs"], blobs, strict=True):
                await client.put_blob(sha256, data)
            end = await _followed(client, order, body, worker)
        except WorkerError as error:
            end = fault(error)
    packed = end.pack()
    if len(packed) <= SMALL:
        worker.log_event(order["topic"], {"key": order["key"], "end": packed})
    return packed


async def _followed(client: WorkerClient, order: Order, body: bytes, worker: Worker) -> Frame:
    most = order["most"]
    if order["call"] == "execute":
        calling = client.execute(body, most)
    else:
        calling = client.resume(order["attempt_id"], order["after"], most)
    finished: SseEvent | None = None
    async with calling as stream:
        async for event in stream:  # to its very end, so that its connection can be used again
            if event.type == "finished":
                finished = event
            else:
                worker.log_event(order["topic"], {"key": order["key"], "type": event.type, "data": event.data})
    if finished is None:
        raise Broken("the sandbox's stream ended before the attempt did")
    return await _with_blobs(client, finished)


async def _with_blobs(client: WorkerClient, finished: SseEvent) -> Frame:
    """The end of an attempt with the bytes that it names, as far as they are not too many."""
    answer = json.loads(finished.data)["data"]
    sizes = {item["sha256"]: item["size"] for item in answer["artifacts"]} | dict(_named(answer["result"]))
    attached: dict[str, bytes] = {}
    room = MOST_ATTACHED
    for sha256, size in sizes.items():
        if size <= room:
            attached[sha256] = await client.get_blob(sha256, size)
            room -= size
    return Frame(kind="finished", about={"blobs": list(attached)}, parts=(finished.data, *attached.values()))


def _named(ref: Mapping[str, Any] | None) -> list[tuple[str, int]]:
    return [] if ref is None else [(leaf["sha256"], leaf["size"]) for leaf in blob_leaves(ref)]
