"""Shards on their way to an attempt: counted, looked up in the cache, given their inputs."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.base import AttemptSpec
from nadg_kernel.model import EventType, Outcome, Permissions
from nadg_kernel.runner.caching import cache_key
from nadg_kernel.runner.inputs import InputMissing
from nadg_kernel.runner.journal import About

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nadg_kernel.model import Subtask
    from nadg_kernel.runner.folders import Folders
    from nadg_kernel.runner.ledger import Ledger
    from nadg_kernel.runner.mailbox import Mailbox
    from nadg_kernel.runner.roster import Roster
    from nadg_kernel.scheduler import Start
    from nadg_kernel.stores.base import Store

ENVIRONMENTS = 8
"""Different sets of package versions among the workers that are looked up in the cache."""

BREATH = 200
"""Shards looked at in one go."""


class Shards:
    """What has to be known of a shard before it can be sent. `uncached` are subtasks that pass the cache by."""

    def __init__(
        self,
        *,
        run_id: str,
        ledger: Ledger,
        roster: Roster,
        store: Store,
        mailbox: Mailbox,
        files: Mapping[str, tuple[str, int]],
        folders: Folders,
        rehearsal: bool,
    ) -> None:
        """Nothing is counted yet."""
        self.uncached: set[str] = set()
        self._run_id, self._ledger, self._roster, self._store = run_id, ledger, roster, store
        self._mailbox, self._files, self._rehearsal = mailbox, dict(files), rehearsal
        self._folders = folders
        self._counting: dict[str, object] = {}

    @property
    def counting(self) -> bool:
        """Whether some count is under way."""
        return bool(self._counting)

    def count_data(self) -> None:
        """Count the shards of all that maps over attached data, before it is needed."""
        for subtask in self._ledger.plan.subtasks:
            if subtask.map is not None and subtask.map.over in self._ledger.inputs.data:
                self.count(subtask)

    def count(self, subtask: Subtask) -> None:
        """Cut what a subtask maps over in the background, unless that is done."""
        if subtask.id in self._counting or self._ledger.scheduler.count(subtask.id) is not None:
            return
        token = self._counting[subtask.id] = object()
        plan = self._ledger.plan

        async def split() -> None:
            try:
                number = await self._ledger.inputs.split(plan, subtask)
            except InputMissing:
                number = 1  # its one shard ends with the reason
            self._mailbox.post(partial(self._counted, subtask.id, token, number))

        self._mailbox.spawn(split())

    def forget(self, subtasks: Iterable[str]) -> None:
        """What is being counted for these no longer matters."""
        for name in subtasks:
            self._counting.pop(name, None)

    async def look_up(self, opened: Iterable[str]) -> None:
        """Take results of shards that just became startable from the cache, where they are."""
        wanted: dict[str, list[tuple[str, int]]] = {}
        for name in opened:
            subtask = self._ledger.plan[name]
            if not subtask.cacheable or name in self.uncached:
                continue
            around = sorted(self._roster.environments(subtask))[:ENVIRONMENTS]
            for shard in range(self._ledger.scheduler.count(name) or 0 if around else 0):
                if shard % BREATH == BREATH - 1:
                    await asyncio.sleep(0)  # other runs share the loop
                try:
                    spec = await self._spec(subtask, shard)
                except InputMissing:
                    continue  # its attempt will say so
                for item in around:
                    wanted.setdefault(cache_key(spec, item), []).append((name, shard))
        found = await self._store.cached(list(wanted)) if wanted else {}
        for key, origin in found.items():
            if origin.get("result") is None or not self._ledger.inputs.complete(origin["result"]):
                continue
            for name, shard in wanted[key]:
                self._ledger.record(EventType.SHARD_CACHED, About(name, shard), {"key": key, **origin})

    async def intend(self, start: Start) -> AttemptSpec | None:
        """Journal that an attempt is going to be sent. Without its inputs it ends before it begins: None."""
        subtask, shard = self._ledger.plan[start.shard.subtask], start.shard.number
        attempt_id = f"{subtask.id[:40]}-{shard}-{uuid.uuid4().hex[:16]}"
        about = About(subtask.id, shard, attempt_id)
        payload: dict[str, Any] = {"worker": start.worker, "number": start.number}
        try:
            spec = await self._spec(subtask, shard, worker=start.worker, attempt_id=attempt_id)
        except InputMissing as error:
            self._ledger.record(EventType.ATTEMPT_INTENDED, about, payload)
            detail = {"type": "InputMissing", "message": str(error)}
            end = {"outcome": str(Outcome.FAILED), "worker": start.worker, "seconds": 0.0, "error": detail}
            self._ledger.record(EventType.ATTEMPT_ENDED, about, end)
            return None
        if subtask.cacheable and (around := self._roster.surroundings(subtask, start.worker)) is not None:
            payload["key"] = cache_key(spec, around)
        self._ledger.record(EventType.ATTEMPT_INTENDED, about, payload)
        return spec

    def _counted(self, name: str, token: object, number: int) -> None:
        if self._counting.get(name) is token:  # else a revision has overtaken it
            del self._counting[name]
            self._ledger.record(EventType.SHARDS_FIXED, About(name), {"count": number})

    async def _spec(self, subtask: Subtask, shard: int, *, worker: str = "", attempt_id: str = "") -> AttemptSpec:
        shards = self._ledger.scheduler.count(subtask.id) or 1
        permissions = Permissions(gpu=subtask.permissions.gpu) if self._rehearsal else subtask.permissions
        return AttemptSpec(
            attempt_id=attempt_id,
            run_id=self._run_id,
            subtask=subtask.id,
            shard=shard,
            shards=shards,
            worker_id=worker,
            kind=subtask.kind,
            code=subtask.code,
            inputs=await self._ledger.inputs.of_shard(self._ledger.plan, subtask, shard, shards),
            files={**self._files, **await self._folders.files(subtask)},
            limits=subtask.limits,
            permissions=permissions,
        )
