"""What this worker has to offer: Python, packages, importable modules, and the labels that plans choose by."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from machine import cpus, memory_mb

if TYPE_CHECKING:
    from config import Config

_GPU_NODES = ("/dev/nvidia0", "/dev/kfd")


@cache
def packages() -> dict[str, str]:
    """Installed distributions and their versions. Reads the disk: call it in a thread."""
    found = {item.metadata["Name"]: item.version for item in metadata.distributions() if item.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


@cache
def modules() -> list[str]:
    """Top-level names that `import` finds besides the standard library. Reads the disk: call it in a thread."""
    names = metadata.packages_distributions()
    return sorted(name for name in names if name.isidentifier() and name not in sys.stdlib_module_names)


def has_gpu() -> bool:
    """Whether a device node of a GPU is there."""
    return any(Path(node).exists() for node in _GPU_NODES)


def labels(config: Config) -> list[str]:
    """What subtasks may ask for; `name` or `name:value`."""
    found = [
        f"python:{platform.python_version_tuple()[0]}.{platform.python_version_tuple()[1]}",
        f"os:{sys.platform}",
        f"cpus:{cpus()}",
        f"memory_gb:{round(memory_mb() / 1024)}",
        *(["gpu"] if has_gpu() else []),
        *([f"model:{model_name(config.model)}"] if config.model else []),
        *config.labels,
    ]
    return list(dict.fromkeys(found))


def model_name(setting: str) -> str:
    """The name in `gemini:<name>` or `openai:<name>@<base url>`; never the address."""
    return setting.split(":", 1)[-1].split("@", 1)[0]
