"""What a shard is given: attached data, upstream results, and its own piece of what its subtask maps over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nadg_kernel import values
from nadg_kernel.data import split_value
from nadg_kernel.wire import INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nadg_kernel.engines.base import Blobs
    from nadg_kernel.model import Plan, Subtask

Ref = dict[str, Any]


class InputMissing(Exception):  # noqa: N818 - it is about an input
    """An input cannot be given: its bytes are not here, or it can no longer be cut as it was."""


class Inputs:
    """Values by name, as references. Results are kept per shard, in shard order."""

    def __init__(self, data: Mapping[str, Mapping[str, Any]], blobs: Blobs) -> None:
        """Start with the attached data, whose bytes are in the blobs already."""
        self._data = {name: dict(ref) for name, ref in data.items()}
        self._blobs = blobs
        self._results: dict[str, dict[int, Ref]] = {}
        self._lists: dict[str, Ref] = {}
        self._pieces: dict[str, list[Ref]] = {}
        self._present: set[str] = set()

    @property
    def data(self) -> frozenset[str]:
        """Names of the attached data."""
        return frozenset(self._data)

    @property
    def references(self) -> dict[str, Ref]:
        """The attached data as it is journalled, so that another kernel can resume the run."""
        return dict(self._data)

    def keep(self, subtask: str, shard: int, result: Mapping[str, Any] | None) -> None:
        """Remember the result (Result.to_json) of a shard that succeeded."""
        value = (result or {}).get("value")
        self._results.setdefault(subtask, {})[shard] = dict(value) if value is not None else _nothing()
        self._lists.pop(subtask, None)

    def forget(self, subtasks: Iterable[str]) -> None:
        """Results and pieces of subtasks that run again are void."""
        for name in subtasks:
            self._results.pop(name, None)
            self._lists.pop(name, None)
            self._pieces.pop(name, None)

    def value(self, plan: Plan, name: str) -> Ref:
        """The reference of a whole input: data, a result, or the list of a mapped subtask's results.

        Raises InputMissing.
        """
        if name in self._data:
            return self._data[name]
        results = self._results.get(name)
        if results is None:
            raise InputMissing(f"there is no data and no result {name!r}")
        if plan[name].map is None:
            return results[0]
        if name not in self._lists:
            refs = [results[number] for number in sorted(results)]
            self._lists[name] = {"format": "list", "size": sum(ref.get("size") or 0 for ref in refs), "items": refs}
        return self._lists[name]

    async def split(self, plan: Plan, subtask: Subtask) -> int:
        """Cut what a subtask maps over into pieces; gives their number. Raises InputMissing."""
        if subtask.map is None or subtask.id in self._pieces:
            return len(self._pieces.get(subtask.id, ("whole",)))
        ref, over = self.value(plan, subtask.map.over), subtask.map

        def work() -> list[Ref]:
            encoded = values.from_ref(ref, self._blobs.get)
            return [values.to_ref(piece, INLINE_BYTES, self._put) for piece in split_value(encoded, over)]

        try:
            pieces = await asyncio.to_thread(work)
        except (KeyError, values.ValueDecodingError) as error:
            raise InputMissing(f"{over.over!r} cannot be split: {self._why(error)}") from error
        self._pieces[subtask.id] = pieces
        return len(pieces)

    async def of_shard(self, plan: Plan, subtask: Subtask, shard: int, shards: int) -> dict[str, Ref]:
        """All inputs of one shard by name. Raises InputMissing, also when bytes are not among the blobs."""
        found = {}
        for name in subtask.inputs:
            if subtask.map is not None and name == subtask.map.over:
                if await self.split(plan, subtask) != shards:
                    raise InputMissing(f"{name!r} was cut into {shards} shards and can no longer be cut so")
                found[name] = self._pieces[subtask.id][shard]
            else:
                found[name] = self.value(plan, name)
        for name, ref in found.items():
            for sha256 in blobs_of(ref):
                if sha256 not in self._present:
                    if not self._blobs.has(sha256):
                        raise InputMissing(f"the bytes of {name!r} ({sha256[:12]}) are not here: {self._advice(name)}")
                    self._present.add(sha256)
        return found

    def complete(self, result: Mapping[str, Any]) -> bool:
        """Whether all bytes of a result (Result.to_json) are here."""
        refs = [result.get("value") or {}, *(result.get("displays") or ())]
        files = [item["sha256"] for item in result.get("artifacts") or ()]
        return all(self._blobs.has(sha256) for sha256 in [*files, *(b for ref in refs for b in blobs_of(ref))])

    def _put(self, _sha256: str, data: bytes) -> None:
        self._blobs.put(data)

    def _advice(self, name: str) -> str:
        return "attach it again" if name in self._data else f"run {name!r} again"

    @staticmethod
    def _why(error: Exception) -> str:
        return f"bytes {str(error.args[0])[:12]} are not here" if isinstance(error, KeyError) else str(error)


def _nothing() -> Ref:
    """What a subtask gives that sets no result."""
    return values.to_ref(values.encode(None), INLINE_BYTES, lambda _sha, _data: None)


def blobs_of(ref: Mapping[str, Any]) -> Iterator[str]:
    """Digests of the leaves of a reference whose bytes are not inline."""
    if ref.get("items") is not None:
        for item in ref["items"]:
            yield from blobs_of(item)
    elif ref.get("sha256") and "value" not in ref and ref.get("data") is None:
        yield ref["sha256"]
