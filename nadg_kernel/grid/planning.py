"""Planning: what a person asks planners for, from a draft to a report, and what that would send and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.advice import chosen
from nadg_kernel.advice.changes import follow_up, repair, revision
from nadg_kernel.advice.core import change_of
from nadg_kernel.attachments import attach_all
from nadg_kernel.grid.scaling import Scaling
from nadg_kernel.planners.recipes import suggest
from nadg_kernel.planners.reporting import with_report
from nadg_kernel.usage import COLUMNS, usage_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    import pandas as pd

    from nadg_kernel.advice import Samples
    from nadg_kernel.costs import Cost
    from nadg_kernel.model import Plan
    from nadg_kernel.planners.base import Planner, Tell
    from nadg_kernel.planners.preview import Preview
    from nadg_kernel.planners.revising import Proposal
    from nadg_kernel.run import Run


class Planning(Scaling):
    """The part of the Grid that asks planners."""

    def plan(
        self,
        command: str,
        data: Mapping[str, object] | None = None,
        *,
        planner: str | Planner | None = None,
        samples: Samples = 0,
    ) -> Plan:
        """Draft a plan for a command over named data (frames, values, paths of files or folders).

        `samples` lets the planner see so many first rows, of all data or by name (`{"reviews": 3}`); it sees none
        otherwise. Raises PlannerError or DataError; the command is yours to send again.
        """
        self._tell_errors()
        return self.draft(command, data, planner=planner, samples=samples).result()

    def draft(
        self,
        command: str,
        data: Mapping[str, object] | None = None,
        *,
        tell: Tell | None = None,
        planner: str | Planner | None = None,
        samples: Samples = 0,
    ) -> Future[Plan]:
        """`plan` without waiting: `tell` hears of the progress, on the loop's thread."""
        future = self._advice.draft(planner or self.planner, command, data, tell, samples)
        future.add_done_callback(self._drafted)
        return future

    def revise(
        self,
        plan: Plan,
        words: str = "",
        subtask: str | None = None,
        *,
        answer: str | None = None,
        planner: str | Planner | None = None,
    ) -> Proposal:
        """Changes to a plan as asked for in words; nothing is changed until you take `.plan` of what this gives.

        With `subtask` all others stay. `answer` is a chat's, to `prompt(words, plan=plan)`. Raises PlannerError.
        """
        return self._advice.change(self._who(planner), revision(plan, words, subtask), answer)

    def repair(
        self, run: Run, subtask: str, *, answer: str | None = None, planner: str | Planner | None = None
    ) -> Proposal:
        """Changes after a failure, from its traceback, its code and what its inputs look like; their rows stay here.

        `run.revise(proposal.plan.approve())` takes it: what succeeded keeps its results. `answer` is a chat's, to
        `prompt(run=run, subtask=subtask)`. Raises PlannerError.
        """
        return self._advice.change(self._who(planner), repair(run, subtask), answer)

    def follow_up(
        self, run: Run, words: str, *, answer: str | None = None, planner: str | Planner | None = None
    ) -> Proposal:
        """More work over what a run gave, as asked for in words; what succeeded stays as it is.

        The planner sees what the results are, not their values. `run.revise(proposal.plan.approve())` takes it: only
        what is new or changed runs. `answer` is a chat's, to `prompt(words, run=run)`. Raises PlannerError.
        """
        return self._advice.change(self._who(planner), follow_up(run, words), answer)

    def with_report(self, plan: Plan) -> Plan:
        """The plan with a report as its last subtask: a worker that has a model writes it over the others' results.

        Raises EditError for a plan without subtasks. `report` does the same after a run, with the planner's model.
        """
        return with_report(plan)

    def usage(self, **filters: Any) -> pd.DataFrame:
        """What models really took: run_id, subtask (None: the planner), model, calls, prompt_tokens, output_tokens.

        One row per run and asker, newest run first. Filters: since, until, state, run, text, limit (of runs).
        """
        import pandas as pd

        self._tell_errors()
        labels = {state.worker_id: sorted(state.labels) for state in self._fleet.engine.snapshot()}
        models = {
            name: label.removeprefix("model:")
            for name, held in labels.items()
            for label in held
            if label[:6] == "model:"
        }
        rows = self.loop.run(usage_rows(self.store, filters, models))
        counts = dict.fromkeys(("calls", "prompt_tokens", "output_tokens"), "Int64")
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(counts)

    def report(self, run: Run) -> str:
        """A report over a run in Markdown. Sends its results as text, of tables the first rows. Raises PlannerError."""
        return self._advice.report(self.planner, run)

    def prompt(
        self,
        command: str = "",
        data: Mapping[str, object] | None = None,
        *,
        planner: str | Planner | None = None,
        plan: Plan | None = None,
        run: Run | None = None,
        subtask: str | None = None,
        answer: str | None = None,
        samples: Samples = 0,
    ) -> str:
        """Exactly what the planner would send first; of `planner="chat"`, or without a model, the text to `paste` for.

        With `plan` the text for changes to it; with `run` that for a `follow_up` in these words, for the `repair` of a
        `subtask`, or without both for its `report`. With `answer` the text for a second round after it.
        """
        if (change := change_of(command, plan, run, subtask)) is not None:
            return self._advice.change_prompt(change, answer)
        if run is not None:
            return self._advice.preview_report(self.planner, run).steps[0].text
        return self._advice.prompt(planner or self.planner, command, data, answer, samples)

    def prompt_preview(
        self,
        command: str = "",
        data: Mapping[str, object] | None = None,
        *,
        planner: str | Planner | None = None,
        plan: Plan | None = None,
        run: Run | None = None,
        subtask: str | None = None,
        samples: Samples = 0,
    ) -> Preview:
        """What would be sent, step by step, and what of your data is in it; nothing is sent by this.

        For a draft of the command, or of `plan`, `run` and `subtask` for what `prompt` says. Raises PlannerError or
        DataError.
        """
        if (change := change_of(command, plan, run, subtask)) is not None:
            return self._advice.preview_change(self.planner, change)
        if run is not None:
            return self._advice.preview_report(self.planner, run)
        return self._advice.preview(planner or self.planner, command, data, samples)

    def estimate(self, plan: Plan, data: Mapping[str, object] | None = None) -> Cost:
        """What running this plan will take: shards, calls of a model, tokens, seconds; what is not known is None.

        A planner with a model counts the tokens of the prompts' own words, if it can; what your data adds to them is
        estimated from its size and not sent.
        """
        self._tell_errors()
        sizes = {**plan.context.attached, **attach_all(data, self.blobs)}
        return self.loop.run(self._advice.cost(self.planner, plan, sizes, self.store))

    def paste(self, answer: str, command: str, data: Mapping[str, object] | None = None) -> Plan:
        """The draft of a chat's answer to `prompt`, with its problems. Raises PlannerError where no plan is in it."""
        plan = self._advice.paste(answer, command, data)
        self.loop.call(self._wake_for, plan)
        return plan

    def check(self, plan: Plan, data: Mapping[str, object] | None = None) -> Plan:
        """The same plan, checked against the workers as they are now and against this data."""
        attached = {**plan.context.attached, **attach_all(data, self.blobs)}
        return plan.with_context(self._advice.around(attached))

    def suggest(self, data: Mapping[str, object] | None = None) -> list[Any]:
        """Recipes that fit the data, each with a title, a reason and the values for `plan.add(**values)`."""
        return list(suggest({name: item.schema for name, item in attach_all(data, self.blobs).items()}))

    def _who(self, planner: str | Planner | None) -> Planner:
        return self.planner if planner is None else chosen(planner, self.settings)
