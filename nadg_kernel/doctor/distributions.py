"""Which packages are here, whether this project calls them, why, and how to switch."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from nadg_kernel.doctor.report import Check, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Versions = Callable[[str], str | None]
    """Takes a distribution's name and gives its version, None where it is not installed."""

TOPIC = "packages"
CORE = {
    "pandas": "data frames",
    "numpy": "arrays",
    "pyarrow": "carries frames to workers and back",
    "fastapi": "the worker service",
    "uvicorn": "serves the worker",
    "httpx2": "requests to workers",
    "pydantic": "checks the messages to and from workers",
    "plotly": "charts",
    "markdown-it-py": "renders reports",
    "vaderSentiment": "lexicon of the sentiment recipe",
    "typer": "the command line",
    "rich": "tables on terminals",
}
FASTER = {"uvloop": "a faster event loop for workers", "httptools": "a faster HTTP parser for workers"}


@dataclass(frozen=True)
class Extra:
    """A package that one of our extras installs."""

    name: str
    extra: str
    why: str


LAB = (
    Extra("jupyterlab", "lab", "the notebook"),
    Extra("ipykernel", "lab", "runs a notebook's Python"),
    Extra("ipywidgets", "lab", "the panel's widgets"),
    Extra("jupyterlab_widgets", "lab", "shows ipywidgets in JupyterLab"),
    Extra("anywidget", "lab", "the panel's plan view"),
)
EXTRAS = (
    Extra("google-genai", "gemini", "the Gemini planner"),
    Extra("supabase", "supabase", "the shared history"),
    Extra("huggingface_hub", "deploy", "deploys workers as Spaces"),
    Extra("distributed", "dask", "an existing Dask cluster instead of workers"),
    Extra("voila", "app", "the panel as a page of its own"),
)
WIDGETS = {"7": "1", "8": "3"}
"""Major version of ipywidgets -> that of the JupyterLab extension that shows it."""


def installed(name: str) -> str | None:
    """The version of a distribution in this Python."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def floors() -> dict[str, str]:
    """Lowest allowed version by distribution, as the installed package declares; empty for a bare folder of sources."""
    try:
        required = metadata.requires("nadg-kernel") or []
    except metadata.PackageNotFoundError:
        return {}
    found = (re.match(r"([\w.-]+)(?:\[[^\]]*\])?>=([\w.]+)", text) for text in required)
    return {_plain(match[1]): match[2] for match in found if match}


def packages(versions: Versions, lowest: Mapping[str, str]) -> Iterator[Check]:
    """What the core calls, then what its extras call."""
    for name, why in CORE.items():
        yield _judged(name, why, versions(name), lowest, "pip install -U nadg-kernel", State.PROBLEM)
    for name, why in FASTER.items():
        yield _judged(name, why, versions(name), lowest, f"works without it; pip install {name}", State.NOTE)
    yield from _extras(EXTRAS, TOPIC, versions, lowest)


def notebook(versions: Versions, lowest: Mapping[str, str]) -> Iterator[Check]:
    """JupyterLab, the widgets, and whether the two halves of ipywidgets fit each other."""
    yield from _extras(LAB, "notebook", versions, lowest)
    python_side, browser_side = versions("ipywidgets"), versions("jupyterlab_widgets")
    if not python_side or not browser_side:
        return
    wanted = WIDGETS.get(python_side.partition(".")[0])
    found = f"ipywidgets {python_side} with jupyterlab_widgets {browser_side}"
    if wanted and browser_side.partition(".")[0] != wanted:
        do = f"pip install 'jupyterlab_widgets=={wanted}.*', then restart JupyterLab; widgets stay blank until then"
        yield Check("notebook", "widgets fit", State.PROBLEM, found, do)
    else:
        yield Check("notebook", "widgets fit", State.OK, found)


def not_called(versions: Versions, sdk: str, *, patched: bool | None = None) -> Iterator[Check]:
    """httpx, nest_asyncio and google-generativeai: the project was specified with them.

    `sdk` is NADG_GEMINI_SDK; `patched` whether nest_asyncio changed this process (found out by default).
    """
    found = _said(versions("httpx"), "not called by us: our requests go through httpx2, its maintained continuation")
    do = "nothing to switch; supabase brings httpx for its own requests, so leave it installed with that extra"
    yield Check(TOPIC, "httpx", State.OK, found, do)

    found = _said(versions("nest_asyncio"), "not called by us: the grid's loop has a thread of its own")
    do = "nothing to switch: await run and run.wait() both work in a notebook"
    if patched if patched is not None else hasattr(asyncio, "_nest_patched"):
        do = "restart the kernel without nest_asyncio.apply(): on ipykernel 7 quick clicks on buttons fail with it"
        yield Check(TOPIC, "nest_asyncio", State.NOTE, f"{found}; it changed this process", do)
    else:
        yield Check(TOPIC, "nest_asyncio", State.OK, found, do)

    name, version = "google-generativeai", versions("google-generativeai")
    if sdk == name and version is None:
        do = f"pip install 'nadg-kernel[{name}]', or unset NADG_GEMINI_SDK to use google-genai"
        yield Check(TOPIC, name, State.PROBLEM, "not installed, and NADG_GEMINI_SDK asks for it", do)
    elif sdk == name:
        do = "unset NADG_GEMINI_SDK to use google-genai, its successor"
        yield Check(TOPIC, name, State.NOTE, f"{version}; used, and no longer maintained since November 2025", do)
    else:
        do = f"to switch: pip install 'nadg-kernel[{name}]' and set NADG_GEMINI_SDK={name}"
        why = "not used: google-genai is its maintained successor"
        yield Check(TOPIC, name, State.OK, _said(version, why), do)


def _extras(extras: Iterable[Extra], topic: str, versions: Versions, lowest: Mapping[str, str]) -> Iterator[Check]:
    for item in extras:
        advice = f"pip install -U 'nadg-kernel[{item.extra}]'"
        yield _judged(item.name, item.why, versions(item.name), lowest, advice, State.NOTE, topic)


def _judged(
    name: str,
    why: str,
    version: str | None,
    lowest: Mapping[str, str],
    advice: str,
    without: State,
    topic: str = TOPIC,
) -> Check:
    if version is None:
        return Check(topic, name, without, f"not installed: {why}", advice)
    floor = lowest.get(_plain(name))
    if floor and _numbers(version) < _numbers(floor):
        return Check(topic, name, State.PROBLEM, f"{version} is older than {floor}: {why}", f"pip install -U {name}")
    return Check(topic, name, State.OK, f"{version}: {why}")


def _said(version: str | None, why: str) -> str:
    return f"{version or 'not installed'}; {why}"


def _numbers(version: str) -> tuple[int, ...]:
    """What comes before any letter is enough to compare with a floor."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    return tuple([*numbers, 0, 0, 0, 0][:4])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
