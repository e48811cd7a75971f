"""The first steps of a forked process: confine itself, then read what to do, then do it.

All that can be is done in the zygote before the fork (`before_fork`): what a task's process does itself, it does on
pages that it shares with the zygote and that the kernel copies one by one.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import socket
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NoReturn

from sandbox import atfork, limits, task
from sandbox.frames import HEAD, Kind, pack
from sandbox.plan import TMP, WORK
from wire import INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.confine import Call
    from sandbox.plan import Fork

CHANNEL = 3
SETUP_FAILED = 250
"""Exit code: a layer could not be applied, and nothing of the task was read."""
DONE = 217
"""Exit code after the END frame: every other one is asked for."""
GONE = 217
_FDS = 32


class _Channel:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, kind: Kind, payload: bytes) -> None:
        view = pack(kind, payload)
        while view:
            view = view[os.write(self._fd, view) :]


class _Held:
    """Descriptors of the zygote's own that stand in where a task's descriptors go."""

    null = log = -1


_task = task.Task(_Channel(CHANNEL))


def hold_descriptors(lowest: int) -> None:
    """In the zygote, first: keep /dev/null and its log from `lowest` on, and fill the places of a task's."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    _Held.null = fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, lowest)
    _Held.log = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, lowest)
    os.close(null)
    os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0)
    after_fork()


def settle_zygote() -> None:
    """What every task finds and no task changes for another, made once in the zygote."""
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
    sys.path.insert(0, "")  # the working directory
    tempfile.tempdir = None


def before_fork(folder: str, fds: Sequence[int]) -> None:
    """In the zygote: what the next task inherits. `fds`: stdout, stderr, channel; they are taken over."""
    for target, fd in enumerate(fds, 1):
        os.dup2(fd, target, inheritable=target < CHANNEL)
        os.close(fd)
    os.chdir(f"{folder}/{WORK}")
    os.environ["HOME"] = os.environ["TMPDIR"] = os.environ["MPLCONFIGDIR"] = f"{folder}/{TMP}"


def after_fork() -> None:
    """In the zygote: let go of the task's descriptors, or the worker never sees their end."""
    os.dup2(_Held.null, 1)
    os.dup2(_Held.log, 2)
    os.dup2(_Held.null, CHANNEL, inheritable=False)


def enter(fork: Fork, calls: list[Call]) -> NoReturn:
    """Become a task, confined by `calls`. Never returns, whatever happens."""
    try:
        for call, arguments in calls:
            call(*arguments)
    except BaseException as error:  # noqa: BLE001 - no path may lead back into the zygote's loop
        _give_up(error)
    try:
        header = _read_header()
        if header is None:
            os._exit(GONE)
        if fork.tree:
            atfork.hand_over()
        _perform(header, _task)
    except BaseException as error:  # noqa: BLE001 - as above
        os.write(2, f"the task's channel broke: {error!r}\n".encode(errors="backslashreplace"))
        os._exit(1)
    os._exit(DONE)


def _perform(header: dict[str, Any], one: task.Task) -> None:
    if header["rlimits"] is not None:
        limits.apply(header["rlimits"])
    if header["proxy"]:
        _use_proxy(header["proxy"])
    one.run(header, _read_blobs(header["blobs"]) if header["blobs"] else {})


def rehearse(code: str) -> None:
    """In the zygote: do with harmless code what a task's process does once it is confined."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        os.dup2(theirs.fileno(), CHANNEL, inheritable=False)
        header = {"code": code, "inputs": {}, "blobs": [], "shard": 0, "shards": 1, "rlimits": [], "proxy": ""}
        header |= {"inline_bytes": INLINE_BYTES, "result_bytes": INLINE_BYTES}
        ours.send(pack(Kind.HEADER, marshal.dumps(header)))
        _perform(_read_header() or header, task.Task(_Channel(CHANNEL)))
    after_fork()


def _give_up(error: BaseException) -> NoReturn:
    try:
        os.write(2, f"sandbox: {error}".encode(errors="backslashreplace"))
    finally:
        os._exit(SETUP_FAILED)


def _use_proxy(url: str) -> None:
    """The names under which HTTP clients look for a proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ[name] = os.environ[name.lower()] = url


def _read_header() -> dict[str, Any] | None:
    """What to do; None when nothing will come."""
    head = _exactly(HEAD.size)  # never a byte more: the next one may carry descriptors
    data = _exactly(HEAD.unpack(head)[0]) if head else b""
    if not data:
        return None
    header: dict[str, Any] = marshal.loads(data)  # noqa: S302 - from the worker, never from a task
    return header


def _exactly(size: int) -> bytes:
    data = os.read(CHANNEL, size)
    while 0 < len(data) < size:
        more = os.read(CHANNEL, size - len(data))
        if not more:
            return b""
        data += more
    return data


def _read_blobs(digests: list[str]) -> dict[str, bytes]:
    """The blobs that come as descriptors beside single bytes."""
    blobs: dict[str, bytes] = {}
    with socket.socket(fileno=os.dup(CHANNEL)) as channel:
        while len(blobs) < len(digests):
            _, fds, _, _ = socket.recv_fds(channel, 1, _FDS)
            if not fds:
                os._exit(GONE)
            for fd in fds:
                with open(fd, "rb") as blob:  # noqa: PTH123
                    blobs[digests[len(blobs)]] = blob.read()
    return blobs
