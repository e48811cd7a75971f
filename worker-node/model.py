"""The language model that this worker may have: one setting, two kinds of provider, text in pieces."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from config import ConfigError, is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOW = "write gemini:<model> or openai:<model>@<base url>"
_BUSY = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_CUT = frozenset({"length", "MAX_TOKENS"})
_FINE = frozenset({"", "stop", "STOP", "FINISH_REASON_UNSPECIFIED"})
_SHOWN = 500
_CONNECT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of an answer: text, and what is known of its cost and of why it ended."""

    text: str = ""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    finish: str = ""


class ModelError(Exception):
    """The provider did not answer. `busy`: another try, or another worker, may help."""

    def __init__(self, message: str, *, busy: bool = False, hint: str = "") -> None:
        """Keep what to do."""
        super().__init__(message)
        self.busy, self.hint = busy, hint


class Model(Protocol):
    """Something that goes on from a prompt."""

    def stream(self, prompt: str) -> AsyncIterator[Piece]:
        """Answer piece by piece. Raises ModelError."""


def make_model(setting: str, key: str) -> Model:
    """The model of the setting NADG_WORKER_MODEL. Raises ConfigError."""
    kind, _, rest = setting.partition(":")
    name, _, base_url = rest.partition("@")
    if not name or kind not in {"gemini", "openai"} or (kind == "openai" and not base_url):
        message = f"NADG_WORKER_MODEL is {setting!r}: {HOW}"
        raise ConfigError(message)
    if base_url and not base_url.startswith(("https://", "http://")):
        message = f"NADG_WORKER_MODEL: the base URL {base_url!r} must start with https:// or http://"
        raise ConfigError(message)
    needed, package = ("google.genai", "google-genai") if kind == "gemini" else ("httpx2", "httpx2")
    if not _installed(needed):
        message = f"NADG_WORKER_MODEL needs the package {package}: add it to requirements.txt"
        raise ConfigError(message)
    if kind == "gemini":
        if not key:
            message = "NADG_WORKER_MODEL_KEY is missing: a Gemini model needs the worker's own key"
            raise ConfigError(message)
        return Gemini(name, key, base_url)
    return OpenAI(name, key, base_url)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def failure(status: int, message: str, key: str) -> ModelError:
    """A provider's error in our words, without the key."""
    shown = " ".join((message.replace(key, "***") if key else message).split())[:_SHOWN]
    if status in {401, 403}:
        # What a provider says here often repeats a part of the key.
        return ModelError(f"the provider refused the key ({status})", hint="check NADG_WORKER_MODEL_KEY on this worker")
    hint = "check the model's name in NADG_WORKER_MODEL" if status == 404 else ""  # noqa: PLR2004
    return ModelError(f"the provider answered {status}: {shown}", busy=status in _BUSY, hint=hint)


def refusal(finish: str) -> ModelError | None:
    """What an end means that is neither regular nor a length limit: the provider withheld the answer."""
    if finish in _FINE or finish in _CUT:
        return None
    return ModelError(f"the model gave no full answer ({finish})", hint="change the prompt or its data")


def was_cut(finish: str) -> bool:
    """Whether the answer ended at the provider's length limit."""
    return finish in _CUT


class OpenAI:
    """Any server with an OpenAI-compatible `/chat/completions`."""

    def __init__(self, name: str, key: str, base_url: str) -> None:
        """Talk to `base_url`; the key is optional, for servers of one's own."""
        self._name, self._key, self._url = name, key, base_url.rstrip("/") + "/chat/completions"

    async def stream(self, prompt: str) -> AsyncIterator[Piece]:
        """Answer piece by piece. Raises ModelError."""
        import httpx2

        body = {
            "model": self._name,
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        local = is_loopback(httpx2.URL(self._url).host)
        try:
            async with (
                httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=_CONNECT_S), trust_env=not local) as client,
                client.stream("POST", self._url, json=body, headers=headers) as answer,
            ):
                if answer.status_code != httpx2.codes.OK:
                    raise failure(answer.status_code, _message(await _some(answer.aiter_bytes())), self._key)
                async for line in answer.aiter_lines():
                    if line.startswith("data:") and (data := line[5:].strip()) != "[DONE]":
                        yield _piece(data)
        except httpx2.HTTPError as error:
            raise ModelError(f"the provider is out of reach ({type(error).__name__})", busy=True) from error


async def _some(chunks: AsyncIterator[bytes], most: int = 8192) -> bytes:
    got = b""
    async for chunk in chunks:
        got += chunk
        if len(got) >= most:
            break
    return got[:most]


def _message(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")


def _piece(data: str) -> Piece:
    try:
        chunk: dict[str, Any] = json.loads(data)
        if "error" in chunk:
            raise ModelError(f"the provider broke off: {str(chunk['error'])[:_SHOWN]}", busy=True)
        choice = (chunk.get("choices") or [{}])[0]
        usage = chunk.get("usage") or {}
        return Piece(
            text=(choice.get("delta") or {}).get("content") or "",
            finish=choice.get("finish_reason") or "",
            prompt_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
        )
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ModelError("the provider's stream is not that of an OpenAI-compatible server", busy=False) from error


class Gemini:
    """A Gemini model through Google's SDK."""

    def __init__(self, name: str, key: str, base_url: str = "") -> None:
        """`base_url` replaces Google's own address (a proxy, a test)."""
        self._name, self._key, self._base_url = name, key, base_url

    async def stream(self, prompt: str) -> AsyncIterator[Piece]:
        """Answer piece by piece. Raises ModelError."""
        from google import genai
        from google.genai import errors, types

        options = types.HttpOptions(base_url=self._base_url or None, api_version="v1beta")
        client = genai.Client(api_key=self._key, http_options=options)
        try:
            async for chunk in await client.aio.models.generate_content_stream(model=self._name, contents=prompt):
                yield _gemini_piece(chunk)
        except errors.APIError as error:
            raise failure(error.code, error.message or "", self._key) from None
        except Exception as error:
            # The SDK passes its HTTP library's errors on as they are: httpx2's now, httpx's in older versions.
            if type(error).__module__.partition(".")[0] not in {"httpx", "httpx2"}:
                raise
            raise ModelError(f"the provider is out of reach ({type(error).__name__})", busy=True) from None
        finally:
            await client.aio.aclose()


def _gemini_piece(chunk: Any) -> Piece:
    feedback = chunk.prompt_feedback
    if feedback is not None and feedback.block_reason:
        raise ModelError(f"the provider blocked the prompt ({feedback.block_reason.name})", hint="change the prompt")
    candidate = (chunk.candidates or [None])[0]
    parts = (candidate.content.parts or []) if candidate and candidate.content else []
    usage = chunk.usage_metadata
    return Piece(
        text="".join(part.text or "" for part in parts if not part.thought),
        finish=candidate.finish_reason.name if candidate and candidate.finish_reason else "",
        prompt_tokens=usage.prompt_token_count if usage else None,
        output_tokens=usage.candidates_token_count if usage else None,
    )
