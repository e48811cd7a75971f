"""Keeps secrets out of what the doctor says, also where a message of somebody else quotes one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nadg_kernel.doctor.report import Check

MASK = "***"
SHORTEST = 6
"""Characters; masking anything shorter would only garble words."""
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_IN_TEXT = re.compile(r"(?<=://)[^\s@/]+@")
_USERINFO = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]*://)?(?P<user>.*)@", re.IGNORECASE | re.DOTALL)


def masked_url(url: str) -> str:
    """The URL with user and password masked, and without path or query; both may carry a key."""
    bare = _USERINFO.sub(lambda found: f"{found['scheme'] or ''}{MASK}@", url.strip())
    scheme, mark, rest = bare.rpartition("://")
    return scheme + mark + re.split(r"[/?#]", rest, maxsplit=1)[0]


def secrets_in(environ: Mapping[str, str], others: Iterable[str] = ()) -> list[str]:
    """Everything in the environment that may be a secret, longest first: by its name, or as part of a URL."""
    found = set(others)
    for name, value in environ.items():
        if _SECRET_NAME.search(name):
            found.add(value.strip())
        elif (match := _USERINFO.match(value.strip())) and (match["scheme"] or ":" in match["user"]):
            found |= {match["user"], match["user"].partition(":")[2]}
    found |= {unquote(value) for value in found}
    return sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True)


def masked(check: Check, secrets: Iterable[str]) -> Check:
    """The check without any of these."""
    texts = [check.found, check.do]
    for secret in secrets:
        texts = [text.replace(secret, MASK) for text in texts]
    found, do = (_IN_TEXT.sub(f"{MASK}@", text) for text in texts)
    return replace(check, found=found, do=do)
