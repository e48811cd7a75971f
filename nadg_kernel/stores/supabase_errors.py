"""What Supabase and the way to it can answer, each as a message with what to do."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nadg_kernel.errors import NadgError, RunNotFound, SettingsError, StaleEpoch, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "run database/schema.sql in the project's SQL editor (it may be run again at any time)"
TRANSIENT = frozenset({"408", "429", "500", "502", "503", "504", "520", "521", "522", "523", "524"})
"""HTTP statuses that say nothing about the request itself."""
_NO_FUNCTION = frozenset({"PGRST202", "42883", "PGRST205", "42P01"})
_WRONG_KEY = frozenset({"401", "403", "PGRST301", "PGRST300", "PGRST302", "PGRST303"})


class SupabaseUnreachable(StoreError):  # noqa: N818
    """No answer that counts: the same may work later. What was to be written waits in the journal's outbox."""


def host_of(url: str) -> str:
    """The part of the URL that may be shown."""
    return urlsplit(url).hostname or url


def is_loopback(url: str) -> bool:
    """Whether the URL is this very machine."""
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


def check_settings(url: str, key: str) -> None:
    """Raise SettingsError for a URL or key that cannot be right, before anything is sent."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"SUPABASE_URL must look like https://PROJECT.supabase.co, not {url!r}"
        raise SettingsError(message)
    if parts.scheme == "http" and not is_loopback(url):
        message = "SUPABASE_URL must be https: the service key would cross the network in the clear"
        raise SettingsError(message)
    if parts.username or parts.password:
        message = "SUPABASE_URL must not hold a user or password"
        raise SettingsError(message)
    if not key.strip() or not key.isascii() or any(c.isspace() for c in key.strip()):
        message = "SUPABASE_SERVICE_KEY is empty or no key: copy the secret key from the project's API settings"
        raise SettingsError(message)
    if is_public(key):
        message = (
            "SUPABASE_SERVICE_KEY holds the public (anon or publishable) key: use the secret key (sb_secret_... or "
            "service_role), which never leaves this machine"
        )
        raise SettingsError(message)


def is_public(key: str) -> bool:
    """Whether it is a key that everyone may have."""
    if key.startswith("sb_publishable_"):
        return True
    parts = key.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - a JSON web token has three parts
        return False
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, UnicodeDecodeError):
        return False
    return isinstance(claims, dict) and claims.get("role") == "anon"


def explained(error: Exception, url: str, call: Mapping[str, Any]) -> NadgError:
    """The error that a person should see for what supabase-py raised in a call with these arguments."""
    from postgrest.exceptions import APIError

    host = host_of(url)
    if not isinstance(error, APIError):
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        message = f"cannot reach Supabase at {host} ({what}): look at SUPABASE_URL and the network"
        return SupabaseUnreachable(message)
    code, said = str(error.code or ""), str(error.message or error)
    return _of_ours(code, said, str(error.details or ""), call) or _of_the_project(code, said, host)


def _of_ours(code: str, said: str, detail: str, call: Mapping[str, Any]) -> NadgError | None:
    """Errors that the functions of database/schema.sql raise."""
    run = call.get("p_run") or ""
    run_id = str(run.get("run_id") if isinstance(run, dict) else run)
    if code == "PT409":
        return StaleEpoch(run_id, int(call.get("p_epoch") or 0), int(detail or 0))
    if code == "PT404":
        return RunNotFound(run_id)
    if code == "PT422" and "exists already" in said:
        return StoreError(f"run {run_id!r} exists already")
    if code == "PT422" and "same seq" in said:
        return StoreError(f"event {detail} of {run_id} is there with another content: two writers gave the same seq")
    if code == "23505" and "vm_url" in said:
        return StoreError("another worker is registered with this URL: remove it first")
    return None


def _of_the_project(code: str, said: str, host: str) -> NadgError:
    """Errors of Supabase itself."""
    about = f"Supabase at {host}"
    if code == "540" or "paused" in said.lower():
        advice = "free projects pause after 7 idle days; restore it in the dashboard"
        return SupabaseUnreachable(f"the Supabase project {host} is paused: {advice}")
    if code in _NO_FUNCTION:
        return StoreError(f"{about} lacks NADG's tables or functions ({said}): {SCHEMA}")
    if code == "42501":
        return StoreError(f"{about} refuses access ({said}): use the secret key; for its grants, {SCHEMA}")
    if code in _WRONG_KEY or "api key" in said.lower() or "jwt" in said.lower():
        advice = "copy the secret key of this very project"
        return StoreError(f"{about} does not accept SUPABASE_SERVICE_KEY ({said}): {advice}")
    if code == "404":
        return StoreError(f"{host} answers and is no Supabase project ({said[:200]}): look at SUPABASE_URL")
    if code in TRANSIENT:
        return SupabaseUnreachable(f"{about} cannot answer now ({code}): {said[:200]}")
    return StoreError(f"{about}: {said} ({code})")
