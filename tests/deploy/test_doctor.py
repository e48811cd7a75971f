"""What the doctor says of HF_TOKEN: its kind, asked of the Hub only where a person wants that, and never the token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nadg_kernel.doctor import State, doctor
from nadg_kernel.doctor.hub import hub_token
from nadg_kernel.settings import Secret
from tests.support.fake_hub import OTHER_TOKEN, READ_TOKEN, TOKEN, Person


def here(name):
    return "2.4.0"


@pytest.mark.parametrize(
    ("token", "state", "told"),
    [
        (TOKEN, State.OK, "ann's, for lab too, and may write"),
        (READ_TOKEN, State.PROBLEM, "ann's, and may only read"),
        (OTHER_TOKEN, State.NOTE, "eve's, with rights of its own choice"),
        ("hf_unheardof0000", State.PROBLEM, "the Hub does not know the token in HF_TOKEN"),
    ],
)
def test_its_kind(hub, settings, token, state, told):
    hub.people[OTHER_TOKEN] = Person("eve", "fineGrained")
    (check,) = hub_token(replace(settings, hf_token=Secret(token)), here, online=True)
    assert check.state is state
    assert check.found.startswith(told)
    assert check.do or state is State.OK
    assert token not in repr(check)


def test_nobody_is_asked_offline_or_without_the_package(hub, settings):
    (check,) = hub_token(settings, here, online=False)
    assert (check.found, "--online" in check.do) == ("not asked", True)
    (check,) = hub_token(settings, lambda name: None, online=True)
    assert "nadg-kernel[deploy]" in check.do
    assert list(hub_token(replace(settings, hf_token=None), here, online=True)) == []
    assert hub.asked == []


def test_it_is_part_of_the_report(hub, tmp_path):
    environ = {"NADG_HOME": str(tmp_path), "HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url}
    report = doctor(online=True, workers=False, environ=environ)
    (check,) = [check for check in report.checks if check.what == "HF_TOKEN's kind"]
    assert check.found == "ann's, for lab too, and may write"
    assert TOKEN not in repr(report)
