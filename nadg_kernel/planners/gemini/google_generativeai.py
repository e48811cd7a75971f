"""Gemini through google-generativeai, whose support ended in November 2025: for projects that still pin it."""

from __future__ import annotations

import asyncio
import json
import threading
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import PlannerError
from nadg_kernel.planners.gemini import faults
from nadg_kernel.planners.gemini.calling import GeminiModel
from nadg_kernel.planners.modelling import Reply, Say, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping


class GoogleGenerativeai(GeminiModel):
    """One request per answer, on a thread: over REST this SDK is not asynchronous.

    Its own retries are off, which would hide a 503 for ten minutes. Its schema type knows fewer keywords than ours, so
    the schema goes into the prompt.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """As every GeminiModel."""
        super().__init__(*args, **options)
        self._handle: Any = None
        self._making = threading.Lock()

    async def _answer(self, prompt: str, schema: Mapping[str, Any] | None, say: Say) -> Reply:
        say(f"{self._model} is answering")
        return await asyncio.to_thread(self._ask, prompt, schema)

    async def _count(self, prompt: str) -> int:
        answer = await asyncio.to_thread(lambda: self._made().count_tokens(prompt, request_options=self._options()))
        return int(answer.total_tokens)

    def _ask(self, prompt: str, schema: Mapping[str, Any] | None) -> Reply:
        config: dict[str, Any] = {"candidate_count": 1}
        if schema is not None:
            config["response_mime_type"] = "application/json"
            prompt = f"{prompt}\nThe JSON schema of the answer:\n{json.dumps(schema)}\n"
        answer = self._made().generate_content(prompt, generation_config=config, request_options=self._options())
        blocked = answer.prompt_feedback.block_reason
        if blocked:
            raise PlannerError(faults.of_block(blocked.name))
        if not answer.candidates:
            message = f"Gemini answered without an answer: {faults.OTHERS}"
            raise PlannerError(message)
        candidate = answer.candidates[0]
        finish = candidate.finish_reason.name
        if words := faults.of_finish(finish):
            raise PlannerError(words)
        used = answer.usage_metadata
        usage = Usage(prompt_tokens=used.prompt_token_count, answer_tokens=used.candidates_token_count)
        text = "".join(part.text for part in candidate.content.parts)
        return Reply(text=text, usage=usage, cut=finish == "MAX_TOKENS")

    def _options(self) -> dict[str, Any]:
        return {"retry": None, "timeout": self._timeout_s}

    def _made(self) -> Any:
        """The model's handle. The SDK keeps key and address in its own module: they are set for each session."""
        with self._making:
            if self._handle is None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", FutureWarning)  # that its support ended is said in the README
                    sdk: Any = import_module("google.generativeai")
                at = {"api_endpoint": self._base_url} if self._base_url else None
                sdk.configure(api_key=self._key.reveal(), transport="rest", client_options=at)
                self._handle = sdk.GenerativeModel(self._model)
            return self._handle

    async def _close(self) -> None:
        handle, self._handle = self._handle, None
        client = getattr(handle, "_client", None)  # made at its first request
        if client is not None:
            await asyncio.to_thread(client.transport.close)

    def _fault(self, error: Exception) -> faults.Fault:
        code = getattr(error, "code", None)
        if isinstance(code, int):
            body = _body(error)
            return faults.of_status(int(code), body, self._model, self._now())
        return faults.of_transport(error)


def _body(error: Any) -> object:
    """The API's JSON body of an error, which the SDK keeps on the HTTP response."""
    response = getattr(error, "response", None)
    try:
        return response.json() if response is not None else {}
    except ValueError:
        return {}
