"""Calls to the Hub from an event loop: each in a thread that neither blocks it nor holds up the end of the program."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from nadg_kernel.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
P = ParamSpec("P")
ANSWER_S = 60.0
"""How long one call may take: huggingface_hub itself waits forever for a server that is silent."""


async def called(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a blocking call gives. Raises DeployError after ANSWER_S; the thread is left to end by itself."""
    return await called_within(ANSWER_S, function, *args, **kwargs)


async def called_within(seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same with a patience of its own."""
    future: Future[T] = Future()

    def work() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - carried to the caller, whatever it is
            future.set_exception(error)

    threading.Thread(target=work, name="nadg-hub", daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
    except TimeoutError:
        message = f"the Hub did not answer in {seconds:g} s: try again; what was done so far is kept"
        raise DeployError(message) from None
