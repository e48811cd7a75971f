"""The commands of whoever looks after workers, history and this machine; `add_to` puts them into the program."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

_Worker = Annotated[str, typer.Argument(metavar="ID|URL", help="A registered worker, by its id or URL.")]
_Json = Annotated[str, typer.Option("--json", metavar="FILE", help="Write the answers as JSON; - is stdout.")]

workers = typer.Typer(help="Registered workers: who they are, their tokens, whether they answer.")
db = typer.Typer(help="What keeps the history.")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(workers, name="workers")
    app.command("heartbeat")(heartbeat_command)
    app.command("autoscale")(autoscale_command)
    app.command("prune")(prune_command)
    app.add_typer(db, name="db")
    app.command("doctor")(doctor_command)


def autoscale_command(
    *,
    max_workers: Annotated[int, typer.Option("--max-workers", min=0, help="At most this many workers on.")] = 4,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="As if this plan's shards waited.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; needed here.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> int:
    """Say which workers autoscaling would start or stop: for a plan, or for what the runs that were left still need."""
    from nadg_kernel.cli.autoscale import autoscale

    return autoscale(max_workers, plan, dry_run=dry_run, as_json=as_json)


@workers.command("add")
def add_command(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://host, as the worker is reached.")],
    *,
    worker_id: Annotated[str, typer.Option("--id", help="What to call it; made from the host by default.")] = "",
) -> int:
    """Register a remote worker. Needs NADG_GRID_SECRET, from which its token follows."""
    from nadg_kernel.cli.workers import add

    return add(url, worker_id=worker_id)


@workers.command("list")
def list_command(
    *, as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout: one object per worker.")] = False
) -> int:
    """Show the registered workers as they were last seen; nobody is asked."""
    from nadg_kernel.cli.workers import listing

    return listing(as_json=as_json)


@workers.command("remove")
def remove_command(worker: _Worker) -> int:
    """Forget a worker. Its history stays."""
    from nadg_kernel.cli.workers import remove

    return remove(worker)


@workers.command("ping")
def ping_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID|URL]...", help="Which workers; all by default.")
    ] = None,
    *,
    json_file: _Json = "",
) -> int:
    """Ask workers now, also whether they take their token. Exit code 1 if one does not answer or refuses it."""
    from nadg_kernel.cli.heartbeat import ping

    return ping(names or (), json_file=json_file)


@workers.command("token")
def token_command(worker: _Worker) -> int:
    """Print the token to set as NADG_AUTH_TOKEN on a worker. A URL that is not registered yet will do."""
    from nadg_kernel.cli.workers import token

    return token(worker)


@workers.command("rotate")
def rotate_command(worker: _Worker) -> int:
    """Change a worker's token in two steps: say what to set on it; called again, use it once the worker takes it."""
    from nadg_kernel.cli.workers import rotate

    return rotate(worker)


def heartbeat_command(
    *,
    json_file: _Json = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 also if a worker sleeps, or if there is none.")
    ] = False,
) -> int:
    """Ask all registered workers at once and write their statuses. Exit code 1 if one is offline."""
    from nadg_kernel.cli.heartbeat import heartbeat

    return heartbeat(json_file=json_file, strict=strict)


def prune_command(
    *,
    older_than: Annotated[str, typer.Option("--older-than", metavar="AGE", help="Such as 12h, 30d, 8w or 1y.")],
    results_only: Annotated[
        bool, typer.Option("--results-only", help="Delete results and output only; outcomes and plans stay.")
    ] = False,
) -> int:
    """Delete runs that ended longer ago than AGE, and the blobs that nothing refers to any more."""
    from nadg_kernel.cli.prune import prune

    return prune(older_than=older_than, results_only=results_only)


def doctor_command(
    *,
    online: Annotated[bool, typer.Option("--online", help="Also ask Gemini and the Hub about their keys.")] = False,
    no_workers: Annotated[bool, typer.Option("--no-workers", help="Start no local worker.")] = False,
    json_file: _Json = "",
) -> int:
    """Look at all that NADG needs here, and say what to do. Exit code 1 if there is a problem. Shows no secret."""
    from nadg_kernel.cli.doctor import doctor

    return doctor(online=online, workers=not no_workers, json_file=json_file)


@db.command("check")
def check_command() -> int:
    """Say where the history is and whether it can be used. Exit code 1 if it cannot, with what to do."""
    from nadg_kernel.cli.db import check

    return check()


@db.callback()
def db_root() -> None:
    """What keeps the history."""
