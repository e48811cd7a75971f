"""Grid: the front door. It wires planner, store, engine and runs, and keeps no logic of theirs."""

from __future__ import annotations

import atexit
import sys
import uuid
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from nadg_kernel.advice import Advice, chosen
from nadg_kernel.attachments import attach_all, needed
from nadg_kernel.autoscaling import Autoscale, Autoscaler
from nadg_kernel.budget import Budget
from nadg_kernel.deploy.access import SpaceAccess
from nadg_kernel.errors import PlanFileError, PlanHasProblems, PlannerError, PlanNotApproved, RunNotFound
from nadg_kernel.estimates import expected
from nadg_kernel.fleet import Fleet
from nadg_kernel.grid.frames import Frames
from nadg_kernel.grid.planning import Planning
from nadg_kernel.grid.scaling import HubHost
from nadg_kernel.grid.workforce import Workforce
from nadg_kernel.loop import BackgroundLoop
from nadg_kernel.model import EventType, Plan
from nadg_kernel.offers import Offers, find_offers
from nadg_kernel.registry import Registry
from nadg_kernel.rehearsal import ROWS, rehearsed, sampled
from nadg_kernel.run import Run, wired
from nadg_kernel.settings import Settings, load_settings
from nadg_kernel.stores.blobs import BlobStore
from nadg_kernel.stores.making import make_store
from nadg_kernel.stores.owners import this_owner
from nadg_kernel.stores.retention import parse_age, prune
from nadg_kernel.stores.supabase_errors import SupabaseUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path

    from nadg_kernel.planners.base import Planner
    from nadg_kernel.stores.replica import ReplicaState


