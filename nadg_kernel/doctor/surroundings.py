"""What this process is given: Python, settings, keys, proxies. Nothing here touches disk or network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nadg_kernel.doctor.masking import masked_url
from nadg_kernel.doctor.report import Check, State
from nadg_kernel.errors import SettingsError
from nadg_kernel.planners.gemini.names import retired
from nadg_kernel.planners.registry import planner_names
from nadg_kernel.settings import NAMES, load_settings
from nadg_kernel.stores.retention import parse_age

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nadg_kernel.doctor.distributions import Versions
    from nadg_kernel.settings import Settings

LOWEST, TESTED = (3, 11), (3, 13)
KEYS = {
    "GEMINI_API_KEY": ("gemini_api_key", "without it recipes draft plans; set it and Gemini does"),
    "SUPABASE_SERVICE_KEY": ("supabase_service_key", "only a history shared through Supabase needs it"),
    "NADG_GRID_SECRET": (
        "grid_secret",
        'only remote workers need it: python -c "import secrets; print(secrets.token_hex(32))" makes one',
    ),
    "HF_TOKEN": ("hf_token", "only deploying workers to Hugging Face needs it"),
}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
SCHEMES = ("http", "https", "socks5", "socks5h")


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Whether this Python will do."""
    text = ".".join(map(str, version))
    if version[:2] < LOWEST:
        return Check("Python", "version", State.PROBLEM, text, "use Python 3.11 or later")
    if version[:2] > TESTED:
        return Check("Python", "version", State.NOTE, text, "tested up to 3.13; use that where something is odd")
    return Check("Python", "version", State.OK, text)


def settings_of(environ: Mapping[str, str] | None, copy: Mapping[str, str]) -> tuple[Settings, list[Check]]:
    """Settings, and a problem for each variable that is malformed; the rest counts as if that one were unset.

    `environ` None is this process's environment, with Colab's secrets; `copy` holds the variables either way.
    """
    try:
        return load_settings(environ), []
    except SettingsError:
        rest = dict(copy)
    problems: list[Check] = []
    for _ in NAMES:
        try:
            return load_settings(rest), problems
        except SettingsError as error:
            name = str(error).partition(" ")[0]
            if rest.pop(name, None) is None:
                raise
            problems.append(Check("settings", name, State.PROBLEM, str(error), f"correct or unset {name}"))
    return load_settings(rest), problems


def retention(settings: Settings) -> Iterator[Check]:
    """A problem where NADG_RETENTION is no age: a grid would not open."""
    try:
        parse_age(settings.retention or "1d", "NADG_RETENTION")
    except SettingsError as error:
        yield Check("settings", "NADG_RETENTION", State.PROBLEM, str(error), "correct or unset NADG_RETENTION")


def keys(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Which keys are set; never what they are."""
    for name, (field, advice) in KEYS.items():
        if getattr(settings, field):
            yield Check("keys", name, State.OK, "set")
        elif name == "GEMINI_API_KEY" and environ.get("GOOGLE_API_KEY"):
            found, do = "not set, GOOGLE_API_KEY is", "set GEMINI_API_KEY: the other name is not read"
            yield Check("keys", name, State.NOTE, found, do)
        else:
            yield Check("keys", name, State.NOTE, "not set", advice)


def planner(settings: Settings, versions: Versions) -> Check:
    """Whether what drafts plans can be made from the settings."""
    name = settings.planner or ("gemini" if settings.gemini_api_key else "recipes")
    if name not in planner_names():
        do = f"set NADG_PLANNER to one of {', '.join(planner_names())}, or unset it"
        return Check("planner", name, State.PROBLEM, "there is no planner of this name", do)
    if name != "gemini":
        do = "set GEMINI_API_KEY for Gemini" if name == "recipes" and not settings.planner else ""
        return Check("planner", name, State.OK, "needs no key" if name in {"recipes", "chat"} else "from a package", do)
    model, sdk = settings.gemini_model, settings.gemini_sdk
    if not settings.gemini_api_key:
        do = "set GEMINI_API_KEY, or unset NADG_PLANNER"
        return Check("planner", name, State.PROBLEM, "NADG_PLANNER asks for Gemini and there is no key", do)
    if versions(sdk) is None:
        extra = "gemini" if sdk == "google-genai" else sdk
        do = f"pip install 'nadg-kernel[{extra}]', or set NADG_PLANNER=recipes"
        return Check("planner", name, State.PROBLEM, f"its package {sdk} is not installed", do)
    if words := retired(model):
        return Check("planner", name, State.PROBLEM, words, "set or unset NADG_GEMINI_MODEL")
    return Check("planner", name, State.OK, f"{model} through {sdk}")


def proxies(environ: Mapping[str, str], versions: Versions) -> Iterator[Check]:
    """Which proxies are set, with credentials masked, and whether requests could use them."""
    names = [name for upper in PROXIES for name in (upper, upper.lower()) if environ.get(name, "").strip()]
    for name in names:
        value = environ[name].strip()
        if name.upper() == "NO_PROXY":
            hosts = ", ".join(masked_url(host) if "@" in host else host.strip() for host in value.split(","))
            do = "add a host here to reach it directly; loopback never goes through a proxy"
            yield Check("proxies", name, State.NOTE, hosts, do)
        else:
            yield _proxy(name, value, versions)
    if not names:
        yield Check("proxies", "environment", State.OK, "none set")


def _proxy(name: str, value: str, versions: Versions) -> Check:
    shown = masked_url(value)
    scheme = shown.partition("://")[0].lower() if "://" in shown else "http"
    if scheme not in SCHEMES:
        do = f"use one of {', '.join(SCHEMES)}, or unset {name}"
        return Check("proxies", name, State.PROBLEM, f"{shown} is of a kind that cannot be used", do)
    if scheme.startswith("socks") and versions("socksio") is None:
        return Check("proxies", name, State.PROBLEM, f"{shown} needs a package", "pip install socksio")
    do = "requests to Gemini, Supabase and remote workers go through it; name hosts in NO_PROXY to go around it"
    return Check("proxies", name, State.NOTE, shown, do)
