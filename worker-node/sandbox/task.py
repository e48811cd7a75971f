"""What happens inside a task's process: the person's code runs as `__main__` and its result is handed back."""

from __future__ import annotations

import builtins
import contextlib
import json
import linecache
import sys
import time
import types
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.blame import SOURCE, describe
from sandbox.frames import Kind
from values import Encoded, decode, encode, from_ref, mime_bundle, to_ref

if sys.platform == "win32":
    resource = None
else:
    pass

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRESS_TEXT = 500


class Channel(Protocol):
    """The way back to the worker."""

    def send(self, kind: Kind, payload: bytes) -> None:
        """Send one frame whole."""


def run(header: Mapping[str, Any], blobs: Mapping[str, bytes], channel: Channel) -> None:
    """Run a task to its end and send its END frame. Whatever the code raises becomes part of that frame."""
    code: str = header["code"]
    end: dict[str, Any] = {"ok": False}
    module = _main_module(code)
    try:
        module.__dict__.update(_names(header, blobs, channel))
        exec(compile(code, SOURCE, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - this is the job
        if "result" in module.__dict__:
            end["result"] = _ref(encode(module.__dict__["result"]), header, channel)
        end["ok"] = True
    except SystemExit as error:
        end["ok"] = error.code in (None, 0)
        if end["ok"] and "result" in module.__dict__:
            _result_after_exit(end, module.__dict__["result"], header, channel)
        elif not end["ok"]:
            end["error"] = _describe(error, code)
    except BaseException as error:  # noqa: BLE001 - the code may raise anything, and all of it is an answer
        end["error"] = _describe(error, code)
    _flush()
    end["usage"] = _usage()
    channel.send(Kind.END, _json(end))


def _result_after_exit(end: dict[str, Any], value: object, header: Mapping[str, Any], channel: Channel) -> None:
    try:
        end["result"] = _ref(encode(value), header, channel)
    except BaseException as error:  # noqa: BLE001 - encoding calls the code's own methods
        end["ok"] = False
        end["error"] = _describe(error, header["code"])


def _main_module(code: str) -> types.ModuleType:
    """A module that inspect, pickle, dataclasses and tracebacks take for the program."""
    module = types.ModuleType("__main__")
    module.__file__ = SOURCE
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    # No time of change: linecache.checkcache() leaves such entries alone.
    linecache.cache[SOURCE] = (len(code), None, code.splitlines(keepends=True), SOURCE)
    return module


def _names(header: Mapping[str, Any], blobs: Mapping[str, bytes], channel: Channel) -> dict[str, Any]:
    """The names that the code finds: inputs, shard, shards, progress, display."""

    def progress(fraction: float, text: str = "") -> None:
        """Say how far the task is: a fraction from 0 to 1 and, if you like, what it does."""
        number = float(fraction)
        number = min(1.0, max(0.0, number)) if number == number else 0.0  # noqa: PLR0124 - NaN differs from itself
        channel.send(Kind.PROGRESS, _json({"fraction": number, "text": str(text)[:PROGRESS_TEXT]}))

    def display(value: object) -> None:
        """Show a value as the notebook would: figures, frames, HTML, text."""
        _flush()
        bundle = Encoded(format="mime", data=_json(mime_bundle(value)))
        channel.send(Kind.DISPLAY, _json(_ref(bundle, header, channel)))

    inputs = {name: decode(from_ref(ref, blobs.__getitem__)) for name, ref in header["inputs"].items()}
    return {
        "inputs": inputs,
        "shard": header["shard"],
        "shards": header["shards"],
        "progress": progress,
        "display": display,
    }


def _ref(encoded: Encoded, header: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    sent = set[str]()

    def keep(sha256: str, data: bytes) -> None:
        if sha256 in sent:
            return
        sent.add(sha256)
        limit = header["result_bytes"]
        if len(data) > limit:
            message = f"a value of {len(data):,} bytes is over this worker's limit of {limit:,}: write it to a file"
            raise ValueError(message)
        channel.send(Kind.BLOB, sha256.encode("ascii") + data)

    return to_ref(encoded, header["inline_bytes"], keep)


def _describe(error: BaseException, code: str) -> dict[str, Any]:
    try:
        return describe(error, code)
    except BaseException:  # noqa: BLE001 - the exception's own methods may raise; its type is still an answer
        return {"type": type.__call__(str, type.__getattribute__(type(error), "__name__"))[:200], "message": ""}


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):  # the code may have closed or replaced them
            stream.flush()


def _usage() -> dict[str, float]:
    try:
        import resource
    except ImportError:
        return {"cpu_s": time.process_time()}
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    kilobytes = own.ru_maxrss / 1024 if sys.platform == "darwin" else own.ru_maxrss
    return {
        "cpu_s": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
        "memory_mb": round(kilobytes / 1024, 1),
    }


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=repr).encode("utf-8", "backslashreplace")
