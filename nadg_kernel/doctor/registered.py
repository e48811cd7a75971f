"""The workers that were registered: each is asked now, for its layers and whether it takes its token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.doctor.report import Check, State
from nadg_kernel.errors import NadgError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nadg_kernel.registry import Beat
    from nadg_kernel.settings import Settings

TOPIC, ALL = "workers", "registered"
ASK_S = 60.0
"""How long asking them all may take; none holds it up for more than a third of this."""


def registered(settings: Settings) -> Iterator[Check]:
    """One check per registered worker, or one that says that there is none. What they answer is kept, as in a ping."""
    if not settings.supabase_url and not (settings.home / "nadg.db").exists():
        yield _nobody()  # a look makes no history
        return
    from nadg_kernel.loop import BackgroundLoop

    loop = BackgroundLoop("nadg-doctor")
    try:
        beats = loop.run(_asked(settings), timeout=ASK_S)
    except NadgError as error:
        yield Check(TOPIC, ALL, State.NOTE, f"not asked: {error}", "see what is said of the store")
        return
    except TimeoutError:
        yield Check(
            TOPIC, ALL, State.NOTE, f"no answer in {ASK_S:.0f} s", "nadg workers ping waits as long as it takes"
        )
        return
    finally:
        loop.close()
    if not beats:
        yield _nobody()
    for beat in beats:
        yield judged(beat, secret=bool(settings.grid_secret))


async def _asked(settings: Settings) -> list[Beat]:
    from nadg_kernel.cli.opened import opened

    async with opened(settings) as here:
        return await here.registry.heartbeat(tokens=bool(settings.grid_secret))


def _nobody() -> Check:
    do = "only work on other machines needs one: nadg deploy, or nadg workers add URL (docs/workers.md)"
    return Check(TOPIC, ALL, State.OK, "none", do)


def judged(beat: Beat, *, secret: bool) -> Check:
    """What a worker's answer means."""
    name = f"worker {beat.worker_id}"
    if beat.status == "offline":
        do = f"look at it where it runs; nadg workers remove {beat.worker_id} forgets it"
        return Check(TOPIC, name, State.PROBLEM, f"offline: {beat.reason or 'no answer'}", do)
    if beat.status == "asleep":
        return Check(TOPIC, name, State.OK, f"asleep: {beat.reason or 'a visit wakes it'}")
    layers = f"layers: {', '.join(beat.layers) or 'none active'}"
    milliseconds = "" if beat.seconds is None else f" after {beat.seconds * 1000:.0f} ms"
    found = f"{beat.status}{milliseconds}; {layers}"
    if beat.takes_token is False:
        do = f"nadg workers token {beat.worker_id} prints the token to set on it as NADG_AUTH_TOKEN"
        return Check(TOPIC, name, State.PROBLEM, f"{found}; it refuses the grid's token", do)
    if not secret:
        do = "set NADG_GRID_SECRET: without it no work can be sent there"
        return Check(TOPIC, name, State.PROBLEM, f"{found}; whether it takes its token was not asked", do)
    if beat.weak:
        return Check(TOPIC, name, State.NOTE, f"{found}; its sandbox is weak", "run it in Docker on Linux")
    return Check(TOPIC, name, State.OK, found)
