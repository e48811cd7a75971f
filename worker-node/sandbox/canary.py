"""Tasks that try what each layer forbids: a layer counts as active only if its canary was stopped."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox import linux
from sandbox.base import Job
from wire import Limits, Outcome, Permissions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.base import Ended, Sink

REQUIRED = (
    "environment",
    "session",
    "identity",
    "non_dumpable",
    "no_new_privileges",
    "rlimits",
    "landlock",
    "seccomp",
    "watch",
    "tree",
)
"""What a public bind needs."""
LAYERS = (*REQUIRED, "network")
"""Besides: that a task with the network permission reaches the proxy and nothing else."""
_GONE_WITHIN_S = 1.0
_SERIAL = itertools.count()

# Each probe returns why its layer does not hold, or nothing. It tries what this layer alone forbids.
_PROBES = """
import ctypes, os, resource, socket

libc = ctypes.CDLL(None, use_errno=True)
KNOWN = {"PATH", "LANG", "LC_ALL", "TZ", "HOME", "TMPDIR", "MPLCONFIGDIR", "MPLBACKEND", "OMP_NUM_THREADS"}


def environment():
    more = {name for name in os.environ if name not in KNOWN and not name.startswith("OPENBLAS_")}
    return more and f"it holds {len(more)} more variables"


def session():
    fds = {int(fd) for fd in os.listdir("/proc/self/fd")}
    return (os.getsid(0) != os.getpid() and "not its own") or (max(fds) > 5 and "it holds foreign descriptors")


def identity():
    lines = open("/proc/self/status").read().splitlines()
    sets = [line.split() for line in lines if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb"))]
    held = any(int(value, 16) for _, value in sets)
    return (os.geteuid() == 0 and "tasks run as root") or (held and "tasks hold capabilities")


def no_new_privileges():
    return libc.prctl(39, 0, 0, 0, 0) != 1 and "not set"


def rlimits():
    try:
        bytearray(1 << 30)
    except MemoryError:
        return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 and "core dumps are on"
    return "the memory limit does not hold"


def landlock():
    try:
        open("/etc/passwd").close()
    except PermissionError:
        return ""
    return "files outside the task can be read"


def seccomp():
    if libc.personality(ctypes.c_ulong(0xFFFFFFFF)) != -1:
        return "forbidden system calls get through"
    try:
        socket.socket().close()
    except PermissionError:
        return ""
    return "sockets can be opened"


result = {}
for probe in (environment, session, identity, no_new_privileges, rlimits, landlock, seccomp):
    try:
        result[probe.__name__] = probe() or ""
    except Exception as error:
        result[probe.__name__] = f"its probe failed ({type(error).__name__}: {error})"
"""

_FILLS_THE_DISK = """
import tempfile, time
held = [tempfile.TemporaryFile() for _ in range(4)]
for file in held:
    file.write(bytes(900_000)); file.flush()
time.sleep(5)
"""

_LEAVES_A_DAEMON = """
import os, time

reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writer, str(os.getpid()).encode())
        time.sleep(60)
    os._exit(0)
result = int(os.read(reader, 20))
"""


_USES_THE_NETWORK = """
import socket
result = ""
for port, wanted in (({proxy}, True), ({elsewhere}, False)):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except PermissionError:
        if wanted:
            result = "the proxy cannot be reached"
    else:
        if not wanted:
            result = "more than the proxy can be reached"
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
except PermissionError:
    pass
else:
    result = "UDP can be sent"
"""


@dataclass
class _NoSink:
    events: list[str] = field(default_factory=list)

    def event(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "stderr":
            self.events.append(data["text"])

    def keep(self, sha256: str, data: bytes) -> None:
        """No canary has a large result."""

    def keep_file(self, fd: int, size: int) -> str:  # noqa: ARG002
        """No canary has an artifact that anybody reads."""
        return "0" * 64


async def prove(run: Callable[[Job, Sink], Awaitable[Ended]], proxy_port: int) -> dict[str, str]:
    """Layer -> "active" or "unavailable: why"."""
    found = dict.fromkeys(LAYERS, "its canary said nothing")
    parts = await asyncio.gather(_probes(run), _disk(run), _daemon(run), _network(run, proxy_port))
    for part in parts:
        found.update(part)
    found["non_dumpable"] = "" if linux.prctl(linux.PR_GET_DUMPABLE) == 0 else "the worker's memory can be read"
    return {layer: f"unavailable: {why}" if why else "active" for layer, why in found.items()}


async def _probes(run: Callable[[Job, Sink], Awaitable[Ended]]) -> dict[str, str]:
    ended = await run(_job(_PROBES, memory_mb=512), _NoSink())
    if ended.outcome is not Outcome.SUCCEEDED or ended.result is None:
        why = f"the canary did not run: {ended.detail.message if ended.detail else ended.outcome}"
        return dict.fromkeys(LAYERS, why)
    return {str(layer): str(why) for layer, why in (ended.result["value"] or {}).items() if layer in LAYERS}


async def _disk(run: Callable[[Job, Sink], Awaitable[Ended]]) -> dict[str, str]:
    ended = await run(_job(_FILLS_THE_DISK, disk_mb=1), _NoSink())
    stopped = ended.detail is not None and ended.detail.type == "LimitExceeded"
    return {"watch": "" if stopped else "a task filled the disk beyond its limit"}


async def _daemon(run: Callable[[Job, Sink], Awaitable[Ended]]) -> dict[str, str]:
    ended = await run(_job(_LEAVES_A_DAEMON, processes=8, permitted=True), _NoSink())
    if ended.result is None:
        return {"tree": f"the canary did not run: {ended.detail.message if ended.detail else ended.outcome}"}
    pid, deadline = int(ended.result["value"]), time.monotonic() + _GONE_WITHIN_S
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            await asyncio.sleep(0.01)
        return {"tree": "a daemon outlived its task"}
    return {"tree": ""}


async def _network(run: Callable[[Job, Sink], Awaitable[Ended]], proxy_port: int) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        code = _USES_THE_NETWORK.format(proxy=proxy_port, elsewhere=elsewhere.getsockname()[1])
        ended = await run(_job(code, network=True), _NoSink())
    if ended.result is None:
        return {"network": f"the canary did not run: {ended.detail.message if ended.detail else ended.outcome}"}
    return {"network": str(ended.result["value"])}


def _job(code: str, *, permitted: bool = False, network: bool = False, **limits: Any) -> Job:
    return Job(
        attempt_id=f"canary-{next(_SERIAL)}",
        code=code,
        inputs={},
        files={},
        blobs={},
        limits=Limits(**({"timeout_s": 10} | limits)),
        permissions=Permissions(processes=permitted, network=network),
    )
