"""What is offered beside the plan, as JSON: rehearsal, proposed changes, answers, runs, workers, estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.display import clean_text
from nadg_kernel.model import SubtaskState
from nadg_kernel.panel.approval import count_text
from nadg_kernel.panel.code_diff import code_diff
from nadg_kernel.panel.plan_diff import plan_diff
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.rules_run import would_rerun
from nadg_kernel.panel.state import answers_of
from nadg_kernel.rehearsal import ROWS
from nadg_kernel.runview import seconds_text

if TYPE_CHECKING:
    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.model import Plan, Subtask
    from nadg_kernel.panel.records import Change, Trial
    from nadg_kernel.panel.state import PanelState

Json = dict[str, Any]
SHOWN_CHANGED = 20
"""Subtasks of a proposal that are drawn; of more, the rest is counted."""
_FIELDS = ("depends_on", "inputs", "map", "limits", "permissions", "labels", "retries", "cache", "kind", "hold")


def offers_json(state: PanelState) -> Json:
    """Everything that changes more rarely than a run and does not belong to the plan itself."""
    out: Json = {
        "step": str(state.step),
        "revises": state.revises,
        "rows": ROWS,
        "asking": state.asking,
        "change": None if state.change is None else change_json(state.change),
        "prompt": state.prompt if state.prompt_changes else "",
        "runs": [{"id": item.run_id, "text": item.text, "state": item.state, "here": item.here} for item in state.runs],
        "answers": {},
        "estimate": "",
        "goes_on": [],
        "goes_how": "rerun",
        "fleet": None,
        "diff": None,
        "files": [],
        "results": None,
    }
    plan = state.plan
    if plan is not None and state.step is Step.REVIEW:
        out["answers"] = answers_of(plan)
        digest, time, tokens = state.estimate
        out["estimate"] = ", ".join(filter(None, (time, tokens))) if digest == plan.digest else ""
        out["diff"] = plan_diff(plan) if state.comparing else None
        out["files"] = [{"path": item.path, "text": item.text} for item in state.files]
        again = would_rerun(state)
        out["goes_on"] = [plan[name].name for name in again]
        ran = () if state.run_plan is None else state.run_plan.ids
        out["goes_how"] = "rerun" if {*again} & {*ran} else "run"
    if state.step is Step.RESULTS and state.run is not None:
        kept = "" if state.kept.subtask else state.kept.text
        run = {"run": state.run.run_id, "state": str(state.run.state), "kept": kept, "refused": state.kept.refused}
        out["results"] = {**run, "prompt": state.next_prompt}
    if state.step is Step.WORKERS:
        note, refused = state.fleet_note
        workers = [
            _worker_json(item) for item in sorted(state.workers, key=lambda item: (not item.local, item.worker_id))
        ]
        out["fleet"] = {"workers": workers, "note": note, "refused": refused, "busy": state.fleet_busy}
    return out


def trial_json(state: PanelState) -> Json | None:
    """The rehearsal as it stands; on the Review page only."""
    trial = state.trial
    if trial is None or state.step is not Step.REVIEW:
        return {"trying": True} if state.trying else None
    now = trial.snapshot
    words = [str(row.get("state")) for row in now.subtasks.values()]
    chosen = str(now.output.get("id") or "")
    return {
        "trying": state.trying,
        "subtask": trial.subtask,
        "over": trial.over,
        "state": str(now.state),
        "reason": now.reason,
        "rows": dict(now.subtasks),
        "done": sum(SubtaskState(word).final for word in words),
        "failed": words.count("failed"),
        "total": len(words),
        "summary": _trial_summary(trial),
        "stale": state.plan is not None and trial.plan.digest != state.plan.digest,
        "output": {**now.output, "preview": trial.previews.get(chosen, "")},
    }


def _trial_summary(trial: Trial) -> str:
    full = trial.full_rows
    rows = f"the first {trial.rows:,} of {full:,} rows" if full is not None and full > trial.rows else "all rows"
    what = "the whole plan" if trial.subtask is None else "one subtask and what it needs"
    if not trial.over:
        return f"Rehearsing {what} on {rows}"
    whole = "the whole run" if trial.subtask is None else "the same on all rows"
    about = (
        "time unknown, for not all of it passed"
        if trial.estimate_s is None
        else f"about {seconds_text(trial.estimate_s)}"
    )
    return f"Rehearsed {what} on {rows} in {seconds_text(trial.snapshot.elapsed_s)}. For {whole}: {about}"


def change_json(change: Change) -> Json:
    """A proposal: what it adds, changes and drops, with the code line by line."""
    before = {item.id: item for item in change.base.subtasks}
    parts = [
        part
        for item in change.plan.subtasks
        if before.get(item.id) != item and (part := _part(before.get(item.id), item)) is not None
    ]
    gone = [name for name in before if name not in change.plan.ids]
    mends = bool(change.run_id) and not change.follows
    parts += [{"title": before[name].name, "what": "dropped", "fields": [], "diff": []} for name in gone]
    return {
        "digest": change.plan.digest,
        "page": "results" if change.follows else "run" if change.run_id else "review",
        "why": clean_text(change.why, 1_000),
        "notes": [clean_text(note, 300) for note in change.notes],
        "summary": count_text(len(parts), "subtask") + " would change" if parts else "Nothing would change",
        "parts": parts[:SHOWN_CHANGED],
        "more": max(0, len(parts) - SHOWN_CHANGED),
        "reruns": list(change.reruns),
        "can": bool(parts) and not (mends and _blocked(change.plan)),  # a draft may have problems, a run not
        "hindrance": _blocked(change.plan) if mends else "",
    }


def _part(old: Subtask | None, new: Subtask) -> Json | None:
    if old is None:
        return {"title": new.name, "what": "added", "fields": [], "diff": code_diff("", new.code)}
    was, now = old.to_json(), new.to_json()
    fields = [
        f"{name}: {_words(was.get(name))} → {_words(now.get(name))}"
        for name in _FIELDS
        if was.get(name) != now.get(name)
    ]
    fields += [f"{name} changed" for name in ("title", "instruction") if was.get(name) != now.get(name)]
    diff = code_diff(old.code, new.code) if old.code != new.code else []
    return {"title": new.name, "what": "changed", "fields": fields, "diff": diff}


def _words(value: object) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{name} {item}" for name, item in value.items() if item not in (None, False))
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return clean_text(str(value if value not in (None, "") else "none"), 120)


def _blocked(plan: Plan) -> str:
    bad = [problem for problem in plan.problems if problem.blocks]
    return f"It has {count_text(len(bad), 'problem')}: {bad[0].message}" if bad else ""


def _worker_json(worker: WorkerState) -> Json:
    active = [name for name, state in worker.sandbox.items() if state == "active"]
    return {
        "id": worker.worker_id,
        "place": "this machine" if worker.local else clean_text(worker.url, 200),
        "local": worker.local,
        "health": str(worker.health),
        "running": worker.running,
        "capacity": worker.capacity,
        "latency": None if worker.latency_ms is None else round(worker.latency_ms),
        "labels": sorted(worker.labels),
        "layers": active,
        "missing": [f"{name}: {state}" for name, state in worker.sandbox.items() if state != "active"],
        "weak": worker.weak,
        "reason": clean_text(worker.reason, 300),
    }
