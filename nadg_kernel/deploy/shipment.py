"""Shipment: all that a deployment sends, decided before anything is sent, so that a dry run shows just that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.deploy.hub import HUB, WORKER_ID, checked_name
from nadg_kernel.engines.local import worker_folder
from nadg_kernel.errors import SettingsError
from nadg_kernel.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKEN = "NADG_AUTH_TOKEN"  # noqa: S105 - its name
ALLOW_WEAK = "NADG_ALLOW_WEAK_SANDBOX"
RESERVED = frozenset({TOKEN, "NADG_AUTH_TOKEN_PREVIOUS", WORKER_ID, ALLOW_WEAK, "HOST", "PORT"})
"""Set by a deployment itself, or by the image."""
SECRETS = frozenset({"NADG_WORKER_MODEL_KEY"})
OURS = ("NADG_GRID_SECRET", "SUPABASE_SERVICE_KEY", "HF_TOKEN")
"""What never goes to a worker."""
_LEFT_OUT = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """A worker for one Space. `private` and `hardware`: None and empty leave an existing Space as it is."""

    space: str
    worker_id: str
    private: bool | None = None
    hardware: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def lines(self, endpoint: str = "") -> list[str]:
        """What would be sent, in the order in which it would be. No secret is in it."""
        sizes = {path: file.stat().st_size for path, file in self.files.items()}
        seen = "private" if self.private else "public" if self.private is False else "public if it is new"
        on = self.hardware or "cpu-basic if it is new"
        return [
            f"to {(endpoint or HUB).rstrip('/')}, for {self.space}:",
            f"  a Docker Space, {seen}, on {on}",
            f"  secret   {TOKEN}=*** (follows from NADG_GRID_SECRET and the address that the Hub gives the Space)",
            *(f"  secret   {name}=***" for name in self.secrets),
            *(f"  variable {name}={value}" for name, value in self.variables.items()),
            f"  {len(sizes)} files in one commit, {sum(sizes.values()):,} bytes:",
            *(f"    {path}  {size:,} bytes  sha256 {_digest(self.files[path])}" for path, size in sizes.items()),
            "then it would be registered here as " + self.worker_id,
        ]


def pack(
    space: str,
    *,
    worker_id: str = "",
    private: bool | None = None,
    hardware: str = "",
    variables: Mapping[str, str] | None = None,
    secrets: Mapping[str, Secret] | None = None,
) -> Shipment:
    """Decide what goes to a Space. Raises DeployError, SettingsError for a name that a deployment sets itself."""
    name = checked_name(space)
    named = worker_id or name.replace("/", "-").replace("_", "-").lower()
    for key in (*(variables or {}), *(secrets or {})):
        if key in RESERVED or key in OURS or not key.isidentifier():
            raise SettingsError(
                f"{key[:100]} cannot be set on a worker this way: a deployment sets what it needs itself"
            )
    if wrong := sorted(SECRETS & set(variables or {})):
        raise SettingsError(f"{wrong[0]} is a secret, and variables are public: give it as a secret")
    return Shipment(
        space=name,
        worker_id=named,
        private=private,
        hardware=hardware,
        variables={WORKER_ID: named, **(variables or {})},
        secrets=dict(secrets or {}),
        files=worker_files(),
    )


def worker_files() -> dict[str, Path]:
    """The worker's files, by their place in the Space; of the checkout, or of the wheel."""
    folder = worker_folder()
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    inside = {path.relative_to(folder).as_posix(): path for path in found}
    return {name: path for name, path in inside.items() if not _LEFT_OUT & {*name.split("/")} and path.suffix != ".pyc"}


def taken_from(names: Sequence[str], environ: Mapping[str, str]) -> dict[str, Secret]:
    """Secrets by name, out of an environment: on a command line they would be there for all to see."""
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise SettingsError(f"{missing[0]} is not set here: set it, and its value is sent as a secret")
    return {name: Secret(environ[name]) for name in names}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
