"""A local server that speaks the Hub's API as far as deployments use it, and refuses all else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.support.fake_space import FakeSpace

TOKEN = "hf_madeupwritetoken0123456789"
READ_TOKEN = "hf_madeupreadtoken0123456789"
OTHER_TOKEN = "hf_somebodyelse0123456789"
BUILD = ["NO_APP_FILE", "BUILDING", "RUNNING_HOT_NEW_WORD", "APP_STARTING", "RUNNING"]
"""With a stale stage at first and one that no client knows."""
REBUILD = ["RUNNING", "RUNNING_BUILDING", "RUNNING"]


@dataclass
class Person:
    """An account, as a token shows it."""

    name: str
    role: str = "write"
    orgs: tuple[str, ...] = ()


@dataclass
class Fail:
    """What a request gets instead of its answer. `times`: how often, then the usual again."""

    status: int
    message: str = ""
    code: str = ""
    times: int = 10**9
    hang: bool = False


@dataclass
class Asked:
    """One request to the API."""

    method: str
    path: str
    body: Any
    token: str


@dataclass
class FakeHub:
    """Use as a context manager; `url` is what HF_ENDPOINT is set to."""

    people: dict[str, Person] = field(
        default_factory=lambda: {
            TOKEN: Person("ann", orgs=("lab",)),
            READ_TOKEN: Person("ann", "read"),
            OTHER_TOKEN: Person("eve"),
        }
    )
    build: list[str] = field(default_factory=lambda: list(BUILD))
    rebuild: list[str] = field(default_factory=lambda: list(REBUILD))
    real: Path | None = None
    """A folder: Spaces are laid out and started there as workers. None: a stand-in answers for them."""
    weak: bool = False
    lfs: frozenset[str] = frozenset()
    """Files that are wanted through LFS."""

    def __post_init__(self) -> None:
        self.spaces: dict[str, FakeSpace] = {}
        self.asked: list[Asked] = []
        self.fails: dict[str, Fail] = {}
        self.blobs: dict[str, bytes] = {}
        self.closing = threading.Event()
        handler = type("Handler", (_Api,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        for space in self.spaces.values():
            space.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, route: str, status: int, message: str = "", **more: Any) -> None:
        """Make requests whose `METHOD path` matches `route` (a regular expression) fail."""
        self.fails[route] = Fail(status, message, **more)

    def add(self, name: str, **more: Any) -> FakeSpace:
        """A Space that is there already."""
        owner = name.partition("/")[0]
        tokens = {token for token, person in self.people.items() if owner in {person.name, *person.orgs}}
        self.spaces[name] = space = FakeSpace(name=name, tokens=tokens, **more)
        return space

    def paths(self, method: str) -> list[str]:
        """The paths that were asked by a method, in order."""
        return [asked.path for asked in self.asked if asked.method == method]


class _Refuse(Exception):  # noqa: N818 - ends a request
    def __init__(self, status: int, message: str, code: str = "") -> None:
        self.status, self.message, self.code = status, message, code


class _Api(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        raw = self._read()
        path = self.path.partition("?")[0]
        self.token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        body = self._parsed(raw)
        self.hub.asked.append(Asked(self.command, path, body, self.token))
        try:
            self._fail_if_told(path)
            if path.startswith("/lfs/"):
                self._take_blob(path.removeprefix("/lfs/"), raw)
                return self._send(200, {})
            return self._answer(path, body)
        except _Refuse as no:
            return self._send(no.status, {"error": no.message}, code=no.code)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _fail_if_told(self, path: str) -> None:
        for route, fail in self.hub.fails.items():
            if fail.times > 0 and re.fullmatch(route, f"{self.command} {path}"):
                fail.times -= 1
                if fail.hang:
                    self.hub.closing.wait(30)
                raise _Refuse(fail.status, fail.message, fail.code)

    def _answer(self, path: str, body: Any) -> None:
        if path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        person = self.hub.people.get(self.token)
        if person is None:
            raise _Refuse(401, "Invalid credentials in Authorization header")
        if (self.command, path) == ("GET", "/api/whoami-v2"):
            orgs = [{"name": name} for name in person.orgs]
            auth = {"type": "access_token", "accessToken": {"displayName": "t", "role": person.role}}
            return self._send(200, {"type": "user", "name": person.name, "orgs": orgs, "auth": auth})
        if path in {"/api/repos/create", "/api/repos/delete"}:
            return self._repo(person, body)
        batch = re.fullmatch(r"/spaces/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path)
        if batch:
            return self._batch(body)
        found = re.fullmatch(r"/api/spaces/([^/]+/[^/]+)(?:/(.*))?", path)
        if not found:
            raise _Refuse(404, f"no such call: {self.command} {path}")
        space = self.hub.spaces.get(found[1])
        owner = found[1].partition("/")[0]
        mine = owner in {person.name, *person.orgs}
        if space is None or (space.private and not mine):
            raise _Refuse(404, "Repository not found", "RepoNotFound")
        if (self.command, found[2]) in {("GET", None), ("GET", "revision/main")}:
            return self._send(200, self._info(space))
        if not mine or person.role == "read":
            raise _Refuse(403, "you have not the right to write here")
        return self._space(space, found[2] or "", body)

    def _repo(self, person: Person, body: dict[str, Any]) -> None:
        owner = body.get("organization") or person.name
        name = f"{owner}/{body['name']}"
        if person.role == "read" or owner not in {person.name, *person.orgs}:
            raise _Refuse(403, f"You don't have the rights to create a space under the namespace {owner}")
        if self.command == "DELETE":
            if name not in self.hub.spaces:
                raise _Refuse(404, "Repository not found", "RepoNotFound")
            self.hub.spaces.pop(name).close()
            return self._send(200, {})
        if body.get("type") != "space" or body.get("sdk") != "docker":
            raise _Refuse(400, "only Docker Spaces here")
        if name in self.hub.spaces:
            raise _Refuse(409, "You already created this space repo")
        space = self.hub.add(name, private=body.get("visibility") == "private", weak=self.hub.weak)
        space.hardware = body.get("hardware") or "cpu-basic"
        if self.hub.real is not None:
            space.folder = self.hub.real / name.replace("/", "-")
        return self._send(200, {"url": f"{self.hub.url}/spaces/{name}", "name": name})

    def _space(self, space: FakeSpace, call: str, body: Any) -> None:
        kind, _, rest = call.partition("/")
        if kind in {"variables", "secrets"}:
            return self._kept(getattr(space, kind), body, shown=kind == "variables")
        match (self.command, kind):
            case ("POST", "commit"):
                return self._commit(space, body)
            case ("POST", "preupload"):
                return self._send(200, {"files": [self._mode(space, file["path"]) for file in body["files"]]})
            case ("GET", "logs"):
                return self._logs(space.logs[rest])
            case ("PUT", "settings"):
                space.private = body.get("visibility", "private" if body.get("private") else "public") == "private"
                return self._send(200, {})
            case ("POST", "hardware"):
                space.hardware = body["flavor"]
            case ("POST", "pause"):
                space.stages = ["PAUSED"]
            case ("POST", "restart"):
                space.stages = [space.stage, "APP_STARTING", "RUNNING"]
            case ("GET", "runtime"):
                return self._send(200, self._runtime(space, space.next_stage()))
            case _:
                raise _Refuse(404, f"no such call: {self.command} {call}")
        return self._send(200, self._runtime(space, space.stage))

    def _kept(self, kept: dict[str, str], body: Any, *, shown: bool) -> None:
        """Variables, or secrets, whose values nobody reads back."""
        if self.command == "POST":
            kept[body["key"]] = body["value"]
        self._send(200, {k: {"key": k, **({"value": v} if shown else {})} for k, v in kept.items()})

    def _mode(self, space: FakeSpace, path: str) -> dict[str, Any]:
        mode = "lfs" if path in self.hub.lfs else "regular"
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": _git_oid(space.files.get(path))}

    def _commit(self, space: FakeSpace, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                assert value["encoding"] == "base64"
                space.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                space.files[value["path"]] = self.hub.blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                del space.files[value["path"]]
        oid = hashlib.sha1(f"{space.name}{len(space.commits)}".encode(), usedforsecurity=False).hexdigest()
        space.built(oid, self.hub.rebuild if space.commits else self.hub.build)
        self._send(200, {"commitUrl": f"{self.hub.url}/spaces/{space.name}/commit/{oid}", "commitOid": oid})

    def _batch(self, body: dict[str, Any]) -> None:
        objects = [
            {**item, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{item['oid']}"}}} for item in body["objects"]
        ]
        self._send(200, {"transfer": "basic", "objects": objects})

    def _take_blob(self, oid: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != oid:
            raise _Refuse(400, "these are not the bytes of this oid")
        self.hub.blobs[oid] = data

    def _info(self, space: FakeSpace) -> dict[str, Any]:
        return {
            "id": space.name, "sha": (space.commits or ["0" * 40])[-1], "private": space.private, "sdk": space.sdk,
            "host": space.origin, "subdomain": space.name.replace("/", "-"), "tags": [], "likes": 0,
            "siblings": [{"rfilename": name} for name in space.files],
        }  # fmt: skip

    def _runtime(self, space: FakeSpace, stage: str) -> dict[str, Any]:
        hardware = {"current": space.hardware, "requested": space.hardware}
        running = {"sha": space.commits[-1]} if space.commits and stage == "RUNNING" and len(space.stages) == 1 else {}
        return {"stage": stage, "hardware": hardware, "gcTimeout": 172800, **running}

    def _logs(self, lines: list[str]) -> None:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        events = [f"data: {json.dumps({'data': line, 'timestamp': now})}\n\n" for line in lines]
        data = "".join(events).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _parsed(self, raw: bytes) -> Any:
        kind = self.headers.get("Content-Type", "")
        if "ndjson" in kind:
            return [json.loads(line) for line in raw.splitlines()]
        return json.loads(raw) if raw and "json" in kind else None

    def _send(self, status: int, said: Any, *, code: str = "") -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Date", formatdate(time.time(), usegmt=True))
        if status >= 400:
            self.send_header("X-Error-Message", said["error"])
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _git_oid(data: bytes | None) -> str | None:
    """What git names a file's content, by which a client leaves out what has not changed."""
    if data is None:
        return None
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
