"""Advice: drafts, reports, texts for any chat, and what all of it would send and cost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.advice import changes
from nadg_kernel.advice.asking import Samples, able, asked, chat, chosen, receiver
from nadg_kernel.advice.changes import Change, Changes
from nadg_kernel.errors import PlannerError
from nadg_kernel.evidence import result_text
from nadg_kernel.planners.preview import Preview, report_step, sent_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from nadg_kernel.costs import Cost
    from nadg_kernel.data import Attached
    from nadg_kernel.model import Plan
    from nadg_kernel.planners.base import Briefing, Planner, Tell
    from nadg_kernel.run import Run
    from nadg_kernel.stores.base import Store

REPORT_BY_CHAT = (
    "gemini can, with GEMINI_API_KEY; so can any chat, by copy and paste: grid.prompt(run=run) gives the text to copy, "
    "its answer is the report (a new plan: grid.prompt and grid.paste)"
)
_REPORT_HOLDS = "your command and the run's results as text, of tables their first rows"
_SENDS_NOTHING = frozenset({"recipes"})


class Advice(Changes):
    """Asks planners on the grid's loop."""

    def draft(
        self,
        planner: str | Planner,
        command: str,
        data: Mapping[str, object] | None,
        tell: Tell | None,
        samples: Samples = 0,
    ) -> Future[Plan]:
        """A draft, without waiting for it. Raises DataError at once, and SettingsError for an unknown planner."""
        who = chosen(planner, self._settings)
        wanted, attached, rows = self._command(command, data, samples)

        async def drafted() -> Plan:
            briefing = await self._briefing(attached, rows)
            return _finished(await asked(who, lambda: who.draft(wanted, briefing, tell)), briefing)

        return self._loop.submit(drafted())

    def report(self, planner: Planner, run: Run) -> str:
        """A Markdown report over the run's results, as text of at most 60,000 characters together."""
        method = able(planner, "synthesize", f"write a report: {REPORT_BY_CHAT}")
        results = _results(run)
        text: str = self._loop.run(asked(planner, lambda: method(run.plan, results)))
        return text

    def prompt(
        self,
        planner: str | Planner,
        command: str,
        data: Mapping[str, object] | None,
        answer: str | None = None,
        samples: Samples = 0,
    ) -> str:
        """The text for a chat, and what a model would be sent first; with `answer` for a second round after it."""
        wanted, attached, rows = self._command(command, data, samples)
        briefing = self._loop.run(self._briefing(attached, rows))
        if answer is not None:
            return chat().again(answer, wanted, briefing)
        text: str = getattr(chosen(planner, self._settings), "preview", chat().prompt)(wanted, briefing)
        return text

    def paste(self, answer: str, command: str, data: Mapping[str, object] | None) -> Plan:
        """The draft of a chat's answer, checked as any other."""
        wanted, attached, _ = self._command(command, data, 0)
        briefing = self._loop.run(self._briefing(attached))
        return _finished(chat().read(answer, wanted, briefing).plan, briefing)

    def preview(
        self, planner: str | Planner, command: str, data: Mapping[str, object] | None, samples: Samples = 0
    ) -> Preview:
        """All that a draft would send, without sending it."""
        who, ask = chosen(planner, self._settings), self._command(command, data, samples)
        wanted, attached, rows = ask
        briefing = self._loop.run(self._briefing(attached, rows))
        steps = getattr(who, "steps", None)
        shown = () if steps is None else tuple(steps(wanted, briefing))
        return Preview(
            planner=who.name,
            model=receiver(who),
            steps=shown,
            data=sent_data(wanted.data if shown else {}, rows),
            known=steps is not None or who.name in _SENDS_NOTHING,
        )

    def preview_change(self, planner: Planner, change: Change) -> Preview:
        """The one request of a change."""
        return Preview(
            planner=planner.name,
            model=receiver(planner),
            steps=(self.change_step(change),),
            data=sent_data(change.plan.data, {}),
            holds=change.holds,
        )

    def preview_report(self, planner: Planner, run: Run) -> Preview:
        """The one request of `report`; what it holds of data are results, as its text shows."""
        step = report_step(run.plan, _results(run))
        return Preview(planner=planner.name, model=receiver(planner), steps=(step,), holds=_REPORT_HOLDS)

    async def cost(self, planner: Planner, plan: Plan, attached: Mapping[str, Attached], store: Store) -> Cost:
        """What running a plan takes. Counting is for the planner's model; where it cannot, lengths are estimated."""
        from nadg_kernel.costs import cost
        from nadg_kernel.estimates import earlier, estimate

        data = {name: item.schema for name, item in attached.items()}
        whole = replace(plan, data={**plan.data, **data}) if data else plan
        time = estimate(whole, await earlier(store, whole), self._fleet.engine.snapshot())
        words, by = await _counted(planner, whole)
        return cost(whole, time, words, by)


def change_of(words: str, plan: Plan | None, run: Run | None, subtask: str | None) -> Change | None:
    """Which change these ask for: of a plan, or of a run a repair or what comes next; None: none."""
    if run is not None and subtask is not None:
        return changes.repair(run, subtask)
    if run is not None:
        return changes.follow_up(run, words) if words.strip() else None
    return None if plan is None else changes.revision(plan, words, subtask)


def _finished(plan: Plan, briefing: Briefing) -> Plan:
    """A draft with what it is checked against; that rows were sent is kept with it."""
    if briefing.samples:
        plan = replace(plan, planner={**plan.planner, "samples": sorted(briefing.samples)})
    return plan.with_context(briefing.context)


def _results(run: Run) -> dict[str, str]:
    return {name: result_text(run, name) for name in run.plan.ids}


async def _counted(planner: Planner, plan: Plan) -> tuple[dict[str, int], str]:
    """Tokens of each prompt's own words as the planner's model counts them, and its name; nothing where it cannot."""
    prompts = {item.id: item.code for item in plan.subtasks if item.kind == "prompt" and item.code.strip()}
    model = getattr(planner, "model", None)
    if not prompts or model is None:
        return {}, ""
    try:
        async with model.session():
            return {name: await model.count(text) for name, text in prompts.items()}, receiver(planner)
    except PlannerError:
        return {}, ""  # no key or no reach: the cost says that it is estimated
