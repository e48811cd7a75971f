"""A TCP proxy that breaks some of the connections through it: delays, cuts, resets, drips and garbage, from a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Self

FAULTS = ("delay", "reset", "truncate", "drip", "garbage", "silence")


class FaultProxy:
    """Forwards to a port on this machine. On average `every` bytes of answers there is a fault."""

    def __init__(self, port: int, *, seed: int, every: int) -> None:
        self._target, self._rng, self._every = port, random.Random(seed), every
        self.counts: Counter[str] = Counter()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, up_writer}
        there = asyncio.ensure_future(_forward(reader, up_writer))
        try:
            await self._back(up_reader, writer)
        except ConnectionError:
            self.counts["client left"] += 1
        finally:
            there.cancel()
            for stream in (writer, up_writer):
                stream.close()
                self._writers.discard(stream)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._left()
        while data := await reader.read(4096):
            while len(data) > left:
                whole, data = data[:left], data[left:]
                writer.write(whole)
                await writer.drain()
                fault = self._rng.choice(FAULTS)
                self.counts[fault] += 1
                if not await self._break(writer, fault, data):
                    return
                data, left = b"", self._left()
            left -= len(data)
            writer.write(data)
            await writer.drain()

    def _left(self) -> int:
        return int(self._rng.expovariate(1 / self._every))

    async def _break(self, writer: asyncio.StreamWriter, fault: str, data: bytes) -> bool:
        """Do the fault; whether the connection lives on."""
        if fault == "delay":
            await asyncio.sleep(self._rng.uniform(0.0, 0.1))
            writer.write(data)
        elif fault == "drip":
            for place in range(0, len(data), 7):
                writer.write(data[place : place + 7])
                await writer.drain()
        elif fault == "garbage":
            writer.write(b"\x00\xff\x00garbage\x00" + data)
        elif fault == "reset":
            writer.transport.abort()
        elif fault == "silence":
            await asyncio.sleep(60)  # the client's patience ends it
        return fault in {"delay", "drip", "garbage"}


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
        writer.close()
    except ConnectionError:
        writer.close()
