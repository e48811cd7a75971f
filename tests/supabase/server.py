"""A Supabase project on this machine: PostgreSQL with database/schema.sql behind an independent PostgREST-alike.

`Project()` starts it, `close` ends it; everything lives in a temporary folder and on loopback.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.npm import installed

HERE = Path(__file__).parent
SCHEMA = HERE.parents[1] / "database" / "schema.sql"
SECRET = "sb_secret_" + "made-up-for-tests"
PUBLIC = "sb_publishable_" + "made-up-for-tests"
ROLES = """
create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
create role rest_login login inherit; grant anon, authenticated, service_role to rest_login;
"""
# What projects made before October 2026 give to everyone.
OPEN_GRANTS = """
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
"""


def binaries():
    """The folder of PostgreSQL's programs, newest version first, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return found[-1] if found else Path(on_path).parent if on_path else None


def missing():
    """What is needed and not here, in words; empty if nothing."""
    wanted = {"PostgreSQL": binaries() is not None and os.name == "posix", "Node.js with npm": shutil.which("npm")}
    return " and ".join(name for name, there in wanted.items() if not there)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Postgres:
    """PostgreSQL in a folder of its own, run by somebody who is not root."""

    def __init__(self, folder):
        self.folder, self.port = Path(folder) / "postgres", free_port()
        self.binaries = binaries()
        self.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        self._as_nobody("initdb", "-A", "trust", "--no-sync", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
        self.start()

    def _as_nobody(self, program, *arguments):
        drop = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        command = [*drop, str(self.binaries / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", stdin=subprocess.DEVNULL)

    def start(self):
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off -c timezone=Asia/Kathmandu"
        self._as_nobody("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self):
        self._as_nobody("pg_ctl", "-w", "-m", "fast", "stop")

    def run(self, sql, database="postgres", role="postgres", check=True):
        """Run statements through psql; gives its output, unaligned, and its error."""
        command = [str(self.binaries / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
        command += ["-p", str(self.port), "-U", role, "-d", database, "-f", "-"]
        done = subprocess.run(command, input=sql, text=True, capture_output=True, check=False)
        if check and done.returncode:
            raise AssertionError(done.stderr)
        return done if not check else done.stdout.strip()


class Project:
    """PostgreSQL, the schema and the server in front of it. `url` and the keys are what a person would configure."""

    secret, public = SECRET, PUBLIC

    def __init__(self):
        # Not in pytest's folder: only root may enter that, and PostgreSQL does not run as root.
        self.folder, self.port, self.server = Path(tempfile.mkdtemp(prefix="nadg-supabase-")), free_port(), None
        self.folder.chmod(0o755)
        self.url = f"http://127.0.0.1:{self.port}"
        self.postgres = Postgres(self.folder)
        try:
            self.postgres.run(ROLES + "create database nadg;")
            self.run(OPEN_GRANTS)
            self.run(SCHEMA.read_text("utf-8"))
            self.start()
        except BaseException:
            self.close()
            raise

    def run(self, sql, **options):
        return self.postgres.run(sql, database="nadg", **options)

    def another(self, name):
        """A further database of the same server, bare; gives a function that runs statements in it."""
        self.postgres.run(f"drop database if exists {name}; create database {name};".replace("; c", ";\nc"))
        return lambda sql, **options: self.postgres.run(sql, database=name, **options)

    def empty(self):
        """Delete all rows."""
        self.run("truncate public.worker_nodes, public.task_history, public.nadg_runs, public.nadg_health cascade")

    def start(self):
        config = self.folder / "supabase" / "config.toml"
        config.parent.mkdir(exist_ok=True)
        config.write_text(
            f'[api]\nport = {self.port}\nschemas = ["public"]\nmax_rows = 1000\n'
            f'[db]\ndriver = "postgres"\nurl = "postgres://rest_login@127.0.0.1:{self.postgres.port}/nadg"\n'
            f'[auth]\nenabled = false\npublishable_key = "{PUBLIC}"\nsecret_key = "{SECRET}"\n'
        )
        program = installed(HERE) / "@supabase" / "lite" / "dist" / "cli" / "index.js"
        log = (self.folder / "server.log").open("a")
        self.server = subprocess.Popen(
            ["node", str(program), "start", "--no-admin"],
            cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            env={**os.environ, "DO_NOT_TRACK": "1", "NODE_PATH": str(installed(HERE))},
        )  # fmt: skip
        log.close()
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.server.poll() is None, (self.folder / "server.log").read_text()
            request = urllib.request.Request(f"{self.url}/rest/v1/worker_nodes?limit=1", headers={"apikey": SECRET})  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=5):  # noqa: S310
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def stop(self):
        """Make the server go away; PostgreSQL and its rows stay."""
        if self.server is not None:
            self.server.kill()
            self.server.wait()
            self.server = None

    def close(self):
        self.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder)
