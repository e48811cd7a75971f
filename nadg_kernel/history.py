"""History as pandas: the store's frames with the right types, and the workers as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.stores.base import Store

FILTERS = frozenset({"since", "until", "state", "outcome", "worker", "run", "subtask", "text", "limit"})


async def collect(store: Store, frame: str, filters: Mapping[str, Any]) -> pd.DataFrame:
    """One frame of the store as pandas, newest first. Raises StoreError for a filter that does not exist."""
    import pyarrow as pa

    if unknown := sorted(set(filters) - FILTERS):
        message = f"there is no filter {unknown[0]!r} (there are: {', '.join(sorted(FILTERS))})"
        raise StoreError(message)
    batches = [batch async for batch in store.query(frame, {k: v for k, v in filters.items() if v is not None})]
    table = pa.Table.from_batches(batches) if batches else None
    return _empty() if table is None else table.to_pandas()


def _empty() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


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
