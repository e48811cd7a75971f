"""The commands and their options; each hands over to a module of its own. Errors become one line here."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from nadg_kernel import __version__
from nadg_kernel.cli import operate, spaces
from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import error_line, prepare_streams
from nadg_kernel.errors import NadgError

app = typer.Typer(
    name="nadg",
    help="NADG: type a command, look at its plan, approve it, run it on confined workers.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Typer brings its own copy of click since 0.20 and used the real one before: take whichever it is.
_UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

_Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data", metavar="NAME=FILE", help="Attach a CSV, TSV, Parquet, JSON, text file or folder. Repeat it."
    ),
]


_Samples = Annotated[
    int, typer.Option("--samples", metavar="N", min=0, help="Let the planner see the first N rows of the data.")
]
_Json = Annotated[str, typer.Option("--json", metavar="FILE", help="Write the results as JSON; - is stdout.")]
_Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write results and charts as one offline HTML page.")
]
_Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Cancel the run after this long.")
]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code. Never shows a traceback of this package."""
    prepare_streams()
    words = sys.argv[1:] if arguments is None else list(arguments)
    words = words or ["--help"]
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_rest, **_more: error_line(f"note: {message}")
        try:
            code = app(args=words, prog_name="nadg", standalone_mode=False)
        except _UsageError as error:
            context = getattr(error, "ctx", None)
            path = getattr(context, "command_path", None) or "nadg"
            error_line(f"{error.format_message()} ({path} --help lists what there is)")
            return Code.BAD_INPUT
        except NadgError as error:
            error_line(str(error))
            return Code.BAD_INPUT
        except (KeyboardInterrupt, typer.Abort):
            error_line("interrupted")
            return Code.INTERRUPTED
        except Exception as error:
            if "--traceback" in words:
                raise
            error_line(
                f"internal error, please report it (nadg --traceback shows where): {type(error).__name__}: {error}"
            )
            return Code.NOT_ALL_SUCCEEDED
    if code == Code.INTERRUPTED and not isinstance(code, Code):
        error_line("interrupted")  # Typer turns a Ctrl-C that no command handled into this number
    return code if isinstance(code, int) else Code.OK


def _version(on: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag
    if on:
        print(f"nadg {__version__}")  # noqa: T201
        raise typer.Exit(Code.OK)


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an internal error comes from.")] = False,
) -> None:
    """NADG: type a command, look at its plan, approve it, run it on confined workers."""
    del version, traceback  # the first is handled by its callback, the second by `main`


@app.command("run")
def run_command(  # noqa: PLR0913 - one for each option
    command: Annotated[str | None, typer.Argument(help="What to do, in words.", show_default=False)] = None,
    *,
    data: _Data = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Run this plan file instead of drafting.")
    ] = None,
    answer: Annotated[
        str, typer.Option("--answer", metavar="FILE", help="Take a chat's answer to nadg prompt; - is stdin.")
    ] = "",
    samples: _Samples = 0,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", metavar="N", min=0, help="Pause when prompts have spent so many.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Approve the plan as shown, without asking.")] = False,
    json_file: _Json = "",
    html: _Html = None,
    save_plan: Annotated[
        Path | None, typer.Option("--save-plan", metavar="FILE", help="Write the plan file, draft or approved.")
    ] = None,
    timeout: _Timeout = None,
) -> int:
    """Draft a plan for a command (or take a plan file), show it, and run it once it is approved.

    Exit code: 0 if every subtask ended succeeded or cached, 1 if not, 2 if the input was no good.
    """
    from nadg_kernel.cli.following import Outputs
    from nadg_kernel.cli.run import Options, run

    return run(
        Options(
            command=command,
            data=tuple(data or ()),
            plan=plan,
            answer=answer,
            samples=samples,
            max_tokens=max_tokens,
            approve=approve,
            save_plan=save_plan,
            outputs=Outputs(json_file=json_file, html=html, timeout=timeout),
        )
    )


@app.command("prompt")
def prompt_command(
    command: Annotated[str, typer.Argument(help="What to do, in words.", show_default=False)],
    *,
    data: _Data = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Ask in these words for changes to this plan file.")
    ] = None,
    samples: _Samples = 0,
    answer: Annotated[
        str, typer.Option("--answer", metavar="FILE", help="An answer with problems: print the text for a second one.")
    ] = "",
) -> int:
    """Print the text to copy into any chat: its answer, saved, goes to nadg run --answer FILE."""
    from nadg_kernel.cli.prompt import Asked, prompt

    return prompt(Asked(command=command, data=tuple(data or ()), plan=plan, answer=answer, samples=samples))


@app.command("resume")
def resume_command(
    run_id: Annotated[str | None, typer.Argument(metavar="RUN_ID", help="Which run.", show_default=False)] = None,
    *,
    json_file: _Json = "",
    html: _Html = None,
    timeout: _Timeout = None,
) -> int:
    """Go on with a run that was left or interrupted: what is finished is kept. Without RUN_ID: list what there is.

    Exit codes as for run.
    """
    from nadg_kernel.cli.following import Outputs
    from nadg_kernel.cli.resume import resume

    return resume(run_id, Outputs(json_file=json_file, html=html, timeout=timeout))


@app.command("lab")
def lab_command(
    *,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open a browser.")] = True,
) -> int:
    """Open JupyterLab on the control panel; copies its notebook into this folder if there is none."""
    from nadg_kernel.cli.lab import lab

    return lab(browser=browser)


@app.command("app")
def app_command(
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port on this machine.")] = 8866,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open a browser.")] = True,
    dark: Annotated[bool, typer.Option("--dark", help="The dark theme.")] = False,
    data: _Data = None,
) -> int:
    """Serve the control panel as a web page of its own on this machine, behind a token; each visit has its own grid.

    Open the address that is printed. Ctrl-C ends it.
    """
    from nadg_kernel.cli.web import web

    return web(port=port, browser=browser, dark=dark, data=tuple(data or ()))


@app.command("worker")
def worker_command(
    *,
    host: Annotated[str, typer.Option("--host", help="Address to bind; loopback by default.")] = "",
    port: Annotated[int | None, typer.Option("--port", min=0, max=65_535, help="Port; 7860 by default.")] = None,
    worker_id: Annotated[str, typer.Option("--id", help="The worker's name; made up by default.")] = "",
) -> int:
    """Serve one worker here, until Ctrl-C. Its other settings come from the environment (worker-node/README.md)."""
    from nadg_kernel.cli.worker import worker

    return worker(host=host, port=port, worker_id=worker_id)


@app.command("history")
def history_command(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most this many rows, newest first.")] = 20,
    state: Annotated[str, typer.Option("--state", help="Only subtasks in this state, such as failed.")] = "",
    worker: Annotated[str, typer.Option("--worker", help="Only subtasks that ran on this worker.")] = "",
    text: Annotated[str, typer.Option("--text", help="Only where title, command or error contain this.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout: one object per row.")] = False,
) -> int:
    """Show past subtasks, newest first: one row per subtask and run."""
    from nadg_kernel.cli.history import history

    return history(limit=limit, state=state, worker=worker, text=text, as_json=as_json)


operate.add_to(app)
spaces.add_to(app)
