"""Whose token HF_TOKEN is and what it may do, asked of the Hub where a person wants that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.deploy.calling import called
from nadg_kernel.deploy.faults import TOKENS
from nadg_kernel.deploy.hub import Hub
from nadg_kernel.doctor.report import Check, State
from nadg_kernel.errors import NadgError
from nadg_kernel.loop import BackgroundLoop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nadg_kernel.deploy.hub import Account
    from nadg_kernel.doctor.distributions import Versions
    from nadg_kernel.settings import Settings

TOPIC, WHAT = "keys", "HF_TOKEN's kind"
MAY_WRITE = f"make one that may write at {TOKENS}"


def hub_token(settings: Settings, versions: Versions, *, online: bool) -> Iterator[Check]:
    """Whether the token is one that deploys workers; nothing where none is set."""
    if not settings.hf_token:
        return
    if versions("huggingface_hub") is None:
        do = "pip install 'nadg-kernel[deploy]' to deploy workers with it"
        yield Check(TOPIC, WHAT, State.NOTE, "not asked: huggingface_hub is not installed", do)
    elif not online:
        do = "nadg doctor --online, or doctor(online=True), asks the Hub"
        yield Check(TOPIC, WHAT, State.NOTE, "not asked", do)
    else:
        yield _asked(settings)


def _asked(settings: Settings) -> Check:
    loop = BackgroundLoop("nadg-doctor")
    try:
        account = loop.run(called(Hub.of(settings).account))
    except NadgError as error:
        return Check(TOPIC, WHAT, State.PROBLEM, str(error), "only deploying workers, and private ones, need it")
    finally:
        loop.close()
    return _judged(account)


def _judged(account: Account) -> Check:
    whose = f"{account.name}'s"
    if account.organisations:
        whose += f", for {', '.join(account.organisations)} too"
    if account.role == "read":
        return Check(TOPIC, WHAT, State.PROBLEM, f"{whose}, and may only read", MAY_WRITE)
    if account.role == "fineGrained":
        do = f"it deploys if it has the right to write to Spaces; see {TOKENS}"
        return Check(TOPIC, WHAT, State.NOTE, f"{whose}, with rights of its own choice", do)
    if account.role == "write":
        return Check(TOPIC, WHAT, State.OK, f"{whose}, and may write")
    return Check(
        TOPIC, WHAT, State.NOTE, f"{whose}, of a kind that the Hub calls {account.role or 'nothing'}", MAY_WRITE
    )
