"""What crosses Dask in answer to a call: one bytes object, so that Dask pickles nothing of ours."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.faults import Broken, NotOurs, Refused, Unreached, WrongBytes
from nadg_kernel.wire import Refusal

if TYPE_CHECKING:
    from nadg_kernel.errors import WorkerError

_LENGTH = struct.Struct(">I")
_FAULTS = {"unreached": Unreached, "wrong_bytes": WrongBytes, "broken": Broken}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """An answer: its kind, what is said about it as JSON, and raw parts."""

    kind: str
    about: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[bytes, ...] = ()

    def pack(self) -> bytes:
        """As one bytes object."""
        head = {"kind": self.kind, "about": dict(self.about), "sizes": [len(part) for part in self.parts]}
        text = json.dumps(head, separators=(",", ":")).encode()
        return b"".join((_LENGTH.pack(len(text)), text, *self.parts))


def unpack(data: object) -> Frame:
    """The frame. Raises Broken for what is none."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise Broken(f"what came back through Dask is no answer of ours but a {type(data).__name__}")
    view = memoryview(data).cast("B")
    try:
        begin = _LENGTH.size + _LENGTH.unpack_from(view)[0]
        head = json.loads(bytes(view[_LENGTH.size : begin]))
        parts = []
        for size in head["sizes"]:
            parts.append(bytes(view[begin : begin + size]))
            begin += size
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise Broken(f"what came back through Dask cannot be read: {error!r}") from None
    if begin != len(view):
        raise Broken(f"what came back through Dask has {len(view)} bytes and should have {begin}")
    return Frame(kind=head["kind"], about=head["about"], parts=tuple(parts))


def fault(error: WorkerError) -> Frame:
    """An error of a call as a frame, for the other side to raise."""
    if isinstance(error, Refused):
        about = {"status": error.status, "reason": error.reason, "missing": list(error.missing)}
        return Frame(kind="refused", about={**about, "retry_after": error.retry_after})
    kinds = [kind for kind, cls in _FAULTS.items() if isinstance(error, cls)]
    return Frame(kind=kinds[0] if kinds else "not_ours", about={"reason": str(error)})


def checked(frame: Frame, worker: str) -> Frame:
    """The frame, unless it is a fault: then that is raised."""
    about = frame.about
    if frame.kind == "refused":
        refusal = Refusal(error=about["reason"], missing=about["missing"])
        raise Refused(worker, about["status"], refusal, about["retry_after"])
    if frame.kind == "not_ours":
        raise NotOurs(about["reason"])
    if frame.kind in _FAULTS:
        raise _FAULTS[frame.kind](about["reason"])
    return frame
