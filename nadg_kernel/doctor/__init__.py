"""Doctor: looks at everything that NADG needs here, and says what to do about what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.doctor.distributions import floors, installed, not_called, notebook, packages
from nadg_kernel.doctor.hub import hub_token
from nadg_kernel.doctor.masking import masked, secrets_in
from nadg_kernel.doctor.registered import registered
from nadg_kernel.doctor.report import Check, Report, State
from nadg_kernel.doctor.services import gemini, local_worker, stores
from nadg_kernel.doctor.surroundings import KEYS, keys, planner, proxies, python, retention, settings_of
from nadg_kernel.settings import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Check", "Report", "State", "doctor"]


def doctor(*, online: bool = False, workers: bool = True, environ: Mapping[str, str] | None = None) -> Report:
    """Look at Python, packages, keys, planner, stores, workers, the notebook and proxies.

    `online` asks Gemini and the Hub about keys; Supabase is asked where it is set. `workers` starts one local worker
    (45 s at most) and asks those that are registered. `environ` stands for the environment's variables. What is wrong
    is in the report, not raised; no secret is.
    """
    copy = environment() if environ is None else dict(environ)
    settings, malformed = settings_of(environ, copy)
    lowest = floors()
    checks = [
        python(),
        *malformed,
        *retention(settings),
        *keys(settings, copy),
        *hub_token(settings, installed, online=online),
        planner(settings, installed),
        gemini(settings, online=online),
        *stores(settings),
        *(local_worker() if workers else ()),
        *(registered(settings) if workers else ()),
        *packages(installed, lowest),
        *not_called(installed, settings.gemini_sdk),
        *notebook(installed, lowest),
        *proxies(copy, installed),
    ]
    # Colab's secrets are in the settings only.
    held = [secret.reveal() for field, _ in KEYS.values() if (secret := getattr(settings, field))]
    secrets = secrets_in(copy, held)
    return Report(tuple(masked(check, secrets) for check in checks))
