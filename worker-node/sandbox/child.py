"""The first steps of a forked process: confine itself, then read what to do, then do it."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NoReturn

from sandbox import atfork, limits, task
from sandbox.frames import HEAD, Kind, pack
from sandbox.plan import TMP, WORK

if TYPE_CHECKING:
    from sandbox.confine import Confinement
    from sandbox.plan import Fork

CHANNEL = 3
SETUP_FAILED = 250
"""Exit code: a layer could not be applied, and nothing of the task was read."""
DONE = 217
"""Exit code after the END frame: the zygote reports every other one."""
GONE = 217
_FDS = 32


class _Channel:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, kind: Kind, payload: bytes) -> None:
        view = memoryview(pack(kind, payload))
        while view:
            view = view[os.write(self._fd, view) :]


def enter(fork: Fork, confinement: Confinement, parent: int, fds: tuple[int, int, int, int]) -> NoReturn:
    """Become a task. `fds`: /dev/null, stdout, stderr, channel. Never returns, whatever happens."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _take_descriptors(fds)
        confinement.apply(fork, parent)
    except BaseException as error:  # noqa: BLE001 - no path may lead back into the zygote's loop
        _give_up(error)
    try:
        header, blobs = _read_task()
        if header is None:
            os._exit(GONE)
        if fork.tree:
            atfork.hand_over()
        if header["rlimits"] is not None:
            limits.apply(**header["rlimits"])
        if header["proxy"]:
            _use_proxy(header["proxy"])
        task.run(header, blobs, _Channel(CHANNEL))
    except BaseException as error:  # noqa: BLE001 - as above
        os.write(2, f"the task's channel broke: {error!r}\n".encode(errors="backslashreplace"))
        os._exit(1)
    os._exit(DONE)


def _give_up(error: BaseException) -> NoReturn:
    try:
        os.write(2, f"sandbox: {error}".encode(errors="backslashreplace"))
    finally:
        os._exit(SETUP_FAILED)


def _take_descriptors(fds: tuple[int, int, int, int]) -> None:
    for target, fd in enumerate(fds):
        os.dup2(fd, target, inheritable=target < CHANNEL)


def settle_zygote() -> None:
    """What every task finds and no task changes for another, made once in the zygote."""
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
    sys.path.insert(0, "")  # the working directory
    tempfile.tempdir = None


def before_fork(folder: str) -> None:
    """What the next task inherits: done here, where no page is copied for it."""
    os.chdir(f"{folder}/{WORK}")
    os.environ["HOME"] = os.environ["TMPDIR"] = os.environ["MPLCONFIGDIR"] = f"{folder}/{TMP}"
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(int.from_bytes(os.urandom(4), "little"))


def _use_proxy(url: str) -> None:
    """The names under which HTTP clients look for a proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ[name] = os.environ[name.lower()] = url


def _read_task() -> tuple[dict[str, Any] | None, dict[str, bytes]]:
    """The header, and the blobs that came as descriptors beside single bytes. (None, {}) when nothing will come."""
    head = _exactly(HEAD.size)  # never a byte more: the next one may carry descriptors
    data = _exactly(HEAD.unpack(head)[0]) if head else b""
    if not data:
        return None, {}
    header: dict[str, Any] = json.loads(data)
    return header, _read_blobs(header["blobs"]) if header["blobs"] else {}


def _exactly(size: int) -> bytes:
    data = os.read(CHANNEL, size)
    while 0 < len(data) < size:
        more = os.read(CHANNEL, size - len(data))
        if not more:
            return b""
        data += more
    return data


def _read_blobs(digests: list[str]) -> dict[str, bytes]:
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