class Grid(Planning, Workforce, Frames):
    """Plans, workers, runs and their history.

    Without keys: recipes, local workers and SQLite. `planner` is a name or an object with `draft`; `local_workers` how
    many to start here; `home` where journal, blobs and plans are kept; `autoscale` how many workers there may be at
    most (see `autoscale`; off without). `engine` is a Dask cluster to run on instead, as `dask://HOST:PORT` or a
    `distributed.Client`: its workers are used, and local ones only with `local_workers`. Everything else comes from
    the environment.
    """

    def __init__(
        self,
        *,
        planner: str | Planner | None = None,
        local_workers: int | None = None,
        home: str | Path | None = None,
        settings: Settings | None = None,
        autoscale: Autoscale | int | None = None,
        engine: object = None,
    ) -> None:
        """Open the store and begin to start the workers. Raises SettingsError or StoreError.

        With `engine` also WorkerError where the cluster cannot be used, and MissingExtra without Dask.
        """
        self.settings = settings or load_settings()
        if home is not None:
            from dataclasses import replace
            from pathlib import Path

            self.settings = replace(self.settings, home=Path(home).expanduser())
        self.home = self.settings.home
        self.planner: Planner = chosen(planner, self.settings)
        retention = parse_age(self.settings.retention, "NADG_RETENTION") if self.settings.retention else None
        self.loop = BackgroundLoop()
        self.blobs = BlobStore(self.home / "blobs")
        self._replica_away = ""
        self.store = make_store(self.settings, self._store_changed)
        spaces = SpaceAccess(self.settings)
        self.registry = Registry(self.store, self.settings.grid_secret, spaces)
        self.runs_here: dict[str, Run] = {}
        self._closed = False
        default = self.settings.local_workers if engine is None else 0
        self._fleet = Fleet(
            local=default if local_workers is None else local_workers,
            home=self.home,
            blobs=self.blobs,
            store=self.store,
            secret=self.settings.grid_secret,
            spaces=spaces,
            cluster=engine,
        )
        host = HubHost(self.settings) if self.settings.hf_token else None
        self._autoscaler = Autoscaler(self._fleet, lambda: tuple(self.runs_here.values()), host=lambda: host)
        self._advice = Advice(settings=self.settings, loop=self.loop, fleet=self._fleet, blobs=self.blobs)
        self._advice.previewing = partial(_previewed, weakref.ref(self))
        try:
            self.loop.run(self.store.open())
            if engine is not None:
                self.loop.run(self._fleet.connect())
            self.loop.spawn(self._fleet.start())
            if autoscale is not None:
                self.autoscale(autoscale)
            if retention is not None:
                self.loop.spawn(self._retain(retention))
        except BaseException:
            self.loop.close()
            raise
        self._at_exit = partial(_close_at_exit, weakref.WeakMethod(self.close))
        atexit.register(self._at_exit)
        self._show_offers()

    @property
    def planner_name(self) -> str:
        """What drafts plans here."""
        return self.planner.name

    @property
    def store_name(self) -> str:
        """Where the history is."""
        return "Supabase" if self.settings.supabase_url else "SQLite"

    def run(
        self,
        plan: Plan,
        data: Mapping[str, object] | None = None,
        *,
        show: bool = True,
        budget: Budget | None = None,
    ) -> Run:
        """Execute an approved plan. Returns at once with a live handle.

        `data` replaces what the plan was drafted with: new rows are fine, a changed schema is not. A `budget` that is
        used up pauses the run, and `run.allow` lets it go on. Raises PlanNotApproved, PlanFileError when the plan was
        changed since its approval, or DataError.
        """
        self._tell_errors()
        if plan.approval is None:
            raise PlanNotApproved(plan.command)
        if not plan.approved:
            message = "the plan was changed since its approval: look at it again and run plan.approve()"
            raise PlanFileError(message)
        attached = {**plan.context.attached, **attach_all(data, self.blobs)}
        wanted = needed(plan, attached)
        return self._start(plan, {name: item.ref for name, item in wanted.items()}, show=show, budget=budget)

    def rehearse(
        self,
        plan: Plan,
        data: Mapping[str, object] | None = None,
        *,
        rows: int = ROWS,
        subtask: str | None = None,
        show: bool = True,
    ) -> Run:
        """Run a draft on the first `rows` of its data, or one subtask and what it needs, before it is approved.

        Calling this approves just that: the code runs confined, without network or processes, and the journal calls
        the run a rehearsal. Raises PlanHasProblems where the part cannot run, or DataError.
        """
        self._tell_errors()
        part = rehearsed(plan, subtask)
        if blocking := [problem for problem in part.problems if problem.blocks]:
            raise PlanHasProblems(blocking)
        wanted = needed(part, {**plan.context.attached, **attach_all(data, self.blobs)})
        refs = sampled({name: item.ref for name, item in wanted.items()}, rows, self.blobs)
        return self._start(part, refs, show=show, rehearsal=True)

    def resume(self, run_id: str, *, show: bool = True) -> Run:
        """Take over a run that was interrupted: what is finished is kept, the rest goes on.

        Raises RunNotFound, or StoreError while its owner is still at it.
        """
        self._tell_errors()
        plan = self.loop.run(self.store.get_plan(run_id))
        if plan is None:
            raise RunNotFound(run_id)
        run = self.loop.run(self._resumed(run_id, plan))
        if show:
            run.show()
        return run

    def unfinished(self) -> list[str]:
        """Ids of runs in the store that have not ended and that this grid does not drive; newest first."""
        rows = self.loop.run(self.store.unfinished())
        return [row.run_id for row in rows if row.run_id not in self.runs_here]

    def offers(self) -> Offers:
        """Runs of this machine that stopped in the middle and that nobody drives, with what is done and how to go on.

        In a notebook a new Grid shows those of the last two weeks.
        """
        return self.loop.run(find_offers(self.store, since=None))

    def panel(self) -> Any:
        """The control panel over this grid, to show as the last line of a cell."""
        from nadg_kernel.panel import Panel

        return Panel(self)

    def close(self) -> None:
        """Stop the workers that this grid started and close the store. Runs that are not over can be resumed."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._at_exit)
        if self.loop.running and not self.loop.here:
            self.loop.run(self._close(), timeout=15)
            self.loop.close()

    def __enter__(self) -> Self:
        """Use as a context manager: closed at the end."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """What it is made of; no secret."""
        states = self.worker_states()
        ready = sum(state.health == "ready" for state in states)
        return f"Grid({ready} of {len(states)} workers ready, planner {self.planner_name}, history {self.store_name})"

    def _show_offers(self) -> None:
        """In a notebook, say which runs could go on; elsewhere nobody asked."""
        ipython = sys.modules.get("IPython")
        shell = None if ipython is None else ipython.get_ipython()
        if shell is not None and hasattr(shell, "kernel") and (found := self.loop.run(find_offers(self.store))):
            from IPython.display import display

            display(found)  # type: ignore[no-untyped-call]

    def _start(
        self,
        plan: Plan,
        refs: Mapping[str, Any],
        *,
        show: bool,
        rehearsal: bool = False,
        budget: Budget | None = None,
    ) -> Run:
        run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        estimates = self.loop.run(expected(self.store, plan))
        about = {} if budget is None else {"budget": budget.to_json()}
        run = self._made(run_id, plan, refs, rehearsal=rehearsal, estimates=estimates, about=about)
        run.budget = budget
        run.start()
        if show:
            run.show()
        return run

    async def _resumed(self, run_id: str, plan: Plan) -> Run:
        # Only what is read after the claim is all: until then the old owner may write, here or on another machine.
        epoch = await self.store.claim(run_id, this_owner())
        plan = await self.store.get_plan(run_id) or plan
        history = [event async for event in self.store.read(run_id)]
        begun = [event.payload for event in history if event.type is EventType.RUN_STARTED]
        refs = dict(begun[-1].get("data") or {}) if begun else {}
        estimates = await expected(self.store, plan)
        limits = begun[-1].get("budget") if begun else None
        about = {"budget": limits} if limits else {}
        run = self._made(run_id, plan, refs, epoch=epoch, history=history, estimates=estimates, about=about)
        run.budget = Budget(**limits) if limits else None
        run.replay(history)
        return run.start()

    def _made(self, run_id: str, plan: Plan, refs: Mapping[str, Any], **more: Any) -> Run:
        """A run with its runner, which this grid keeps."""
        more = {**more, "engine": self._fleet.engine, "store": self.store, "owner": this_owner()}
        run = wired(run_id, plan, refs, loop=self.loop, blobs=self.blobs, **more)
        run.reporter = weakref.WeakMethod(self.report)
        self.runs_here[run_id] = run
        if self._replica_away:
            run.on_store("Supabase", self._replica_away, 0)
        return run

    async def _retain(self, age: timedelta) -> None:
        with suppress(SupabaseUnreachable):  # that it is away is shown; the next grid prunes
            await prune(self.store, self.blobs, age)

    def _store_changed(self, state: ReplicaState) -> None:
        self._replica_away = "" if state.ok else state.reason
        for run in self.runs_here.values():
            run.on_store("Supabase", "" if state.ok else state.reason, state.caught_up)

    async def _close(self) -> None:
        self._autoscaler.close()
        for run in self.runs_here.values():
            await run.detach()
        await self._fleet.close()
        await self.store.close()


def _previewed(grid: weakref.ref[Grid], plan: Plan, words: str) -> object:
    """A plan's way to the grid that drafted it, which does not keep the grid alive."""
    if (there := grid()) is None:
        raise PlannerError("the grid that this plan came from is gone: grid.prompt_preview(words, plan=plan)")
    return there.prompt_preview(words, plan=plan)


def _close_at_exit(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    close = method()
    if close is not None:
        close()
