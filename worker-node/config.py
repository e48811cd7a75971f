"""The only reader of the worker's environment: settings are read once, and secrets leave the environment with it."""

from __future__ import annotations

import ipaddress
import uuid
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import machine

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SECRETS = ("NADG_AUTH_TOKEN", "NADG_AUTH_TOKEN_PREVIOUS", "NADG_WORKER_MODEL_KEY")
"""Taken out of the environment as they are read, so that nothing started later inherits them."""
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


class ConfigError(Exception):
    """A setting is malformed. The message names it and never shows a secret's value."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What one worker process is told at its start. Sizes in MB are 1024 * 1024 bytes."""

    host: str = "127.0.0.1"
    port: int = 7860
    worker_id: str = field(default_factory=lambda: f"worker-{uuid.uuid4().hex[:8]}")
    token: bytes = field(default=b"", repr=False)
    previous_token: bytes = field(default=b"", repr=False)
    capacity: int = field(default_factory=machine.cpus)
    max_body_mb: int = 16
    blob_quota_mb: int = 2048
    answers_mb: int = 256
    max_timeout_s: float = 3600
    max_memory_mb: int = field(default_factory=lambda: max(2048, machine.memory_mb()))
    max_disk_mb: int = 2048
    drain_s: float = 25
    allow_weak_sandbox: bool = False
    preload: tuple[str, ...] = ("numpy", "pandas")
    labels: tuple[str, ...] = ()
    model: str = ""
    model_key: str = field(default="", repr=False)

    @property
    def public(self) -> bool:
        """Whether others than this machine can reach the port."""
        return not is_loopback(self.host)

    @property
    def tokens(self) -> tuple[bytes, ...]:
        """The tokens that open this worker; empty if none was set."""
        return tuple(token for token in (self.token, self.previous_token) if token)


VARIABLES: dict[str, str] = {
    "host": "HOST",
    "port": "PORT",
    "worker_id": "WORKER_ID",
    "token": "NADG_AUTH_TOKEN",
    "previous_token": "NADG_AUTH_TOKEN_PREVIOUS",
    "capacity": "NADG_CAPACITY",
    "max_body_mb": "NADG_MAX_BODY_MB",
    "blob_quota_mb": "NADG_BLOB_QUOTA_MB",
    "answers_mb": "NADG_ANSWERS_MB",
    "max_timeout_s": "NADG_MAX_TIMEOUT_S",
    "max_memory_mb": "NADG_MAX_MEMORY_MB",
    "max_disk_mb": "NADG_MAX_DISK_MB",
    "drain_s": "NADG_DRAIN_S",
    "allow_weak_sandbox": "NADG_ALLOW_WEAK_SANDBOX",
    "preload": "NADG_PRELOAD",
    "labels": "NADG_WORKER_LABELS",
    "model": "NADG_WORKER_MODEL",
    "model_key": "NADG_WORKER_MODEL_KEY",
}
"""Field -> environment variable: all settings there are (the README's table is held to it by a test)."""


def read(environ: MutableMapping[str, str]) -> Config:
    """Read the settings and take the secrets out of `environ`. Raises ConfigError."""
    found = {name: environ[variable] for name, variable in VARIABLES.items() if variable in environ}
    for name in SECRETS:
        environ.pop(name, None)
    parsed: dict[str, Any] = {n: _parse(n, text.strip()) for n, text in found.items() if _is_set(n, text)}
    return Config(**parsed)


def _is_set(name: str, text: str) -> bool:
    # `NADG_PRELOAD=` means: preload nothing. Any other empty variable means: the default.
    return bool(text.strip()) or name == "preload"


def _parse(name: str, text: str) -> object:
    kind = next(item.type for item in fields(Config) if item.name == name)
    variable = VARIABLES[name]
    if kind == "bytes":
        return text.encode("utf-8", "surrogateescape")
    if kind == "tuple[str, ...]":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind == "bool":
        if text.lower() not in _TRUE | _FALSE:
            message = f"{variable} is {text!r}: write 1 or 0"
            raise ConfigError(message)
        return text.lower() in _TRUE
    if kind in {"int", "float"}:
        return _number(variable, text, whole=kind == "int", least=0 if name in {"port", "drain_s"} else 1)
    return text


def _number(variable: str, text: str, *, whole: bool, least: int) -> float:
    try:
        number: float = int(text) if whole else float(text)
    except ValueError:
        message = f"{variable} is {text!r}: write a{' whole' if whole else ''} number"
        raise ConfigError(message) from None
    most = 65_535 if variable == "PORT" else 10**9
    if not least <= number <= most:
        message = f"{variable} is {text}: it must be between {least} and {most}"
        raise ConfigError(message)
    return number


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host, as it stands in a bind address or a Host header without port, is this machine only."""
    bare = host.strip("[]").lower()
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False
