"""What has to be tried: the stores, a local worker with its sandbox, and Gemini where a person asks for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.doctor.report import Check, State
from nadg_kernel.errors import NadgError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.settings import Settings

READY_S = 45.0
"""How long a local worker may take to start: seconds on an idle machine, many more on a busy or a new one."""
ONLINE_S = 30.0
"""How long Gemini may take to answer."""
STORES_S = 60.0
"""How long the stores may take, with Supabase's own retries."""
LITTLE_DISK = 1_000_000_000
"""Bytes; one run with artifacts may fill what is left."""


def stores(settings: Settings) -> Iterator[Check]:
    """Path and size of the history, and what `nadg db check` says of it and of Supabase."""
    from nadg_kernel.cli.db import look_at_stores
    from nadg_kernel.loop import BackgroundLoop

    yield folder(settings.home)
    loop = BackgroundLoop("nadg-doctor")  # a notebook's own loop runs already
    try:
        looks = loop.run(look_at_stores(settings), timeout=STORES_S)
    except TimeoutError:
        do = "try again; nadg db check waits as long as it takes"
        yield Check("store", "check", State.PROBLEM, f"no answer in {STORES_S:.0f} s", do)
        return
    finally:
        loop.close()
    for look in looks:
        found = "; ".join(look.lines)
        if not look.good:
            yield Check("store", look.store, State.PROBLEM, found, "then run nadg db check")
        elif look.store == "Supabase" and not settings.supabase_url:
            yield Check("store", look.store, State.NOTE, found, "nothing, unless several machines share a history")
        else:
            yield Check("store", look.store, State.OK, found)


def folder(home: Path) -> Check:
    """Where journal, blobs and plans are, how large they are, and whether there is room."""
    there = next(place for place in (home, *home.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Check("store", "folder", State.PROBLEM, f"{home}: cannot be written", "set NADG_HOME to another folder")
    free = shutil.disk_usage(there).free
    found = f"{home}, {_size(home) / 1e6:,.1f} MB, {free / 1e9:,.1f} GB free"
    do = "nadg prune --older-than 30d frees room; NADG_RETENTION does so whenever a grid opens"
    return Check("store", "folder", State.NOTE if free < LITTLE_DISK else State.OK, found, do)


def local_worker() -> Iterator[Check]:
    """Start one worker with a home of its own, look at its sandbox, end it."""
    from nadg_kernel.grid import Grid
    from nadg_kernel.settings import Settings

    with tempfile.TemporaryDirectory(prefix="nadg-doctor-", ignore_cleanup_errors=True) as home:
        try:
            with Grid(settings=Settings(home=Path(home), planner="recipes"), local_workers=1) as grid:
                ready = grid.wait_ready(1, READY_S)
                states = grid.worker_states()
                errors = [repr(error) for error in grid.loop.errors]
        except (NadgError, OSError) as error:
            ready, states, errors = False, (), [str(error)]
    if ready:
        yield from layers(states[0])
        return
    reasons = [state.reason for state in states if state.reason] + errors
    found = "; ".join(reasons) or f"not ready in {READY_S:.0f} s"
    do = "nadg worker --port 0 shows its own messages; NADG_LOCAL_WORKERS=0 goes without local workers"
    yield Check("workers", "local worker", State.PROBLEM, found, do)


def layers(state: WorkerState) -> Iterator[Check]:
    """What confines code on a worker that is ready."""
    missing = {name: said for name, said in state.sandbox.items() if said != "active"}
    do = "run only code that you trust here, or register a worker in Docker (worker-node/README.md)"
    if state.weak:
        yield Check("workers", "local worker", State.NOTE, "starts; its sandbox is weak", do)
    else:
        yield Check("workers", "local worker", State.OK, "starts, confined")
    active = ", ".join(name for name in state.sandbox if name not in missing)
    yield Check("workers", "layers", State.OK if active else State.NOTE, active or "none active", "" if active else do)
    for name, said in missing.items():
        yield Check("workers", f"layer {name}", State.NOTE, said, do)


def gemini(settings: Settings, *, online: bool) -> Check:
    """Whether Gemini takes the key and knows the model: it is asked to count a word's tokens, which costs nothing."""
    topic, what = "planner", "Gemini online"
    if not settings.gemini_api_key:
        return Check(topic, what, State.NOTE, "not asked: there is no key", "set GEMINI_API_KEY")
    if not online:
        return Check(topic, what, State.NOTE, "not asked", "nadg doctor --online, or doctor(online=True), asks it")
    from nadg_kernel.loop import BackgroundLoop

    loop = BackgroundLoop("nadg-doctor")
    try:
        loop.run(_count(settings), timeout=ONLINE_S)
    except NadgError as error:
        return Check(topic, what, State.PROBLEM, str(error), "until then NADG_PLANNER=recipes drafts without it")
    except TimeoutError:
        do = "look at the network and the proxies; until then NADG_PLANNER=recipes drafts without it"
        return Check(topic, what, State.PROBLEM, f"no answer in {ONLINE_S:.0f} s", do)
    finally:
        loop.close()
    return Check(topic, what, State.OK, f"answers, and knows {settings.gemini_model}")


async def _count(settings: Settings) -> None:
    from nadg_kernel.planners.gemini import make_gemini

    model = make_gemini(settings).model
    async with model.session():
        await model.count("hello")


def _size(home: Path) -> int:
    """Bytes of all files below; one that goes away meanwhile does not count."""
    total = 0
    for place, _folders, files in os.walk(home):
        for name in files:
            try:
                total += (Path(place) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total
