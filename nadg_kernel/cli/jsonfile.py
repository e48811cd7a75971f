"""Where `--json FILE` goes: a file, or stdout for `-`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

STDOUT = "-"


def require_place(json_file: str) -> None:
    """Say before the work, not after it, that the JSON has nowhere to go. Raises SettingsError."""
    path = Path(json_file)
    if json_file and json_file != STDOUT and (path.is_dir() or not path.absolute().parent.is_dir()):
        why = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        message = f"--json {json_file} {why}"
        raise SettingsError(message)


def write_json(content: Mapping[str, object], target: str) -> None:
    """Write it as ASCII, indented. Raises SettingsError where the file cannot be written."""
    text = json.dumps(content, indent=2, ensure_ascii=True) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {target}: {error.strerror or error}"
        raise SettingsError(message) from error
