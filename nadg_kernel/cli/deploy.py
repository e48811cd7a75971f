"""`nadg deploy`, `undeploy`, `pause`, `wake`, `logs`: workers as Hugging Face Spaces, from the command line."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import ask, can_ask, error_line, make_console
from nadg_kernel.cli.opened import opened
from nadg_kernel.deploy.deploying import Deployer
from nadg_kernel.deploy.hub import Hub, checked_name
from nadg_kernel.deploy.shipment import pack, taken_from
from nadg_kernel.deploy.waiting import Pace
from nadg_kernel.display import clean_text
from nadg_kernel.errors import SettingsError
from nadg_kernel.settings import environment, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from nadg_kernel.deploy.shipment import Shipment
    from nadg_kernel.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the command line asked for."""

    space: str
    private: bool | None
    hardware: str
    worker_id: str
    variables: tuple[str, ...]
    secrets: tuple[str, ...]
    allow_weak: bool
    dry_run: bool
    yes: bool
    timeout: float


def deploy(wish: Wish) -> int:
    """Show what would be sent, ask, deploy, register. Raises NadgError."""
    settings = load_settings()
    shipment = _packed(wish)
    console = make_console()
    if wish.dry_run:
        console.print("\n".join(shipment.lines(settings.hf_endpoint)))
        console.print("nothing was sent: this was a dry run")
        return Code.OK
    Hub.of(settings)  # says what is missing before anything is asked
    if not settings.grid_secret:
        raise SettingsError(
            "NADG_GRID_SECRET is not set: the worker's token follows from it. Make one with "
            'python -c "import secrets; print(secrets.token_hex(32))", set it, and keep it'
        )
    if not _agreed(f"Deploy a worker to {shipment.space}, {_shortly(shipment)}?", yes=wish.yes):
        return Code.BAD_INPUT

    async def work() -> str:
        async with _deployer(settings, "a worker is registered in Supabase, which cannot be reached") as deployer:
            done = await deployer.deploy(shipment, allow_weak=wish.allow_weak, pace=Pace(most=wish.timeout))
            return f"{done.worker_id} is ready at {done.url}; grid.workers() shows it from the next Grid() on"

    console.print(asyncio.run(work()))
    return Code.OK


def undeploy(space: str, *, yes: bool) -> int:
    """Delete a worker's Space and forget the worker. Raises NadgError."""
    settings, name = load_settings(), checked_name(space)
    Hub.of(settings)
    if not _agreed(f"Delete the Space {name} with all its files, and forget its worker?", yes=yes):
        return Code.BAD_INPUT

    async def work() -> None:
        async with _deployer(settings, "the worker is forgotten in Supabase, which cannot be reached") as deployer:
            await deployer.undeploy(name)

    asyncio.run(work())
    return Code.OK


def pause(space: str) -> int:
    """Stop a worker's Space until it is woken. Raises NadgError."""
    name = checked_name(space)

    async def work() -> None:
        async with _deployer(load_settings()) as deployer:
            await deployer.pause(name)

    asyncio.run(work())
    make_console().print(f"{name} is paused: it costs nothing and takes no work until nadg wake {name}")
    return Code.OK


def wake(space: str, *, wait: bool, timeout: float) -> int:
    """Start a worker's Space. Raises NadgError."""
    name = checked_name(space)

    async def work() -> None:
        async with _deployer(load_settings()) as deployer:
            await deployer.wake(name, wait=wait, pace=Pace(most=timeout))

    asyncio.run(work())
    make_console().print(f"{name} runs" if wait else f"{name} is on its way")
    return Code.OK


def logs(space: str, *, build: bool, lines: int, follow: bool) -> int:
    """Print a Space's log. Raises NadgError."""
    name = checked_name(space)
    found = (clean_text(line, 2000) for line in Hub.of(load_settings()).logs(name, build=build, follow=follow))
    shown: Iterable[str] = found if follow else deque(found, maxlen=lines)
    empty = True
    for line in shown:
        empty = False
        print(line, flush=follow)  # noqa: T201
    if empty:
        error_line(f"the log is empty; nadg logs {name} --build shows its build" if not build else "the log is empty")
    return Code.OK


@asynccontextmanager
async def _deployer(settings: Settings, away: str = "") -> AsyncIterator[Deployer]:
    async with opened(settings) as here:
        if away:
            here.require(away)
        yield Deployer(Hub.of(settings), here.registry, report=_report, ask=ask if can_ask() else None)
        if away:
            here.require(away)


def _report(line: str) -> None:
    """What goes on, on stderr: stdout belongs to the result."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _packed(wish: Wish) -> Shipment:
    return pack(
        wish.space,
        worker_id=wish.worker_id,
        private=wish.private,
        hardware=wish.hardware,
        variables=dict(_pair(text) for text in wish.variables),
        secrets=taken_from(wish.secrets, environment()),
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise SettingsError(f"--variable is NAME=VALUE, not {text[:60]!r}")
    return name.strip(), value


def _shortly(shipment: Shipment) -> str:
    seen = {None: "public if it is new", True: "private", False: "public"}[shipment.private]
    on = shipment.hardware or "cpu-basic if it is new"
    return f"{seen}, on {on}; --dry-run shows all that is sent"


def _agreed(question: str, *, yes: bool) -> bool:
    """Whether the person wants it: by the flag or by answer. Says what is missing where nobody can be asked."""
    if yes:
        return True
    if not can_ask():
        error_line(f"{question} Nobody is here to answer: --yes says so beforehand")
        return False
    return ask(question)
