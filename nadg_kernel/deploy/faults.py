"""What the Hub says no with, in words that tell a person what to do. No message holds a token."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nadg_kernel.errors import DeployError, MissingExtra, NadgError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nadg_kernel.settings import Secret

TOKENS = "https://huggingface.co/settings/tokens"
ELSEWHERE = "or run the worker on any Docker host (docs/deploy.md)"
NO_TOKEN = f"HF_TOKEN is not set: make a token that may write at {TOKENS} and set it as HF_TOKEN"
_PAYMENT = re.compile(r"\b(PRO|subscri\w+|payment|billing|upgrade)\b", re.IGNORECASE)
_SHOWN = 400
_NOT_FOUND, _TOO_MANY, _SERVER = 404, 429, 500


class NotThere(DeployError):  # noqa: N818 - a finding more than a fault
    """The Hub knows no such repository, or does not show it to this token."""


@contextmanager
def in_words(space: str, doing: str, token: Secret, endpoint: str) -> Iterator[None]:
    """Turn what huggingface_hub raises meanwhile into a DeployError about `space`. `doing`: what was tried."""
    try:
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise MissingExtra("huggingface_hub", "deploy") from None
    try:
        yield
    except NadgError:
        raise
    except Exception as error:
        found = _cause(error, HfHubHTTPError)
        if isinstance(found, HfHubHTTPError):
            status = getattr(found.response, "status_code", 0)
            said = _clean(getattr(found, "server_message", None) or _last_line(str(found)), token)
            missing = status == _NOT_FOUND or type(found).__name__ == "RepositoryNotFoundError"
            raise (NotThere if missing else DeployError)(_refusal(space, doing, status, said)) from None
        said = _clean(str(found) or type(found).__name__, token)
        if isinstance(found, (ValueError, RuntimeError)):
            raise DeployError(f"{doing} {space} failed: {said}") from None
        if not _is_network(found):
            raise
        raise DeployError(
            f"{endpoint} cannot be reached ({said}): look at the network and at HTTPS_PROXY, then try again; "
            "what was done so far is kept"
        ) from None


def _cause(error: BaseException, answered: type[Exception]) -> BaseException:
    """What is behind an error: huggingface_hub hides what ended an upload behind one that says nothing."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, answered) or _is_network(inner):
            return inner
        inner = inner.__cause__
    return error


def _is_network(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__module__.startswith(("httpx", "httpcore"))


def _refusal(space: str, doing: str, status: int, said: str) -> str:
    """One sentence on what happened, one on what to do."""
    told = f" ({said})" if said else ""
    if status == 402 or (status == 403 and _PAYMENT.search(said)):  # noqa: PLR2004 - HTTP's own numbers
        return (
            f"{doing} {space} needs a paid plan{told}: Docker Spaces are made by PRO accounts "
            f"(https://huggingface.co/pro), and other hardware than cpu-basic costs by the hour; {ELSEWHERE}"
        )
    if status == 401:  # noqa: PLR2004
        return f"the Hub does not know the token in HF_TOKEN{told}: make a new one that may write at {TOKENS}"
    if status == 403:  # noqa: PLR2004
        return (
            f"{doing} {space} is not allowed with the token in HF_TOKEN{told}: it needs the right to write to "
            f"{space.partition('/')[0]}'s Spaces; change it at {TOKENS}"
        )
    if status == _NOT_FOUND:
        return f"the Hub knows no Space {space}, or does not show it to the token in HF_TOKEN"
    if status == 409:  # noqa: PLR2004
        return f"the name {space} is taken{told}: choose another one, or rename or delete what has it"
    if status == _TOO_MANY:
        return f"the Hub asks to be left alone for a while{told}: {doing} {space} again later"
    if status >= _SERVER:
        return (
            f"the Hub has trouble of its own (status {status}{told}): try again, or see https://status.huggingface.co"
        )
    return f"{doing} {space} failed: status {status}{told}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _clean(text: str, token: Secret) -> str:
    from nadg_kernel.display import clean_text

    return clean_text(" ".join(text.replace(token.reveal(), "***").split()), _SHOWN)
