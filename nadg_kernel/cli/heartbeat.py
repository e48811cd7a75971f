"""`nadg heartbeat` and `nadg workers ping`: every worker asked at once, a table or JSON, an exit code to monitor by."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import error_line, make_console
from nadg_kernel.cli.jsonfile import STDOUT, require_place, write_json
from nadg_kernel.cli.opened import opened
from nadg_kernel.cli.tables import print_table
from nadg_kernel.registry import STATUSES
from nadg_kernel.settings import in_github_actions, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nadg_kernel.registry import Beat
    from nadg_kernel.settings import Settings

SECRETS = "SUPABASE_URL and SUPABASE_SERVICE_KEY"
FIELDS = (
    *("worker_id", "url", "status", "seconds", "running", "capacity", "labels", "layers", "weak", "takes_token"),
    "reason",
)
COLUMNS = ("worker", "status", "ms", "running", "layers", "reason")


def heartbeat(*, json_file: str, strict: bool) -> int:
    """Ask all workers and write their statuses; the exit code says whether all are there. Raises NadgError."""
    settings = load_settings()
    require_place(json_file)
    beats = asyncio.run(_beats(settings, (), tokens=False))
    if not beats:
        _notice(_nobody(settings))
    report(beats, json_file=json_file)
    return verdict(beats, strict=strict)


def ping(workers: Sequence[str], *, json_file: str) -> int:
    """Ask these workers, or all, also whether they take their token. Raises NadgError."""
    settings = load_settings()
    require_place(json_file)
    beats = asyncio.run(_beats(settings, workers, tokens=bool(settings.grid_secret)))
    if not beats:
        error_line(_nobody(settings))
    elif not settings.grid_secret:
        error_line("NADG_GRID_SECRET is not set: whether they take their token was not asked")
    report(beats, json_file=json_file)
    return verdict(beats)


async def _beats(settings: Settings, workers: Sequence[str], *, tokens: bool) -> list[Beat]:
    async with opened(settings) as here:
        here.require("the workers cannot be read from Supabase")
        rows = [await here.registry.find(worker) for worker in workers] if workers else None
        beats = await here.registry.heartbeat(rows, tokens=tokens)
        here.require("what the workers answered was not written to Supabase")
        return beats


def verdict(beats: Sequence[Beat], *, strict: bool = False) -> Code:
    """0 if every worker can be counted on; `strict` wants at least one, and none asleep."""
    good = all(beat.ok for beat in beats)
    if strict:
        good = good and bool(beats) and all(beat.status != "asleep" for beat in beats)
    return Code.OK if good else Code.NOT_ALL_SUCCEEDED


def report(beats: Sequence[Beat], *, json_file: str) -> None:
    """Write the JSON where it is wanted, and the table to stdout unless that is the JSON's. Raises SettingsError."""
    if json_file:
        write_json(as_json(beats), json_file)
    if beats and json_file != STDOUT:
        console = make_console()
        print_table(console, COLUMNS, map(_row, beats), numbers=("ms", "running"))
        _sum_up(console, beats)


def as_json(beats: Sequence[Beat]) -> dict[str, Any]:
    """`{"at", "ok", "counts", "workers"}`; docs/workers.md describes each field."""
    count = Counter(beat.status for beat in beats)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "ok": all(beat.ok for beat in beats),
        "counts": {status: count[status] for status in STATUSES},
        "workers": [{name: getattr(beat, name) for name in FIELDS} for beat in beats],
    }


def _row(beat: Beat) -> dict[str, object]:
    answered = beat.seconds is not None
    return {
        "worker": beat.worker_id,
        "status": beat.status if beat.takes_token is not False else f"{beat.status}, refuses the token",
        "ms": round(beat.seconds * 1000) if beat.seconds is not None else None,
        "running": f"{beat.running}/{beat.capacity}" if answered else None,
        "layers": f"{len(beat.layers)}{', weak' if beat.weak else ''}" if answered else None,
        "reason": beat.reason,
    }


def _sum_up(console: Console, beats: Sequence[Beat]) -> None:
    count = Counter(beat.status for beat in beats)
    said = ", ".join(f"{count[status]} {status}" for status in STATUSES if count[status])
    console.print(f"{len(beats)} worker{'' if len(beats) == 1 else 's'}: {said}")


def _nobody(settings: Settings) -> str:
    add = "nadg workers add URL registers one"
    if settings.supabase_url:
        return f"no worker is registered in Supabase: nobody to ask; {add}"
    return f"no worker is registered here, and {SECRETS} are not set: nobody to ask; {add}"


def _notice(text: str) -> None:
    """A line on stderr; on GitHub a notice on the run's page."""
    if in_github_actions():
        print(f"::notice title=NADG heartbeat::{text}", file=sys.stderr)  # noqa: T201
    else:
        error_line(text)
