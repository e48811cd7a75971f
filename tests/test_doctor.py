"""The doctor: what it finds in a made-up environment, that each finding says what to do, and that no secret shows."""

from __future__ import annotations

import io
import json
import re
import socket
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from nadg_kernel.cli import doctor as cli_doctor
from nadg_kernel.cli import main
from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.opened import opened
from nadg_kernel.doctor import Check, Report, State, distributions, doctor, services, surroundings
from nadg_kernel.doctor.masking import masked, masked_url, secrets_in
from nadg_kernel.doctor.registered import judged, registered
from nadg_kernel.engines.base import WorkerHealth, WorkerState
from nadg_kernel.registry import Beat
from nadg_kernel.settings import Secret, Settings, load_settings
from tests.support.fake_gemini import KEY, MODEL, Fail, FakeGemini

SECRETS = {
    "GEMINI_API_KEY": "AIza-made-up-key-0001",
    "SUPABASE_SERVICE_KEY": "sb_secret_made-up-0002",
    "NADG_GRID_SECRET": "grid-secret-made-up-" + "3" * 20,
    "HF_TOKEN": "hf_madeuptoken0004",
    "OTHER_PASSWORD": "made-up-password-0005",
}
PROXY = "http://somebody:made%2Fup-pass@proxy.example:3128/made-up-path?key=made-up-query"


def here(**versions):
    """What `installed` would say: everything at 99, but for what is given."""
    return lambda name: versions.get(name.replace("-", "_"), "99.0")


def found(checks, what):
    (check,) = [check for check in checks if check.what == what]
    return check


def settings(**environ):
    return load_settings({"NADG_HOME": "somewhere", **environ})


