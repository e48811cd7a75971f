"""What the history adds up to: frames of the store in, pandas frames out. Pure; charts.py draws them.

`attempts`, `history`, `runs`, `edits`, `workers`, `health` are frames as `Grid` gives them, also filtered or empty.
Durations are seconds unless a name says otherwise; times are aware, UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from nadg_kernel.model import Event, Plan

OUTCOMES = ("succeeded", "failed", "timed_out", "cancelled", "rejected", "lost")
"""In the order in which charts show them."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
UNTOUCHED = "draft approved as it was"


def typed(batches: Iterable[pa.RecordBatch], schema: pa.Schema | None = None) -> pd.DataFrame:
    """Batches of one frame as pandas: aware times, nullable integers and booleans, text with None or NaN for missing.

    `schema` gives the columns where there may be no batch at all.
    """
    import pyarrow as pa

    whole = pa.Table.from_batches(list(batches), schema)
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = whole.to_pandas(types_mapper=nullable.get)
    return frame


def events(found: Iterable[Event]) -> pd.DataFrame:
    """One row per event: seq, at, type, subtask, shard, attempt_id, and what most payloads share."""
    names = ("worker", "outcome", "state", "seconds", "reason")
    rows = [
        {
            "seq": event.seq,
            "at": event.at,
            "type": str(event.type),
            "subtask": event.subtask,
            "shard": event.shard,
            "attempt_id": event.attempt_id,
            **{name: event.payload.get(name) for name in names},
        }
        for event in found
    ]
    columns = ["seq", "at", "type", "subtask", "shard", "attempt_id", *names]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"seq": "Int64", "shard": "Int64", "at": "datetime64[us, UTC]", "seconds": "float64"})


def summary(attempts: pd.DataFrame) -> pd.DataFrame:
    """Per day, worker and outcome: count, mean_seconds, max_seconds; newest day first. As the store's own `summary`."""
    ended = attempts.dropna(subset=["outcome", "ended_at"])
    grouped = ended.assign(day=ended["ended_at"].dt.floor("D")).groupby(["day", "worker", "outcome"], dropna=False)
    out = grouped["seconds"].agg(count="size", mean_seconds="mean", max_seconds="max").reset_index()
    return out.sort_values(["day", "worker", "outcome"], ascending=[False, True, True], ignore_index=True)


