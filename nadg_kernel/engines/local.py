"""Workers on this machine: started with random tokens, restarted when they die, and never outliving the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nadg_kernel.engines.client import WorkerEndpoint
from nadg_kernel.engines.tokens import random_token
from nadg_kernel.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PASSED_ON = frozenset(
    {
        "PATH", "HOME", "USERPROFILE", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT",
        "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS", "PYTHONPATH", "PYTHONHOME",
        "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    }
)  # fmt: skip
"""All that a worker sees of the kernel's environment: what it takes to start Python, and no secret."""
READY_S = 60.0
BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0, 15.0)
"""Waits before restarts in a row; a worker that ran for `STEADY_S` begins anew."""
STEADY_S = 20.0
MOST_FAILED_STARTS = 4
_STDERR_LINES = 60
_LINE_CHARS = 500
_SHOWN_CHARS = 1500
_END_S = 3.0

_pipes: set[int] = set()
"""The kernel's ends of the pipes that keep workers alive."""


def _forget_pipes() -> None:
    """In a forked child: its copies of the pipes would keep the workers alive after the kernel's death.

    Their numbers stay taken, since the objects that own them will close them some day.
    """
    if not _pipes:
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in _pipes:
        with contextlib.suppress(OSError):
            os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)
    _pipes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pipes)


def worker_folder() -> Path:
    """The folder with the worker's main.py: in the wheel, or beside the package in a checkout. Raises WorkerError."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_worker", package.parent / "worker-node"):
        if (folder / "main.py").is_file():
            return folder
    raise WorkerError("the worker's files are missing from this installation: reinstall nadg-kernel")


def worker_environment(worker_id: str, token: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a local worker: a scrubbed one, with its own settings."""
    source = os.environ if environ is None else environ
    kept = {name: value for name, value in source.items() if name.upper() in PASSED_ON}
    return {**kept, "HOST": "127.0.0.1", "PORT": "0", "WORKER_ID": worker_id, "NADG_AUTH_TOKEN": token}


@dataclass(frozen=True, kw_only=True)
class LocalChange:
    """A local worker is ready at `endpoint`, or gone for `reason`. `final`: it will not be started again."""

    endpoint: WorkerEndpoint
    reason: str = ""
    final: bool = False


