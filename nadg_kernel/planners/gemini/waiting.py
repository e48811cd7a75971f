"""Tries a call again where waiting helps, with a countdown that a person sees and may cancel."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from nadg_kernel.errors import PlannerError

if TYPE_CHECKING:
    from nadg_kernel.planners.gemini.faults import Fault

TRIES = 4
MOST_WAIT_S = 120.0
"""A longer wait is for the person to decide."""

Sleep = Callable[[float], Awaitable[None]]
Value = TypeVar("Value")


class FaultError(Exception):
    """A failed call on its way to the decision whether to wait."""

    def __init__(self, fault: Fault) -> None:
        """Carry the fault."""
        self.fault = fault
        super().__init__(fault.message)


async def patiently(
    call: Callable[[], Awaitable[Value]], say: Callable[[str], None], sleep: Sleep = asyncio.sleep
) -> Value:
    """The call's value, after waiting where a fault says so. Raises PlannerError with the last fault's words."""
    for number in range(1, TRIES + 1):
        try:
            return await call()
        except FaultError as error:
            wait = error.fault.retry_after
            if wait is None or number == TRIES or wait > MOST_WAIT_S:
                raise PlannerError(error.fault.message) from error
            await _countdown(wait or float(2 ** (number - 1)), say, sleep)
    raise AssertionError  # the last try returned or raised


async def _countdown(seconds: float, say: Callable[[str], None], sleep: Sleep) -> None:
    left = seconds
    while left > 0:
        say(f"Gemini asks to wait: {math.ceil(left)} s left")
        await sleep(min(1.0, left))
        left -= 1.0
