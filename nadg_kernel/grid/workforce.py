"""Workforce: the workers of a Grid, seen, waited for, registered and given new tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel import history
from nadg_kernel.advice import READY_S
from nadg_kernel.grid.spaces import Spaces

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.registry import Rotation
    from nadg_kernel.settings import Secret


class Workforce(Spaces):
    """The part of the Grid that is about workers."""

    def worker_states(self) -> tuple[WorkerState, ...]:
        """Every worker as last seen, without asking."""
        return self._fleet.engine.snapshot()

    def on_workers(self, listener: Callable[[tuple[WorkerState, ...]], None]) -> Callable[[], None]:
        """Call `listener` with all workers whenever one changes, on the loop's thread; gives the way to stop."""
        return self._fleet.subscribe(listener)

    def wait_ready(self, count: int = 1, timeout: float = READY_S) -> bool:
        """Wait (seconds) until `count` workers are ready; whether they are."""
        return self.loop.run(self._fleet.wait_ready(count, timeout))

    def workers(self) -> pd.DataFrame:
        """One row per worker: id, health, running, capacity, latency, labels, layers, reason."""
        return history.workers(self.worker_states())

    def add_worker(self, url: str, *, worker_id: str = "") -> str:
        """Register a remote worker by its URL and use it from now on; gives its id.

        Its token (`nadg workers token URL`) has to be set on it as NADG_AUTH_TOKEN. Raises SettingsError without
        NADG_GRID_SECRET, WorkerError for a URL that no worker may have.
        """
        row = self.loop.run(self.registry.add(url, worker_id=worker_id))
        self.loop.call(self._fleet.use, row)
        return row.worker_id

    def remove_worker(self, worker: str) -> None:
        """Forget a registered worker by id or URL; its history stays."""
        row = self.loop.run(self.registry.remove(worker))
        self.loop.call(self._fleet.drop, row.worker_id)

    def worker_token(self, worker: str) -> Secret:
        """The token to set as NADG_AUTH_TOKEN on a worker, by its id or URL; `.reveal()` shows it."""
        return self.loop.run(self.registry.token(worker))

    def rotate_worker(self, worker: str) -> Rotation:
        """Change a worker's token: first call says what to set on it, the next one, once it takes it, uses it."""
        rotation = self.loop.run(self.registry.rotate(worker))
        if rotation.done:
            self.loop.call(self._fleet.use, rotation.row)
        return rotation

    def ping(self) -> pd.DataFrame:
        """Ask every registered worker now: one row each with status, seconds, running, capacity, token, reason."""
        import pandas as pd

        beats = self.loop.run(self.registry.heartbeat(tokens=True))
        columns = ["worker_id", "url", "status", "seconds", "running", "capacity", "weak", "takes_token", "reason"]
        return pd.DataFrame([{name: getattr(beat, name) for name in columns} for beat in beats], columns=columns)
