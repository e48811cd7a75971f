"""The wait for a Space: through its build as the Hub tells it, then until the worker itself answers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nadg_kernel.deploy.calling import called, called_within
from nadg_kernel.deploy.hub import COMING, FAILED, RESTING, RUNNING
from nadg_kernel.display import clean_text
from nadg_kernel.engines.client import Timeouts, WorkerClient
from nadg_kernel.errors import DeployError, ProtocolMismatch, WorkerError
from nadg_kernel.wire import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.deploy.hub import Hub, Runtime
    from nadg_kernel.engines.client import WorkerEndpoint
    from nadg_kernel.wire import Health

    Report = Callable[[str], None]

MOST_S = 1200.0
"""Seconds that a deployment may take by default."""
LOG_LINES = 40
LOGS_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds. `most`: for the whole wait. `settle`: how long a stage of before the commit may still be told."""

    most: float = MOST_S
    look: float = 3.0
    settle: float = 30.0


class Wait:
    """One wait with one deadline. `report` hears of each change."""

    def __init__(self, hub: Hub, space: str, pace: Pace, report: Report) -> None:
        """Begin: the time runs from here."""
        self._hub, self._space, self._pace, self._report = hub, space, pace, report
        self._began = time.monotonic()
        self._told = ""

    async def running(self, commit: str = "", *, before: str = "") -> None:
        """Return when the Hub says that it runs, at once where it says that it runs `commit`.

        `before` is the stage from before whatever began this: the Hub may tell it for a while. Raises DeployError with
        the end of the log after a failed build or start, or after `most` seconds. A stage that is not known counts as
        one that will pass.
        """
        moved = False
        while True:
            now = await called(self._hub.runtime, self._space)
            self._tell_text(now.stage.lower().replace("_", " "))
            moved = moved or now.stage in COMING or now.stage not in FAILED | RESTING | {before}
            settled = moved or self._elapsed() >= self._pace.settle
            if now.stage == RUNNING and (settled or (commit and now.sha == commit)):
                return
            if now.stage in FAILED and settled:
                raise DeployError(await self._why(now))
            if now.stage in RESTING and settled:
                message = f"{self._space} is {now.stage}: nadg wake {self._space} starts it"
                raise DeployError(message)
            await self._pause(f"it is still {now.stage}")

    async def answering(self, endpoint: WorkerEndpoint, *, refusing: bool = False) -> Health:
        """Return the worker's own word once it takes its token and work; `refusing`: or says that its sandbox is weak.

        Raises DeployError after `most` seconds, ProtocolMismatch.
        """
        client = WorkerClient(endpoint, timeouts=Timeouts(connect=10, answer=15))
        self._tell_text("running; asking the worker")
        try:
            while True:
                try:
                    health = await client.health()
                    if health.protocol != PROTOCOL:
                        raise ProtocolMismatch(endpoint.worker_id, health.protocol, PROTOCOL)
                    await client.status()
                except ProtocolMismatch:
                    raise
                except WorkerError as error:
                    await self._pause(f"its worker does not answer as it should: {error}")
                else:
                    if health.status == "ok" or (refusing and health.weak):
                        return health
                    await self._pause(f"its worker takes no work: {health.reason or health.status}")
        finally:
            await client.close()

    async def _pause(self, state: str) -> None:
        if self._elapsed() + self._pace.look > self._pace.most:
            message = (
                f"{self._space} was not ready after {self._pace.most:g} s, {state}. nadg logs {self._space} shows what "
                "it does; nadg deploy again goes on from here"
            )
            raise DeployError(message)
        await asyncio.sleep(self._pace.look)

    async def _why(self, now: Runtime) -> str:
        build = now.stage == "BUILD_ERROR"
        try:
            said = await called_within(LOGS_S, log_end, self._hub, self._space, build=build)
        except DeployError as error:
            said = [f"(no log: {error})"]
        reason = f" ({clean_text(now.reason, 300)})" if now.reason else ""
        what = "its build failed" if build else f"it does not start, {now.stage}"
        flag = " --build" if build else ""
        end = "\n".join(said) or "(the log is empty)"
        return f"{self._space}: {what}{reason}; nadg logs{flag} {self._space} has all of the log. Its end:\n{end}"

    def _tell_text(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._report(f"{self._space}: {clean_text(text, 100)} ({self._elapsed():.0f} s)")

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


def log_end(hub: Hub, space: str, *, build: bool, lines: int = LOG_LINES) -> list[str]:
    """The last lines of a log, cleaned. Blocks. Raises DeployError."""
    return list(deque((clean_text(line, 500) for line in hub.logs(space, build=build)), maxlen=lines))
