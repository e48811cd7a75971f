"""Deployments: a worker becomes a Space, is updated in place, paused, woken and removed, and the registry knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nadg_kernel.deploy.access import PRIVATE, SPACE, same_origin, space_of
from nadg_kernel.deploy.calling import called
from nadg_kernel.deploy.faults import TOKENS
from nadg_kernel.deploy.hub import COMING, FAILED, RESTING, RUNNING, Hub, checked_name, is_worker
from nadg_kernel.deploy.shipment import ALLOW_WEAK, TOKEN, Shipment
from nadg_kernel.deploy.waiting import Pace, Wait
from nadg_kernel.errors import DeployError
from nadg_kernel.stores.base import WorkerRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.deploy.hub import Space
    from nadg_kernel.deploy.waiting import Report
    from nadg_kernel.registry import Registry
    from nadg_kernel.wire import Health

    Ask = Callable[[str], bool]

FRESH = frozenset({".gitattributes", "README.md"})
"""What the Hub puts into a new Space: one that holds only these was begun and never filled."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A worker that runs as a Space and is registered. `layers`: those of its sandbox that are active."""

    worker_id: str
    space: str
    url: str
    created: bool
    private: bool
    weak: bool
    layers: tuple[str, ...]


class Deployer:
    """Deploys through one account and into one registry. All methods raise NadgError that say what to do."""

    def __init__(self, hub: Hub, registry: Registry, *, report: Report, ask: Ask | None = None) -> None:
        """`report` hears what goes on; `ask` puts a yes-or-no question to the person, None if nobody is there."""
        self._hub, self._registry, self._report, self._ask = hub, registry, report, ask

    async def deploy(self, shipment: Shipment, *, allow_weak: bool = False, pace: Pace | None = None) -> Deployed:
        """Make or update the Space, wait until its worker answers, and register it. Can be called again at any time.

        A worker whose sandbox is weak is only used if `allow_weak`, or if the person agrees.
        """
        name = shipment.space
        await self._may_write(name)
        before = await called(self._hub.space, name)
        stage = ""
        if before is None:
            self._report(f"{name}: making the Space")
            await called(self._hub.create, name, private=bool(shipment.private), hardware=shipment.hardware)
        else:
            await self._check_ours(before)
            stage = await self._adjusted(shipment, before)
        space = await self._found(name)
        row = await self._row(space, shipment.worker_id)
        await self._set(shipment, space)
        self._report(f"{name}: sending {len(shipment.files)} files")
        message = "Deploy the NADG worker" if before is None else "Update the NADG worker"
        commit = await called(self._hub.commit, name, shipment.files, space.files, message)
        if stage in (FAILED | RESTING) - {"NO_APP_FILE"}:  # a commit alone starts none of these if nothing has changed
            await called(self._hub.restart, name)
        wait = Wait(self._hub, name, pace or Pace(), self._report)
        await wait.running(commit, before=stage)
        health = await self._healthy(wait, row, name, allow_weak=allow_weak)
        await self._registry.add(row.url, worker_id=row.worker_id)
        await self._registry.describe(row.url, **row.details)
        layers = tuple(sorted(layer for layer, word in health.sandbox.items() if word == "active"))
        self._report(f"{name}: registered as {row.worker_id}; {len(layers)} layers of its sandbox are active")
        return Deployed(
            worker_id=row.worker_id,
            space=name,
            url=row.url,
            created=before is None,
            private=space.private,
            weak=health.weak,
            layers=layers,
        )

    async def undeploy(self, space: str) -> tuple[str, ...]:
        """Delete a worker's Space with all its files, and forget the worker; gives the ids that are no longer known."""
        name = checked_name(space)
        found = await called(self._hub.space, name)
        rows = [
            row
            for row in await self._registry.rows()
            if space_of(row) == name or (found is not None and same_origin(row.url, found.origin))
        ]
        if found is None and not rows:
            raise DeployError(f"there is no Space {name} that this token can see, and none is registered")
        if found is not None:
            await self._check_ours(found)
            await called(self._hub.delete, name)
        for row in rows:
            await self._registry.remove(row.worker_id)
        gone = "is deleted" if found is not None else "was gone already"
        forgotten = f", and {', '.join(row.worker_id for row in rows)} is no longer registered" if rows else ""
        self._report(f"the Space {name} {gone}{forgotten}; its history stays")
        return tuple(row.worker_id for row in rows)

    async def pause(self, space: str) -> None:
        """Stop a worker's Space until it is woken; what runs on it is lost and sent elsewhere."""
        name = checked_name(space)
        await self._check_ours(await self._found(name))
        await called(self._hub.pause, name)

    async def wake(self, space: str, *, wait: bool = True, pace: Pace | None = None) -> None:
        """Start a worker's Space, and return when it runs, or at once with `wait` False."""
        name = checked_name(space)
        await self._check_ours(await self._found(name))
        stage = (await called(self._hub.runtime, name)).stage
        if stage == RUNNING:
            return
        if stage not in COMING:
            await called(self._hub.restart, name)
        if wait:
            await Wait(self._hub, name, pace or Pace(), self._report).running(before=stage)

    async def _may_write(self, name: str) -> None:
        account = await called(self._hub.account)
        if account.role == "read":
            raise DeployError(
                f"the token in HF_TOKEN may only read: make one that may write at {TOKENS} and set it as HF_TOKEN"
            )
        if name.partition("/")[0] not in account.namespaces:
            others = ", ".join(f"{item}/..." for item in account.organisations)
            also = f" or one of your organisations' ({others})" if others else ""
            raise DeployError(
                f"the token in HF_TOKEN is {account.name}'s, and {name} is not: write {account.name}/"
                f"{name.partition('/')[2]}{also}"
            )

    async def _found(self, name: str) -> Space:
        space = await called(self._hub.space, name)
        if space is None:
            raise DeployError(f"the Hub knows no Space {name}, or does not show it to the token in HF_TOKEN")
        if not space.origin:
            raise DeployError(f"the Hub gives no address for the Space {name} yet: try again in a minute")
        return space

    async def _check_ours(self, space: Space) -> None:
        """Raise DeployError for a Space that is something else: it would be overwritten, paused or deleted."""
        if space.sdk not in {"docker", ""}:
            raise DeployError(f"{space.name} is a {space.sdk} Space, not a worker: choose another name")
        if set(space.files) <= FRESH or await called(is_worker, self._hub, space):
            return
        raise DeployError(
            f"there is a Space {space.name} already, and it is no NADG worker: choose another name, or delete it on "
            "the Hub if you no longer need it"
        )

    async def _adjusted(self, shipment: Shipment, space: Space) -> str:
        """Give an existing Space its visibility and hardware where they are asked for; gives its stage before."""
        if shipment.private is not None and shipment.private != space.private:
            await called(self._hub.set_private, space.name, private=shipment.private)
        now = await called(self._hub.runtime, space.name)
        if shipment.hardware and shipment.hardware != now.hardware:
            await called(self._hub.set_hardware, space.name, shipment.hardware)
        return now.stage

    async def _row(self, space: Space, worker_id: str) -> WorkerRow:
        """The worker as it is registered, or as it will be: an update keeps its id and the generation of its token."""
        details = {SPACE: space.name, PRIVATE: space.private}
        for row in await self._registry.rows():
            if same_origin(row.url, space.origin):
                return WorkerRow(worker_id=row.worker_id, url=row.url, generation=row.generation, details=details)
            if row.worker_id == worker_id:
                raise DeployError(f"the id {worker_id} is another worker's: give this one another with --id")
        return WorkerRow(worker_id=worker_id, url=space.origin, details=details)

    async def _set(self, shipment: Shipment, space: Space) -> None:
        token = await self._registry.token(space.origin)
        for key, secret in {TOKEN: token, **shipment.secrets}.items():
            await called(self._hub.set_secret, space.name, key, secret)
        there = await called(self._hub.variables, space.name)
        for key, value in shipment.variables.items():
            if there.get(key) != value:
                await called(self._hub.set_variable, space.name, key, value)

    async def _healthy(self, wait: Wait, row: WorkerRow, name: str, *, allow_weak: bool) -> Health:
        """The worker's health once it takes work. Raises DeployError for a weak sandbox that nobody allows."""
        endpoint = await self._registry.endpoint(row)
        health = await wait.answering(endpoint, refusing=True)
        if health.status == "ok" or not health.weak:
            return health
        missing = ", ".join(f"{layer} ({word})" for layer, word in sorted(health.sandbox.items()) if word != "active")
        question = f"the sandbox of {name} is weak: {missing or health.reason}"
        if not allow_weak and (self._ask is None or not self._ask(f"{question}. Let it run code nevertheless?")):
            raise DeployError(
                f"{question}. It refuses to run code and was not registered: deploy again with --allow-weak "
                f"(allow_weak=True) to let it, or nadg undeploy {name}"
            )
        await called(self._hub.set_variable, name, ALLOW_WEAK, "1")
        return await wait.answering(endpoint)
