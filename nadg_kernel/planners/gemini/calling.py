"""What both SDKs of Gemini share: checks before a call, one time limit, and every failure as words."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from nadg_kernel.errors import PlannerError
from nadg_kernel.planners.gemini import faults
from nadg_kernel.planners.gemini.names import plain, retired
from nadg_kernel.planners.gemini.waiting import FaultError, Sleep, patiently

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from nadg_kernel.planners.modelling import Reply, Say
    from nadg_kernel.settings import Secret

TIMEOUT_S = 180.0
"""Of one whole answer, thinking included."""
Value = TypeVar("Value")


class GeminiModel(ABC):
    """One model of Gemini. `base_url` points at another server that speaks the same protocol."""

    def __init__(
        self,
        key: Secret,
        model: str,
        *,
        base_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
        sleep: Sleep = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Nothing is sent and the SDK is not loaded before the first call."""
        self._key, self._model, self._base_url = key, plain(model), base_url
        self._timeout_s, self._sleep, self._now = timeout_s, sleep, now
        self._open = 0

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model

    async def generate(self, prompt: str, schema: Mapping[str, Any] | None, say: Say) -> Reply:
        """Answer a prompt. Raises PlannerError that says what to do."""
        return await self._call(lambda: self._answer(prompt, schema, say), say)

    async def count(self, prompt: str) -> int:
        """Tokens of a prompt, as Gemini counts them."""
        return await self._call(lambda: self._count(prompt), lambda _text: None)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """Around a task's calls: connections are closed when the last of overlapping tasks ends."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if self._open == 0:
                await self._close()

    @abstractmethod
    async def _close(self) -> None:
        """Close the SDK's connections."""

    @abstractmethod
    async def _answer(self, prompt: str, schema: Mapping[str, Any] | None, say: Say) -> Reply:
        """One answer of the SDK, as it arrives."""

    @abstractmethod
    async def _count(self, prompt: str) -> int:
        """Tokens, as the SDK asks for them."""

    @abstractmethod
    def _fault(self, error: Exception) -> faults.Fault:
        """What an exception of the SDK means."""

    async def _call(self, call: Callable[[], Awaitable[Value]], say: Say) -> Value:
        if words := retired(self._model):
            raise PlannerError(words)
        if not self._key:
            message = "Gemini needs a key: set GEMINI_API_KEY (Colab: a secret of that name), or use chat or recipes"
            raise PlannerError(message)
        return await patiently(lambda: self._guarded(call), say, self._sleep)

    async def _guarded(self, call: Callable[[], Awaitable[Value]]) -> Value:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call()
        except (FaultError, PlannerError):
            raise
        except TimeoutError as error:
            raise FaultError(faults.of_transport(error)) from error
        except Exception as error:  # noqa: BLE001 - an SDK lets through what its HTTP client and parsers raise
            fault = self._fault(error)
            hidden = fault.message.replace(self._key.reveal(), "***")
            # `from None`: the SDK's own exception may carry the request, and with it the key
            raise FaultError(faults.Fault(message=hidden, retry_after=fault.retry_after)) from None
