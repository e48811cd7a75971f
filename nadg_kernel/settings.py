"""Settings: the only place that reads the environment."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PLANNERS = ("gemini", "chat", "recipes")
GEMINI_SDKS = ("google-genai", "google-generativeai")
DEFAULT_GEMINI_MODEL = "gemini-3.8-flash"
GRID_SECRET_BYTES = 32
MAX_LOCAL_WORKERS = 64


class Secret:
    """A string that shows itself only when asked with `reveal()`: never in a repr, log, traceback or pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Wrap a secret."""
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Call it where it is sent, and keep no copy."""
        return self._value

    def __repr__(self) -> str:
        """Masked."""
        return "Secret('***')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Equal to another Secret with the same content."""
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        """Hash of the content."""
        return hash(self._value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse: a pickled secret is a secret in a file."""
        message = "a Secret cannot be pickled"
        raise TypeError(message)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set from outside, with its default. The README's settings table lists the same."""

    home: Path
    """NADG_HOME: where the journal, blobs and plans are; `$XDG_DATA_HOME/nadg` otherwise."""
    grid_secret: Secret | None = None
    """NADG_GRID_SECRET: 32 random bytes or more, from which each remote worker's own token is derived."""
    planner: str = ""
    """NADG_PLANNER: gemini, chat or recipes; empty: gemini when there is a key, else recipes."""
    gemini_model: str = DEFAULT_GEMINI_MODEL
    """NADG_GEMINI_MODEL"""
    gemini_sdk: str = "google-genai"
    """NADG_GEMINI_SDK: google-genai or google-generativeai."""
    local_workers: int = 2
    """NADG_LOCAL_WORKERS: how many workers Grid() starts on this machine."""
    retention: str = ""
    """NADG_RETENTION: prune ended runs older than this at start (such as 30d); empty keeps all."""
    gemini_api_key: Secret | None = None
    """GEMINI_API_KEY"""
    supabase_url: str = ""
    """SUPABASE_URL"""
    supabase_service_key: Secret | None = None
    """SUPABASE_SERVICE_KEY"""
    hf_token: Secret | None = None
    """HF_TOKEN"""
    hf_endpoint: str = ""
    """HF_ENDPOINT: another Hub than https://huggingface.co, as huggingface_hub reads it too."""


NAMES = (
    "NADG_HOME",
    "NADG_GRID_SECRET",
    "NADG_PLANNER",
    "NADG_GEMINI_MODEL",
    "NADG_GEMINI_SDK",
    "NADG_LOCAL_WORKERS",
    "NADG_RETENTION",
    "GEMINI_API_KEY",
    "SUPABASE_URL",
    "SUPABASE_SERVICE_KEY",
    "HF_TOKEN",
    "HF_ENDPOINT",
)
"""Every variable that the package reads; the docs are checked against this."""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment (and Colab's secrets for what it lacks). Raises SettingsError naming the variable."""
    env = os.environ if environ is None else environ
    colab = _colab_secrets() if environ is None else None

    def text(name: str) -> str:
        value = env.get(name, "").strip()
        return value or (colab(name) if colab is not None else "")

    def secret(name: str) -> Secret | None:
        value = text(name)
        return Secret(value) if value else None

    grid_secret = secret("NADG_GRID_SECRET")
    if grid_secret is not None and len(grid_secret.reveal().encode()) < GRID_SECRET_BYTES:
        message = (
            f"NADG_GRID_SECRET is shorter than {GRID_SECRET_BYTES} bytes: make one with "
            'python -c "import secrets; print(secrets.token_hex(32))"'
        )
        raise SettingsError(message)
    home = text("NADG_HOME")
    return Settings(
        home=Path(home).expanduser() if home else default_home(env),
        grid_secret=grid_secret,
        planner=_choice("NADG_PLANNER", text("NADG_PLANNER"), ("", *PLANNERS), free=True),
        gemini_model=text("NADG_GEMINI_MODEL") or DEFAULT_GEMINI_MODEL,
        gemini_sdk=_choice("NADG_GEMINI_SDK", text("NADG_GEMINI_SDK") or "google-genai", GEMINI_SDKS),
        local_workers=_count("NADG_LOCAL_WORKERS", text("NADG_LOCAL_WORKERS") or "2"),
        retention=text("NADG_RETENTION"),
        gemini_api_key=secret("GEMINI_API_KEY"),
        supabase_url=text("SUPABASE_URL"),
        supabase_service_key=secret("SUPABASE_SERVICE_KEY"),
        hf_token=secret("HF_TOKEN"),
        hf_endpoint=text("HF_ENDPOINT"),
    )


def environment() -> dict[str, str]:
    """A copy of all variables, secrets too, for `nadg_kernel.doctor`: show nothing of it unmasked."""
    return dict(os.environ)


def in_github_actions() -> bool:
    """Whether this is a job of GitHub Actions, which shows notices on the run's page."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def default_home(env: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/nadg`; without the variable the platform's own place for application data."""
    if base := env.get("XDG_DATA_HOME"):
        return Path(base) / "nadg"
    if sys.platform == "win32" and (base := env.get("LOCALAPPDATA")):
        return Path(base) / "nadg"
    return Path.home() / ".local" / "share" / "nadg"


def _choice(name: str, value: str, allowed: tuple[str, ...], *, free: bool = False) -> str:
    # A planner may come from an entry point under any name, so only its shape is checked here.
    if value in allowed or (free and value.replace("-", "_").isidentifier()):
        return value
    message = f"{name} must be one of {', '.join(filter(None, allowed))}, not {value!r}"
    raise SettingsError(message)


def _count(name: str, value: str) -> int:
    if value.isdecimal() and int(value) <= MAX_LOCAL_WORKERS:
        return int(value)
    message = f"{name} must be a number from 0 to {MAX_LOCAL_WORKERS}, not {value!r}"
    raise SettingsError(message)


def _colab_secrets() -> Callable[[str], str] | None:
    userdata = sys.modules.get("google.colab") and __import__("google.colab.userdata", fromlist=["get"])
    if not userdata:
        return None

    def get(name: str) -> str:
        try:
            return str(userdata.get(name) or "").strip()
        except (userdata.SecretNotFoundError, userdata.NotebookAccessError):
            return ""  # not set, or the person has not given this notebook access: the same as unset

    return get
