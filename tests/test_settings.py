"""The environment is read in one place, and secrets never show."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import ClassVar

import pytest

from nadg_kernel.errors import SettingsError
from nadg_kernel.settings import NAMES, Secret, load_settings

LONG = "s" * 40


def test_defaults():
    settings = load_settings({"XDG_DATA_HOME": "/data"})
    assert settings.home == Path("/data/nadg")
    assert (settings.local_workers, settings.planner, settings.grid_secret) == (2, "", None)


def test_every_name_is_read():
    class Spy(dict):
        seen: ClassVar[set] = set()

        def get(self, name, default=None):
            self.seen.add(name)
            return super().get(name, default)

    load_settings(Spy())
    assert set(NAMES) <= Spy.seen


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"NADG_GRID_SECRET": "abc123"}, "NADG_GRID_SECRET is shorter than 32 bytes"),
        ({"NADG_LOCAL_WORKERS": "two"}, "NADG_LOCAL_WORKERS must be a number"),
        ({"NADG_LOCAL_WORKERS": "1000"}, "NADG_LOCAL_WORKERS must be a number"),
        ({"NADG_PLANNER": "no such!"}, "NADG_PLANNER must be one of"),
        ({"NADG_GEMINI_SDK": "other"}, "NADG_GEMINI_SDK must be one of"),
    ],
)
def test_bad_settings_are_named(env, says):
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings(env)
    assert env.get("NADG_GRID_SECRET", "\0") not in str(caught.value)


def test_secrets_do_not_show():
    settings = load_settings({"GEMINI_API_KEY": "key-123", "NADG_GRID_SECRET": LONG, "HF_TOKEN": "hf_x"})
    shown = f"{settings!r} {settings} {settings.gemini_api_key} {settings.gemini_api_key!r:>30}"
    for secret in ("key-123", LONG, "hf_x"):
        assert secret not in shown
    assert settings.gemini_api_key is not None
    assert settings.gemini_api_key.reveal() == "key-123"
    assert settings.gemini_api_key == Secret("key-123")
    with pytest.raises(TypeError):
        pickle.dumps(settings.gemini_api_key)
