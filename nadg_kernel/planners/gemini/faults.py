"""What can go wrong with a call to Gemini, in words that say what to do, and whether to wait."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nadg_kernel.planners.gemini.names import CURRENT

OTHERS = "the command is kept: try again, or use the planner chat or recipes"
_SECONDS = re.compile(r"^\s*(\d+(?:\.\d+)?)s\s*$")
_BLOCKED = {
    "SAFETY": "Gemini's safety filter stopped the answer",
    "RECITATION": "Gemini stopped: the answer would have repeated a known text",
    "BLOCKLIST": "the answer holds words that are blocked",
    "PROHIBITED_CONTENT": "Gemini takes the content as prohibited",
    "SPII": "the answer would hold personal data",
    "LANGUAGE": "Gemini does not know the language",
    "MALFORMED_FUNCTION_CALL": "Gemini's answer is malformed",
    "OTHER": "Gemini stopped without saying why",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One failed call: words for the person, and seconds to wait before the next try (None: do not try again)."""

    message: str
    retry_after: float | None = None


def of_status(code: int, details: object, model: str, now: datetime) -> Fault:
    """From an error answer of the API: its HTTP status and its JSON body (or whatever came instead)."""
    error = _error(details)
    said = str(error.get("message") or "")[:300]
    status = str(error.get("status") or "")
    if code == 429 or status == "RESOURCE_EXHAUSTED":  # noqa: PLR2004 - HTTP
        return _quota(error, said, now)
    if (error and code in {401, 403}) or "API_KEY_INVALID" in str(details) or "API key" in said:
        return Fault(message=f"Gemini does not accept the key ({said or code}): check GEMINI_API_KEY. {OTHERS}")
    if code == 404:  # noqa: PLR2004
        known = ", ".join(CURRENT)
        words = f"there is no model {model!r} for this key: set NADG_GEMINI_MODEL to one of {known}. {OTHERS}"
        return Fault(message=words)
    if code in {500, 502, 503, 504}:
        return Fault(message=f"Gemini is overloaded or down ({code}): {OTHERS}", retry_after=0)
    if code == 400 and "location" in said.lower():  # noqa: PLR2004
        return Fault(message=f"Gemini is not offered where you are ({said}): use the planner chat or recipes")
    if not error:
        return Fault(message=f"what answered is not Gemini (status {code}): a proxy or a login page? {OTHERS}")
    return Fault(message=f"Gemini refused the request ({code} {status}): {said}. {OTHERS}")


def of_transport(error: BaseException) -> Fault:
    """From an exception of the HTTP client or of parsing what came."""
    name = type(error).__name__
    if "Timeout" in name:
        return Fault(message=f"Gemini did not answer in time: {OTHERS}")
    if "Connect" in name or isinstance(error, OSError):
        return Fault(
            message=f"Gemini cannot be reached ({_brief(error)}): check the network or proxy; {OTHERS}", retry_after=0
        )
    if any(word in name for word in ("Protocol", "Read", "Write", "Network", "Transport")):
        return Fault(message=f"the connection to Gemini broke ({_brief(error)}): {OTHERS}", retry_after=0)
    return Fault(message=f"what answered is not Gemini ({_brief(error)}): a proxy or a login page? {OTHERS}")


def of_finish(reason: str) -> str | None:
    """Words for a finish reason that is a failure; None for one that is not."""
    return (
        f"{_BLOCKED[reason]} ({reason}): say it in other words, or use the planner chat or recipes"
        if reason in _BLOCKED
        else None
    )


def of_block(reason: str) -> str:
    """Words for a prompt that was refused."""
    return f"Gemini refused the prompt ({reason}): say it in other words, or use the planner chat or recipes"


def _quota(error: Mapping[str, Any], said: str, now: datetime) -> Fault:
    ids = " ".join(str(value) for detail in _details(error) for value in _leaves(detail))
    if "perday" in ids.lower().replace("_", "") or "per day" in said.lower():
        return Fault(
            message=f"today's Gemini quota is used up; it resets {_reset(now)}. Until then use chat or recipes"
        )
    delay = next((_seconds(detail.get("retryDelay")) for detail in _details(error) if "retryDelay" in detail), None)
    wait = 30.0 if delay is None else delay
    words = f"Gemini takes no more requests for {wait:.0f} s (429, quota per minute): {OTHERS}"
    return Fault(message=words, retry_after=wait)


def _reset(now: datetime) -> str:
    """Quotas per day reset at midnight in California."""
    try:
        there = now.astimezone(ZoneInfo("America/Los_Angeles"))
    except ZoneInfoNotFoundError:
        return "at midnight Pacific time"
    midnight = (there + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = int((midnight.astimezone(UTC) - now.astimezone(UTC)).total_seconds() // 60)
    return f"at midnight Pacific time, in {minutes // 60} h {minutes % 60} min"


def _error(details: object) -> Mapping[str, Any]:
    if isinstance(details, list) and details:
        details = details[0]
    if not isinstance(details, Mapping):
        return {}
    inner = details.get("error")
    if isinstance(inner, Mapping):
        return inner
    known = isinstance(details.get("code"), int) and isinstance(details.get("status"), str)
    return details if known else {}


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = error.get("details")
    return [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _seconds(value: object) -> float | None:
    found = _SECONDS.match(value) if isinstance(value, str) else None
    return float(found[1]) if found else None


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
