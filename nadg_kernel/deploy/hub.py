"""The Hub: the few of its calls that workers need, through huggingface_hub, with each refusal in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nadg_kernel.deploy.faults import NO_TOKEN, NotThere, in_words
from nadg_kernel.errors import DeployError, MissingExtra, SettingsError
from nadg_kernel.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nadg_kernel.settings import Secret, Settings

WORKER_ID = "WORKER_ID"
"""A variable that every Space deployed from here has: what tells a worker from a Space that is something else."""
UPLOADED = frozenset({"main.py", "wire.py", "sandbox/zygote.py"})
"""What shows a worker that was uploaded by hand."""
HUB = "https://huggingface.co"
COMING = frozenset({"BUILDING", "RUNNING_BUILDING", "APP_STARTING", "RUNNING_APP_STARTING"})
"""Stages that end by themselves. A stage is the server's word: others than those named here are waited for too."""
RUNNING = "RUNNING"
FAILED = frozenset({"BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "NO_APP_FILE"})
RESTING = frozenset({"SLEEPING", "PAUSED", "STOPPED"})
_SPACE = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def checked_name(space: str) -> str:
    """`user/space` as it is, or out of the Space's address. Raises DeployError."""
    name = re.sub(r"^(https?://[^/]+/)?(spaces/)?", "", space.strip()).strip("/")
    if not _SPACE.fullmatch(name) or ".." in name or "--" in name:
        raise DeployError(f"{space[:100]!r} is no Space: write user/space, in letters, digits, dots and dashes")
    return name


@dataclass(frozen=True, kw_only=True)
class Account:
    """Whose token it is. `role`: read, write or fineGrained; empty where the Hub does not say."""

    name: str
    organisations: tuple[str, ...] = ()
    role: str = ""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where this account's Spaces are."""
        return (self.name, *self.organisations)


@dataclass(frozen=True, kw_only=True)
class Space:
    """A Space as the Hub describes it. `origin`: where it answers, such as https://user-space.hf.space."""

    name: str
    origin: str
    private: bool
    sdk: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What a Space does now. `sha`: the commit that this is about, where the Hub says it."""

    stage: str
    hardware: str = ""
    sha: str = ""
    reason: str = field(default="")


class Hub:
    """One account on the Hub. Every method blocks while the Hub answers, and raises DeployError with what to do."""

    def __init__(self, token: Secret | None, endpoint: str = "") -> None:
        """Prepare; nothing is sent yet. Raises SettingsError without a token, MissingExtra without huggingface_hub."""
        if not token:
            raise SettingsError(NO_TOKEN)
        try:
            from huggingface_hub import HfApi
        except ImportError:
            raise MissingExtra("huggingface_hub", "deploy") from None
        self.token, self.endpoint = token, (endpoint or HUB).rstrip("/")
        self._api: Any = HfApi(endpoint=self.endpoint, token=token.reveal(), library_name="nadg-kernel")

    @classmethod
    def of(cls, settings: Settings | None = None) -> Hub:
        """The Hub that the settings name, with their token."""
        settings = settings or load_settings()
        return cls(settings.hf_token, settings.hf_endpoint)

    def account(self) -> Account:
        """Whose token it is."""
        with self._words("", "asking for the account of"):
            said = self._api.whoami()
        access = (said.get("auth") or {}).get("accessToken") or {}
        organisations = tuple(str(item["name"]) for item in said.get("orgs") or () if item.get("name"))
        return Account(name=str(said.get("name", "")), organisations=organisations, role=str(access.get("role", "")))

    def space(self, name: str) -> Space | None:
        """The Space, or None if there is none that this token can see."""
        try:
            with self._words(name, "looking at"):
                info = self._api.space_info(name)
        except NotThere:
            return None
        host = str(info.host or "")
        if not host and info.subdomain:
            host = f"https://{info.subdomain}.hf.space"
        return Space(
            name=name,
            origin=host.rstrip("/"),
            private=bool(info.private),
            sdk=str(info.sdk or ""),
            files=tuple(item.rfilename for item in info.siblings or ()),
        )

    def create(self, name: str, *, private: bool, hardware: str = "") -> None:
        """Make an empty Docker Space."""
        with self._words(name, "making the Docker Space"):
            self._api.create_repo(
                name, repo_type="space", space_sdk="docker", private=private, space_hardware=hardware or None
            )

    def set_private(self, name: str, *, private: bool) -> None:
        """Make a Space private, or public."""
        with self._words(name, "changing who sees"):
            self._api.update_repo_settings(name, private=private, repo_type="space")

    def variables(self, name: str) -> dict[str, str]:
        """Its variables, which are no secret."""
        with self._words(name, "reading the variables of"):
            return {key: str(item.value) for key, item in self._api.get_space_variables(name).items()}

    def set_variable(self, name: str, key: str, value: str) -> None:
        """Set one variable; a running Space restarts."""
        with self._words(name, f"setting {key} on"):
            self._api.add_space_variable(name, key, value)

    def set_secret(self, name: str, key: str, value: Secret) -> None:
        """Set one secret, which nobody can read back; a running Space restarts."""
        with self._words(name, f"setting the secret {key} on"):
            self._api.add_space_secret(name, key, value.reveal())

    def commit(self, name: str, files: Mapping[str, Path], there: Iterable[str], message: str) -> str:
        """Make a Space's files these, in one commit, so that it is built once; gives the commit's id."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        gone = sorted(set(there) - set(files) - {".gitattributes"})
        operations = [
            *(CommitOperationAdd(path_in_repo=path, path_or_fileobj=file) for path, file in sorted(files.items())),
            *(CommitOperationDelete(path_in_repo=path) for path in gone),
        ]
        with self._words(name, "sending the files to"):
            made = self._api.create_commit(name, operations, commit_message=message, repo_type="space")
        return str(made.oid)

    def runtime(self, name: str) -> Runtime:
        """What it does now."""
        with self._words(name, "asking what it does:"):
            now = self._api.get_space_runtime(name)
        return Runtime(
            stage=str(getattr(now.stage, "value", now.stage)),
            hardware=str(now.requested_hardware or now.hardware or ""),
            sha=str(now.raw.get("sha") or ""),
            reason=str(now.raw.get("errorMessage") or ""),
        )

    def set_hardware(self, name: str, hardware: str) -> None:
        """Move a Space to other hardware, which may cost by the hour."""
        with self._words(name, f"asking for {hardware} for"):
            self._api.request_space_hardware(name, hardware)

    def restart(self, name: str) -> None:
        """Start a Space that sleeps, is paused or failed, or start it anew."""
        with self._words(name, "waking"):
            self._api.restart_space(name)

    def pause(self, name: str) -> None:
        """Stop a Space until it is woken: a visit does not wake it, and it costs nothing."""
        with self._words(name, "pausing"):
            self._api.pause_space(name)

    def delete(self, name: str) -> None:
        """Delete a Space with all its files. No error if it is gone already."""
        with self._words(name, "deleting"):
            self._api.delete_repo(name, repo_type="space", missing_ok=True)

    def logs(self, name: str, *, build: bool = False, follow: bool = False) -> Iterator[str]:
        """The lines of its last build, or of what runs; foreign text, to be cleaned before it is shown."""
        with self._words(name, "reading the logs of"):
            for text in self._api.fetch_space_logs(name, build=build, follow=follow):
                yield from str(text).replace(self.token.reveal(), "***").splitlines()

    def _words(self, name: str, doing: str) -> Any:
        return in_words(name or "the token in HF_TOKEN", doing, self.token, self.endpoint)


def is_worker(hub: Hub, space: Space) -> bool:
    """Whether a Space is a NADG worker: deployed from here, or uploaded by hand."""
    return set(space.files) >= UPLOADED or WORKER_ID in hub.variables(space.name)


def wake(space: str, settings: Settings | None = None) -> None:
    """Start a registered Space unless it runs or is on its way. Blocks while the Hub answers. Raises DeployError."""
    hub = Hub.of(settings)
    name = checked_name(space)
    if hub.runtime(name).stage not in COMING | {RUNNING}:
        hub.restart(name)


def pause(space: str, settings: Settings | None = None) -> None:
    """Pause a worker's Space, and none that is something else. Blocks while the Hub answers. Raises DeployError."""
    hub, name = Hub.of(settings), checked_name(space)
    found = hub.space(name)
    if found is None or not is_worker(hub, found):
        raise DeployError(f"there is no worker {name} on the Hub that the token in HF_TOKEN can see: nothing is paused")
    hub.pause(name)
