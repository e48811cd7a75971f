"""`python main.py`: serve one worker; started by a control side, tell it the port and end with it."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import uvicorn

import config as settings
from app import create_app
from listening import listen
from machine import hide_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from service import Service


__all__ = ["create_app", "main"]

log = logging.getLogger("nadg.worker")
_LAST_GRACE_S = 3.0


class Server(uvicorn.Server):
    """uvicorn that announces itself when it is ready, and when told to stop lets running attempts end first."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        """Call `ready` once requests are answered."""
        super().__init__(config)
        self._service, self._ready = service, ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[None] | None = None
        self._signals = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce."""
        await super().startup(sockets=sockets)
        self._loop = asyncio.get_running_loop()
        if self.started and not self.should_exit:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """SIGTERM: running attempts may end, for NADG_DRAIN_S at most. Ctrl-C, or a second signal: they are killed."""
        self._signals += 1
        self.end(self._service.config.drain_s if sig == signal.SIGTERM and self._signals == 1 else 0.0)

    def end(self, patience_s: float) -> None:
        """Take nothing new and stop within `patience_s`; from any thread. A less patient call overtakes."""
        if self._loop is None:
            self.should_exit = True  # it does not serve yet
        else:
            self._loop.call_soon_threadsafe(self._start_ending, patience_s)

    def _start_ending(self, patience_s: float) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().create_task(self._end(patience_s))
        self._ending.add_done_callback(self._ended)

    async def _end(self, patience_s: float) -> None:
        """Health and running attempts stay readable until the last one is answered."""
        self._service.draining = True
        log.info("stopping: %d attempts run", self._service.attempts.running)
        try:
            await asyncio.wait_for(self._service.attempts.idle(), patience_s)
        except TimeoutError:
            log.warning("stopping: the attempts that still run are killed")
        await self._service.attempts.close()

    def _ended(self, ending: asyncio.Task[None]) -> None:
        if not ending.cancelled():
            self.should_exit = True
            if problem := ending.exception():
                log.error("stopping went wrong", exc_info=problem)


def main(arguments: list[str] | None = None) -> int:
    """Read the settings, serve until stopped. Gives the exit code: 2 for a bad setting or a port that is taken."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        config = settings.read(os.environ)
        hide_memory()
        app = create_app(config)
        listening = listen(config.host.strip("[]"), config.port)
    except (settings.ConfigError, OSError) as error:
        print(f"the worker cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 2
    service: Service = app.state.service
    port = listening.getsockname()[1]

    def ready() -> None:
        _report(service, port)
        if options.announce:
            line = {"port": port, "worker_id": config.worker_id, "boot_id": service.identity.boot_id}
            print(json.dumps(line), flush=True)  # noqa: T201 - the one line that --announce promises

    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=65,
            log_level="warning",
        ),
        service,
        ready,
    )
    if options.parent_stdin:
        threading.Thread(target=_end_with_parent, args=(server,), name="parent", daemon=True).start()
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description="One NADG worker. Settings come from the environment.")
    parser.add_argument(
        "--announce", action="store_true", help='print {"port", "worker_id", "boot_id"} on stdout when ready'
    )
    parser.add_argument("--parent-stdin", action="store_true", help="end at once when stdin is closed")
    return parser.parse_args(arguments)


def _report(service: Service, port: int) -> None:
    config = service.config
    log.info("worker %s serves on %s port %d", config.worker_id, config.host, port)
    reason, hint = service.refusal()
    if reason:
        log.warning("it runs no code: %s. To change that: %s", reason, hint)
    elif not config.tokens:
        log.info("no NADG_AUTH_TOKEN is set: it serves requests to localhost only")


def _end_with_parent(server: Server) -> None:
    """Block until stdin ends: the parent closed it, or is dead (the system closes it then, also on kill -9)."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.end(0.0)
    time.sleep(_LAST_GRACE_S)
    os._exit(0)  # a hung shutdown must not keep the worker alive


if __name__ == "__main__":
    sys.exit(main())