@pytest.fixture
def nobody():
    """The URL of a port that refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


# Python, settings, keys, planner


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10, 9), "problem"), ((3, 11, 0), "ok"), ((3, 13, 1), "ok"), ((3, 15, 0), "note")]
)
def test_python(version, state):
    assert surroundings.python(version).state == state


def test_each_malformed_setting_is_named_and_the_rest_is_still_read():
    environ = {"NADG_HOME": "x", "NADG_LOCAL_WORKERS": "many", "NADG_GRID_SECRET": "short", "HF_TOKEN": "hf_made_up"}
    read, problems = surroundings.settings_of(environ, environ)
    assert {check.what for check in problems} == {"NADG_LOCAL_WORKERS", "NADG_GRID_SECRET"}
    assert all(check.state is State.PROBLEM and check.do for check in problems)
    assert read.hf_token == Secret("hf_made_up")
    assert read.home == Path("x")


def test_settings_without_fault_give_no_check():
    assert surroundings.settings_of({"NADG_HOME": "x"}, {})[1] == []


def test_retention_that_is_no_age():
    assert [check.state for check in surroundings.retention(settings(NADG_RETENTION="soon"))] == [State.PROBLEM]
    assert list(surroundings.retention(settings(NADG_RETENTION="30d"))) == []


def test_keys_are_said_to_be_set_and_never_shown():
    checks = list(surroundings.keys(settings(HF_TOKEN="hf_made_up"), {}))
    assert (found(checks, "HF_TOKEN").state, found(checks, "HF_TOKEN").found) == (State.OK, "set")
    assert found(checks, "GEMINI_API_KEY").state is State.NOTE
    assert "hf_made_up" not in repr(checks)


def test_the_other_name_of_geminis_key():
    checks = list(surroundings.keys(settings(), {"GOOGLE_API_KEY": "made-up"}))
    assert "GOOGLE_API_KEY" in found(checks, "GEMINI_API_KEY").found


@pytest.mark.parametrize(
    ("environ", "versions", "state", "says"),
    [
        ({}, {}, "ok", "no key"),
        ({"GEMINI_API_KEY": "k"}, {}, "ok", "gemini-3.8-flash through google-genai"),
        ({"GEMINI_API_KEY": "k"}, {"google_genai": None}, "problem", "not installed"),
        ({"GEMINI_API_KEY": "k", "NADG_GEMINI_MODEL": "gemini-1.5-pro"}, {}, "problem", "retired"),
        ({"NADG_PLANNER": "gemini"}, {}, "problem", "no key"),
        ({"NADG_PLANNER": "chat"}, {}, "ok", "no key"),
        ({"NADG_PLANNER": "unheard_of"}, {}, "problem", "no planner of this name"),
    ],
)
def test_planner(environ, versions, state, says):
    check = surroundings.planner(settings(**environ), here(**versions))
    assert check.state == state
    assert says in check.found


# Packages and notebook


def test_a_core_package_that_is_missing_or_too_old_is_a_problem():
    checks = list(
        distributions.packages(here(pandas=None, numpy="1.9.9", rich="13.7"), {"numpy": "1.26", "rich": "13.7"})
    )
    assert (found(checks, "pandas").state, found(checks, "numpy").state) == (State.PROBLEM, State.PROBLEM)
    assert "older than 1.26" in found(checks, "numpy").found
    assert found(checks, "rich").state is State.OK


def test_an_extra_that_is_missing_is_a_note_with_its_command():
    check = found(distributions.packages(here(supabase=None), {}), "supabase")
    assert check.state is State.NOTE
    assert "nadg-kernel[supabase]" in check.do


def test_floors_are_those_that_the_project_declares():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.match(r"[\w-]+", text)[0].lower() for text in project["dependencies"]}
    assert declared - set(distributions.floors()) == set()
    ours = {name.lower() for name in [*distributions.CORE, *distributions.FASTER]}
    assert declared - {"tzdata"} == ours, "each dependency of the core has its reason"


@pytest.mark.parametrize(
    ("widgets", "extension", "state"),
    [("8.1.9", "3.0.17", "ok"), ("7.7.1", "1.1.1", "ok"), ("8.1.9", "1.1.1", "problem"), ("7.7.1", "3.0.0", "problem")],
)
def test_the_two_halves_of_ipywidgets(widgets, extension, state):
    versions = here(ipywidgets=widgets, jupyterlab_widgets=extension)
    assert found(distributions.notebook(versions, {}), "widgets fit").state == state


def test_without_widgets_nothing_is_said_of_their_halves():
    whats = [check.what for check in distributions.notebook(here(ipywidgets=None), {})]
    assert "widgets fit" not in whats


def test_packages_that_are_not_called_say_why_and_how_to_switch():
    checks = list(distributions.not_called(here(httpx=None), "google-genai", patched=False))
    assert [check.what for check in checks] == ["httpx", "nest_asyncio", "google-generativeai"]
    assert all(check.state is State.OK and check.do for check in checks)
    assert "not installed" in found(checks, "httpx").found
    assert "NADG_GEMINI_SDK=google-generativeai" in found(checks, "google-generativeai").do


def test_nest_asyncio_that_changed_the_process_is_noted():
    checks = distributions.not_called(here(), "google-genai", patched=True)
    assert found(checks, "nest_asyncio").state is State.NOTE


@pytest.mark.parametrize(("version", "state"), [("0.8.6", "note"), (None, "problem")])
def test_google_generativeai_where_it_is_asked_for(version, state):
    checks = distributions.not_called(here(google_generativeai=version), "google-generativeai", patched=False)
    assert found(checks, "google-generativeai").state == state


# Proxies and masking


def test_proxies_are_named_without_their_credentials():
    environ = {"HTTPS_PROXY": PROXY, "no_proxy": "localhost, 10.0.0.0/8", "HTTP_PROXY": " "}
    checks = list(surroundings.proxies(environ, here()))
    assert found(checks, "HTTPS_PROXY").found == "http://***@proxy.example:3128"
    assert found(checks, "no_proxy").found == "localhost, 10.0.0.0/8"
    assert len(checks) == 2


@pytest.mark.parametrize(
    ("value", "versions", "state"),
    [
        ("socks5://p:1080", {"socksio": None}, "problem"),
        ("socks5://p:1080", {}, "note"),
        ("ftp://p:21", {}, "problem"),
        ("p:3128", {}, "note"),
    ],
)
def test_proxies_that_cannot_be_used(value, versions, state):
    (check,) = surroundings.proxies({"ALL_PROXY": value}, here(**versions))
    assert check.state == state


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:pa/ss@host:80/x", "http://***@host:80"),
        ("user:p@ss@host:80", "***@host:80"),
        ("http://token@host", "http://***@host"),
        ("host:80", "host:80"),
    ],
)
def test_masked_url(url, shown):
    assert masked_url(url) == shown


def test_a_secret_that_somebody_elses_message_quotes_is_masked():
    secrets = secrets_in({"A_PROXY": PROXY, "SOME_KEY": "made-up-key"}, ["made-up-key-longer"])
    check = Check("a", "b", State.NOTE, "says made/up-pass, made-up-key-longer", "try made-up-key at ftp://u:p@host/")
    shown = masked(check, secrets)
    assert (shown.found, shown.do) == ("says ***, ***", "try *** at ftp://***@host/")


# Stores, worker, Gemini


def test_folder_says_path_and_size(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "one").write_bytes(b"x" * 3_000_000)
    check = services.folder(tmp_path)
    assert f"{tmp_path}, 3.0 MB" in check.found
    assert services.folder(tmp_path / "not" / "yet").state is not State.PROBLEM
    assert not (tmp_path / "not").exists(), "a look makes nothing"


def test_folder_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("x")
    assert services.folder(tmp_path / "file" / "home").state is State.PROBLEM


def test_little_room_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(services, "LITTLE_DISK", 10**18)
    assert services.folder(tmp_path).state is State.NOTE


def test_stores_say_what_db_check_says(tmp_path, nobody):
    half = Settings(home=tmp_path, supabase_url="https://p.supabase.co")
    check = found(services.stores(half), "Supabase")
    assert (check.state, "SUPABASE_SERVICE_KEY is not set" in check.found) == (State.PROBLEM, True)
    away = Settings(home=tmp_path, supabase_url=nobody, supabase_service_key=Secret("sb_secret_made-up"))
    check = found(services.stores(away), "Supabase")
    assert (check.state, "cannot reach Supabase" in check.found) == (State.PROBLEM, True)
    assert found(services.stores(Settings(home=tmp_path)), "Supabase").state is State.NOTE


async def test_stores_are_looked_at_within_a_notebooks_running_loop(tmp_path):
    assert found(services.stores(Settings(home=tmp_path)), "SQLite").state is State.OK


def test_a_real_worker_starts_and_says_its_layers():
    checks = list(services.local_worker())
    assert found(checks, "local worker").state is not State.PROBLEM, checks
    assert found(checks, "layers").found


def test_a_worker_that_does_not_start_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr("nadg_kernel.engines.local.worker_folder", lambda: tmp_path / "nothing")
    monkeypatch.setattr(services, "READY_S", 1.0)
    (check,) = services.local_worker()
    assert check.state is State.PROBLEM
    assert "NADG_LOCAL_WORKERS=0" in check.do


def test_layers_that_are_missing_are_named_with_their_reason():
    sandbox = {"seccomp": "active", "landlock": "unavailable: old kernel"}
    state = WorkerState(worker_id="local-1", health=WorkerHealth.READY, sandbox=sandbox, weak=True)
    checks = list(services.layers(state))
    assert found(checks, "local worker").state is State.NOTE
    assert found(checks, "layers").found == "seccomp"
    assert found(checks, "layer landlock").found == "unavailable: old kernel"


def test_no_registered_worker_is_fine_and_makes_no_history(tmp_path):
    (check,) = registered(Settings(home=tmp_path / "home"))
    assert (check.state, check.found) == (State.OK, "none")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("beat", "secret", "state", "says"),
    [
        ({"status": "active", "takes_token": True, "layers": ("seccomp",)}, True, "ok", "seccomp"),
        ({"status": "active", "takes_token": None}, False, "problem", "not asked"),
        ({"status": "busy", "takes_token": False}, True, "problem", "refuses"),
        ({"status": "active", "takes_token": True, "weak": True}, True, "note", "weak"),
        ({"status": "asleep", "seconds": None}, True, "ok", "asleep"),
        ({"status": "offline", "seconds": None, "reason": "no route"}, True, "problem", "no route"),
    ],
)
def test_what_a_registered_worker_answers(beat, secret, state, says):
    check = judged(Beat(**{"worker_id": "far", "url": "https://far.example", "seconds": 0.2, **beat}), secret=secret)
    assert check.state == state
    assert says in check.found
    assert check.do or state == "ok"


async def test_registered_workers_are_asked(tmp_path, nobody):
    own = Settings(home=tmp_path, grid_secret=Secret("made-up-grid-secret-" + "5" * 20))
    async with opened(own) as here:
        await here.registry.add(nobody, worker_id="far")
    check = found(registered(own), "worker far")
    assert (check.state, "nadg workers remove far" in check.do) == (State.PROBLEM, True)


def test_registered_workers_behind_a_store_that_is_away(tmp_path):
    half = Settings(home=tmp_path, supabase_url="https://p.supabase.co")
    (check,) = registered(half)
    assert check.found.startswith("not asked: ")


def test_gemini_is_not_asked_unless_wanted():
    assert services.gemini(settings(GEMINI_API_KEY=KEY), online=False).found == "not asked"
    assert "no key" in services.gemini(settings(), online=True).found


@pytest.mark.parametrize(
    ("key", "state", "says"), [(KEY, "ok", f"knows {MODEL}"), ("AIza-made-up-and-wrong", "problem", "GEMINI_API_KEY")]
)
def test_gemini_online(monkeypatch, key, state, says):
    from nadg_kernel.planners.gemini.google_genai import GoogleGenai

    with FakeGemini(lambda *_: Fail(500, "INTERNAL")) as server:
        model = GoogleGenai(Secret(key), MODEL, base_url=server.url)
        monkeypatch.setattr("nadg_kernel.planners.gemini.make_gemini", lambda _settings: SimpleNamespace(model=model))
        check = services.gemini(settings(GEMINI_API_KEY=key), online=True)
    assert check.state == state
    assert says in check.found
    assert key not in repr(check)
    assert all("countTokens" in seen.path for seen in server.seen), "nothing that costs"


def test_gemini_that_never_answers(monkeypatch):
    import asyncio

    async def never(_settings):
        await asyncio.Event().wait()

    monkeypatch.setattr(services, "_count", never)
    monkeypatch.setattr(services, "ONLINE_S", 0.05)
    assert services.gemini(settings(GEMINI_API_KEY=KEY), online=True).state is State.PROBLEM


# The whole


@pytest.fixture
def environ(tmp_path, nobody):
    """Everything set, nothing of it right."""
    home = str(tmp_path / "home")
    return {**SECRETS, "NADG_HOME": home, "SUPABASE_URL": nobody, "https_proxy": PROXY, "NO_PROXY": "127.0.0.1"}


def secrets_seen(text):
    hidden = [*SECRETS.values(), "somebody", "made%2Fup-pass", "made/up-pass", "made-up-path", "made-up-query"]
    return [secret for secret in hidden if secret in text]


def test_report_has_every_topic_and_no_secret(environ):
    report = doctor(workers=False, environ=environ)
    topics = {"Python", "keys", "planner", "store", "packages", "notebook", "proxies"}
    assert {check.topic for check in report.checks} == topics
    assert all(check.do for check in report.checks if check.state is not State.OK)
    assert [check.what for check in report.problems] == ["Supabase"]
    texts = [repr(report), report._repr_html_(), json.dumps(report.to_json())]
    assert secrets_seen("".join(texts)) == []
    assert "proxy.example" in texts[0], "the look was worth it"


def test_secret_in_a_message_about_settings(environ):
    report = doctor(workers=False, environ={**environ, "SUPABASE_URL": "ftp://made-up-user:made-up-0009@host"})
    assert [check.what for check in report.problems] == ["Supabase"]
    assert "made-up-0009" not in repr(report)


def test_report_is_escaped_in_a_notebook_and_frozen():
    check = Check("<b>t", "<i>w", State.NOTE, "<script>alert(1)</script>\x1b[31m", "a & b")
    page = Report((check,))._repr_html_()
    assert not re.search(r"<(b|i|script)\b", page)
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    with pytest.raises(FrozenInstanceError):
        check.found = "other"


def nadg(capsys, *words):
    code = main(["doctor", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def given(monkeypatch, environ):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def test_command_prints_lines_and_gives_1_for_a_problem(capsys, given):
    code, out, err = nadg(capsys, "--no-workers")
    assert code == Code.NOT_ALL_SUCCEEDED
    assert re.search(r"^problem +store, Supabase: cannot reach Supabase", out, re.MULTILINE)
    assert re.search(r"^1 problem, \d+ notes?, \d+ ok$", out, re.MULTILINE)
    assert secrets_seen(out + err) == []


def test_command_without_problems_gives_0_and_json_alone(capsys):
    code, out, _ = nadg(capsys, "--no-workers", "--json", "-")
    report = json.loads(out)
    assert (code, report["ok"]) == (Code.OK, True), report
    assert set(report["checks"][0]) == {"topic", "what", "state", "found", "do"}


def test_command_writes_json_to_a_file(capsys, given, tmp_path):
    code, out, _ = nadg(capsys, "--no-workers", "--json", str(tmp_path / "report.json"))
    text = (tmp_path / "report.json").read_text("utf-8")
    assert (code, json.loads(text)["ok"]) == (Code.NOT_ALL_SUCCEEDED, False)
    assert "1 problem" in out
    assert secrets_seen(text) == []


def test_command_says_at_once_that_the_json_has_no_place(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(cli_doctor, "examine", lambda **_: pytest.fail("it looked first"))
    code, _, err = nadg(capsys, "--json", str(tmp_path / "no" / "report.json"))
    assert code == Code.BAD_INPUT
    assert "does not exist" in err


def test_a_terminal_gets_a_table():
    stream = io.StringIO()
    report = Report((Check("topic", "what", State.PROBLEM, "[bold]found\x1b[31m", "do"),))
    cli_doctor.show(report, Console(file=stream, force_terminal=True, width=100, markup=False))
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "what to do" in text
    assert "[bold]found" in text
    assert "1 problem, 0 notes, 0 ok" in text
