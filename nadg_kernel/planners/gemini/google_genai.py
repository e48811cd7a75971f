"""Gemini through google-genai, the SDK that is maintained."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import PlannerError
from nadg_kernel.planners.gemini import faults
from nadg_kernel.planners.gemini.calling import GeminiModel
from nadg_kernel.planners.modelling import Reply, Say, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping


class GoogleGenai(GeminiModel):
    """Streams, so that a person sees that something comes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As every GeminiModel."""
        super().__init__(*args, **options)
        self._client: Any = None
        self._connecting = asyncio.Lock()

    async def _answer(self, prompt: str, schema: Mapping[str, Any] | None, say: Say) -> Reply:
        client = await self._connected()
        config: dict[str, Any] = {"candidate_count": 1}
        if schema is not None:
            config |= {"response_mime_type": "application/json", "response_json_schema": dict(schema)}
        parts: list[str] = []
        finish, usage, seen, blocked = "", Usage(), False, None
        answer = await client.aio.models.generate_content_stream(model=self._model, contents=prompt, config=config)
        async with aclosing(answer) as stream:
            async for chunk in stream:
                seen = True
                blocked = getattr(chunk.prompt_feedback, "block_reason", None) or blocked
                usage = _usage(chunk.usage_metadata) or usage
                for candidate in (chunk.candidates or [])[:1]:
                    content = candidate.content and candidate.content.parts
                    parts += [part.text for part in content or [] if _said(part)]
                    finish = _name(candidate.finish_reason) if candidate.finish_reason else finish
                say(f"{self._model} is answering: {sum(map(len, parts)):,} characters")
        if blocked:
            raise PlannerError(faults.of_block(_name(blocked)))
        if words := faults.of_finish(finish):
            raise PlannerError(words)
        if not seen or not (parts or finish):
            message = f"Gemini answered without an answer: {faults.OTHERS}"
            raise PlannerError(message)
        return Reply(text="".join(parts), usage=usage, cut=finish == "MAX_TOKENS")

    async def _count(self, prompt: str) -> int:
        client = await self._connected()
        answer = await client.aio.models.count_tokens(model=self._model, contents=prompt)
        return int(answer.total_tokens or 0)

    def _fault(self, error: Exception) -> faults.Fault:
        from google.genai import errors

        if isinstance(error, errors.APIError) and isinstance(error.code, int):
            return faults.of_status(error.code, error.details, self._model, self._now())
        return faults.of_transport(error)

    async def _connected(self) -> Any:
        """The client of this session. The SDK takes a second to load: not on the loop's time."""
        async with self._connecting:
            if self._client is None:
                self._client = await asyncio.to_thread(self._connect)
        return self._client

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aio.aclose()
            client.close()

    def _connect(self) -> Any:
        from google import genai
        from google.genai import types

        options = types.HttpOptions(base_url=self._base_url, api_version="v1beta", timeout=int(self._timeout_s * 1000))
        return genai.Client(api_key=self._key.reveal(), http_options=options)


def _said(part: Any) -> bool:
    return isinstance(part.text, str) and not getattr(part, "thought", False)


def _name(value: Any) -> str:
    return str(getattr(value, "name", None) or getattr(value, "value", None) or value)


def _usage(metadata: Any) -> Usage | None:
    if metadata is None:
        return None
    answer = (metadata.candidates_token_count or 0) + (getattr(metadata, "thoughts_token_count", 0) or 0)
    return Usage(prompt_tokens=metadata.prompt_token_count or 0, answer_tokens=answer)
