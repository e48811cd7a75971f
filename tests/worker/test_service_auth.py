"""Who may use a worker: the token, or this machine only."""

from __future__ import annotations

import asyncio
import http.client
import os

import pytest

import auth
import config as settings
from config import Config

from .conftest import ScriptedSandbox, serving

TOKEN = "t" * 40
JSON = {"Content-Type": "application/json"}
PROTECTED = [
    ("POST", "/execute"),
    ("GET", "/status"),
    ("GET", "/attempts/a"),
    ("GET", "/attempts/a/events"),
    ("DELETE", "/attempts/a"),
    ("GET", "/blobs/" + "0" * 64),
    ("PUT", "/blobs/" + "0" * 64),
    ("GET", "/nothing-here"),
    ("HEAD", "/status"),
    ("GET", "/health/"),
    ("POST", "/health"),
]


def with_token(**more) -> Config:
    return Config(token=TOKEN.encode(), previous_token=b"previous", **more)


async def test_with_a_token_everything_but_health_and_root_needs_it():
    async with serving(with_token()) as worker:
        for method, path in PROTECTED:
            answer = await worker.client.request(method, path, content=b'{"task": "1"}', headers=JSON)
            assert answer.status_code == 401, path
            if method != "HEAD":
                assert "X-NADG-AUTH" in answer.json()["error"]
        assert worker.sandbox.ran == []


async def test_health_and_root_are_public_and_tell_no_secret():
    async with serving(with_token()) as worker:
        for path in ("/", "/health", "/openapi.json"):
            answer = await worker.client.get(path)
            assert answer.status_code == 200
            assert TOKEN not in answer.text


@pytest.mark.parametrize("token", [TOKEN, "previous"])
async def test_the_current_and_the_previous_token_open_it(token):
    async with serving(with_token()) as worker:
        answer = await worker.client.post("/execute", json={"task": "1"}, headers={"X-NADG-AUTH": token})
        assert answer.status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "t", "tökén", TOKEN.upper(), f"Bearer {TOKEN}"])
async def test_another_token_does_not(token):
    async with serving(with_token()) as worker:
        headers = [(b"X-NADG-AUTH", token.encode()), (b"Content-Type", b"application/json")]
        answer = await worker.client.post("/execute", content=b'{"task": "1"}', headers=headers)
        assert answer.status_code == 401
        assert TOKEN not in answer.text


async def test_two_tokens_are_refused_even_if_one_is_right():
    async with serving(with_token()) as worker:
        headers = [("X-NADG-AUTH", TOKEN), ("X-NADG-AUTH", "other"), ("Content-Type", "application/json")]
        answer = await worker.client.post("/execute", content=b'{"task": "1"}', headers=headers)
        assert answer.status_code == 401
        assert "once" in answer.json()["hint"]


async def test_a_non_ascii_token_works_as_utf_8():
    async with serving(Config(token="schlüssel".encode())) as worker:
        headers = [(b"X-NADG-AUTH", "schlüssel".encode()), (b"Content-Type", b"application/json")]
        assert (await worker.client.post("/execute", content=b'{"task": "1"}', headers=headers)).status_code == 200


