"""The variables that a task's process starts with: none of the worker's secrets is among them."""

from __future__ import annotations

import os
import sys

_PASSED_ON = ("LANG", "LC_ALL", "TZ", "OMP_NUM_THREADS")
_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE")
_PATH = "/usr/local/bin:/usr/bin:/bin"


def clean_environment(home: str) -> dict[str, str]:
    """What is needed to compute. OPENBLAS_* is passed on because some builds need it to start at all."""
    names = _PASSED_ON + (_WINDOWS if sys.platform == "win32" else ())
    kept = {name: value for name, value in os.environ.items() if name in names or name.startswith("OPENBLAS_")}
    return {
        "PATH": os.defpath if sys.platform == "win32" else _PATH,
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        **kept,
        "HOME": home,
    }
