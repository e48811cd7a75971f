"""Cluster: the connection to a Dask scheduler, and attempts on their way through it."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.dask.frames import unpack
from nadg_kernel.engines.dask.members import members
from nadg_kernel.engines.faults import Broken, Unreached
from nadg_kernel.engines.sse import SseEvent
from nadg_kernel.errors import MissingExtra, NadgError, SettingsError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client, Future

    from nadg_kernel.engines.dask.frames import Frame
    from nadg_kernel.engines.dask.members import Member

CONNECT_S = 10.0
MOST_SCATTERED = 256 * 1024 * 1024
"""Bytes of inputs that are kept in the cluster's memory for the next worker that needs them."""
_WORKERS = "all"
"""The topic under which a scheduler tells of workers that come and go."""
_SCHEMES = ("dask://", "tcp://", "tls://", "ucx://", "ws://", "wss://", "inproc://")


class Cluster:
    """One scheduler. All methods but the constructor belong to one event loop."""

    def __init__(self, engine: object) -> None:
        """Take an address (`dask://HOST:PORT`, also tcp://, tls://) or a distributed.Client; nothing is sent yet.

        A given client is only read: its loop is the person's. Raises SettingsError, or MissingExtra without Dask.
        """
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise MissingExtra("a Dask cluster as engine", "dask") from error
        self.address = _address(engine)
        self._options = {"security": getattr(engine, "security", None)}
        self._options["direct_to_workers"] = getattr(engine, "direct_to_workers", None)
        self._topic = f"nadg-{uuid.uuid4().hex}"
        self._client: Client | None = None
        self._scheduler_id = ""
        self._flights: dict[str, Flight] = {}
        self._scattered: OrderedDict[str, tuple[Future, int]] = OrderedDict()
        self.changed = asyncio.Event()
        """Set when the scheduler says that a worker came or went."""

    @property
    def client(self) -> Client:
        """The connection. Raises Unreached while there is none."""
        if self._client is None or self._client.status == "closed":
            raise Unreached(f"there is no connection to the Dask scheduler at {self.address}")
        return self._client

    async def connect(self) -> None:
        """Connect, if there is no connection. Raises WorkerError with what to check."""
        if self._client is not None and self._client.status != "closed":
            return
        from distributed import Client

        client = Client(
            self.address,
            asynchronous=True,
            timeout=CONNECT_S,
            set_as_default=False,
            name="nadg",
            **self._options,
        )
        try:
            await client
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            await client.close()
            raise WorkerError(
                f"no Dask scheduler answers at {self.address}: {error}. Is it running, is the port right, "
                "and does a tls:// address have its certificates (give a distributed.Client with `security`)?"
            ) from error
        self._client, self._scheduler_id = client, ""

    async def check(self) -> None:
        """See that scheduler and workers have this package. Raises WorkerError where the scheduler or no worker has."""
        from nadg_kernel.engines.dask.remote import package_version

        try:
            async with asyncio.timeout(CONNECT_S):
                await self.client.run_on_scheduler(package_version)
                found = await self.client.run(package_version, on_error="return")
        except Exception as error:
            if not lacks_package(error):
                raise WorkerError(f"the Dask cluster at {self.address} does not answer: {error!r}") from error
            raise needs_package(f"the Dask scheduler at {self.address}", error) from error
        lacking = {
            where: error for where, error in found.items() if isinstance(error, Exception) and lacks_package(error)
        }
        if found and len(lacking) == len(found):
            where, reason = next(iter(lacking.items()))
            raise needs_package(f"the Dask worker at {where}, like the others,", reason) from reason

    async def members(self) -> dict[str, Member]:
        """The workers by id. Raises Unreached."""
        try:
            await self.connect()
            identity = await asyncio.wait_for(self.client.scheduler.identity(), CONNECT_S)
        except (OSError, WorkerError) as error:
            self._scheduler_id = ""
            raise Unreached(f"the Dask scheduler at {self.address} does not answer: {error}") from error
        if identity["id"] != self._scheduler_id:  # another one, or one that may have forgotten who listens
            self._scheduler_id = identity["id"]
            self.client.subscribe_topic(self._topic, self._heard)
            self.client.subscribe_topic(_WORKERS, self._heard_of_workers)
        return members(identity)

    async def ask(self, address: str, call: str, *arguments: Any) -> Frame:
        """A call to the sandbox of the Dask worker at `address`. Raises the errors of calls.py; faults come as frames.

        Where the worker cannot import this package the error says what to install.
        """
        from nadg_kernel.engines.dask.remote import ask

        try:
            answers = await self.client.run(ask, call, arguments, workers=[address])
        except NadgError:
            raise
        except Exception as error:
            # What a scheduler passes on of a worker's errors, or says of one that it cannot reach, has no common type.
            if lacks_package(error):
                raise needs_package(f"the Dask worker at {address}", error) from error
            raise Unreached(f"the Dask worker at {address} cannot be asked: {error!r}") from error
        return unpack(answers[address])

    async def scattered(self, sha256: str, data: bytes, address: str) -> Future:
        """Bytes as a Dask future that tasks may depend on. They leave this side once, and Dask moves them on.

        Scattered and not in the task's message, which the scheduler would unpack, keep and log for each task.
        """
        known = self._scattered.get(sha256)
        if known is not None and known[0].status == "finished":
            self._scattered.move_to_end(sha256)
            return known[0]
        try:
            (future,) = await self.client.scatter([data], workers=[address], hash=False)
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            raise Unreached(f"the Dask worker at {address} does not take an input: {error}") from error
        self._scattered[sha256] = (future, len(data))
        while len(self._scattered) > 1 and sum(size for _, size in self._scattered.values()) > MOST_SCATTERED:
            self._scattered.popitem(last=False)
        return future

    def take_off(self, address: str, order: Mapping[str, Any], body: bytes, blobs: Mapping[str, Future]) -> Flight:
        """Give Dask an attempt for one worker. Dask does not choose, repeat or remember it: we do."""
        from nadg_kernel.engines.dask.remote import carry

        key = f"nadg-attempt-{uuid.uuid4().hex}"
        order = {**order, "key": key, "topic": self._topic, "blobs": list(blobs)}
        flight = self._flights[key] = Flight(key, body)
        try:
            flight.board(
                self.client.submit(
                    carry,
                    order,
                    body,
                    *blobs.values(),
                    key=key,
                    workers=[address],
                    allow_other_workers=False,
                    retries=0,
                    pure=False,
                )
            )
        except BaseException:
            del self._flights[key]
            raise
        return flight

    async def land(self, flight: Flight) -> None:
        """Let go of an attempt: what Dask has not begun it drops, what runs goes on."""
        self._flights.pop(flight.key, None)
        await flight.leave()

    async def close(self) -> None:
        """Disconnect. What is on its way breaks."""
        self._scattered.clear()
        if self._client is not None:
            if self._scheduler_id and self._client.status == "running":
                for topic in (self._topic, _WORKERS):
                    self._client.unsubscribe_topic(topic)
            await self._client.close()

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        message = event[1]
        flight = self._flights.get(message["key"])
        if flight is None:
            return
        if "end" in message:
            flight.end(message["end"])
        else:
            flight.put(SseEvent(message["type"], message["data"]))

    def _heard_of_workers(self, event: tuple[float, object]) -> None:
        if isinstance(event[1], dict) and str(event[1].get("action")) in {"add-worker", "remove-worker"}:
            self.changed.set()


