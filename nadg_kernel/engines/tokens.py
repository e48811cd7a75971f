"""Each registered worker's own token: what opens one worker says nothing about another's."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets

from nadg_kernel.engines.addresses import AddressRefused, canonical_origin
from nadg_kernel.engines.client import WorkerEndpoint
from nadg_kernel.errors import SettingsError
from nadg_kernel.settings import GRID_SECRET_BYTES, Secret

_HOW = 'python -c "import secrets; print(secrets.token_hex(32))"'


def worker_token(secret: Secret | str | None, origin: str, generation: int) -> Secret:
    """HMAC-SHA256 (hex) of the grid secret over `nadg1|canonical origin|generation`.

    `origin` is a worker's URL in any spelling; rotation raises `generation`. Raises SettingsError without a secret of
    32 bytes or more, WorkerError for a URL that no worker may have.
    """
    plain = secret.reveal() if isinstance(secret, Secret) else secret or ""
    if not plain:
        raise SettingsError(f"NADG_GRID_SECRET is not set: a registered worker needs it. Make one with {_HOW}")
    if len(plain.encode()) < GRID_SECRET_BYTES:
        raise SettingsError(f"NADG_GRID_SECRET is shorter than {GRID_SECRET_BYTES} bytes: make one with {_HOW}")
    message = f"nadg1|{canonical_origin(origin)}|{generation}"
    return Secret(hmac.new(plain.encode(), message.encode(), hashlib.sha256).hexdigest())


def registered_endpoint(
    worker_id: str,
    url: str,
    generation: int,
    secret: Secret | str | None,
    *,
    bearer: Secret | None = None,
    allow_private: bool = False,
) -> WorkerEndpoint:
    """A row of the registry as an endpoint with its own token, and with `bearer` for the host in front of it.

    A row is not trusted: a URL that no worker may have gets no token, and the engine says of it why it is not used.
    Without a secret no worker gets one. Raises SettingsError for a secret that is too short.
    """
    token = None
    if secret:
        with contextlib.suppress(AddressRefused):
            token = worker_token(secret, url, generation)
    return WorkerEndpoint(worker_id=worker_id, url=url, token=token, bearer=bearer, allow_private=allow_private)


def random_token() -> Secret:
    """A token for a worker of this kernel's own, known to nobody else and never stored."""
    return Secret(secrets.token_hex(32))
