"""The frames of `query`: their columns, their SQL and the filters pushed into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import StoreError
from nadg_kernel.stores.facts import micros

if TYPE_CHECKING:
    import pyarrow as pa

FILTERS = ("since", "until", "state", "outcome", "worker", "run", "subtask", "text", "limit")
BATCH_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame. `columns` maps a name to `text, int, float, time, flag` and its SQL (the name itself where empty).

    `filters` maps a filter's name to the expression that it tests.
    """

    source: str
    columns: Mapping[str, tuple[str, str]]
    filters: Mapping[str, str] = field(default_factory=dict)
    text: Sequence[str] = ()
    order: str
    where: str = ""
    group: str = ""

    def schema(self) -> pa.Schema:
        """Its Arrow schema; times are microseconds, UTC."""
        import pyarrow as pa

        kinds = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "flag": pa.bool_()}
        kinds["time"] = pa.timestamp("us", tz="UTC")
        return pa.schema([(name, kinds[kind]) for name, (kind, _) in self.columns.items()])

    def batch(self, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        """Rows as one batch. Times may be integers (microseconds) or datetimes, flags integers."""
        import pyarrow as pa

        schema = self.schema()
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
        arrays = [
            pa.array([None if v is None else bool(v) for v in values], item.type)
            if pa.types.is_boolean(item.type)
            else pa.array(values, item.type)
            for values, item in zip(columns, schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _columns(kinds: str, **sql: str) -> dict[str, tuple[str, str]]:
    """`"run_id state started_at:time"` with the SQL of those that are no plain column."""
    out = {}
    for item in kinds.split():
        name, _, kind = item.partition(":")
        out[name] = (kind or "text", sql.get(name, ""))
    return out


_SECONDS = "({0}.ended_at - {0}.started_at) / 1e6"
_OF_RUN = "(select {} from subtasks s where s.run_id = runs.run_id{})"

FRAME: dict[str, Frame] = {
    "history": Frame(
        source="subtasks s join runs using (run_id)",
        columns=_columns(
            "run_id subtask title state worker started_at:time ended_at:time seconds:float attempts:int shards:int "
            "error command outcome kind reason run_state rehearsal:flag",
            run_id="s.run_id",
            state="s.state",
            started_at="s.started_at",
            ended_at="s.ended_at",
            seconds=_SECONDS.format("s"),
            command="runs.command",
            run_state="runs.state",
        ),
        filters={
            "since": "ifnull(s.started_at, s.created_at)",
            "until": "ifnull(s.started_at, s.created_at)",
            "state": "s.state",
            "outcome": "s.outcome",
            "worker": "s.worker",
            "run": "s.run_id",
            "subtask": "s.subtask",
        },
        text=("s.title", "runs.command", "s.error"),
        order="s.created_at desc, s.run_id, s.position",
    ),
    "attempts": Frame(
        source="attempts a",
        columns=_columns(
            "run_id subtask shard:int attempt_id number:int worker outcome intended_at:time started_at:time "
            "ended_at:time seconds:float error memory_mb:float cpu_s:float prompt_tokens:int output_tokens:int boot_id"
        ),
        filters={
            "since": "a.intended_at",
            "until": "a.intended_at",
            "outcome": "a.outcome",
            "worker": "a.worker",
            "run": "a.run_id",
            "subtask": "a.subtask",
        },
        text=("a.error",),
        order="a.intended_at desc, a.id desc",
    ),
    "runs": Frame(
        source="runs",
        columns=_columns(
            "run_id command state created_at:time ended_at:time seconds:float subtasks:int succeeded:int failed:int "
            "attempts:int rehearsal:flag planner approved_by approved_at:time plan_digest owner epoch:int",
            seconds="(ended_at - created_at) / 1e6",
            subtasks=_OF_RUN.format("count(*)", ""),
            succeeded=_OF_RUN.format("count(*)", " and s.state in ('succeeded', 'cached')"),
            failed=_OF_RUN.format("count(*)", " and s.state = 'failed'"),
            attempts=_OF_RUN.format("ifnull(sum(attempts), 0)", ""),
            owner="json_extract(owner, '$.name')",
        ),
        filters={"since": "created_at", "until": "created_at", "state": "state", "run": "run_id"},
        text=("command",),
        order="created_at desc, run_id",
    ),
    "edits": Frame(
        source="edits e join runs using (run_id)",
        columns=_columns(
            "run_id at:time by kind subtask field before after command",
            by='e."by"',
            before='e."before"',
            after='e."after"',
            command="runs.command",
        ),
        filters={"since": "e.at", "until": "e.at", "run": "e.run_id", "subtask": "e.subtask"},
        text=("runs.command", 'e."before"', 'e."after"'),
        order="e.at desc, e.id desc",
    ),
    "workers": Frame(
        source="workers",
        columns=_columns(
            "worker url status generation:int labels capacity:int total_tasks:int last_ping:time details",
            worker="worker_id",
        ),
        filters={"since": "last_ping", "until": "last_ping", "state": "status", "worker": "worker_id"},
        text=("url",),
        order="last_ping desc, worker_id",
    ),
    "shards": Frame(
        source="shards s",
        columns=_columns(
            "run_id subtask shard:int state outcome worker attempt_id attempts:int started_at:time ended_at:time "
            "seconds:float error",
            seconds=_SECONDS.format("s"),
        ),
        filters={
            "since": "s.started_at",
            "until": "s.started_at",
            "state": "s.state",
            "outcome": "s.outcome",
            "worker": "s.worker",
            "run": "s.run_id",
            "subtask": "s.subtask",
        },
        text=("s.error",),
        order="s.started_at desc, s.run_id, s.subtask, s.shard",
    ),
    # One row per state that a worker was seen in: from the events of runs and from heartbeats.
    "health": Frame(
        source="health",
        columns=_columns("at:time worker state latency_ms:float capacity:int reason boot_id run_id"),
        filters={"since": "at", "until": "at", "state": "state", "worker": "worker", "run": "run_id"},
        text=("reason",),
        order="at desc, id desc",
    ),
    "summary": Frame(
        source="attempts a",
        columns=_columns(
            "day:time worker outcome count:int mean_seconds:float max_seconds:float",
            day="ended_day * 86400000000",
            count="count(*)",
            mean_seconds="avg(seconds)",
            max_seconds="max(seconds)",
        ),
        filters={"since": "ended_day", "until": "ended_day", "worker": "worker"} | {"outcome": "outcome"},
        order="ended_day desc, worker, outcome",
        where="ended_day is not null",
        group="ended_day, worker, outcome",
    ),
}


def frame(name: str) -> Frame:
    """The frame of this name. Raises StoreError that lists them."""
    if name not in FRAME:
        message = f"no frame {name!r}; there are {', '.join(FRAME)}"
        raise StoreError(message)
    return FRAME[name]


def checked(name: str, filters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The filters that say something, None and empty ones left out. Raises StoreError for one that does not apply."""
    allowed = {*frame(name).filters, "limit", *(("text",) if frame(name).text else ())}
    given = {key: value for key, value in (filters or {}).items() if value is not None}
    for key, value in given.items():
        if key not in allowed:
            known = ", ".join(item for item in FILTERS if item in allowed)
            message = f"the frame {name!r} has no filter {key!r}; it has {known}"
            raise StoreError(message)
        if key in {"since", "until"} and not isinstance(value, datetime):
            message = f"{key} must be a datetime with a zone, not {value!r}"
            raise StoreError(message)
        if key == "limit" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            message = f"limit must be a number of rows, not {value!r}"
            raise StoreError(message)
    return given


def select(name: str, filters: Mapping[str, Any] | None = None) -> tuple[str, list[Any]]:
    """SQLite's statement for a frame and its parameters. Every value is bound, none is written into the text."""
    spec, given = frame(name), checked(name, filters)
    where, values = [spec.where] if spec.where else [], []
    for key, value in given.items():
        if key == "limit":
            continue
        if key == "text":
            clauses, bound = _text(spec.text, str(value))
        else:
            clauses, bound = _test(spec.filters[key], key, value, by_day=name == "summary")
        where.append(clauses)
        values.extend(bound)
    columns = ", ".join(f'{sql or column} as "{column}"' for column, (_, sql) in spec.columns.items())
    parts = [f"select {columns} from {spec.source}"]  # noqa: S608 - constants of this module
    if where:
        parts.append("where " + " and ".join(where))
    if spec.group:
        parts.append("group by " + spec.group)
    parts.append("order by " + spec.order)
    if "limit" in given:
        parts.append("limit ?")
        values.append(given["limit"])
    return " ".join(parts), values


def _test(expression: str, key: str, value: Any, *, by_day: bool) -> tuple[str, list[Any]]:
    if key in {"since", "until"}:
        at = micros(value)
        return f"{expression} {'>=' if key == 'since' else '<='} ?", [at // 86_400_000_000 if by_day else at]
    if isinstance(value, str) or not isinstance(value, Iterable):
        return f"{expression} = ?", [str(value)]
    several = [str(item) for item in value]
    return f"{expression} in ({', '.join('?' * len(several))})", several


def _text(expressions: Sequence[str], value: str) -> tuple[str, list[Any]]:
    """Case does not matter. LIKE knows that for ASCII only, so other text goes through Python's casefold."""
    if value.isascii() and "\0" not in value:
        pattern = "%" + value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        return "(" + " or ".join(f"{item} like ? escape '\\'" for item in expressions) + ")", [pattern] * len(
            expressions
        )
    return "(" + " or ".join(f"contains({item}, ?)" for item in expressions) + ")", [value] * len(expressions)


def contains(text: object, part: object) -> bool:
    """The SQL function of that name."""
    return text is not None and str(part).casefold() in str(text).casefold()
