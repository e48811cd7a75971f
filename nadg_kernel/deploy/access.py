"""Who is sent the Hub's token besides the Hub: private Spaces of the person's own, where the Hub says they are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nadg_kernel.deploy.calling import called
from nadg_kernel.deploy.hub import Hub, checked_name
from nadg_kernel.engines.addresses import canonical_origin, parse_origin
from nadg_kernel.errors import DeployError, WorkerError

if TYPE_CHECKING:
    from nadg_kernel.deploy.hub import Account
    from nadg_kernel.settings import Secret, Settings
    from nadg_kernel.stores.base import WorkerRow

SPACE, PRIVATE = "space", "private"
"""Keys of a registry row's details: what a deployment writes there. Anybody who can write rows can write them too."""
SPACES_HOST = ".hf.space"


def space_of(row: WorkerRow) -> str:
    """The Space that a row claims to be, as user/space; empty if none."""
    claimed = row.details.get(SPACE)
    if not isinstance(claimed, str):
        return ""
    try:
        return checked_name(claimed)
    except DeployError:
        return ""


class SpaceAccess:
    """Decides about one row after another. What the Hub confirmed is remembered; what it did not is asked again."""

    def __init__(self, settings: Settings) -> None:
        """With the settings' HF_TOKEN; without one the rows that concern it are refused."""
        self._settings = settings
        self._confirmed: set[tuple[str, str]] = set()
        self._account: Account | None = None
        self._asking = asyncio.Lock()

    def concerns(self, row: WorkerRow) -> bool:
        """Whether a row claims to be a private Space at a host that the token might go to. Nobody is asked."""
        return row.details.get(PRIVATE) is True and bool(space_of(row)) and self._may_be_space(row.url)

    async def bearer(self, row: WorkerRow) -> Secret | None:
        """The Hub's token for a row that concerns it: only if the Hub itself says all that the row claims.

        The Space is in the token's own account or organisations, is private, and answers at the row's origin. Raises
        DeployError with what is not so, MissingExtra without huggingface_hub.
        """
        if not self.concerns(row):
            return None
        if not self._settings.hf_token:
            raise DeployError(f"{space_of(row)} is a private Space: set HF_TOKEN to a token of its owner to reach it")
        name, origin = space_of(row), canonical_origin(row.url)
        if (name, origin) not in self._confirmed:
            await self._confirm(name, origin)
            self._confirmed.add((name, origin))
        return self._settings.hf_token

    async def _confirm(self, name: str, origin: str) -> None:
        hub = Hub.of(self._settings)
        async with self._asking:  # once for all rows: the Hub is strict about how often it is asked this
            if self._account is None:
                self._account = await called(hub.account)
            account = self._account
        if name.partition("/")[0] not in account.namespaces:
            raise DeployError(f"the private Space {name} is not of {account.name}, so it is not sent the token of it")
        space = await called(hub.space, name)
        if space is None:
            raise DeployError(f"the Hub knows no Space {name}: remove the worker, or deploy it again")
        if not space.private:
            raise DeployError(f"the Space {name} is public now: run nadg deploy {name} again")
        if not same_origin(space.origin, origin):
            raise DeployError(
                f"the row says that {name} is at {origin}, and the Hub says {space.origin}: it is not used"
            )

    def _may_be_space(self, url: str) -> bool:
        """On the Spaces' own domain; on this machine only where the Hub itself is a stand-in on this machine."""
        try:
            origin = parse_origin(url)
        except WorkerError:
            return False
        if origin.loopback:
            return on_this_machine(self._settings.hf_endpoint)
        return origin.scheme == "https" and origin.port == 443 and origin.host.endswith(SPACES_HOST)  # noqa: PLR2004


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs are one origin in some spelling."""
    try:
        return canonical_origin(one) == canonical_origin(other)
    except WorkerError:
        return False


def on_this_machine(endpoint: str) -> bool:
    """Whether a Hub is on loopback."""
    try:
        return parse_origin(endpoint).loopback
    except WorkerError:
        return False
