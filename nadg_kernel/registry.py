"""The registry of remote workers: who is in it, each one's own token, and a heartbeat over all at once."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nadg_kernel.engines import health as looks
from nadg_kernel.engines.addresses import canonical_origin, parse_origin
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.engines.client import Timeouts, WorkerClient
from nadg_kernel.engines.faults import Refused
from nadg_kernel.engines.tokens import registered_endpoint, worker_token
from nadg_kernel.errors import NadgError, WorkerError
from nadg_kernel.settings import Secret
from nadg_kernel.stores.base import WorkerRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nadg_kernel.deploy.access import SpaceAccess
    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.engines.client import WorkerEndpoint
    from nadg_kernel.stores.base import Store

AT_ONCE = 100
"""Workers that a heartbeat asks at the same time."""
ANSWER_S = 10.0
STATUSES = ("active", "busy", "asleep", "offline")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOCAL = re.compile(r"local-\d+")
"""Names of the workers that a grid starts itself."""
_TOKEN_REFUSED = frozenset({401, 403})


@dataclass(frozen=True, kw_only=True)
class Beat:
    """How a worker answered. `status` is one of STATUSES; `seconds` None when nothing came back.

    `takes_token` says whether it takes the grid's token for it; None where that was not asked or is not known.
    """

    worker_id: str
    url: str
    status: str
    seconds: float | None = None
    running: int = 0
    capacity: int = 0
    labels: tuple[str, ...] = ()
    weak: bool = False
    layers: tuple[str, ...] = ()
    boot_id: str = ""
    takes_token: bool | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether it can be counted on: it answered and takes its token, or it sleeps and wakes on a visit."""
        return self.status != "offline" and self.takes_token is not False


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """A token change in two steps: the worker first accepts both, then the grid sends only the new one."""

    row: WorkerRow
    token: Secret
    previous: Secret
    done: bool
    reason: str = ""


