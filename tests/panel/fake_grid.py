"""A grid without workers: real planner, data and loop; subtasks run in this very process, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

from nadg_kernel.data import attach, split_value
from nadg_kernel.engines.base import WorkerHealth, WorkerState
from nadg_kernel.errors import WorkerError
from nadg_kernel.loop import BackgroundLoop
from nadg_kernel.model import Command, Context, Event, EventType, Plan, Result
from nadg_kernel.planners.base import Briefing, PlannerProgress
from nadg_kernel.planners.recipes import RecipesPlanner
from nadg_kernel.planners.recipes.suggest import suggest
from nadg_kernel.progress import RunProgress
from nadg_kernel.rehearsal import rehearsed
from nadg_kernel.results import ResultView
from nadg_kernel.settings import load_settings
from nadg_kernel.stores.blobs import BlobStore
from nadg_kernel.values import decode, encode, from_ref, mime_bundle, to_ref

LAYERS = {"landlock": "active", "seccomp": "active", "rlimits": "active"}


class FakeGrid:
    """`step_s` slows each subtask down; `planner` may be any object with an async `draft`."""

    store_name = "SQLite"

    def __init__(self, home, *, step_s=0.0, planner=None, workers=2, lost=None):
        self.settings = replace(load_settings({}), home=home)
        self.loop = BackgroundLoop()
        self.blobs = BlobStore(home / "blobs")
        self.planner = planner or RecipesPlanner()
        self.step_s = step_s
        self.listeners = []
        self.started = []
        self.runs_here = {}
        self.plans = lost or {}
        self.lost = list(self.plans)
        self.asked, self.drafts = [], []
        self.states = tuple(
            WorkerState(
                worker_id=f"local-{n}", health=WorkerHealth.READY, local=True, latency_ms=2.0 + n, sandbox=LAYERS
            )
            for n in range(1, workers + 1)
        )

    @property
    def planner_name(self):
        return self.planner.name

    def worker_states(self):
        return self.states

    def on_workers(self, listener):
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell_workers(self, *states):
        self.states = states
        for listener in self.listeners:
            self.loop.call(listener, states)

    def draft(self, command, data=None, *, tell=None, planner=None, samples=0):
        self.drafts.append((planner, samples))
        attached = self._attach(data)
        schemas = {name: item.schema for name, item in attached.items()}

        async def drafted():
            if tell:
                tell(PlannerProgress(text="Matching recipes"))
            plan = await self.planner.draft(Command(text=command, data=schemas), Briefing(), tell)
            return plan.with_context(self._context(attached))

        return self.loop.submit(drafted())

    def check(self, plan, data=None):
        return plan.with_context(self._context({**plan.context.attached, **self._attach(data)}))

    def suggest(self, data=None):
        return suggest({name: item.schema for name, item in self._attach(data).items()})

    def run(self, plan, data=None, *, show=True):
        assert not show
        return self._play(plan, data)

    def rehearse(self, plan, data=None, *, rows, subtask=None, show=True):
        assert not show
        return self._play(rehearsed(plan, subtask), data, rehearsal=True)

    def resume(self, run_id, *, show=True):
        self.lost.remove(run_id)
        return self._play(self.plans[run_id], None)

    def unfinished(self):
        return list(self.lost)

    def estimate(self, plan, data=None):
        return SimpleNamespace(time_text="about 2 s", tokens_text="")

    def revise(self, plan, words="", subtask=None, *, answer=None, planner=None):
        self.asked.append((words, subtask, answer))
        return self.proposal(plan)

    def repair(self, run, subtask, *, planner=None):
        self.asked.append((run.id, subtask))
        return self.proposal(run.plan)

    def prompt(self, command, data=None, *, plan=None, planner=None, samples=0):
        rows = f" with rows of {', '.join(samples)}" if samples else ""
        return f"prompt for {command}{rows}"

    def prompt_preview(self, command="", data=None, *, planner=None, samples=0):
        return SimpleNamespace(line="Nothing is sent")

    def paste(self, answer, command, data=None):
        attached = self._attach(data)
        plan = Plan.from_json({**json.loads(answer), "command": command})
        return replace(plan, draft=plan.subtasks).with_context(self._context(attached))

    def add_worker(self, url):
        if not url.startswith("https://"):
            raise WorkerError(f"{url} is not https")
        return "added"

    def remove_worker(self, worker):
        self.tell_workers(*(state for state in self.states if state.worker_id != worker))

    def ping(self):
        import pandas as pd

        return pd.DataFrame([{"worker_id": "far", "status": "ready", "seconds": 0.25, "reason": ""}])

    def _play(self, plan, data, *, rehearsal=False):
        attached = {**plan.context.attached, **self._attach(data)}
        run = FakeRun(self, plan, {name: item.ref for name, item in attached.items()})
        run.rehearsal = rehearsal
        self.started.append(run)
        self.runs_here[run.id] = run
        self.loop.spawn(run.play())
        return run

    def runs(self, **filters):
        import pandas as pd

        rows = [{"run_id": run.id, "state": str(run.state), "command": run.plan.command} for run in self.started]
        rows += [{"run_id": name, "state": "running", "command": self.plans[name].command} for name in self.lost]
        return pd.DataFrame(row for row in rows if filters.get("text", "") in row["command"])

    def attempts(self, **filters):
        import pandas as pd

        return pd.DataFrame()

    history = attempts

    def close(self):
        self.loop.close()

    def _attach(self, data):
        return {
            name: value if hasattr(value, "ref") else attach(name, value, self.blobs)
            for name, value in (data or {}).items()
        }

    def _context(self, attached):
        modules = frozenset({"numpy", "pandas", "plotly", "vaderSentiment"})
        problems = tuple(problem for item in attached.values() for problem in item.problems)
        return Context(modules=modules, labels=frozenset(), data_problems=problems, attached=attached)


class FakeRun:
    def __init__(self, grid, plan, data):
        self.grid, self.plan, self.data = grid, plan, data
        self.id = f"run-{len(grid.started) + 1}"
        self.progress = RunProgress(plan)
        self.listeners = []
        self.asked = []
        self.seq = 0
        self.cancelled = self.rehearsal = False
        self.values = {}

    @property
    def state(self):
        return self.progress.state

    def subscribe(self, listener):
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def cancel(self, subtask=None):
        self.asked.append(("cancel", subtask))
        self.cancelled = True

    def hold(self, subtask=None, on=True):
        self.asked.append(("hold" if on else "release", subtask))

    def skip(self, subtask):
        self.asked.append(("skip", subtask))

    def rerun(self, subtask):
        self.asked.append(("rerun", subtask))

    def revise(self, plan):
        self.plan = plan
        self.progress.revise(plan)
        self.asked.append(("revise", plan.approved))

    def __getitem__(self, subtask):
        return ResultView(self.progress.subtasks[subtask], self.grid.blobs, mapped=self.plan[subtask].map is not None)

    def tell(self, kind, subtask=None, shard=None, **payload):
        self.seq += 1
        event = Event(
            run_id=self.id, epoch=1, seq=self.seq, at=datetime.now(UTC), type=kind, subtask=subtask, shard=shard,
            payload=payload,
        )  # fmt: skip
        self.progress.apply(event)
        for listener in tuple(self.listeners):
            listener(event)

    async def play(self):
        self.tell(EventType.RUN_STARTED, rehearsal=self.rehearsal)
        bad = set()
        for name in self.plan.order():
            if self.cancelled or bad & set(self.plan[name].depends_on):
                bad.add(name)
                state = "cancelled" if self.cancelled else "skipped"
                self.tell(EventType.SUBTASK_STATE, name, state=state, reason="")
            elif not await self._subtask(self.plan[name]):
                bad.add(name)
        state = "cancelled" if self.cancelled else "failed" if bad else "succeeded"
        self.tell(EventType.RUN_ENDED, state=state)

    async def _subtask(self, item):
        inputs = {
            name: self.values[name] if name in self.values else decode(from_ref(self.data[name], self.grid.blobs.get))
            for name in item.inputs
        }
        pieces = [inputs]
        if item.map is not None:
            parts = split_value(encode(inputs[item.map.over]), item.map)
            pieces = [{**inputs, item.map.over: decode(part)} for part in parts]
        self.tell(EventType.SHARDS_FIXED, item.id, count=len(pieces))
        self.tell(EventType.SUBTASK_STATE, item.id, state="running")
        values = []
        for number, piece in enumerate(pieces):
            worker = f"local-{number % 2 + 1}"
            self.tell(EventType.ATTEMPT_INTENDED, item.id, number, worker=worker, number=1)
            began = time.monotonic()
            for part in range(1, 5):
                await asyncio.sleep(self.grid.step_s / 4 / len(pieces))
                self.tell(EventType.ATTEMPT_PROGRESS, item.id, number, fraction=part / 5)
            ended = self._execute(item, piece, number, len(pieces))
            ended["seconds"] = time.monotonic() - began
            self.tell(EventType.ATTEMPT_ENDED, item.id, number, worker=worker, layers=list(LAYERS), **ended)
            values.append(self.last)
        good = all(shard.state.good for shard in self.progress.subtasks[item.id].shards.values())
        self.values[item.id] = values if item.map is not None else values[0]
        self.tell(EventType.SUBTASK_STATE, item.id, state="succeeded" if good else "failed")
        return good

    def _execute(self, item, inputs, shard, shards):
        displays, out = [], io.StringIO()

        def keep(value):
            return to_ref(encode(value), 64 * 1024, lambda _sha, data: self.grid.blobs.put(data))

        scope = {
            "inputs": inputs, "shard": shard, "shards": shards, "result": None, "progress": lambda *_: None,
            "display": lambda value: displays.append(keep_bundle(value)),
        }  # fmt: skip

        def keep_bundle(value):
            from nadg_kernel.values import Encoded, dumps

            encoded = Encoded(format="mime", data=dumps(mime_bundle(value)).encode())
            return to_ref(encoded, 64 * 1024, lambda _sha, data: self.grid.blobs.put(data))

        self.last = None
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(item.code, item.id, "exec"), scope)  # noqa: S102 - the tests' own code
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
            line = error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else None
            told = {"type": type(error).__name__, "message": str(error), "line": line}
            told["traceback"] = "".join(traceback.format_exception_only(error))
            self.tell(EventType.ATTEMPT_PROGRESS, item.id, shard, stdout=out.getvalue())
            return {"outcome": "failed", "error": told}
        self.last = scope["result"]
        self.tell(EventType.ATTEMPT_PROGRESS, item.id, shard, stdout=out.getvalue())
        result = Result(value=keep(self.last), displays=tuple(displays), stdout=out.getvalue())
        return {"outcome": "succeeded", "result": result.to_json(), "usage": {"memory_mb": 84}}