class LocalWorkers:
    """`count` workers, `local-1` and so on. Every change goes to `changed`, on the loop that called `start`."""

    def __init__(
        self,
        count: int,
        home: Path,
        changed: Callable[[LocalChange], None] | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        """Nothing starts yet. The workers run in `home`; `folder` holds their main.py."""
        self._home, self._folder = home, folder
        self._changed = changed or (lambda _change: None)
        self._keepers = [_Keeper(f"local-{number}", self) for number in range(1, count + 1)]

    @property
    def endpoints(self) -> tuple[WorkerEndpoint, ...]:
        """Those that are ready now."""
        return tuple(keeper.endpoint for keeper in self._keepers if keeper.endpoint is not None)

    @property
    def failures(self) -> dict[str, str]:
        """Worker id -> why it is not ready."""
        return {keeper.worker_id: keeper.reason for keeper in self._keepers if keeper.endpoint is None}

    async def start(self) -> tuple[WorkerEndpoint, ...]:
        """Start all and return when each is ready or failed to start once; they are kept running from then on."""
        for keeper in self._keepers:
            keeper.start()
        await asyncio.gather(*(keeper.settled.wait() for keeper in self._keepers))
        return self.endpoints

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of all, ready or not."""
        return tuple(keeper.worker_id for keeper in self._keepers)

    def add(self) -> str:
        """Start one more, kept running like the others; gives its id. That it is ready goes to `changed`."""
        taken = set(self.names)
        name = next(name for number in count(1) if (name := f"local-{number}") not in taken)
        keeper = _Keeper(name, self)
        self._keepers.append(keeper)
        keeper.start()
        return name

    async def remove(self, worker_id: str) -> None:
        """End one for good; its id may be given to another. Nothing if there is none."""
        for keeper in [keeper for keeper in self._keepers if keeper.worker_id == worker_id]:
            await keeper.close()
            self._keepers.remove(keeper)

    async def close(self) -> None:
        """End them all: at once, and by force after 3 s."""
        await asyncio.gather(*(keeper.close() for keeper in self._keepers))

    def launch(self, worker_id: str, token: str) -> subprocess.Popen[bytes]:
        """Start one process. Raises OSError or WorkerError."""
        folder = self._folder or worker_folder()
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, str(folder / "main.py"), "--announce", "--parent-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._home,
            env=self.environment(worker_id, token),
            # Ctrl-C in a terminal is meant for the kernel: runs go on, and workers end when their pipe does.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def environment(self, worker_id: str, token: str) -> dict[str, str]:
        """What one process sees of the environment."""
        return worker_environment(worker_id, token)

    def tell(self, change: LocalChange) -> None:
        """Pass a change on."""
        self._changed(change)


class _Keeper:
    """Keeps one worker running: start, wait for its end, start again after a while."""

    def __init__(self, worker_id: str, workers: LocalWorkers) -> None:
        self.worker_id, self._workers = worker_id, workers
        self.endpoint: WorkerEndpoint | None = None
        self.reason = "not started yet"
        self.settled = asyncio.Event()
        self._process: _Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        self._closing = True
        if self._task is None:
            return
        if self._process is not None:
            await self._process.end()
        while not self._task.done():  # before Python 3.12 a wait that ends just now swallows the cancellation
            self._task.cancel()
            await asyncio.wait([self._task], timeout=0.2)
        if self._process is not None:  # started between the two
            await self._process.end()
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error

    async def _keep(self) -> None:
        in_a_row = failed_starts = 0
        try:
            while not self._closing:
                began = time.monotonic()
                ready = await self._run_once(last=failed_starts + 1 >= MOST_FAILED_STARTS)
                failed_starts = 0 if ready else failed_starts + 1
                if failed_starts >= MOST_FAILED_STARTS:
                    return
                in_a_row = 0 if ready and time.monotonic() - began > STEADY_S else in_a_row + 1
                await asyncio.sleep(BACKOFF_S[min(in_a_row, len(BACKOFF_S)) - 1])
        finally:
            self.settled.set()

    async def _run_once(self, *, last: bool) -> bool:
        """Start a process and stay with it until it ends; whether it ever was ready."""
        token = random_token()
        place = WorkerEndpoint(worker_id=self.worker_id, url="http://127.0.0.1", local=True)
        try:
            popen = await asyncio.to_thread(self._workers.launch, self.worker_id, token.reveal())
        except (OSError, WorkerError) as error:
            self._gone(place, f"it cannot be started: {error}", final=last)
            return False
        self._process = process = _Process(popen)
        try:
            port = await process.port(READY_S)
            if port is not None:
                url = f"http://127.0.0.1:{port}"
                place = WorkerEndpoint(worker_id=self.worker_id, url=url, token=token, local=True)
                self.endpoint, self.reason = place, ""
                self._workers.tell(LocalChange(endpoint=place))
                self.settled.set()
            code = await process.ended() if port is not None else await process.end()
        finally:
            if self._closing:
                await process.end()
        if not self._closing:
            if port is None:
                again = "" if last else "; trying again"
                self._gone(place, f"it did not start (exit code {code}){process.said()}{again}", final=last)
            else:
                self._gone(place, f"its process ended with code {code} and is started again{process.said()}")
        return port is not None

    def _gone(self, place: WorkerEndpoint, reason: str, *, final: bool = False) -> None:
        self.endpoint, self.reason = None, reason
        self.settled.set()
        self._workers.tell(LocalChange(endpoint=place, reason=reason, final=final))


class _Process:
    """One worker process, watched by threads: asyncio's own way depends on the loop's kind and its thread."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._announced: asyncio.Future[int | None] = self._loop.create_future()
        self._over: asyncio.Future[int] = self._loop.create_future()
        self._errors: deque[str] = deque(maxlen=_STDERR_LINES)
        assert popen.stdin is not None  # noqa: S101 - a pipe was asked for
        self._stdin = popen.stdin
        self._fd = popen.stdin.fileno()
        _pipes.add(self._fd)
        self._readers = [self._thread(self._read_stderr), self._thread(self._read_stdout)]
        self._thread(self._wait)

    async def port(self, within_s: float) -> int | None:
        """The port that the worker announced; None if it ended, said something else, or was silent too long."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._announced), within_s)
        except TimeoutError:
            self._errors.append(f"it said nothing for {within_s:g} s")
            return None

    async def ended(self) -> int:
        """Wait for the end; gives the exit code."""
        return await asyncio.shield(self._over)

    async def end(self) -> int:
        """Close its pipe, which ends it at once, and kill it if it does not; gives the exit code."""
        self._close_pipe()
        try:
            return await asyncio.wait_for(asyncio.shield(self._over), _END_S)
        except TimeoutError:
            self._popen.kill()
            return await asyncio.shield(self._over)

    def said(self) -> str:
        """The last lines of its stderr, as the end of a sentence."""
        text = "\n".join(self._errors)[-_SHOWN_CHARS:].strip()
        return f": {text}" if text else ""

    def _close_pipe(self) -> None:
        _pipes.discard(self._fd)
        with contextlib.suppress(OSError):
            self._stdin.close()

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"nadg-worker-{self._popen.pid}", daemon=True)
        thread.start()
        return thread

    def _read_stdout(self) -> None:
        with _stream(self._popen.stdout) as stream:
            port: int | None = None
            try:
                port = int(json.loads(stream.readline(_LINE_CHARS * 4))["port"])
            except (ValueError, KeyError, TypeError):
                port = None
            self._tell(self._announced, port)
            while stream.read(65_536):
                pass  # nothing more is promised; a full pipe would stop the worker

    def _read_stderr(self) -> None:
        with _stream(self._popen.stderr) as stream:
            while line := stream.readline(_LINE_CHARS):
                self._errors.append(line.decode("utf-8", "replace").rstrip())

    def _wait(self) -> None:
        code = self._popen.wait()
        self._close_pipe()
        for reader in self._readers:
            reader.join(1.0)  # its last words; a child of its own may hold the pipe longer
        self._tell(self._announced, None)
        self._tell(self._over, code)

    def _tell(self, future: asyncio.Future[int] | asyncio.Future[int | None], value: int | None) -> None:
        def settle() -> None:
            if not future.done():
                future.set_result(value)  # type: ignore[arg-type]

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(settle)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - a pipe was asked for
    return stream