class Flight:
    """One attempt on its way through Dask: its events as they are heard, then its end."""

    def __init__(self, key: str, body: bytes) -> None:
        """`key` is Dask's name of it, `body` the request."""
        self.key, self.body = key, body
        self.begun = False
        self.brought: dict[str, bytes] = {}
        """Blobs by digest that came with its end."""
        self._heard: asyncio.Queue[SseEvent | Frame | WorkerError] = asyncio.Queue()
        self._ended = False
        self._future: Future | None = None
        self._watch: asyncio.Task[None] | None = None

    def board(self, future: Future) -> None:
        """Watch Dask's future for the end that comes without events, or that is too large for one."""
        self._future = future
        self._watch = asyncio.get_running_loop().create_task(self._watched(future))

    def put(self, what: SseEvent | Frame | WorkerError) -> None:
        """Something was heard of it."""
        self.begun = True
        self._heard.put_nowait(what)

    def end(self, packed: object) -> None:
        """Its answer is here; only the first counts."""
        if self._ended:
            return
        self._ended = True
        try:
            self.put(unpack(packed))
        except Broken as error:
            self.put(error)

    async def next(self) -> SseEvent | Frame:
        """What comes next. Raises Broken when it is lost."""
        what = await self._heard.get()
        if isinstance(what, WorkerError):
            raise what
        return what

    async def leave(self) -> None:
        """Forget it."""
        self._ended = True
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        if self._future is not None:
            self._future.release()

    async def _watched(self, future: Future) -> None:
        try:
            problem = await future.exception()
            if problem is not None:
                raise problem
            if not self._ended:
                self.end(await future)
        except Exception as error:  # noqa: BLE001 - whatever Dask says of a task that it cannot run
            lacks = lacks_package(error)
            self.put(needs_package("the Dask worker", error) if lacks else Broken(f"Dask lost the attempt: {error!r}"))


def lacks_package(error: Exception) -> bool:
    """Whether an error says that this package, or this version's part of it, cannot be imported over there.

    Dask passes such errors on as they are, or as their text in an Exception.
    """
    if isinstance(error, ImportError | AttributeError):
        return True
    return any(kind in str(error) for kind in ("ModuleNotFoundError(", "ImportError(", "AttributeError("))


def needs_package(where: str, error: Exception) -> WorkerError:
    """The error where `where` cannot import this package."""
    from nadg_kernel.engines.dask.remote import package_version

    which = "==".join(part for part in ("nadg-kernel[dask]", package_version()) if part)
    return Unreached(
        f"{where} cannot run attempts ({error!r}): install {which} in the "
        "environment of the Dask scheduler and its workers, and restart them"
    )


def _address(engine: object) -> str:
    """The scheduler's address as Dask wants it."""
    if isinstance(engine, str):
        scheme = next((scheme for scheme in _SCHEMES if engine.startswith(scheme)), "")
        if not scheme or not engine.removeprefix(scheme).strip("/"):
            raise SettingsError(f"engine={engine!r} is no address of a Dask scheduler: write dask://HOST:PORT")
        return engine.removeprefix("dask://").rstrip("/")
    scheduler = getattr(engine, "scheduler", None)
    address = getattr(scheduler, "address", None)
    if not isinstance(address, str):
        raise SettingsError(
            f"engine is a {type(engine).__name__}: give dask://HOST:PORT or a connected distributed.Client"
        )
    return address
