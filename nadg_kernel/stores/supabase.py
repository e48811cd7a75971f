"""The Store contract over a Supabase project with database/schema.sql: the registry and history that a team shares.

Every call is one database function, so that several writes are one, and may be sent again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import MissingExtra, NadgError, RunNotFound, StoreError
from nadg_kernel.model import Event, Plan
from nadg_kernel.stores import frames, owners
from nadg_kernel.stores.facts import micros
from nadg_kernel.stores.pruning import WITH_RESULTS, without_results
from nadg_kernel.stores.supabase_errors import (
    SupabaseUnreachable,
    check_settings,
    explained,
    host_of,
    is_loopback,
)
from nadg_kernel.stores.supabase_rows import (
    event_row,
    filter_value,
    frame_row,
    iso,
    plain,
    plan_row,
    run_from,
    text,
    worker_from,
    worker_row,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from supabase import AsyncClient

    from nadg_kernel.stores.base import Owner, RunRow, Store, WorkerRow

PAGE_ROWS = 5_000
PAGE_EVENTS = 500
TRIES = 3


class SupabaseStore:
    """The Store contract over Supabase. `key` is the secret key of the project.

    Without `clock`, heartbeats go by the server's time, whatever the machines think.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        clock: Callable[[], datetime] | None = None,
        is_dead: Callable[[Mapping[str, Any]], bool | None] = owners.is_dead,
        timeout_s: float = 30.0,
    ) -> None:
        """Raises SettingsError for a URL or key that cannot be right; nothing is sent."""
        check_settings(url, key)
        self.url, self._key = url.rstrip("/"), key.strip()
        self._clock, self._is_dead, self._timeout_s = clock, is_dead, timeout_s
        self._client: AsyncClient | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"SupabaseStore({self.url!r})"

    async def open(self) -> None:
        """Connect, and make sure that the project has the schema and takes the key. Raises StoreError that says why."""
        if self._client is None:
            self._client = await _client(self.url, self._key, self._timeout_s)
            try:
                if not isinstance(await self._call("nadg_unfinished"), list):
                    raise StoreError(f"{host_of(self.url)} answers and is no Supabase project: look at SUPABASE_URL")
            except NadgError:
                await self.close()
                raise

    async def close(self) -> None:
        """Release the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.postgrest.aclose()

    async def create_run(self, run_id: str, plan: Plan, owner: Owner, *, rehearsal: bool = False) -> int:
        """See Store."""
        at = self._now() or datetime.now(UTC)
        return await self.record_run(run_id, plan, owner.to_json(), at=at, rehearsal=rehearsal)

    async def record_run(
        self,
        run_id: str,
        plan: Plan,
        owner: Owner | Mapping[str, Any],
        *,
        at: datetime,
        rehearsal: bool,
        epoch: int = 1,
    ) -> int:
        """Record a run that another store created at a time. Sent again, the same run is no error."""
        run = {
            "run_id": run_id,
            "command": text(plan.command),
            "epoch": epoch,
            "owner": plain(owner),
            "at": at.isoformat(),
            "heartbeat_at": iso(self._now()),
            "rehearsal": rehearsal,
            "planner": text(plan.planner.get("name")),
        }
        return int(await self._call("nadg_create_run", p_run=run, p_plan={**plan_row(plan, at), "revision": 1}))

    async def append(self, run_id: str, epoch: int, events: Sequence[Event]) -> int:
        """See Store. Results over 1 MB are kept as digest and preview."""
        rows = []
        for event in events:
            if event.run_id != run_id or event.epoch > epoch or event.seq < 1:
                about = f"{event.run_id}, epoch {event.epoch}"
                message = f"event {event.seq} of {about}, is none of {run_id}, epoch {epoch}"
                raise StoreError(message)
            micros(event.at)
            rows.append(event_row(event))
        return int(await self._call("nadg_append", p_run=run_id, p_epoch=epoch, p_events=rows))

    async def read(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        """See Store."""
        if await self.get_run(run_id) is None:
            raise RunNotFound(run_id)
        while page := await self._call("nadg_read", p_run=run_id, p_after=after, p_most=PAGE_EVENTS):
            for row in page:
                yield Event.from_json({**row, "payload": json.loads(row["payload"])})
            after = page[-1]["seq"]

    async def claim(self, run_id: str, owner: Owner) -> int:
        """See Store."""
        mine = plain(owner.to_json())
        for _ in range(TRIES):
            seen = await self._call("nadg_look", p_run=run_id)
            if seen["run"] is None:
                raise RunNotFound(run_id)
            run, now = run_from(seen["run"]), self._now() or datetime.fromisoformat(seen["now"])
            if run.owner != mine:
                owners.refuse_takeover(run_id, run.owner, run.heartbeat_at, now, self._is_dead)
            epoch = await self._call(
                "nadg_claim",
                p_run=run_id,
                p_owner=mine,
                p_epoch=run.epoch,
                p_heartbeat=seen["run"]["heartbeat_at"],
                p_now=iso(self._now()),
            )
            if epoch is not None:
                return int(epoch)
        message = f"run {run_id} is being taken over by several at once: try again"
        raise StoreError(message)

    async def adopt(self, run_id: str, owner: Mapping[str, Any], epoch: int) -> int:
        """Catch up with an epoch that was taken in the owner's journal; gives the epoch that holds."""
        return int(await self._call("nadg_adopt", p_run=run_id, p_owner=plain(owner), p_epoch=epoch))

    async def beat(self, run_id: str, epoch: int) -> None:
        """See Store."""
        await self._call("nadg_beat", p_run=run_id, p_epoch=epoch, p_now=iso(self._now()))

    async def get_run(self, run_id: str) -> RunRow | None:
        """See Store."""
        row = (await self._call("nadg_look", p_run=run_id))["run"]
        return None if row is None else run_from(row)

    async def unfinished(self) -> list[RunRow]:
        """See Store."""
        return [run_from(row) for row in await self._call("nadg_unfinished")]

    async def put_plan(self, run_id: str, epoch: int, plan: Plan) -> None:
        """See Store."""
        row = plan_row(plan, self._now() or datetime.now(UTC))
        await self._call("nadg_put_plan", p_run=run_id, p_epoch=epoch, p_plan=row)

    async def record_plan(self, run_id: str, epoch: int, plan: Plan, *, at: datetime, revision: int) -> None:
        """Record a revision that another store numbered. Sent again, it is there once."""
        row = {**plan_row(plan, at), "revision": revision}
        await self._call("nadg_put_plan", p_run=run_id, p_epoch=epoch, p_plan=row)

    async def get_plan(self, run_id: str) -> Plan | None:
        """See Store."""
        found = (await self._call("nadg_plan", p_run=run_id))["plan"]
        return None if found is None else Plan.from_json(json.loads(found))

    async def workers(self) -> list[WorkerRow]:
        """See Store."""
        return [worker_from(row) for row in await self._call("nadg_workers")]

    async def upsert_workers(self, rows: Sequence[WorkerRow]) -> None:
        """See Store."""
        await self._call("nadg_upsert_workers", p_workers=[worker_row(row) for row in rows])

    async def remove_worker(self, worker_id: str) -> bool:
        """See Store."""
        return bool(await self._call("nadg_remove_worker", p_name=worker_id))

    async def cached(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """See Store. A result of which only digest and preview are here is no hit."""
        found: dict[str, Mapping[str, Any]] = {}
        for row in await self._call("nadg_cached", p_keys=list(keys)):
            payload = json.loads(row["payload"])
            result = payload.get("result")
            if not (isinstance(result, Mapping) and "preview" in result):
                origin = {name: payload.get(name) or row[name] for name in ("run_id", "attempt_id")}
                found[row["key"]] = {**origin, "result": result}
        return found

    async def query(self, frame: str, filters: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """See Store. The frames of SqliteStore, page by page; at least one batch."""
        spec, given = frames.frame(frame), frames.checked(frame, filters)
        left = given.pop("limit", None)
        asked, after, first = {name: filter_value(name, value) for name, value in given.items()}, None, True
        while first or after is not None:
            most = PAGE_ROWS if left is None else min(PAGE_ROWS, left)
            page = await self._call("nadg_query", p_frame=frame, p_filters=asked, p_after=after, p_most=most)
            if first or page:
                yield spec.batch([frame_row(spec, row) for row in page])
            left = None if left is None else left - len(page)
            more = len(page) == most and (left is None or left > 0) and page
            after = {name: page[-1][name] for name in ("sort_at", "sort_id")} if more else None
            first = False

    async def prune(self, older_than: datetime, *, results_only: bool = False) -> dict[str, int]:
        """See Store."""
        micros(older_than)
        before = older_than.isoformat()
        if not results_only:
            return dict(await self._call("nadg_prune", p_before=before))
        runs = await self._call("nadg_old_runs", p_before=before)
        counts = {"results": 0, "cache": 0}
        for run_id in runs:
            after = 0
            types = [str(item) for item in WITH_RESULTS]
            while page := await self._call("nadg_read", p_run=run_id, p_after=after, p_most=500, p_types=types):
                after = page[-1]["seq"]
                slim = [(row, without_results(row["payload"])) for row in page]
                rows = [{"seq": row["seq"], "payload": new} for row, new in slim if new is not None]
                done = await self._call("nadg_prune_results", p_run=run_id, p_events=rows)
                counts = {name: counts[name] + done[name] for name in counts}
        return counts

    async def _call(self, function: str, **arguments: Any) -> Any:
        """Call a database function; what may work a moment later is tried again. Raises StoreError and its kin."""
        if self._client is None:
            message = "the store is not open: await store.open() first"
            raise StoreError(message)
        sent = {name: json.dumps(item) if isinstance(item, dict | list) else item for name, item in arguments.items()}
        for attempt in range(1, TRIES + 1):
            try:
                return (await self._client.rpc(function, sent).execute()).data
            except _failures() as error:
                failure = explained(error, self.url, arguments)
                if not isinstance(failure, SupabaseUnreachable) or attempt == TRIES:
                    raise failure from error
                await asyncio.sleep(0.1 * attempt)
        raise AssertionError

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock()


def _failures() -> tuple[type[Exception], ...]:
    """What a call can raise that is not a mistake of this module; ValueError for an answer that is no JSON."""
    import httpx
    from postgrest.exceptions import APIError

    return (APIError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)


async def _client(url: str, key: str, timeout_s: float) -> AsyncClient:
    try:
        import httpx
        from supabase import AsyncClientOptions, acreate_client
    except ImportError as error:
        package, extra = "supabase", "supabase"
        raise MissingExtra(package, extra) from error
    # A redirect could carry the key elsewhere, and no proxy has to do with this machine.
    http = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=not is_loopback(url))
    options = AsyncClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
    return await acreate_client(url, key, options)


if TYPE_CHECKING:
    _keeps_the_contract: type[Store] = SupabaseStore