def worker_health(
    attempts: pd.DataFrame, health: pd.DataFrame | None = None, workers: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per worker, by name.

    attempts, success (share of those that ended and were not cancelled), failed, lost (with rejected), p50_s, p95_s,
    load (share of its capacity that was busy between its first and last attempt), cold_starts (boots after the first),
    and, where `health` is given, state, last_seen, latency_p50_ms, latency_p95_ms.
    """
    names = sorted({*attempts["worker"].dropna(), *(health["worker"].dropna() if health is not None else ())})
    if workers is not None:
        names = sorted({*names, *workers["worker"]})
    capacity = {} if workers is None else dict(zip(workers["worker"], workers["capacity"], strict=True))
    rows = []
    for name in names:
        mine = attempts[attempts["worker"] == name]
        counted = mine[mine["outcome"].notna() & (mine["outcome"] != "cancelled")]
        row: dict[str, Any] = {
            "worker": name,
            "attempts": len(mine),
            "success": (counted["outcome"] == "succeeded").mean() if len(counted) else None,
            "failed": int(mine["outcome"].isin(["failed", "timed_out"]).sum()),
            "lost": int(mine["outcome"].isin(["lost", "rejected"]).sum()),
            "p50_s": mine["seconds"].quantile(0.5),
            "p95_s": mine["seconds"].quantile(0.95),
            "load": _load(mine, _positive(capacity.get(name))),
        }
        boots = set(mine["boot_id"].dropna()) if "boot_id" in mine else set()
        if health is not None:
            seen = health[health["worker"] == name].sort_values("at")
            boots |= set(seen["boot_id"].dropna())
            row["state"] = seen["state"].iloc[-1] if len(seen) else None
            row["last_seen"] = seen["at"].iloc[-1] if len(seen) else pd.NaT
            row["latency_p50_ms"] = seen["latency_ms"].quantile(0.5)
            row["latency_p95_ms"] = seen["latency_ms"].quantile(0.95)
        row["cold_starts"] = max(0, len(boots) - 1)
        rows.append(row)
    columns = ["worker", "attempts", "success", "failed", "lost", "p50_s", "p95_s", "load", "cold_starts"]
    if health is not None:
        columns += ["state", "last_seen", "latency_p50_ms", "latency_p95_ms"]
    out = pd.DataFrame(rows, columns=columns)
    numbers = [
        name for name in ("success", "p50_s", "p95_s", "load", "latency_p50_ms", "latency_p95_ms") if name in out
    ]
    return out.astype(dict.fromkeys(numbers, "float64"))


def worker_states(health: pd.DataFrame, until: datetime | None = None) -> pd.DataFrame:
    """Spans of one state per worker: worker, state, start, end, reason. The last span ends at `until`."""
    if health.empty:
        return pd.DataFrame({"worker": [], "state": [], "start": [], "end": [], "reason": []})
    ordered = health.sort_values(["worker", "at"], kind="stable")
    previous = ordered.groupby("worker")["state"].shift()
    changed = ordered[previous.isna() | (previous != ordered["state"])]
    last = pd.Timestamp(until) if until is not None else ordered["at"].max()
    end = changed.groupby("worker")["at"].shift(-1).fillna(last)
    spans = changed.assign(start=changed["at"], end=end)[["worker", "state", "start", "end", "reason"]]
    return spans.reset_index(drop=True)


def latency(health: pd.DataFrame, every: str = "15min") -> pd.DataFrame:
    """Per worker and interval: worker, at, p50_ms, p95_ms of what pings and states measured."""
    known = health.dropna(subset=["latency_ms", "worker"])
    grouped = known.groupby(["worker", known["at"].dt.floor(every)])["latency_ms"]
    out = grouped.quantile([0.5, 0.95]).unstack().reindex(columns=[0.5, 0.95])  # noqa: PD010 - quantiles to columns
    return out.set_axis(["p50_ms", "p95_ms"], axis=1).reset_index()


def layers(workers: pd.DataFrame) -> pd.DataFrame:
    """Sandbox layers as workers last reported them: worker, layer, active, note.

    From the registry's `details` (`sandbox: {layer: "active" or why not}`), or from live workers' `layers`.
    """
    rows = []
    live = "details" not in workers
    for name, found in zip(workers["worker"], workers["layers" if live else "details"], strict=True):
        notes = dict.fromkeys(filter(None, str(found).split(", ")), "active") if live else _json(found).get("sandbox")
        for layer, note in sorted((notes or {}).items()):
            rows.append({"worker": name, "layer": layer, "active": note == "active", "note": str(note)})
    return pd.DataFrame(rows, columns=["worker", "layer", "active", "note"])


def timeline(attempts: pd.DataFrame) -> pd.DataFrame:
    """Attempts that began, in order, each in a lane of its worker that is free: worker, lane, start, end, queue_s, ...

    `end` of one that still runs is the last time seen in the frame.
    """
    begun = attempts.assign(start=attempts["started_at"].fillna(attempts["intended_at"]))
    begun = begun.dropna(subset=["start"]).sort_values(["start", "attempt_id"], ignore_index=True)
    last = begun[["start", "ended_at"]].max().max() if len(begun) else pd.NaT
    begun["end"] = begun["ended_at"].fillna(last)
    begun["queue_s"] = (begun["started_at"] - begun["intended_at"]).dt.total_seconds()
    free: dict[Any, list[Any]] = {}
    lanes = []
    for worker, start, end in zip(begun["worker"].fillna("none"), begun["start"], begun["end"], strict=True):
        ends = free.setdefault(worker, [])
        lane = next((number for number, until in enumerate(ends) if until <= start), len(ends))
        ends[lane : lane + 1] = [end]
        lanes.append(lane)
    begun["lane"] = pd.Series(lanes, dtype="int64")
    names = ["run_id", "subtask", "shard", "attempt_id", "number", "outcome", "seconds", "error"]
    return begun[["worker", "lane", "start", "end", "queue_s", *names]]


def critical_path(history: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """The chain of subtasks that decided when a run ended, first to last.

    subtask, title, started_at, ended_at, seconds, waited_s (from the end of what it waited for to its own start). Ends
    with the subtask that ended last; before each stands the dependency that ended last.
    """
    columns = ["subtask", "title", "started_at", "ended_at", "seconds", "waited_s"]
    ended = history.dropna(subset=["started_at", "ended_at"]).drop_duplicates("subtask").set_index("subtask")
    needs = {item.id: item.depends_on for item in plan.subtasks}
    rows: list[dict[str, Any]] = []
    name = ended["ended_at"].idxmax() if len(ended) else None
    while name is not None and name not in {row["subtask"] for row in rows}:
        row = ended.loc[name]
        before = [item for item in needs.get(str(name), ()) if item in ended.index]
        previous = ended.loc[before, "ended_at"].idxmax() if before else None
        waited = (row["started_at"] - ended.loc[previous, "ended_at"]).total_seconds() if previous is not None else 0.0
        values = {column: row[column] for column in columns[1:5]}
        rows.append({"subtask": name, **values, "waited_s": max(0.0, waited)})
        name = previous
    return pd.DataFrame(rows[::-1], columns=columns)


def queue_and_run(attempts: pd.DataFrame) -> pd.DataFrame:
    """Per run and subtask: run_id, subtask, attempts, queue_s (intent to start) and run_s, summed; slowest first."""
    known = attempts.assign(queue_s=(attempts["started_at"] - attempts["intended_at"]).dt.total_seconds())
    grouped = known.groupby(["run_id", "subtask"], sort=False)
    out = grouped.agg(
        attempts=("attempt_id", "size"), queue_s=("queue_s", "sum"), run_s=("seconds", "sum")
    ).reset_index()
    return out.sort_values("run_s", ascending=False, kind="stable", ignore_index=True)


def throughput(attempts: pd.DataFrame, every: str = "D") -> pd.DataFrame:
    """Per interval and outcome: at, outcome, count."""
    ended = attempts.dropna(subset=["outcome", "ended_at"])
    counts = ended.groupby([ended["ended_at"].dt.floor(every).rename("at"), "outcome"]).size()
    return counts.rename("count").reset_index()


def failures(attempts: pd.DataFrame) -> pd.DataFrame:
    """What went wrong, most often first: outcome, cause, count, subtasks, workers, last, example.

    `cause` is the error's type, or what the worker or network said.
    """
    wrong = attempts[attempts["outcome"].notna() & ~attempts["outcome"].isin(["succeeded", "cancelled"])]
    text = wrong["error"].fillna("").astype(str)
    wrong = wrong.assign(cause=text.str.split(":", n=1).str[0].str.strip().str[:80].replace("", "no reason given"))
    out = wrong.groupby(["outcome", "cause"], sort=False).agg(
        count=("attempt_id", "size"),
        subtasks=("subtask", "nunique"),
        workers=("worker", "nunique"),
        last=("ended_at", "max"),
        example=("error", "first"),
    )
    return out.reset_index().sort_values(
        ["count", "outcome", "cause"], ascending=[False, True, True], ignore_index=True
    )


def slowest(history: pd.DataFrame, most: int = 10) -> pd.DataFrame:
    """The subtasks that took longest, over all runs: run_id, subtask, title, seconds, worker, attempts, state."""
    known = history.dropna(subset=["seconds"]).sort_values("seconds", ascending=False, kind="stable")
    return known.head(most)[["run_id", "subtask", "title", "seconds", "worker", "attempts", "state"]].reset_index(
        drop=True
    )


def cache_hits(history: pd.DataFrame, every: str = "D") -> pd.DataFrame:
    """Per interval: at, done (subtasks that succeeded), cached (of them without running), share."""
    good = history[history["state"].isin(["succeeded", "cached"])].dropna(subset=["ended_at"])
    grouped = (good["state"] == "cached").groupby(good["ended_at"].dt.floor(every).rename("at"))
    out = grouped.agg(done="size", cached="sum").reset_index()
    return out.assign(share=out["cached"].astype("float64") / out["done"].where(out["done"] > 0))


def tokens(attempts: pd.DataFrame, every: str = "D") -> pd.DataFrame:
    """Per interval: at, prompt_tokens, output_tokens of attempts that used a model."""
    used = attempts[attempts["prompt_tokens"].notna() | attempts["output_tokens"].notna()]
    at = used["ended_at"].fillna(used["intended_at"]).dt.floor(every).rename("at")
    return used.groupby(at)[["prompt_tokens", "output_tokens"]].sum().reset_index()


def split_changes(edits: pd.DataFrame, runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """What people change in the planner's splits, most often first: change, edits, runs, share.

    `change` is the kind of edit and, for `edit`, the field. `share` is of the runs in `runs`, or of those with edits;
    with `runs` there is a row for drafts that were approved as they were.
    """
    change = edits["kind"].where(edits["kind"] != "edit", edits["field"].fillna("").radd("edit "))
    # An edit of several fields is one row per field; a whole subtask added or dropped is one row.
    out = edits.assign(change=change).groupby("change").agg(edits=("run_id", "size"), runs=("run_id", "nunique"))
    out = out.reset_index()
    total = edits["run_id"].nunique()
    if runs is not None and len(runs):
        total = max(total, runs["run_id"].nunique())
        untouched = runs.loc[~runs["run_id"].isin(edits["run_id"]), "run_id"].nunique()
        if untouched:
            row = pd.DataFrame({"change": [UNTOUCHED], "edits": [0], "runs": [untouched]})
            out = pd.concat([out, row], ignore_index=True) if len(out) else row
    out["share"] = out["runs"].astype("float64") / max(total, 1)
    return out.sort_values(["runs", "edits", "change"], ascending=[False, False, True], ignore_index=True)


def spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with texts that a spreadsheet would run as a formula made plain by a leading apostrophe, headers too.

    That is what starts with `= + - @`, tab or return; numbers stay numbers.
    """

    def safe(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    texts = [name for name in frame.columns if pd.api.types.is_string_dtype(frame[name]) or frame[name].dtype == object]
    out = frame.copy()
    for name in texts:
        out[name] = out[name].map(safe)
    return out.rename(columns=safe)


def _load(mine: pd.DataFrame, capacity: int) -> float | None:
    ended = mine.dropna(subset=["started_at", "ended_at"])
    if ended.empty:
        return None
    busy = (ended["ended_at"] - ended["started_at"]).dt.total_seconds().sum()
    span = (ended["ended_at"].max() - ended["started_at"].min()).total_seconds()
    return min(1.0, busy / (span * capacity)) if span > 0 else None


def _positive(value: Any) -> int:
    return 1 if value is None or pd.isna(value) or value < 1 else int(value)


def _json(text: Any) -> Mapping[str, Any]:
    if isinstance(text, Mapping):
        return text
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}  # a row that another tool wrote: nothing is known of it
    return found if isinstance(found, Mapping) else {}
