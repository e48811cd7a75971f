"""Runs attempts of kind `prompt`: fill the template in the sandbox, ask the worker's model, stream what it says."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import values
from model import ModelError, refusal, was_cut
from sandbox.base import Ended
from wire import INLINE_BYTES, ErrorDetail, Outcome, Permissions, Usage

if TYPE_CHECKING:
    from model import Model
    from sandbox.base import Job, Sandbox, Sink

_TEMPLATE_SOURCE = Path(__file__).with_name("template.py")
_ANSWER_CHARS = 4_000_000


class Prompts:
    """An executor like the sandbox, for prompts. The model's key stays in this process; tasks never see it."""

    def __init__(self, sandbox: Sandbox, model: Model) -> None:
        """Fill templates in `sandbox`, ask `model`."""
        self._sandbox, self._model = sandbox, model
        self._render = _TEMPLATE_SOURCE.read_text(encoding="utf-8")
        self._running: dict[str, asyncio.Task[Ended]] = {}

    async def run(self, job: Job, sink: Sink) -> Ended:
        """Run one prompt to its end; its text is streamed as stdout and is the result."""
        task = asyncio.ensure_future(self._ask(job, sink))
        self._running[job.attempt_id] = task
        try:
            return await asyncio.wait_for(asyncio.shield(task), job.limits.timeout_s)
        except TimeoutError:
            message = f"no full answer within {job.limits.timeout_s:g} s"
            return _ended(Outcome.TIMED_OUT, ErrorDetail(type="TimeoutError", message=message))
        except asyncio.CancelledError:
            if task.cancelled():
                return _ended(Outcome.CANCELLED, ErrorDetail(message="cancelled"))
            raise
        finally:
            task.cancel()
            await asyncio.wait([task])
            del self._running[job.attempt_id]

    def cancel(self, attempt_id: str) -> bool:
        """Stop asking; False if no such prompt runs."""
        # While the template is filled it is the sandbox's job: its end ends ours.
        task = self._running.get(attempt_id)
        return self._sandbox.cancel(attempt_id) or (task is not None and task.cancel())

    async def _ask(self, job: Job, sink: Sink) -> Ended:
        kept = _Kept()
        filling = replace(job, code=f"{self._render}\nresult = render({job.code!r}, inputs, shard, shards)\n", files={})
        filled = await self._sandbox.run(replace(filling, permissions=Permissions()), kept)
        if filled.outcome is not Outcome.SUCCEEDED:
            return filled
        prompt = json.loads(values.from_ref(filled.result or {}, kept.blobs.__getitem__).data)
        began = time.monotonic()
        said: list[str] = []
        tokens: dict[str, int | None] = {}
        finish, length = "", 0
        try:
            async for piece in self._model.stream(prompt):
                if piece.text:
                    said.append(piece.text)
                    sink.event("stdout", {"text": piece.text})
                tokens.update({name: count for name in _TOKENS if (count := getattr(piece, name)) is not None})
                finish = piece.finish or finish
                if (length := length + len(piece.text)) > _ANSWER_CHARS:
                    raise ModelError(f"the answer is longer than {_ANSWER_CHARS} characters")
            if problem := refusal(finish):
                raise problem
        except ModelError as error:
            outcome = Outcome.REJECTED if error.busy else Outcome.FAILED
            detail = ErrorDetail(type="ModelError", message=str(error), hint=error.hint)
            return _ended(outcome, detail, _usage(began, tokens))
        result = values.to_ref(values.encode("".join(said)), INLINE_BYTES, sink.keep)
        cut = ("answer",) if was_cut(finish) else ()
        return Ended(outcome=Outcome.SUCCEEDED, result=result, usage=_usage(began, tokens), truncated=cut)


_TOKENS = ("prompt_tokens", "output_tokens")


def _usage(began: float, tokens: dict[str, int | None]) -> Usage:
    return Usage(seconds=round(time.monotonic() - began, 6), **tokens)


def _ended(outcome: Outcome, detail: ErrorDetail, usage: Usage | None = None) -> Ended:
    return Ended(outcome=outcome, detail=detail, usage=usage or Usage())


class _Kept:
    """The sink of a filling: keeps the prompt if it is large, and nothing else."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def event(self, kind: str, data: dict[str, Any]) -> None:
        """Nothing is printed by a filling."""

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep the prompt's bytes."""
        self.blobs[sha256] = data

    def keep_file(self, _fd: int, _size: int) -> str:
        """A filling has no files that anybody reads."""
        return "0" * 64