class Registry:
    """Registered workers of a store. Tokens are derived when they are needed and kept nowhere."""

    def __init__(self, store: Store, secret: Secret | None, spaces: SpaceAccess | None = None) -> None:
        """`secret` is the grid's; without one nothing can be registered. `spaces` lets through to private Spaces."""
        self._store, self._secret, self._spaces = store, secret, spaces

    async def rows(self) -> list[WorkerRow]:
        """All registered workers, by id."""
        return await self._store.workers()

    async def add(self, url: str, *, worker_id: str = "") -> WorkerRow:
        """Register a worker by its URL. Registering it again changes nothing.

        Raises SettingsError without a grid secret, WorkerError for a URL that no worker may have or an id in use.
        """
        origin = canonical_origin(url)
        worker_token(self._secret, origin, 1)  # says what is missing before anything is written
        if worker_id and (not _ID.fullmatch(worker_id) or _LOCAL.fullmatch(worker_id)):
            message = (
                f"{worker_id[:100]!r} is no id for a worker: at most 100 letters, digits, dots, dashes and "
                "underscores, and not local-1 and so on, which are the grid's own"
            )
            raise WorkerError(message)
        rows = await self.rows()
        for row in rows:
            if _is_at(row, origin):
                return _usable(row)
        name = worker_id or _name(origin, {row.worker_id for row in rows})
        if any(row.worker_id == name for row in rows):
            message = f"the id {name!r} is taken by another worker: choose another one"
            raise WorkerError(message)
        row = WorkerRow(worker_id=name, url=origin, status="offline")
        await self._store.upsert_workers([row])
        return row

    async def find(self, worker: str) -> WorkerRow:
        """A worker by id or URL. Raises WorkerError listing what there is."""
        rows = await self.rows()
        try:
            origin = canonical_origin(worker)
        except WorkerError:
            origin = ""
        for row in rows:
            if worker == row.worker_id or (origin and _is_at(row, origin)):
                return row
        known = ", ".join(row.worker_id for row in rows) or "none"
        message = f"no worker {worker!r} is registered (there are: {known})"
        raise WorkerError(message)

    async def remove(self, worker: str) -> WorkerRow:
        """Forget a worker; its history stays. Raises WorkerError when there is no such one."""
        row = await self.find(worker)
        await self._store.remove_worker(row.worker_id)
        return row

    async def token(self, worker: str) -> Secret:
        """The token to set as NADG_AUTH_TOKEN on a worker, registered or not (then `worker` is its URL)."""
        try:
            row = await self.find(worker)
        except WorkerError:
            return worker_token(self._secret, canonical_origin(worker), 1)
        return worker_token(self._secret, _usable(row).url, row.generation)

    async def rotate(self, worker: str) -> Rotation:
        """Change a worker's token. It is used only once the worker takes it, so that nothing breaks in between."""
        row = _usable(await self.find(worker))
        old = worker_token(self._secret, row.url, row.generation)
        new = worker_token(self._secret, row.url, row.generation + 1)
        raised = replace(row, generation=row.generation + 1)
        try:
            await self._takes(raised)
        except NadgError as error:
            return Rotation(row=row, token=new, previous=old, done=False, reason=str(error))
        await self._store.upsert_workers([raised])
        return Rotation(row=raised, token=new, previous=old, done=True)

    async def describe(self, worker: str, **details: object) -> WorkerRow:
        """Note facts about a worker in its row, such as which Space it is. Raises WorkerError."""
        row = _usable(await self.find(worker))
        row = replace(row, details={**row.details, **details})
        await self._store.upsert_workers([row])
        return row

    async def endpoint(self, row: WorkerRow, *, name: str = "") -> WorkerEndpoint:
        """Where a worker is, with all that opens it. Raises DeployError for a private Space that is not ours."""
        bearer = await self._spaces.bearer(row) if self._spaces is not None else None
        return registered_endpoint(name or row.worker_id, row.url, row.generation, self._secret, bearer=bearer)

    async def heartbeat(
        self, rows: Sequence[WorkerRow] | None = None, *, answer_s: float = ANSWER_S, tokens: bool = False
    ) -> list[Beat]:
        """Ask every worker at once, bounded, and write what came of it in one batch.

        `tokens` asks also whether each takes its token. No worker waits longer than four times `answer_s` (seconds).
        """
        asked = await self.rows() if rows is None else list(rows)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(row: WorkerRow) -> Beat:
            async with gate:
                return await self._beat(row, answer_s, tokens=tokens)

        beats = list(await asyncio.gather(*(one(row) for row in asked)))
        await self._write(beats)
        return beats

    async def _write(self, beats: Sequence[Beat]) -> None:
        now = datetime.now(UTC)
        # Read again: a worker that was removed while it was asked stays removed, a rotated one keeps its generation.
        rows = {row.worker_id: row for row in await self.rows()} if beats else {}
        found = [(rows[beat.worker_id], beat) for beat in beats if beat.worker_id in rows]
        written = [_beaten(row, beat, now) for row, beat in found if not row.problem]
        if written:
            await self._store.upsert_workers(written)

    async def _takes(self, row: WorkerRow) -> None:
        client = WorkerClient(await self.endpoint(row), timeouts=Timeouts(answer=ANSWER_S))
        try:
            await client.status()
        finally:
            await client.close()

    async def _beat(self, row: WorkerRow, answer_s: float, *, tokens: bool) -> Beat:
        if row.problem:
            return Beat(worker_id=row.worker_id, url=row.url, status="offline", reason=row.problem)
        endpoint = registered_endpoint(row.worker_id, row.url, row.generation, self._secret)
        state = looks.unknown(endpoint)
        began = time.perf_counter()
        client: WorkerClient | None = None
        takes = None
        try:
            endpoint = await self.endpoint(row)
            client = WorkerClient(endpoint, timeouts=Timeouts(connect=answer_s, answer=answer_s))
            async with asyncio.timeout(answer_s * 2):
                health = await client.health()
            took = time.perf_counter() - began
            state = looks.from_health(state, health, took * 1000)
            if tokens and state.health is WorkerHealth.READY and endpoint.token is not None:
                takes, why = await _takes_token(client, answer_s * 2)
                state = replace(state, reason=why or state.reason)
        except TimeoutError:
            state = replace(state, reason=f"no answer in {answer_s * 2:g} s")
        except NadgError as error:
            state = looks.from_error(state, error)
        except Exception as error:  # noqa: BLE001 - a row from elsewhere must not end the heartbeat of the others
            state = replace(state, reason=f"it cannot be asked: {error!r}"[:1000])
        finally:
            if client is not None:
                await client.close()
        return _summed_up(row, state, takes)


