"""What happens inside a task's process: the person's code runs as `__main__` and its result is handed back."""

from __future__ import annotations

import builtins
import json
import linecache
import sys
import time
import types
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.blame import SOURCE, describe
from sandbox.frames import Kind
from values import Encoded, decode, encode, from_ref, mime_bundle, to_ref

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRESS_TEXT = 500
_encode_json = json.JSONEncoder(separators=(",", ":"), default=repr).encode
_NOT_PLAIN = (b"NaN", b"Infinity", b"\\ud")
"""In a JSON text: what the wire's own JSON cannot carry, or perhaps not."""
_PLAIN_LEVELS = 100


class Channel(Protocol):
    """The way back to the worker."""

    def send(self, kind: Kind, payload: bytes) -> None:
        """Send one frame whole."""


class Task:
    """A program to be, with the names that it finds: inputs, shard, shards, progress, display.

    Made before the process knows what it will run, so that a task finds it ready.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._header: Mapping[str, Any] = {}
        self._main = types.ModuleType("__main__")  # inspect, pickle, dataclasses and tracebacks take it for the program
        self._main.__file__ = SOURCE
        self._main.__dict__.update(__builtins__=builtins, progress=self.progress, display=self.display)

    def run(self, header: Mapping[str, Any], blobs: Mapping[str, bytes]) -> None:
        """Run code to its end and send its END frame. Whatever the code raises becomes part of that frame."""
        self._header = header
        code: str = header["code"]
        names = self._main.__dict__
        result, error = b"", None
        try:
            self._become_main(code)
            names["inputs"] = {name: decode(from_ref(ref, blobs.__getitem__)) for name, ref in header["inputs"].items()}
            names["shard"], names["shards"] = header["shard"], header["shards"]
            exec(compile(code, SOURCE, "exec", dont_inherit=True), names)  # noqa: S102 - this is the job
            result = self._result(names)
        except SystemExit as end:
            if end.code in (None, 0):
                result, error = self._result_after_exit(names)
            else:
                error = _describe(end, code)
        except BaseException as end:  # noqa: BLE001 - the code may raise anything, and all of it is an answer
            error = _describe(end, code)
        _flush()
        self._channel.send(Kind.END, _end(result, error))

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the task is: a fraction from 0 to 1 and, if you like, what it does."""
        number = float(fraction)
        number = min(1.0, max(0.0, number)) if number == number else 0.0  # noqa: PLR0124 - NaN differs from itself
        self._channel.send(Kind.PROGRESS, _json({"fraction": number, "text": str(text)[:PROGRESS_TEXT]}))

    def display(self, value: object) -> None:
        """Show a value as the notebook would: figures, frames, HTML, text."""
        _flush()
        bundle = Encoded(format="mime", data=_json(mime_bundle(value)))
        self._channel.send(Kind.DISPLAY, _json(self._ref(bundle)))

    def _become_main(self, code: str) -> None:
        sys.modules["__main__"] = self._main
        # No time of change: linecache.checkcache() leaves such entries alone.
        linecache.cache[SOURCE] = (len(code), None, code.splitlines(keepends=True), SOURCE)

    def _result(self, names: Mapping[str, Any]) -> bytes:
        """What the code set as `result`: a ValueRef as JSON text; empty if it set nothing."""
        if "result" not in names:
            return b""
        encoded = encode(names["result"])
        return _plain(encoded, self._header["inline_bytes"]) or _json(self._ref(encoded))

    def _result_after_exit(self, names: Mapping[str, Any]) -> tuple[bytes, dict[str, Any] | None]:
        try:
            return self._result(names), None
        except BaseException as error:  # noqa: BLE001 - encoding calls the code's own methods
            return b"", _describe(error, self._header["code"])

    def _ref(self, encoded: Encoded) -> dict[str, Any]:
        sent = set[str]()

        def keep(sha256: str, data: bytes) -> None:
            if sha256 in sent:
                return
            sent.add(sha256)
            limit = self._header["result_bytes"]
            if len(data) > limit:
                message = f"a value of {len(data):,} bytes is over this worker's limit of {limit:,}: write it to a file"
                raise ValueError(message)
            self._channel.send(Kind.BLOB, sha256.encode("ascii") + data)

        return to_ref(encoded, self._header["inline_bytes"], keep)


def _plain(encoded: Encoded, most: int) -> bytes:
    """The ValueRef of a small plain JSON value as JSON text, without reading and hashing it; empty for any other.

    The worker adds the hash: here it would load a library's pages for every task.
    """
    data = encoded.data
    if encoded.format != "json" or encoded.note or len(data) > most:
        return b""
    if any(word in data for word in _NOT_PLAIN) or data.count(b"[") + data.count(b"{") > _PLAIN_LEVELS:
        return b""
    return b'{"format":"json","size":%d,"value":%b}' % (len(data), data)


def _end(result: bytes, error: dict[str, Any] | None) -> bytes:
    """How it ended, as JSON."""
    end: dict[str, Any] = {"ok": error is None, "usage": _usage()}
    if error is not None:
        end["error"] = error
    text = _json(end)
    return text[:-1] + b',"result":' + result + b"}" if result else text


def _describe(error: BaseException, code: str) -> dict[str, Any]:
    try:
        return describe(error, code)
    except BaseException:  # noqa: BLE001 - the exception's own methods may raise; its type is still an answer
        return {"type": type.__call__(str, type.__getattribute__(type(error), "__name__"))[:200], "message": ""}


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: BLE001, S112 - the code may have closed or replaced it
            continue


def _usage() -> dict[str, float]:
    if sys.platform == "win32":
        return {"cpu_s": time.process_time()}
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    kilobytes = own.ru_maxrss / 1024 if sys.platform == "darwin" else own.ru_maxrss
    return {
        "cpu_s": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
        "memory_mb": round(kilobytes / 1024, 1),
    }


def _json(value: object) -> bytes:
    return _encode_json(value).encode("utf-8", "backslashreplace")
