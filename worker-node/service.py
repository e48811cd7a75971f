"""One worker process as the routes see it: what it admits, what it refuses and why, what it tells about itself."""

from __future__ import annotations

import asyncio
import logging
import platform
import time
import uuid
from typing import TYPE_CHECKING, Literal

import auth
import intake
import inventory
from attempts import Attempts, Identity
from blobs import Blobs
from intake import Refused
from machine import MB
from sandbox.base import Job
from version import VERSION
from wire import ExecuteRequest, Health, Limits, StatusReport

if TYPE_CHECKING:
    from pathlib import Path

    from attempt import Attempt
    from attempts import Executor
    from config import Config
    from sandbox.base import Sandbox

log = logging.getLogger("nadg.worker")


class Service:
    """State of one worker process."""

    def __init__(self, config: Config, sandbox: Sandbox, model: Executor | None = None) -> None:
        """Hold what the routes share. Nothing starts before `open`."""
        self.config, self.sandbox, self.model = config, sandbox, model
        self.identity = Identity(worker_id=config.worker_id, boot_id=uuid.uuid4().hex)
        self.draining = False
        self._trouble = ""
        self._began = time.monotonic()
        self._labels = inventory.labels(config)
        self.limits = Limits(
            timeout_s=config.max_timeout_s,
            memory_mb=config.max_memory_mb,
            disk_mb=config.max_disk_mb,
            output_kb=65_536,
            processes=1024,
        )

    async def open(self, folder: Path) -> None:
        """Start the sandbox; blobs lie in `folder`. A sandbox that does not start leaves a worker that says why."""
        self.blobs = Blobs(folder, self.config.blob_quota_mb * MB)
        self.attempts = Attempts(
            self.identity,
            self.blobs,
            capacity=self.config.capacity,
            answers_bytes=self.config.answers_mb * MB,
        )
        try:
            await self.sandbox.start()
        except Exception as error:
            log.exception("the sandbox did not start")
            self._trouble = f"the sandbox did not start ({type(error).__name__}); the worker's log says more"

    async def close(self) -> None:
        """Kill what runs and end the sandbox."""
        await self.attempts.close()
        await self.sandbox.close()

    def refusal(self) -> tuple[str, str]:
        """Why this worker runs no code at all now, and what helps; empty if it does."""
        if self._trouble:
            return self._trouble, "restart the worker"
        if self.config.public and not self.config.tokens:
            return auth.NO_TOKEN_PUBLIC.error, auth.NO_TOKEN_PUBLIC.hint
        if self.config.public and self.sandbox.weak and not self.config.allow_weak_sandbox:
            missing = ", ".join(name for name, state in self.sandbox.report().items() if state != "active")
            return (
                f"the sandbox is weak and this worker is reachable from other machines; missing: {missing or 'layers'}",
                "use a host that offers these layers, or accept the risk with NADG_ALLOW_WEAK_SANDBOX=1",
            )
        return "", ""

    def health(self) -> Health:
        """What everybody may know."""
        reason, hint = self.refusal()
        status: Literal["ok", "draining", "refusing"] = "draining" if self.draining else "refusing" if reason else "ok"
        return Health(
            status=status,
            reason=f"{reason}: {hint}" if reason else "the worker is stopping" if self.draining else "",
            worker_id=self.identity.worker_id,
            boot_id=self.identity.boot_id,
            uptime_s=round(time.monotonic() - self._began, 3),
            version=VERSION,
            running=self.attempts.running,
            capacity=self.config.capacity,
            labels=self._labels,
            sandbox=self.sandbox.report(),
            weak=self.sandbox.weak,
        )

    async def status(self) -> StatusReport:
        """What the holder of the token may know besides."""
        packages, modules = await asyncio.gather(
            asyncio.to_thread(inventory.packages), asyncio.to_thread(inventory.modules)
        )
        kept = {"answers_kept": self.attempts.kept, "blob_bytes": self.blobs.used}
        return StatusReport(
            health=self.health(),
            python=platform.python_version(),
            packages=packages,
            modules=modules,
            preloaded=list(self.config.preload),
            limits=self.limits,
            max_body_bytes=self.config.max_body_mb * MB,
            counters={**self.attempts.counters, **kept},
            recent_seconds=list(self.attempts.recent_seconds),
        )

    def admit(self, request: ExecuteRequest, digest: bytes) -> Attempt:
        """The attempt that a request means: the same one for a repeated id, else a new one. Raises Refused."""
        if request.attempt_id is not None:
            known = self.attempts.known(request.attempt_id, digest, request.task_id)
            if known is not None:
                return known
        self._refuse_new(request)
        wanted = intake.blob_hashes(request)
        if missing := self.blobs.missing(wanted):
            raise Refused(
                424, f"{len(missing)} blobs are missing", "PUT /blobs/{sha256} each, then again", missing=missing
            )
        paths = self.blobs.pin(wanted)
        job = Job(
            attempt_id=request.attempt_id or uuid.uuid4().hex,
            code=request.task,
            inputs={name: ref.model_dump(exclude_none=True) for name, ref in request.inputs.items()},
            files={file.path: paths[file.sha256] for file in request.files},
            blobs={sha256: paths[sha256] for sha256 in intake.input_hashes(request)},
            limits=request.limits,
            permissions=request.permissions,
            shard=request.shard,
            shards=request.shards,
        )
        executor: Executor = self.sandbox
        if request.kind == "prompt" and self.model is not None:
            executor = self.model
        try:
            return self.attempts.start(job, executor, task_id=request.task_id, digest=digest, pins=wanted)
        except Refused:
            self.blobs.unpin(wanted)
            raise

    def _refuse_new(self, request: ExecuteRequest) -> None:
        if self.draining:
            raise Refused(503, "the worker is stopping", "use another worker", retry_after=5)
        reason, hint = self.refusal()
        if reason:
            raise Refused(503, reason, hint)
        if request.kind == "prompt" and self.model is None:
            raise Refused(
                422,
                "this worker has no model, so it runs no prompts",
                "set NADG_WORKER_MODEL, or use a worker labelled model:...",
            )
        intake.check_limits(request.limits, self.limits)
