"""What the plan view is given to draw."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nadg_kernel.engines.base import WorkerHealth, WorkerState
from nadg_kernel.model import DataSchema, Event, EventType, Limits, Map, Permissions, Plan, RunState, Subtask
from nadg_kernel.panel import actions as a
from nadg_kernel.panel.graph import places
from nadg_kernel.panel.live import snapshot
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.reducer import reduce
from nadg_kernel.panel.state import PanelState
from nadg_kernel.panel.view import live_json, plan_json
from nadg_kernel.progress import RunProgress

SCORE = Subtask(
    id="score", title="Score", instruction="Score it", code="result = 1\n", map=Map(over="reviews", shards=4)
)
SCORE = replace(SCORE, inputs=("reviews",))
CHARTS = Subtask(id="charts", code="result = 2", depends_on=("score",), permissions=Permissions(network=True))
REPORT = Subtask(id="report", code="result = 3", depends_on=("score", "charts"), hold=True, labels=("gpu",))
DATA = {"reviews": DataSchema(columns=("text",), dtypes=("str",), rows=1200)}
PLAN = Plan(command="do it", goal="know", subtasks=(SCORE, CHARTS, REPORT), draft=(SCORE, CHARTS), data=DATA)
WORKERS = tuple(WorkerState(worker_id=f"local-{n}", health=WorkerHealth.READY, local=True) for n in (1, 2))


def play(state, *actions):
    for action in actions:
        state, _ = reduce(state, action)
    return state


def review(plan=PLAN, workers=WORKERS):
    state = PanelState(command="do it", draft_number=1, drafting="x", workers=workers)
    return play(state, a.Drafted(number=1, plan=plan))


def by_id(payload):
    return {item["id"]: item for item in payload["subtasks"]}


def test_nothing_is_drawn_without_a_plan():
    assert plan_json(PanelState()) == {}
    assert live_json(PanelState())["selected"] is None


def test_rows_say_what_is_special():
    rows = by_id(plan_json(review()))
    assert [tag for tag, _ in rows["score"]["tags"]] == ["map x 4", "checks pass"]
    assert rows["score"]["map"] == {"over": "reviews", "unit": "shards", "count": "4"}
    assert [tag for tag, _ in rows["charts"]["tags"]] == ["network", "checks pass"]
    assert rows["report"]["change"] == "added"
    assert rows["report"]["summary"] == "after score, charts"
    assert (rows["score"]["column"], rows["charts"]["column"], rows["report"]["column"]) == (0, 1, 2)
    assert plan_json(review())["data"] == [{"name": "reviews", "size": "1,200 x 1"}]


def test_a_changed_subtask_shows_its_difference():
    state = play(review(), a.EditField(subtask="score", field="code", value="x = 0\nresult = 1\n"))
    row = by_id(plan_json(state))["score"]
    assert row["change"] == "edited"
    assert row["diff"] == [["+", "x = 0"], ["", "result = 1"]]


def test_problems_stand_at_their_subtask_and_line():
    state = play(review(), a.EditField(subtask="charts", field="code", value="a = 1\nb = ("))
    row = by_id(plan_json(state))["charts"]
    (problem,) = row["problems"]
    assert (problem["line"], problem["blocks"]) == (2, True)
    assert ["1 problem", "bad"] in row["tags"]


def test_approval_says_what_runs_where_with_which_permissions():
    gpu = replace(WORKERS[0], worker_id="big", labels=frozenset({"gpu"}))
    plan = plan_json(review(workers=(*WORKERS, gpu)))
    approval = plan["approval"]
    assert approval["can"]
    assert approval["summary"] == "3 subtasks, 6 shards on 3 ready workers"
    assert approval["permissions"] == ["network for charts"]
    where = {row["id"]: row["will"]["where"] for row in plan["subtasks"]}
    assert where == {"score": "any of 3 workers", "charts": "any of 3 workers", "report": "big"}


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (review(workers=()), "There is no worker"),
        (review(workers=(replace(WORKERS[0], health=WorkerHealth.OFFLINE),)), "No worker can take anything"),
        (review(plan=replace(PLAN, subtasks=(replace(SCORE, code=""),))), "1 problem to fix first"),
        (replace(review(), starting=True), "being started"),
    ],
)
def test_what_hinders_an_approval_is_said(state, why):
    approval = plan_json(state)["approval"]
    assert not approval["can"]
    assert why in approval["why"]


def test_a_plan_on_a_cycle_can_still_be_drawn():
    loop = replace(PLAN, subtasks=(replace(SCORE, depends_on=("report",)), CHARTS, REPORT))
    assert set(places(loop)) == {"score", "charts", "report"}
    assert json.dumps(plan_json(review(plan=loop)))


def test_lanes_follow_their_dependencies():
    names = ("a", "b", "c", "d")
    needs = {"c": ("b",), "d": ("a",)}
    plan = Plan(command="", subtasks=tuple(Subtask(id=n, code="1", depends_on=needs.get(n, ())) for n in names))
    assert places(plan) == {"a": (0, 0), "b": (0, 1), "d": (1, 0), "c": (1, 1)}


def events(*rows):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for seq, (kind, subtask, shard, payload) in enumerate(rows, 1):
        at = start + timedelta(seconds=seq)
        yield Event(run_id="r", epoch=1, seq=seq, at=at, type=kind, subtask=subtask, shard=shard, payload=payload)


def progress_of(plan, *rows):
    progress = RunProgress(plan)
    for event in events(*rows):
        progress.apply(event)
    return progress


RUNNING = (
    (EventType.RUN_STARTED, None, None, {}),
    (EventType.SHARDS_FIXED, "score", None, {"count": 3}),
    (EventType.SUBTASK_STATE, "score", None, {"state": "running"}),
    (EventType.ATTEMPT_INTENDED, "score", 0, {"worker": "local-1"}),
    (EventType.ATTEMPT_ENDED, "score", 0, {"outcome": "succeeded", "result": {}}),
    (EventType.ATTEMPT_INTENDED, "score", 1, {"worker": "local-2"}),
    (EventType.ATTEMPT_PROGRESS, "score", 1, {"stdout": "\x1b[31mhello", "fraction": 0.5}),
)


def on_run(*rows):
    state = review()
    state = play(state, a.Approve(digest=state.plan.digest))
    shown = snapshot("r", progress_of(PLAN, *RUNNING, *rows), "score")
    return play(state, a.Started(snapshot=shown, plan=state.plan))


def test_a_run_is_drawn_from_its_snapshot():
    state = on_run()
    assert plan_json(state)["page"] == "run"
    live = live_json(state)
    assert live["run"]["done"] == 0
    assert live["run"]["counts"] == {"running": 1, "waiting": 2}
    row = live["run"]["rows"]["score"]
    assert (row["shards"], row["fraction"]) == ("srw", pytest.approx(0.5))
    assert live["output"]["stdout"] == "hello"  # without the terminal's escapes
    assert live["output"]["worker"] == "local-1, local-2"
    assert json.dumps(live)


def test_a_failure_is_shown_with_line_and_traceback():
    error = {"type": "KeyError", "message": "'date'", "line": 2, "traceback": "line 2\nKeyError: 'date'"}
    state = on_run(
        (EventType.ATTEMPT_ENDED, "score", 1, {"outcome": "failed", "error": error}),
        (EventType.SUBTASK_STATE, "score", None, {"state": "failed"}),
        (EventType.RUN_ENDED, None, None, {"state": "failed"}),
    )
    live = live_json(state)
    assert live["run"]["state"] == RunState.FAILED
    assert live["run"]["rows"]["score"]["detail"] == "KeyError: 'date' at line 2"
    assert live["output"]["error"]["traceback"].endswith("'date'")


def test_a_snapshot_does_not_change_with_its_progress():
    progress = progress_of(PLAN, *RUNNING)
    before = snapshot("r", progress)
    progress.apply(next(events((EventType.SUBTASK_STATE, "score", None, {"state": "failed"}))))
    assert before.subtasks["score"]["state"] == "running"


def test_many_shards_are_drawn_as_fewer():
    plan = replace(PLAN, subtasks=(SCORE,))
    progress = progress_of(plan, (EventType.SHARDS_FIXED, "score", None, {"count": 10_000}))
    letters = snapshot("r", progress).subtasks["score"]["shards"]
    assert letters == "w" * 400


def test_limits_are_shown_as_they_are_typed():
    item = replace(CHARTS, limits=Limits(timeout_s=0.5, memory_mb=100))
    row = by_id(plan_json(review(plan=replace(PLAN, subtasks=(SCORE, item)))))["charts"]
    assert (row["timeout_s"], row["memory_mb"], row["cache"]) == ("0.5", "100", "auto")


def test_the_review_page_shows_the_edited_plan_and_the_run_page_its_own():
    state = play(on_run(), a.EditField(subtask="score", field="title", value="Grade"))
    assert by_id(plan_json(state))["score"]["name"] == "Score"
    assert by_id(plan_json(replace(state, step=Step.REVIEW)))["score"]["name"] == "Grade"
