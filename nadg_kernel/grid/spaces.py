"""Spaces: workers of a Grid that are deployed to Hugging Face, updated, paused, woken and removed from a notebook."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from nadg_kernel.deploy.access import space_of
from nadg_kernel.deploy.deploying import Deployer
from nadg_kernel.deploy.hub import Hub, checked_name
from nadg_kernel.deploy.shipment import pack
from nadg_kernel.deploy.waiting import MOST_S, Pace, log_end
from nadg_kernel.grid.base import GridBase
from nadg_kernel.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

T = TypeVar("T")


class Spaces(GridBase):
    """The part of the Grid that is about workers as Spaces. Its calls wait, and print what goes on meanwhile."""

    def deploy(  # noqa: PLR0913 - what the command line takes too
        self,
        space: str,
        *,
        private: bool | None = None,
        hardware: str = "",
        worker_id: str = "",
        variables: Mapping[str, str] | None = None,
        secrets: Mapping[str, str | Secret] | None = None,
        allow_weak: bool = False,
        dry_run: bool = False,
        timeout: float = MOST_S,
    ) -> str:
        """Make or update the Docker Space `user/space`, register its worker and use it from now on; gives its id.

        `private` None leaves a Space as it is, a new one is public. `dry_run` prints what would be sent, secrets
        masked, and gives "". `timeout` in seconds. Raises SettingsError without HF_TOKEN or NADG_GRID_SECRET,
        DeployError with what to do (also for a weak sandbox unless `allow_weak`).
        """
        hidden = {name: s if isinstance(s, Secret) else Secret(s) for name, s in (secrets or {}).items()}
        shipment = pack(
            space, worker_id=worker_id, private=private, hardware=hardware, variables=variables, secrets=hidden
        )
        if dry_run:
            print("\n".join(shipment.lines(self.settings.hf_endpoint)))  # noqa: T201 - asked for
            return ""
        pace = Pace(most=timeout)
        done = self._told(lambda deployer: deployer.deploy(shipment, allow_weak=allow_weak, pace=pace))
        self._look_at(done.space)
        return done.worker_id

    def undeploy(self, space: str) -> None:
        """Delete a worker's Space with all its files, and forget the worker; its history stays. Raises DeployError."""
        gone = self._told(lambda deployer: deployer.undeploy(space))

        async def forget() -> None:
            for worker_id in gone:
                self._fleet.drop(worker_id)

        self.loop.run(forget())

    def pause(self, space: str) -> None:
        """Stop a worker's Space until it is woken; what runs there is lost and sent elsewhere. Raises DeployError."""
        self._told(lambda deployer: deployer.pause(space))
        self._look_at(checked_name(space))

    def wake(self, space: str, *, wait: bool = True, timeout: float = MOST_S) -> None:
        """Start a worker's Space; with `wait` return when it runs (seconds at most). Raises DeployError."""
        self._told(lambda deployer: deployer.wake(space, wait=wait, pace=Pace(most=timeout)))
        self._look_at(checked_name(space))

    def logs(self, space: str, *, build: bool = False, lines: int = 200) -> str:
        """The last lines of what a worker's Space says, or of its last build. Raises DeployError."""
        return "\n".join(log_end(Hub.of(self.settings), checked_name(space), build=build, lines=lines))

    def _told(self, make: Callable[[Deployer], Coroutine[Any, Any, T]]) -> T:
        """Run a deployer's work on the loop, and print here, on the caller's thread, what it reports."""
        heard: SimpleQueue[str | None] = SimpleQueue()
        deployer = Deployer(Hub.of(self.settings), self.registry, report=heard.put)
        future = self.loop.submit(make(deployer))
        future.add_done_callback(lambda _: heard.put(None))
        try:
            while (line := heard.get()) is not None:
                print(line)  # noqa: T201 - the live status of a call that waits
        except KeyboardInterrupt:
            future.cancel()
            raise
        return future.result()

    def _look_at(self, space: str) -> None:
        """Use a Space's worker as its row now says, and look at it at once."""

        async def look() -> None:
            for row in await self.registry.rows():
                if space_of(row) == space:
                    self._fleet.use(row)

        self.loop.run(look())
