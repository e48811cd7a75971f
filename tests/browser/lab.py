"""A real JupyterLab and what a person does in it, for tests and screenshots."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
START_S = 120
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
QUIET = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}


class Lab:
    """A server with private folders. `notebook` writes a notebook, `log` is what server and kernels printed.

    `python` is the interpreter of server and kernels; one that is not ours has the package installed.
    """

    def __init__(self, folder, python=sys.executable):
        self.folder, self.python = folder, python
        self.notebooks = folder / "notebooks"
        self.log_path = folder / "lab.log"
        self.url = ""
        self._process = None
        self._made = 0

    def start(self):
        self.notebooks.mkdir(parents=True)
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "NADG_HOME": "nadg",
        }
        env = dict(os.environ) | {name: str(self.folder / place) for name, place in places.items()}
        if self.python == sys.executable:
            env["PYTHONPATH"] = str(ROOT)
        for name, values in QUIET.items():
            self.setting(name, values)
        command = [
            self.python, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
            "--ServerApp.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True",
            f"--ServerApp.root_dir={self.notebooks}", "--LabApp.expose_app_in_browser=True",
            "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]  # fmt: skip
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_S
        while not self.url:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{self.log()[-4000:]}")
            found = re.search(r"http://127\.0\.0\.1:\d+/", self.log())
            if found and self._answers(found[0]):
                self.url = found[0]
            else:
                time.sleep(0.05)
        return self

    def stop(self):
        if self._process is None:
            return
        if self.url:
            self.shut_kernels()
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def setting(self, name, values):
        path = self.folder / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    def theme(self, name):
        self.setting("@jupyterlab/apputils-extension/themes", {"theme": name})

    def log(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def notebook(self, *cells):
        """Write a notebook of code cells; gives its name."""
        self._made += 1
        name = f"test{self._made}.ipynb"
        content = {
            "cells": [
                {
                    "cell_type": "code", "id": f"cell{k}", "metadata": {}, "execution_count": None, "outputs": [],
                    "source": source,
                }
                for k, source in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }  # fmt: skip
        (self.notebooks / name).write_text(json.dumps(content))
        return name

    def api(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}api/{path}", data=data, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own server
            text = answer.read()
        return json.loads(text) if text else None

    def sessions(self):
        """The ids of notebooks with a kernel."""
        return [session["id"] for session in self.api("GET", "sessions")]

    def shut_kernels(self, but=()):
        for name in self.sessions():
            if name not in but:
                self.api("DELETE", f"sessions/{name}")

    def _answers(self, url):
        try:
            with urllib.request.urlopen(f"{url}api/status", timeout=1):  # noqa: S310
                return True
        except (urllib.error.URLError, OSError):
            return False


class Person:
    """Somebody in front of a notebook."""

    def __init__(self, lab, page):
        self.lab, self.page = lab, page
        self.errors, self.foreign = [], []
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(error.stack or str(error)))
        page.on("request", self._requested)

    def open(self, name):
        self.page.goto(f"{self.lab.url}doc/tree/{name}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        return self.idle()

    def idle(self):
        """Wait for the kernel: the execution indicator says idle too early, the status bar does not."""
        self.page.wait_for_function(
            "() => /\\| Idle/.test(document.querySelector('#jp-main-statusbar')?.innerText)",
            timeout=60_000,
        )
        return self

    def run_all(self):
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        return self

    def run_cell(self, number):
        self.page.locator(".jp-Cell").nth(number).locator(".cm-content, .CodeMirror-lines").click()
        self.page.keyboard.press("Control+Enter")
        return self

    def restart_kernel(self):
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.locator("li[data-command='kernelmenu:restart']").click()
        self.page.locator(".jp-Dialog button.jp-mod-accept").click()
        return self

    def output(self, number):
        """The output area of a cell."""
        return self.page.locator(".jp-Cell").nth(number).locator(".jp-Cell-outputArea")

    def panel(self):
        panel = self.page.locator(".nadg-panel").first
        panel.wait_for(timeout=60_000)
        return panel

    def theme(self, name):
        """Change the theme of this page, as the menu does."""
        self.page.evaluate("name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        light = "false" if "Dark" in name else "true"
        self.page.locator(f"body[data-jp-theme-light='{light}']").wait_for(state="attached")

    def step(self, name):
        self.page.locator(".nadg-step", has_text=name).first.click()

    def _requested(self, request):
        if not request.url.startswith((self.lab.url, "data:", "blob:", self.lab.url.replace("http", "ws"))):
            self.foreign.append(request.url)


def chromium():
    """The browser of the system, if there is one."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


@contextmanager
def open_browser():
    """A headless Chromium."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
