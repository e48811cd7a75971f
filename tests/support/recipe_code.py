"""Runs a subtask's code in this process the way a worker would show it the world, without a worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from nadg_kernel.model import DataSchema, Plan
from nadg_kernel.values import decode, encode


@dataclass
class Ran:
    result: Any = None
    displays: list[Any] = field(default_factory=list)
    progress: list[tuple[float, str]] = field(default_factory=list)


def schema_of(frame: pd.DataFrame) -> DataSchema:
    dtypes = tuple("str" if pd.api.types.is_string_dtype(d) or d == "object" else str(d) for d in frame.dtypes)
    return DataSchema(columns=tuple(map(str, frame.columns)), dtypes=dtypes, rows=len(frame))


def run_code(code: str, inputs: dict[str, Any], shard: int = 0, shards: int = 1) -> Ran:
    """Execute code; inputs and the result cross as bytes, so that what has no form on the wire fails here too."""
    ran = Ran()
    names: dict[str, Any] = {
        "__name__": "__main__",
        "inputs": {name: decode(encode(value)) for name, value in inputs.items()},
        "shard": shard,
        "shards": shards,
        "display": ran.displays.append,
        "progress": lambda fraction, text="": ran.progress.append((fraction, text)),
        "result": None,
    }
    exec(compile(code, "<subtask>", "exec"), names)  # noqa: S102 - recipes are our own code
    ran.result = decode(encode(names["result"]))
    return ran


def run_plan(plan: Plan, data: dict[str, Any]) -> dict[str, Ran]:
    """Execute a plan's python subtasks in order; a mapped one runs once per shard and its dependents get the list."""
    results: dict[str, Any] = {}
    out: dict[str, Ran] = {}
    for name in plan.order():
        item = plan[name]
        inputs = {key: results[key] if key in results else data[key] for key in item.inputs}
        if item.map is None:
            out[name] = run_code(item.code, inputs)
        else:
            whole = inputs[item.map.over]
            count = item.map.shards or -(-len(whole) // (item.map.rows or 1))
            edges = [len(whole) * number // count for number in range(count + 1)]
            out[name] = Ran(result=[])
            for number in range(count):
                part = (
                    whole.iloc[edges[number] : edges[number + 1]]
                    if hasattr(whole, "iloc")
                    else whole[edges[number] : edges[number + 1]]
                )
                ran = run_code(item.code, {**inputs, item.map.over: part}, number, count)
                out[name].result.append(ran.result)
                out[name].displays += ran.displays
                out[name].progress += ran.progress
        results[name] = out[name].result
    return out
