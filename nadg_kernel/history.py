"""History as pandas: the store's frames with the right types, and the workers as they are now."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from concurrent.futures import Future

    import pandas as pd
    from pyarrow import RecordBatch
    from pyarrow.parquet import ParquetWriter

    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.stores.base import Store

MOMENT_S = 1.0
FILTERS = frozenset({"since", "until", "state", "outcome", "worker", "run", "subtask", "text", "limit"})


class Seen:
    """How many rows have come so far, for whoever waits on another thread."""

    rows = 0


async def collect(store: Store, frame: str, filters: Mapping[str, Any], seen: Seen | None = None) -> pd.DataFrame:
    """One frame of the store as pandas, newest first, read in batches.

    Integers and flags stay what they are where some are missing, times are aware; also in an empty frame. Raises
    StoreError for a filter or frame that does not exist.
    """
    from nadg_kernel.analytics import typed
    from nadg_kernel.stores import frames

    batches = []
    async for batch in _batches(store, frame, filters):
        batches.append(batch)
        if seen is not None:
            seen.rows += batch.num_rows
    return typed(batches, frames.frame(frame).schema())


def wait_shown(future: Future[pd.DataFrame], seen: Seen, what: str) -> pd.DataFrame:
    """Wait for a frame; where it takes longer than a moment, a bar counts the rows that have come."""
    from concurrent.futures import wait

    if wait([future], timeout=MOMENT_S).done:
        return future.result()
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as bar:
        task = bar.add_task(f"reading {what}")
        while not wait([future], timeout=0.2).done:
            bar.update(task, description=f"reading {what}: {seen.rows:,} rows")
    return future.result()


async def export(store: Store, frame: str, filters: Mapping[str, Any], path: str | Path) -> Path:
    """Write a frame to a .parquet or .csv file without holding it whole; gives the file's path.

    Raises StoreError for another ending, and when there is nothing to write.
    """
    from nadg_kernel.analytics import spreadsheet_safe, typed

    target = Path(path)
    if target.suffix.lower() not in {".parquet", ".csv"}:
        message = f"{target.name!r} ends with neither .parquet nor .csv"
        raise StoreError(message)
    writer: ParquetWriter | None = None
    rows = 0
    with contextlib.ExitStack() as open_files:
        async for batch in _batches(store, frame, filters):
            if target.suffix.lower() == ".csv":
                text = spreadsheet_safe(typed([batch])).to_csv(index=False, header=not rows)
                if not rows:
                    file = open_files.enter_context(target.open("w", encoding="utf-8", newline=""))  # noqa: ASYNC230 - as ParquetWriter
                file.write(text)
            else:
                if writer is None:
                    from pyarrow.parquet import ParquetWriter

                    writer = open_files.enter_context(ParquetWriter(target, batch.schema))
                writer.write_batch(batch)
            rows += batch.num_rows
    if not rows:
        message = f"there is nothing in {frame} for these filters: no file was written"
        raise StoreError(message)
    return target


async def _batches(store: Store, frame: str, filters: Mapping[str, Any]) -> AsyncIterator[RecordBatch]:
    if unknown := sorted(set(filters) - FILTERS):
        message = f"there is no filter {unknown[0]!r} (there are: {', '.join(sorted(FILTERS))})"
        raise StoreError(message)
    async for batch in store.query(frame, {name: value for name, value in filters.items() if value is not None}):
        yield batch


def workers(states: Sequence[WorkerState]) -> pd.DataFrame:
    """One row per worker as last seen: id, health, running, capacity, latency_ms, labels, layers, url, reason."""
    import pandas as pd

    rows = [
        {
            "worker": state.worker_id,
            "health": str(state.health),
            "running": state.running,
            "capacity": state.capacity,
            "latency_ms": state.latency_ms,
            "labels": ", ".join(sorted(state.labels)),
            "layers": ", ".join(sorted(name for name, word in state.sandbox.items() if word == "active")),
            "weak": state.weak,
            "url": state.url,
            "reason": state.reason,
        }
        for state in states
    ]
    columns = ["worker", "health", "running", "capacity", "latency_ms", "labels", "layers", "weak", "url", "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"latency_ms": "float64"})
