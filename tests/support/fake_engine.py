"""An engine in memory: attempts follow a script, capacity is checked, nothing leaves the process."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from nadg_kernel import values
from nadg_kernel.engines.base import AttemptEvent, AttemptSpec, WorkerHealth, WorkerState
from nadg_kernel.wire import INLINE_BYTES


@dataclass(frozen=True, kw_only=True)
class Act:
    """What one attempt does. `value` may be a function of the decoded inputs and the spec; `busy` never ends."""

    outcome: str = "succeeded"
    seconds: float = 0.01
    value: Any = 1
    stdout: tuple[str, ...] = ()
    payload: dict[str, Any] = field(default_factory=dict)
    busy: bool = False
    crash: BaseException | None = None
    silent: bool = False
    """The stream ends without an end."""
    deaf: bool = False
    """Cancel does nothing."""


def worker(name, *, capacity=1, **values):
    values.setdefault("boot_id", f"boot-{name}")
    values.setdefault("modules", frozenset({"numpy", "pandas"}))
    values.setdefault("packages", {"numpy": "2.0", "pandas": "3.0"})
    values.setdefault("health", WorkerHealth.READY)
    return WorkerState(worker_id=name, capacity=capacity, **values)


class FakeEngine:
    """Keeps the Engine contract. `script` maps a subtask id to the acts of its attempts in turn; the last repeats."""

    def __init__(self, blobs, *, workers=None, script=None):
        self.blobs = blobs
        self.script = defaultdict(lambda: [Act()], script or {})
        self.submitted: list[AttemptSpec] = []
        self.reattached: list[AttemptSpec] = []
        self.cancelled: list[str] = []
        self.executed = Counter()
        self.running: dict[str, AttemptSpec] = {}
        self.most = Counter()
        self.acts: dict[str, Act] = {}
        self.survive = False
        """Attempts outlive their follower, as on a remote worker."""
        self._states = {state.worker_id: state for state in (workers or (worker("w1", capacity=2),))}
        self._killed: dict[str, asyncio.Event] = {}
        self._ended: dict[str, asyncio.Future] = {}
        self._queues: list[asyncio.Queue] = []
        self._tasks = set()
        self.closed = False

    async def submit(self, spec):
        self.submitted.append(spec)
        acts = self.script[spec.subtask]
        act = self.acts[spec.attempt_id] = acts[0] if len(acts) == 1 else acts.pop(0)
        here = [item for item in self.running.values() if item.worker_id == spec.worker_id]
        self.running[spec.attempt_id] = spec
        self._killed[spec.attempt_id] = asyncio.Event()
        self.most[spec.worker_id] = max(self.most[spec.worker_id], len(here) + 1)
        if act.crash is not None:
            raise act.crash
        self._ended[spec.attempt_id] = asyncio.get_running_loop().create_future()
        work = asyncio.create_task(self._work(spec, act))
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)
        try:
            yield AttemptEvent(
                type="started", id=1, data={"boot_id": self._states[spec.worker_id].boot_id, "layers": []}
            )
            for number, text in enumerate(act.stdout, 2):
                yield AttemptEvent(type="stdout", id=number, data={"text": text})
            if act.silent:
                return
            yield AttemptEvent(type="ended", id=99, data=await asyncio.shield(self._ended[spec.attempt_id]))
        finally:
            if not self.survive:
                work.cancel()
                self.running.pop(spec.attempt_id, None)

    async def reattach(self, spec, after_id=0):
        self.reattached.append(spec)
        if spec.attempt_id not in self._ended or not self.survive:
            yield AttemptEvent(type="ended", data={"outcome": "lost", "reason": "nobody knows it"})
            return
        yield AttemptEvent(type="ended", id=99, data=await asyncio.shield(self._ended[spec.attempt_id]))

    async def cancel(self, attempt_id, worker_id):
        self.cancelled.append(attempt_id)
        if attempt_id in self._killed and not self.acts[attempt_id].deaf:
            self._killed[attempt_id].set()

    async def workers(self):
        queue = asyncio.Queue()
        self._queues.append(queue)
        for state in self._states.values():
            yield state
        while True:
            yield await queue.get()

    def snapshot(self):
        return tuple(self._states.values())

    async def close(self):
        self.closed = True

    def change(self, name, **values):
        """A worker changes, or is new."""
        state = replace(self._states[name], **values) if name in self._states else worker(name, **values)
        self._states[name] = state
        for queue in self._queues:
            queue.put_nowait(state)

    def remove(self, name):
        """A worker is no longer there; another one's state is told next."""
        del self._states[name]
        for queue in self._queues:
            for state in self._states.values():
                queue.put_nowait(state)

    async def _work(self, spec, act):
        killed = self._killed[spec.attempt_id]
        try:
            await asyncio.wait_for(killed.wait(), None if act.busy else act.seconds)
            payload = {"outcome": "cancelled"}
        except TimeoutError:
            payload = self._outcome(spec, act)
        self.running.pop(spec.attempt_id, None)
        payload = {"worker": spec.worker_id, "seconds": act.seconds, **payload}
        self._ended[spec.attempt_id].set_result(payload)

    def _outcome(self, spec, act):
        if act.outcome not in {"lost", "rejected"}:
            self.executed[spec.subtask, spec.shard] += 1
        if act.outcome != "succeeded":
            return {"outcome": act.outcome, **act.payload}
        value = act.value
        if callable(value):
            inputs = {n: values.decode(values.from_ref(ref, self.blobs.get)) for n, ref in spec.inputs.items()}
            value = value(inputs, spec)
        ref = values.to_ref(values.encode(value), INLINE_BYTES, lambda _sha, data: self.blobs.put(data))
        return {"outcome": "succeeded", "result": {"value": ref}, **act.payload}