def test_tokens_are_compared_in_constant_time_and_always_all(monkeypatch):
    compared = []
    real = auth.hmac.compare_digest
    monkeypatch.setattr(auth.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    headers = [(b"x-nadg-auth", TOKEN.encode())]
    assert auth.check(with_token(), "GET", "/status", headers) is None
    assert compared == [(TOKEN.encode(), TOKEN.encode()), (TOKEN.encode(), b"previous")]


HEADERS = [
    ({}, 200),
    ({"Host": "127.0.0.1:80"}, 200),
    ({"Host": "[::1]:7860"}, 200),
    ({"Host": "localhost"}, 200),
    ({"Host": "evil.example"}, 403),
    ({"Host": "localhost.evil.example"}, 403),
    ({"Host": "127.0.0.1.evil.example:7860"}, 403),
    ({"Origin": "http://localhost:8888"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ({"Content-Type": "application/json; charset=utf-8"}, 200),
]


async def test_without_a_token_only_this_machine_and_no_web_page():
    async with serving(Config()) as worker:
        for change, status in HEADERS:
            worker.sandbox.ran.clear()
            answer = await worker.client.post("/execute", content=b'{"task": "1"}', headers={**JSON, **change})
            assert answer.status_code == status, change
            assert len(worker.sandbox.ran) == (status == 200)


async def test_without_a_token_an_empty_or_double_host_is_refused():
    async with serving(Config()) as worker:
        for hosts in ([], ["localhost", "evil.example"]):
            connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=10)
            status = await asyncio.to_thread(ask, connection, hosts)
            assert status in {400, 403}
        assert worker.sandbox.ran == []


def ask(connection: http.client.HTTPConnection, hosts: list[str]) -> int:
    body = b'{"task": "1"}'
    connection.putrequest("POST", "/execute", skip_host=True, skip_accept_encoding=True)
    for host in hosts:
        connection.putheader("Host", host)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    status = connection.getresponse().status
    connection.close()
    return status


async def test_a_public_bind_without_a_token_runs_nothing_and_names_the_secret():
    async with serving(Config(host="0.0.0.0")) as worker:
        health = (await worker.client.get("/health")).json()
        assert health["status"] == "refusing"
        assert "NADG_AUTH_TOKEN" in health["reason"]
        for method, path in PROTECTED:
            answer = await worker.client.request(method, path, content=b'{"task": "1"}', headers=JSON)
            assert answer.status_code == 503
        assert "NADG_AUTH_TOKEN" in answer.json()["hint"]
        assert worker.sandbox.ran == []


@pytest.mark.parametrize(("allow", "status"), [(False, 503), (True, 200)])
async def test_a_weak_sandbox_on_a_public_bind_runs_nothing_until_allowed(allow, status):
    sandbox = ScriptedSandbox()
    sandbox.weak, sandbox.layers = True, {"seccomp": "unavailable: not on this system"}
    public = with_token(host="0.0.0.0", allow_weak_sandbox=allow)
    async with serving(public, sandbox) as worker:
        answer = await worker.client.post("/execute", json={"task": "1"}, headers={"X-NADG-AUTH": TOKEN})
        assert answer.status_code == status
        health = (await worker.client.get("/health")).json()
        assert health["weak"]
        assert health["status"] == ("ok" if allow else "refusing")
        if not allow:
            assert "seccomp" in health["reason"]
            assert "NADG_ALLOW_WEAK_SANDBOX" in health["reason"]


async def test_a_weak_sandbox_on_loopback_runs():
    sandbox = ScriptedSandbox()
    sandbox.weak = True
    async with serving(Config(), sandbox) as worker:
        assert (await worker.execute("1")).status_code == 200


def test_secrets_leave_the_environment_and_never_show_in_a_repr():
    environ = {
        "NADG_AUTH_TOKEN": "secret-one\n",
        "NADG_AUTH_TOKEN_PREVIOUS": "secret-two",
        "NADG_WORKER_MODEL_KEY": "secret-three",
        "PORT": "0",
        "PATH": os.defpath,
    }
    config = settings.read(environ)
    assert environ == {"PORT": "0", "PATH": os.defpath}
    assert config.tokens == (b"secret-one", b"secret-two")
    assert config.model_key == "secret-three"
    assert "secret" not in repr(config)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("NADG_CAPACITY", "0"),
        ("NADG_ALLOW_WEAK_SANDBOX", "maybe"),
        ("NADG_MAX_BODY_MB", "nan"),
    ],
)
def test_a_malformed_setting_is_named(name, text):
    with pytest.raises(settings.ConfigError, match=name):
        settings.read({name: text})


def test_defaults_are_loopback_and_the_documented_port():
    config = settings.read({"HOST": "", "WORKER_ID": "w9", "NADG_WORKER_LABELS": "fast, eu", "NADG_PRELOAD": ""})
    assert (config.host, config.port, config.worker_id) == ("127.0.0.1", 7860, "w9")
    assert config.labels == ("fast", "eu")
    assert config.preload == ()
    assert not config.public
    assert not config.tokens
