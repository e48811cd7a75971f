"""A task's process where fork is missing or unsafe: a fresh interpreter that waits for one task, runs it and ends.

Started as `python -I -B spawned.py PRELOAD...`. Frames come on stdin; they go back on what was stdout, while the
code's own output goes to stderr (descriptor level) or becomes STDOUT frames (sys.stdout).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sandbox import task
from sandbox.frames import SHA_CHARS, Frames, Kind, pack
from sandbox.marked import MARK, kill_marked

if sys.platform == "win32":
    limits = None
else:
    from sandbox import limits

DONE = 217
_READ = 1 << 16
_ANY = 1 << 32
_TO_TASK = {Kind.HEADER: _ANY, Kind.INPUT: _ANY, Kind.GO: 0}


class _Channel:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def send(self, kind: Kind, payload: bytes) -> None:
        with self._lock:  # the code's threads print too
            view = memoryview(pack(kind, payload))
            while view:
                view = view[os.write(self._fd, view) :]


class _Stdout(io.RawIOBase):
    """sys.stdout's bytes as frames."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def write(self, data: Any) -> int:
        self._channel.send(Kind.STDOUT, bytes(data))
        return len(data)


def main() -> NoReturn:
    """Wait for the task, run it, end."""
    for name in sys.argv[1:]:
        try:
            __import__(name)
        except ImportError as error:
            sys.stderr.write(f"{name} is not loaded ahead: {error}\n")
    given, channel = os.dup(0), _Channel(os.dup(1))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    header, blobs = _read_task(given)
    root = os.getcwd()  # noqa: PTH109 - a string, for a moment when little works
    if header is None:
        shutil.rmtree(root, ignore_errors=True)
        os._exit(0)
    threading.Thread(target=_end_with_worker, args=(given, root), daemon=True).start()
    _settle(header, channel)
    task.Task(channel).run(header, blobs)
    os._exit(DONE)


def _read_task(fd: int) -> tuple[dict[str, Any] | None, dict[str, bytes]]:
    frames, header, blobs = Frames(_TO_TASK), None, dict[str, bytes]()
    while data := os.read(fd, _READ):
        for kind, payload in frames.feed(data):
            if kind is Kind.HEADER:
                header = json.loads(payload)
            elif kind is Kind.INPUT:
                blobs[payload[:SHA_CHARS].decode("ascii")] = payload[SHA_CHARS:]
            else:
                return header, blobs
    return None, {}


def _end_with_worker(fd: int, root: str) -> None:
    """The worker holds the other end: when it closes, by its death too, this process, its group and the folders go."""
    while os.read(fd, _READ):
        pass
    shutil.rmtree(root, ignore_errors=True)
    kill_marked(os.environ.get(MARK, ""), spare=os.getpid())
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _settle(header: dict[str, Any], channel: _Channel) -> None:
    os.chdir(header["work"])
    tmp = header["tmp"]
    os.environ.update(HOME=tmp, TMPDIR=tmp, TEMP=tmp, TMP=tmp, MPLCONFIGDIR=tmp)
    sys.path[0] = header["work"]
    for name in [name for name in sys.modules if name.partition(".")[0] in {"sandbox", "values", "wire"}]:
        del sys.modules[name]
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Stdout(channel)), encoding="utf-8", errors="backslashreplace", write_through=False
    )
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
    if limits is not None:
        with contextlib.suppress(OSError, ValueError):  # macOS refuses some: this back end is weak and says so
            limits.apply(limits.wanted(**header["rlimits"], address_space=limits.address_space()))


if __name__ == "__main__":
    main()
