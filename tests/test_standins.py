"""The stand-ins speak the real protocols: the model to any client of it, the worker to a grid."""

from __future__ import annotations

import json

import httpx2
import pytest

from nadg_kernel.errors import WorkerUnreachable
from nadg_kernel.settings import Secret
from nadg_kernel.standins import StandInModel, StandInWorker


def test_model_streams_what_the_function_says():
    with StandInModel(lambda prompt: f"you said {prompt}", "echo") as model:
        body = {"model": "echo", "stream": True, "messages": [{"role": "user", "content": "good morning"}]}
        text = httpx2.post(f"{model.url}/chat/completions", json=body).text
        assert (model.asked, model.setting) == (["good morning"], f"openai:echo@{model.url}")
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    said = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(said) == "you said good morning"
    assert chunks[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 4}


def test_model_is_gone_when_closed():
    with StandInModel(str) as model:
        pass
    with pytest.raises(httpx2.ConnectError):
        httpx2.post(f"{model.url}/chat/completions", json={})


def test_worker_takes_only_its_own_token_and_its_settings():
    with StandInWorker(lambda url: Secret(f"token-of-{url}"), "one", NADG_CAPACITY=3, NADG_WORKER_LABELS="big") as one:
        health = httpx2.get(f"{one.url}/health").json()
        assert (health["worker_id"], health["capacity"]) == ("one", 3)
        assert "big" in health["labels"]
        assert httpx2.get(f"{one.url}/status").status_code == 401
        own = {"X-NADG-AUTH": f"token-of-{one.url}"}
        assert httpx2.get(f"{one.url}/status", headers=own).status_code == 200
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{one.url}/health")


def test_worker_that_does_not_start_says_why():
    with pytest.raises(WorkerUnreachable, match=r"worker odd did not start: .*NADG_CAPACITY is 'many'"):
        StandInWorker(lambda _url: Secret("made-up"), "odd", NADG_CAPACITY="many")