def _usable(row: WorkerRow) -> WorkerRow:
    if row.problem:
        message = f"{row.worker_id}: {row.problem}"
        raise WorkerError(message)
    return row


async def _takes_token(client: WorkerClient, within_s: float) -> tuple[bool | None, str]:
    """Whether the worker takes the token that the client has, and why not."""
    try:
        async with asyncio.timeout(within_s):
            await client.status()
    except Refused as error:
        return (False if error.status in _TOKEN_REFUSED else None), str(error)
    except WorkerError as error:
        return None, str(error)
    except TimeoutError:
        return None, f"no answer to /status in {within_s:g} s"
    return True, ""


def _beaten(row: WorkerRow, beat: Beat, now: datetime) -> WorkerRow:
    """The row after a heartbeat. `last_ping` is when it was asked; `details` say when it last answered, and how."""
    details = {**row.details, "reason": beat.reason, "latency_ms": None}
    if beat.seconds is None:
        return replace(row, status=beat.status, last_ping=now, details=details)
    heard = {
        "answered_at": now.isoformat(timespec="seconds"),
        "latency_ms": round(beat.seconds * 1000, 1),
        "boot_id": beat.boot_id,
        "layers": list(beat.layers),
        "weak": beat.weak,
    }
    return replace(
        row,
        status=beat.status,
        capacity=max(1, beat.capacity),
        labels=beat.labels,
        last_ping=now,
        details={**details, **heard},
    )


def _is_at(row: WorkerRow, origin: str) -> bool:
    """Whether a row, perhaps written by hand, has this origin in some spelling."""
    with suppress(WorkerError):
        return canonical_origin(row.url) == origin
    return False


def _summed_up(row: WorkerRow, state: WorkerState, takes_token: bool | None) -> Beat:  # noqa: FBT001 - one of its facts
    answered = state.health in {WorkerHealth.READY, WorkerHealth.REFUSING} and state.latency_ms is not None
    if state.health is WorkerHealth.READY:
        status = "busy" if state.running >= state.capacity else "active"
    else:
        status = "asleep" if state.health in {WorkerHealth.ASLEEP, WorkerHealth.WAKING} else "offline"
    return Beat(
        worker_id=row.worker_id,
        url=row.url,
        status=status,
        seconds=(state.latency_ms or 0.0) / 1000 if answered else None,
        running=state.running if answered else 0,
        capacity=state.capacity if answered else 0,
        labels=tuple(sorted(state.labels)),
        weak=state.weak,
        layers=tuple(sorted(name for name, word in state.sandbox.items() if word == "active")),
        boot_id=state.boot_id,
        takes_token=takes_token,
        reason=state.reason,
    )


def _name(origin: str, taken: set[str]) -> str:
    """A short id from the host, such as `user-space` of user-space.hf.space."""
    place = parse_origin(origin)
    host = place.host.removesuffix(".hf.space")
    stem = (
        re.sub(r"[^a-z0-9]+", "-", host if place.scheme == "https" else f"{host}-{place.port}").strip("-") or "worker"
    )
    name, number = stem, 2
    while name in taken or _LOCAL.fullmatch(name):
        name, number = f"{stem}-{number}", number + 1
    return name
