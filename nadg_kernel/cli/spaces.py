"""The commands about workers as Spaces; `add_to` puts them into the program."""

from __future__ import annotations

from typing import Annotated

import typer

_Space = Annotated[str, typer.Argument(metavar="USER/SPACE", help="A Space of yours or of an organisation.")]
_Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long to wait for it.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("deploy")(deploy_command)
    app.command("undeploy")(undeploy_command)
    app.command("pause")(pause_command)
    app.command("wake")(wake_command)
    app.command("logs")(logs_command)


def deploy_command(  # noqa: PLR0913 - one for each option
    space: _Space,
    *,
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="Who may see it; public if it is new and none is given.")
    ] = None,
    hardware: Annotated[
        str, typer.Option("--hardware", metavar="NAME", help="Such as cpu-upgrade or t4-small, paid by the hour.")
    ] = "",
    worker_id: Annotated[
        str, typer.Option("--id", help="What to call the worker; made from the Space by default.")
    ] = "",
    variables: Annotated[
        list[str] | None,
        typer.Option("--variable", metavar="NAME=VALUE", help="A setting of the worker, for all to see. Repeat it."),
    ] = None,
    secrets: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NAME", help="A secret of the worker, as it is set here. Repeat it."),
    ] = None,
    allow_weak: Annotated[
        bool, typer.Option("--allow-weak", help="Let it run code although a layer of its sandbox is missing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, secrets masked.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    timeout: _Timeout = 1200,
) -> int:
    """Deploy a worker as a Hugging Face Space, or update it in place, and register it. Needs HF_TOKEN."""
    from nadg_kernel.cli.deploy import Wish, deploy

    return deploy(
        Wish(
            space=space,
            private=private,
            hardware=hardware,
            worker_id=worker_id,
            variables=tuple(variables or ()),
            secrets=tuple(secrets or ()),
            allow_weak=allow_weak,
            dry_run=dry_run,
            yes=yes,
            timeout=timeout,
        )
    )


def undeploy_command(space: _Space, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> int:
    """Delete a worker's Space with all its files, and forget the worker. Its history stays."""
    from nadg_kernel.cli.deploy import undeploy

    return undeploy(space, yes=yes)


def pause_command(space: _Space) -> int:
    """Stop a worker's Space: it costs nothing, and a visit does not wake it."""
    from nadg_kernel.cli.deploy import pause

    return pause(space)


def wake_command(
    space: _Space,
    *,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait until it runs.")] = True,
    timeout: _Timeout = 1200,
) -> int:
    """Start a worker's Space that sleeps, is paused or failed."""
    from nadg_kernel.cli.deploy import wake

    return wake(space, wait=wait, timeout=timeout)


def logs_command(
    space: _Space,
    *,
    build: Annotated[bool, typer.Option("--build", help="The log of its last build; else what runs says.")] = False,
    lines: Annotated[int, typer.Option("--lines", min=1, help="At most this many, the last ones.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", help="Go on printing until Ctrl-C.")] = False,
) -> int:
    """Print the log of a worker's Space."""
    from nadg_kernel.cli.deploy import logs

    return logs(space, build=build, lines=lines, follow=follow)
