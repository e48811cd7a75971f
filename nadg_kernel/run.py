"""Run: the live handle of one execution. It shows itself, can be awaited, and takes intents from any thread."""

from __future__ import annotations

import asyncio
import json
import uuid
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg_kernel.budget import Spending
from nadg_kernel.errors import EditError, NadgError, PlannerError, StaleEpoch
from nadg_kernel.model import RunState
from nadg_kernel.progress import RunProgress
from nadg_kernel.results import ResultView
from nadg_kernel.runner import Cancel, Hold, Rerun, Revise, Runner, Skip
from nadg_kernel.runview import run_html, run_text
from nadg_kernel.values import decode, from_ref

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Generator, Iterable, Mapping

    import pandas as pd

    from nadg_kernel.budget import Budget
    from nadg_kernel.engines.base import Blobs
    from nadg_kernel.loop import BackgroundLoop
    from nadg_kernel.model import Event, Plan

PUSH_S = 0.2
"""At most five repaints a second of the cell's output."""


class Run:
    """One execution of an approved plan.

    `await run` or `run.wait()` returns the run when nothing runs and nothing can; it does not raise when a subtask
    failed, for that is a result: look at `run.state` and `run["subtask"]`.
    """

    def __init__(
        self, runner: Runner, *, plan: Plan, loop: BackgroundLoop, blobs: Blobs, data: Mapping[str, Any]
    ) -> None:
        """Wrap a runner that has not started; `Grid.run` does this."""
        self.id: str = runner.run_id
        self.plan = plan
        self.progress = RunProgress(plan)
        self.spending = Spending(plan)
        self.budget: Budget | None = None
        self.reporter: weakref.WeakMethod[Callable[[Run], str]] | None = None
        self._runner, self._loop, self._blobs, self._data = runner, loop, blobs, data
        self._listeners: list[Callable[[Event], None]] = []
        self._settled = asyncio.Event()
        self._driving = False
        self._error: BaseException | None = None
        self._display_id = ""
        self._shown_in = ""
        self._push_pending = False
        self._stopped = False

    @property
    def state(self) -> RunState:
        """The run's state now."""
        return self.progress.state

    @property
    def ok(self) -> bool:
        """Whether every subtask succeeded."""
        return self.state is RunState.SUCCEEDED

    def backlog(self) -> Mapping[frozenset[str], int]:
        """Shards that only want for a place, by the labels that a worker must offer; on the loop's thread."""
        return self._runner.backlog()

    def busy(self) -> Mapping[str, int]:
        """How many of its attempts each worker carries now; on the loop's thread."""
        return self._runner.busy()

    def start(self) -> Run:
        """Begin to drive the run in the background. `Grid.run` does this."""
        self._loop.call(self._drive)
        return self

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with each event, on the loop's thread, after `progress` took it in; gives the way to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def wait(self, timeout: float | None = None) -> Run:
        """Wait (seconds; None without end). Ctrl-C stops the waiting and never the run. Raises TimeoutError."""
        future = self._loop.submit(self._wait_settled())
        left = timeout
        try:
            while True:
                step = 0.5 if left is None else min(0.5, left)
                try:
                    future.result(step)
                    break
                except FutureTimeout:
                    if future.done():
                        raise
                    self._push()  # from here too: where background updates do not render, a waiting cell shows them
                    if left is not None and (left := left - step) <= 0:
                        message = f"run {self.id} is still {self.state} after {timeout:g} s; it goes on"
                        raise TimeoutError(message) from None
        finally:
            future.cancel()
        self._push()
        return self

    def __await__(self) -> Generator[Any, None, Run]:
        """Wait in a notebook cell or coroutine."""
        return self._awaited().__await__()

    def cancel(self, subtask: str | None = None) -> None:
        """Cancel one subtask, or the whole run. Returns at once."""
        self._request(Cancel(subtask=self._known(subtask)))

    def hold(self, subtask: str | None = None, on: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as English
        """Hold back what has not started, or release it with `on=False`."""
        self._request(Hold(subtask=self._known(subtask), on=on))

    def allow(self, budget: Budget | None) -> None:
        """Change what the run may spend, None without limit, and let what an earlier budget holds go on."""
        self.budget = budget

        def enqueue() -> None:
            if self._stopped:
                self._stopped = False
                self._runner.request(Hold(on=False))
                self._drive()
            self._mind_time()

        self._loop.call(enqueue)

    def skip(self, subtask: str) -> None:
        """Skip a subtask that has not ended, and with it what depends on it."""
        self._request(Skip(subtask=str(self._known(subtask))))

    def rerun(self, subtask: str) -> None:
        """Run a subtask and its descendants again; the rest keeps its results."""
        self._request(Rerun(subtask=str(self._known(subtask))))

    def revise(self, plan: Plan) -> None:
        """Go on with an approved revision of the plan: what changed and its descendants run again."""
        from nadg_kernel.errors import PlanNotApproved

        if not plan.approved:
            raise PlanNotApproved(plan.command)
        self.plan = self.spending.plan = plan
        self.progress.revise(plan)
        self._request(Revise(plan=plan))

    def __getitem__(self, subtask: str) -> ResultView:
        """The result of a subtask. Raises EditError listing the ids when there is no such one."""
        name = str(self._known(subtask))
        item, mapped = self.progress.subtasks[name], self.plan[name].map is not None
        return ResultView(item, self._blobs, mapped=mapped, to_cell=lambda: self.to_cell(name))

    def results(self) -> dict[str, Any]:
        """Id -> Python value of every subtask that succeeded."""
        return {name: self[name].value for name, item in self.progress.subtasks.items() if item.state.good}

    def frame(self) -> pd.DataFrame:
        """One row per subtask: id, title, state, worker, seconds, attempts, shards, error."""
        import pandas as pd

        rows = [
            {
                "id": item.id,
                "title": item.title,
                "state": str(item.state),
                "worker": item.worker,
                "seconds": item.seconds,
                "attempts": item.attempts,
                "shards": item.shard_count or len(item.shards),
                "error": None if item.error is None else f"{item.error.get('type')}: {item.error.get('message')}",
            }
            for item in self.progress.subtasks.values()
        ]
        columns = ["id", "title", "state", "worker", "seconds", "attempts", "shards", "error"]
        return pd.DataFrame(rows, columns=columns).astype({"seconds": "float64"})

    def inputs(self, subtask: str, shard: int = 0) -> dict[str, Any]:
        """What the code of a subtask saw as `inputs`, to look at or to debug with; RunFailed where one is missing."""
        from nadg_kernel.data import split_value

        item = self.plan[subtask]
        out: dict[str, Any] = {}
        for name in item.inputs:
            encoded = self[name].encoded() if name in self.plan.ids else from_ref(self._data[name], self._blobs.get)
            if item.map is not None and item.map.over == name:
                encoded = split_value(encoded, item.map)[shard]
            out[name] = decode(encoded)
        return out

    def to_cell(self, subtask: str) -> None:
        """Put a subtask's code into the next cell, to run here on its real inputs (see `%%subtask`)."""
        from IPython import get_ipython

        shell = get_ipython()
        text = f"%%subtask {self._known(subtask)} {self.id}\n{self.plan[subtask].code}"
        if shell is None:
            print(text)  # noqa: T201 - without a notebook the next best place is the terminal
        else:
            shell.set_next_input(text)

    def export(self, path: str | Path) -> Path:
        """Write one offline HTML file: results and figures, plan, edits, approval, and what ran where."""
        from nadg_kernel.documents import report_page

        shown = {name: self[name].bundles() for name in self.progress.subtasks}
        target = Path(path)
        target.write_text(report_page(self.id, self.plan, self.progress, shown), encoding="utf-8")
        return target

    def to_notebook(self, path: str | Path) -> Path:
        """Write a plain notebook that reruns the plan without this package; its data goes into a folder beside it."""
        from nadg_kernel.documents import plain_notebook

        target = Path(path)
        folder = target.with_name(f"{target.stem}_data")
        notebook = plain_notebook(self.plan, self._data, self._blobs.get, folder)
        target.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return target

    def report(self) -> str:
        """A report in Markdown by the planner of its grid: see `Grid.report`. Raises PlannerError."""
        ask = self.reporter() if self.reporter is not None else None
        if ask is None:
            raise PlannerError("this run has no grid any more: another grid's report(run) takes it")
        return ask(self)

    def compare(self, other: Run) -> pd.DataFrame:
        """One row per subtask of either run: states, seconds, and whether code and result are the same."""
        import pandas as pd

        from nadg_kernel.documents import compare_rows

        def same(name: str) -> bool | None:
            mine, theirs = self[name], other[name]
            return mine.encoded() == theirs.encoded() if mine.state.good and theirs.state.good else None

        return pd.DataFrame(compare_rows(self.progress, other.progress, same))

    def __repr__(self) -> str:
        """The run as plain text."""
        return f"Run {self.id}\n{run_text(self.progress)}"

    def _ipython_display_(self) -> None:
        self.show()

    def show(self) -> None:
        """Show the run in this cell and keep it up to date; when it ends, what stays is static."""
        from IPython import get_ipython
        from IPython.display import display

        shell = get_ipython()
        if shell is None:
            return
        here = str(getattr(getattr(shell, "display_pub", None), "parent_header", {}) or "")
        if self._display_id and here and here == self._shown_in:
            return  # grid.run showed it already in this very cell
        self._display_id, self._shown_in = uuid.uuid4().hex, here
        display(self._bundle(), raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]

    def _bundle(self) -> dict[str, str]:
        return {"text/plain": run_text(self.progress), "text/html": run_html(self.progress)}

    def _known(self, subtask: str | None) -> str | None:
        if subtask is not None and subtask not in self.progress.subtasks:
            message = f"no subtask {subtask!r} in this run (there are: {', '.join(self.progress.subtasks)})"
            raise EditError(message)
        return subtask

    def _request(self, intent: Cancel | Hold | Skip | Rerun | Revise) -> None:
        def enqueue() -> None:
            self._runner.request(intent)
            self._drive()

        self._loop.call(enqueue)

    def _drive(self) -> None:
        if self._driving:
            return
        self._driving = True
        self._settled.clear()
        self._error = None
        self._loop.spawn(self._driven())
        self._mind_time()

    async def _driven(self) -> None:
        try:
            await self._runner.run()
        except StaleEpoch as error:
            self.progress.state, self.progress.reason = RunState.INTERRUPTED, str(error)
        except NadgError as error:
            self._error = error
            self.progress.state, self.progress.reason = RunState.FAILED, str(error)
        except BaseException as error:
            self._error = error
            self.progress.state, self.progress.reason = RunState.FAILED, f"internal error: {error!r}"
            raise
        finally:
            self._driving = False
            self._settled.set()
            self._push()

    def on_store(self, store: str, reason: str, caught_up: int) -> None:
        """Show that the replica of the history is away (`reason`), or back; on the loop's thread."""
        self._runner.note_store(store, reason, caught_up)

    async def detach(self) -> None:
        """Let go of the run without cancelling it: it can be resumed. On the loop; `Grid.close` does this."""
        await self._runner.close()

    def on_event(self, event: Event) -> None:
        """Take in one event of the runner; on the loop's thread."""
        self.progress.apply(event)
        self.spending.apply(event)
        self._mind_budget(event.at)
        for listener in tuple(self._listeners):
            listener(event)
        if not self._push_pending and self._display_id:
            self._push_pending = True
            self._loop.later(PUSH_S, self._push_later)

    def replay(self, events: Iterable[Event]) -> None:
        """Take in what was journalled before this run was resumed; `Grid.resume` does this."""
        for event in events:
            self.progress.apply(event)
            self.spending.apply(event)
        self._stopped = bool(self.progress.held_because)

    def _mind_budget(self, at: datetime) -> None:
        """Hold what has not started once the budget is used up; on the loop's thread."""
        if self.budget is None or self._stopped or self.state is not RunState.RUNNING:
            return
        if reason := self.spending.over(self.budget, at):
            self._stopped = True
            self._runner.request(Hold(by="budget", reason=f"{reason}: run.allow(Budget(...)) lets it go on"))

    def _mind_time(self) -> None:
        """Look again when the budget's seconds are over: a run that waits has no events."""
        if self.budget is None or self.budget.seconds is None or self._stopped or not self._driving:
            return
        now = datetime.now(UTC)
        self._mind_budget(now)
        if not self._stopped:
            left = self.budget.seconds - self.spending.seconds(now)
            self._loop.later(max(left, 0.01), self._mind_time)

    def _push_later(self) -> None:
        self._push_pending = False
        self._push()

    def _push(self) -> None:
        """Update the cell's output in place; display_id updates may come from any thread."""
        if not self._display_id:
            return
        from IPython import get_ipython
        from IPython.display import display

        shell = get_ipython()
        if shell is not None and hasattr(shell, "kernel"):
            display(self._bundle(), raw=True, display_id=self._display_id, update=True)  # type: ignore[no-untyped-call]

    async def _wait_settled(self) -> None:
        await self._settled.wait()
        if self._error is not None:
            raise self._error

    async def _awaited(self) -> Run:
        future = asyncio.wrap_future(self._loop.submit(self._wait_settled()))
        try:
            while not (await asyncio.wait({future}, timeout=0.5))[0]:
                self._push()
            await future
        finally:
            future.cancel()
        self._push()
        return self


def wired(run_id: str, plan: Plan, data: Mapping[str, Any], *, loop: BackgroundLoop, blobs: Blobs, **more: Any) -> Run:
    """A run with its runner, each knowing the other; `more` is what the Runner takes besides."""
    made: list[Run] = []

    def listen(event: Event) -> None:
        made[0].on_event(event)

    runner = Runner(run_id=run_id, plan=plan, data=data, blobs=blobs, listener=listen, **more)
    made.append(Run(runner, plan=plan, loop=loop, blobs=blobs, data=data))
    return made[0]
