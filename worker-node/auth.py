"""Who may use this worker: one gate in front of every route, closed unless a rule opens it."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config import is_loopback
from wire import AUTH_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config import Config

PUBLIC = frozenset({("GET", "/"), ("GET", "/health"), ("GET", "/openapi.json")})
"""What everybody may read. Everything else, also what does not exist, is behind the gate."""
_AUTH = AUTH_HEADER.lower().encode("ascii")
_OWN_SITE = frozenset({b"none", b"same-origin"})


@dataclass(frozen=True)
class Denied:
    """Why a request may not pass: the HTTP status and what to do about it."""

    status: int
    error: str
    hint: str = ""


NO_TOKEN_PUBLIC = Denied(
    503,
    "this worker is reachable from other machines and has no token, so it runs nothing",
    "set the secret NADG_AUTH_TOKEN (for a Space: Settings, Variables and secrets) and restart the worker",
)
NO_TOKEN_GIVEN = Denied(401, f"the header {AUTH_HEADER} is missing", "send this worker's token in it")
TWO_TOKENS = Denied(401, f"the header {AUTH_HEADER} came more than once", "send it once")
WRONG_TOKEN = Denied(
    401,
    "the token is not this worker's",
    "after a rotation the previous token works only while NADG_AUTH_TOKEN_PREVIOUS is set",
)
NOT_LOCAL = Denied(
    403, "without a token only requests to localhost are served", "set NADG_AUTH_TOKEN to use other names"
)
FROM_A_PAGE = Denied(403, "without a token no request of a web page is served", "set NADG_AUTH_TOKEN")
NOT_JSON = Denied(415, "the body must be application/json", "send the header Content-Type: application/json")


def check(config: Config, method: str, path: str, headers: Sequence[tuple[bytes, bytes]]) -> Denied | None:
    """Decide over one request. `headers` are raw, names in lower case, as ASGI gives them. None: it may pass."""
    if (method, path) in PUBLIC:
        return None
    if config.tokens:
        return _by_token(config.tokens, headers)
    if config.public:
        return NO_TOKEN_PUBLIC
    return _by_place(method, headers)


def _by_token(tokens: Sequence[bytes], headers: Sequence[tuple[bytes, bytes]]) -> Denied | None:
    given = [value for name, value in headers if name == _AUTH]
    if not given:
        return NO_TOKEN_GIVEN
    if len(given) > 1:
        return TWO_TOKENS
    # Every token is compared, so that the time does not tell which one was close.
    matches = [hmac.compare_digest(given[0], token) for token in tokens]
    return None if any(matches) else WRONG_TOKEN


def _by_place(method: str, headers: Sequence[tuple[bytes, bytes]]) -> Denied | None:
    """No token, loopback bind: stop what a web page on this machine could send (cross-site, rebound names)."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not is_loopback(_without_port(hosts[0])):
        return NOT_LOCAL
    for name, value in headers:
        if name == b"origin" or (name == b"sec-fetch-site" and value not in _OWN_SITE):
            return FROM_A_PAGE
    if method == "POST" and not is_json(headers):
        return NOT_JSON
    return None


def is_json(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether exactly one content type came, and it is JSON (parameters such as a charset do not matter)."""
    types = [value for name, value in headers if name == b"content-type"]
    return len(types) == 1 and types[0].split(b";", 1)[0].strip().lower() == b"application/json"


def _without_port(host: bytes) -> str:
    text = host.decode("latin-1")
    if text.startswith("["):
        return text[: text.find("]") + 1]
    return text.rsplit(":", 1)[0] if text.count(":") == 1 else text
