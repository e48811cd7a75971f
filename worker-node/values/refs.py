"""Values in messages: small ones inline, large ones by the digest of a blob."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from .decoding import DECODERS
from .encoded import Encoded, ValueDecodingError, dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOTE_LIMIT = 500
INLINE_LEVELS = 100
"""Nesting of JSON that stands in the wire's own JSON: its parsers stop at 200."""

_NULL = hashlib.sha256(b"null").hexdigest()


def is_null(ref: Mapping[str, Any]) -> bool:
    """Whether a leaf's reference without bytes is None itself, not a blob: by its digest, for others are as short."""
    return ref.get("format", "json") == "json" and ref.get("sha256") in {None, _NULL}


def to_ref(encoded: Encoded, inline_bytes: int, keep: Callable[[str, bytes], None]) -> dict[str, Any]:
    """The wire's ValueRef for a value, as a dict; `keep(sha256, data)` is called for each leaf too large to inline.

    All inline leaves of one value together are at most 16 times `inline_bytes`, so that no list outgrows a request.
    """
    return _to_ref(encoded, inline_bytes, [16 * inline_bytes], keep)


def _to_ref(encoded: Encoded, inline_bytes: int, left: list[int], keep: Callable[[str, bytes], None]) -> dict[str, Any]:
    ref: dict[str, Any] = {"format": encoded.format, "size": encoded.size, "note": encoded.note[:NOTE_LIMIT]}
    if encoded.format in {"list", "dict"}:
        ref["items"] = [_to_ref(item, inline_bytes, left, keep) for item in encoded.items]
        if encoded.format == "dict":
            ref["value"] = list(encoded.keys)
        return ref
    ref["sha256"] = encoded.digest()
    if len(encoded.data) > min(inline_bytes, left[0]):
        keep(ref["sha256"], encoded.data)
        return ref
    left[0] -= len(encoded.data)
    if encoded.format == "json" and (plain := _strict_json(encoded.data)) is not _NOT_STRICT:
        ref["value"] = plain
    else:
        ref["data"] = base64.b64encode(encoded.data).decode("ascii")
    return ref


def from_ref(ref: Mapping[str, Any], fetch: Callable[[str], bytes]) -> Encoded:
    """Read a ValueRef given as a dict; `fetch(sha256)` gives the bytes of a blob. Raises ValueDecodingError."""
    try:
        return _from_ref(ref, fetch)
    except RecursionError as error:
        raise ValueDecodingError("a value is nested too deeply") from error


def _from_ref(ref: Mapping[str, Any], fetch: Callable[[str], bytes]) -> Encoded:
    form = ref.get("format", "json")
    note = ref.get("note") or ""
    if form in {"list", "dict"}:
        items = tuple(_from_ref(item, fetch) for item in ref.get("items") or ())
        keys = tuple(str(key) for key in ref.get("value") or ()) if form == "dict" else ()
        if form == "dict" and len(keys) != len(items):
            raise ValueDecodingError("a dict has as many keys as items")
        return Encoded(format=form, items=items, keys=keys, note=note)
    if form not in DECODERS:
        message = f"unknown format {form!r}"
        raise ValueDecodingError(message)
    if ref.get("data") is not None:
        try:
            data = base64.b64decode(ref["data"], validate=True)
        except ValueError as error:
            raise ValueDecodingError("inline data is not base64") from error
    elif ref.get("value") is None and ref.get("sha256") and not is_null(ref):
        data = fetch(ref["sha256"])
    elif form == "text" and isinstance(ref.get("value"), str):
        data = ref["value"].encode()
    elif form not in {"json", "mime"}:
        message = f"a value of format {form!r} came without its bytes"
        raise ValueDecodingError(message)
    else:
        data = dumps(ref.get("value")).encode()
    return Encoded(format=form, data=data, note=note, sha256=hashlib.sha256(data).hexdigest())


_NOT_STRICT = object()


def _strict_json(data: bytes) -> Any:
    def refuse(_constant: str) -> Any:
        raise ValueError

    try:
        value = json.loads(data, parse_constant=refuse)
        if b"\\ud" in data:  # a surrogate; half a pair has no UTF-8 form
            json.dumps(value, ensure_ascii=False).encode()
        if data.count(b"[") + data.count(b"{") > INLINE_LEVELS and _levels(value) > INLINE_LEVELS:
            return _NOT_STRICT
    except (ValueError, RecursionError):
        return _NOT_STRICT
    return value


def _levels(value: object) -> int:
    """How deep a JSON value is nested."""
    level, layer = 0, [value]
    while layer:
        level += 1
        inner = [item for item in layer if isinstance(item, (list, dict))]
        layer = [part for item in inner for part in (item.values() if isinstance(item, dict) else item)]
    return level
