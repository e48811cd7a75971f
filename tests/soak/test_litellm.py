"""Split and code through another implementation of Gemini's protocol: LiteLLM's proxy, in front of a scripted model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from nadg_kernel.model import Command, Context, DataSchema
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.gemini.google_genai import GoogleGenai
from nadg_kernel.planners.gemini.google_generativeai import GoogleGenerativeai
from nadg_kernel.planners.modelling import ModelPlanner
from nadg_kernel.settings import Secret
from tests.supabase.server import free_port
from tests.support.fake_openai import FakeOpenAI

PACKAGE = "litellm[proxy]==1.108.7"
"""In an environment of its own: it pins much of what this package uses."""
KEY, MODEL = "sk-0f3a9c1d5b7e2468ace013579bdf", "gemini-3.8-flash"
STARTS_S = 180

COMMAND = Command(text="Count the rows and chart them", data={"t": DataSchema(columns=("x",), dtypes=("str",), rows=3)})
BRIEFING = Briefing(context=Context(modules=frozenset({"pandas", "plotly"}), labels=frozenset({"cpu"})))
SPLIT = {
    "goal": "Count and chart",
    "assumptions": ["The text is English"],
    "questions": [],
    "subtasks": [
        {"id": "count", "title": "Count", "instruction": "Count.", "kind": "python", "inputs": ["t"]},
        {"id": "chart", "title": "Chart", "instruction": "Draw.", "kind": "python", "depends_on": ["count"]},
    ],
}


def answer(prompt):
    if prompt.startswith("You plan"):
        return json.dumps(SPLIT)
    if prompt.startswith("A plan for"):
        return json.dumps({"why": "w", "changes": [{"action": "edit", "id": "count", "code": "result = 3"}]})
    name = "count" if '"id": "count"' in prompt.rpartition("The subtask to write:")[2] else "chart"
    return json.dumps({"code": {"count": "result = len(inputs['t'])", "chart": "result = [inputs['count']]"}[name]})


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """The proxy's address and what its model was asked."""
    folder = tmp_path_factory.mktemp("litellm")
    uv = shutil.which("uv", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))  # noqa: PTH120
    assert uv, "uv makes the environment of LiteLLM: make setup installs it"
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder / "venv"], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", python, PACKAGE], check=True)
    with FakeOpenAI(answer) as fake:
        backend = {"model": "openai/tiny", "api_base": fake.base_url, "api_key": "none"}
        settings = {
            "model_list": [{"model_name": MODEL, "litellm_params": backend}],
            "general_settings": {"master_key": KEY},
        }
        config = folder / "config.yaml"
        config.write_text(json.dumps(settings))  # JSON is YAML too
        port, log = free_port(), folder / "proxy.log"
        environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DO_NOT_TRACK": "1"}
        with log.open("wb") as out:
            process = subprocess.Popen(
                [python.with_name("litellm"), "--config", config, "--host", "127.0.0.1", "--port", str(port)],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
            )
            try:
                url = f"http://127.0.0.1:{port}"
                _wait(f"{url}/health/liveliness", process, log)
                yield url, fake
            finally:
                process.terminate()
                process.wait(30)


def _wait(url, process, log):
    deadline = time.monotonic() + STARTS_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text("utf-8", "replace")[-3000:]
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - our own proxy
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text("utf-8", "replace")[-3000:])


@pytest.mark.soak
@pytest.mark.parametrize("sdk", [GoogleGenai, GoogleGenerativeai])
async def test_split_code_and_change(proxy, sdk):
    url, fake = proxy
    planner = ModelPlanner(sdk(Secret(KEY), MODEL, base_url=url), "gemini")
    asked = len(fake.prompts)
    plan = await planner.draft(COMMAND, BRIEFING)
    sent = fake.prompts[asked:]
    assert plan.ids == ("count", "chart")
    assert plan.problems == ()
    assert plan["count"].code == "result = len(inputs['t'])\n"
    assert plan["chart"].depends_on == ("count",)
    assert plan.planner["usage"]["calls"] == len(sent) == 3
    assert plan.planner["usage"]["prompt_tokens"] == sum(len(text) // 4 for text in sent)
    assert COMMAND.text in sent[0]
    found = await planner.revise(plan, "just three")
    assert found.plan["count"].code == "result = 3\n"
