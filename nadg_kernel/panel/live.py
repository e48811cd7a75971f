"""A run's progress as the panel's rows: a frozen snapshot, taken on the loop's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.display import clean_text
from nadg_kernel.model import SubtaskState
from nadg_kernel.panel.records import RunSnapshot
from nadg_kernel.runview import ICONS, detail_text, left_s

if TYPE_CHECKING:
    from nadg_kernel.progress import RunProgress, SubtaskProgress

SHOWN_OUTPUT = 20_000
"""Characters of output sent to the view, from the end."""
SHOWN_SHARDS = 400
"""Shards drawn one by one; of more, this many pieces of the strip stand for several each."""
_LETTERS = {
    SubtaskState.SUCCEEDED: "s",
    SubtaskState.CACHED: "s",
    SubtaskState.RUNNING: "r",
    SubtaskState.FAILED: "f",
    SubtaskState.CANCELLED: "x",
    SubtaskState.SKIPPED: "x",
}


def snapshot(run_id: str, progress: RunProgress, shown: str | None = None) -> RunSnapshot:
    """The run as it stands, with the output of the subtask that is shown. The progress changes, the snapshot does not.

    It is taken on the loop's thread up to ten times a second, so a row holds only what its line needs.
    """
    chosen = progress.subtasks.get(shown) if shown is not None else None
    return RunSnapshot(
        run_id=run_id,
        state=progress.state,
        revision=progress.revision,
        reason=clean_text(progress.reason, 500),
        elapsed_s=progress.seconds or 0.0,
        left_s=left_s(progress),
        notice=clean_text(progress.store_notice, 500),
        subtasks={name: _row(item) for name, item in progress.subtasks.items()},
        output={} if chosen is None else _output(chosen),
    )


def _row(item: SubtaskProgress) -> dict[str, Any]:
    return {
        "state": str(item.state),
        "icon": ICONS[item.state],
        "detail": detail_text(item),
        "seconds": item.seconds,
        "fraction": item.fraction,
        "shards": _strip(item),
        "attempts": item.attempts,
    }


def _output(item: SubtaskProgress) -> dict[str, Any]:
    error = item.error
    first = next(iter(item.shards.values()), None)
    memory = max((float(shard.usage.get("memory_mb") or 0) for shard in item.shards.values()), default=0.0)
    return {
        "id": item.id,
        "seconds": item.seconds,
        "stdout": _printed(item, "stdout"),
        "stderr": _printed(item, "stderr"),
        "error": None if error is None else _error(error),
        "reason": clean_text(item.reason, 500),
        "worker": item.worker,
        "attempts": item.attempts,
        "layers": list(first.layers) if first is not None else [],
        "memory_mb": round(memory) or None,
    }


def _printed(item: SubtaskProgress, name: str) -> str:
    """The end of what it printed: from the results once it has ended, from the stream before."""
    whole = "".join(getattr(result, name) for result in item.results() if result is not None)
    text = whole if whole and item.state.final else getattr(item, name)
    return clean_text(text[-SHOWN_OUTPUT:], SHOWN_OUTPUT)


def _error(error: Any) -> dict[str, Any]:
    line = error.get("line")
    return {
        "type": clean_text(str(error.get("type") or ""), 200),
        "message": clean_text(str(error.get("message") or ""), 2_000),
        "line": line if isinstance(line, int) else None,
        "traceback": clean_text(str(error.get("traceback") or ""), 8_000),
        "hint": clean_text(str(error.get("hint") or ""), 1_000),
    }


def _strip(item: SubtaskProgress) -> str:
    """One letter per shard: s good, r running, f failed, x cancelled or skipped, w anything else."""
    letters = "".join(_LETTERS.get(shard.state, "w") for _, shard in sorted(item.shards.items()))
    if len(letters) <= SHOWN_SHARDS:
        return letters if len(letters) > 1 else ""
    step = len(letters) / SHOWN_SHARDS
    pieces = (letters[int(place * step) : int((place + 1) * step)] for place in range(SHOWN_SHARDS))
    return "".join(_piece(piece) for piece in pieces)


def _piece(letters: str) -> str:
    """What stands for several shards: the worst, and unfinished before finished."""
    return next(letter for letter in "frwxs" if letter in letters)
