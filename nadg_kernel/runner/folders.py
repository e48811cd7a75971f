"""Folders that a plan's code imports from: their modules are no worker's business, their files go along."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nadg_kernel import values
from nadg_kernel.data.folders import laid_out, module_names
from nadg_kernel.runner.caching import imported_modules
from nadg_kernel.runner.inputs import InputMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.engines.base import Blobs
    from nadg_kernel.model import Plan, Subtask

Files = dict[str, tuple[str, int]]


class Folders:
    """The attached folders of a run, each laid out once when the first subtask imports from it."""

    def __init__(self, plan: Plan, data: Mapping[str, Mapping[str, Any]], blobs: Blobs) -> None:
        """Look at the names of the files."""
        folders = [name for name, schema in plan.data.items() if schema.kind == "folder" and name in data]
        self._refs = {name: data[name] for name in folders}
        self._blobs = blobs
        self._modules = {name: module_names(self._paths(name)) for name in folders}
        self._files: dict[str, Files] = {}

    def modules(self, subtask: Subtask) -> frozenset[str]:
        """Modules that the subtask's code may import from its own inputs."""
        return frozenset().union(*(self._modules.get(name, frozenset()) for name in subtask.inputs))

    async def files(self, subtask: Subtask) -> Files:
        """What goes along with an attempt: the files of each input folder that its code imports from."""
        out: Files = {}
        if subtask.kind != "python" or not self.modules(subtask):
            return out
        wanted = frozenset(imported_modules(subtask.code))
        for name in subtask.inputs:
            if not wanted & self._modules.get(name, frozenset()):
                continue
            if name not in self._files:
                self._files[name] = await asyncio.to_thread(self._laid, name)
            for path, file in self._files[name].items():
                if out.setdefault(path, file) != file:
                    raise InputMissing(f"two folders have a file {path!r}: import from one of them only")
        return out

    def _paths(self, name: str) -> list[str]:
        ref = self._refs[name]
        if ref.get("format") == "dict":
            return [str(path) for path in ref.get("value") or ()]
        try:
            content = values.decode(values.from_ref(ref, self._blobs.get))  # all text, in one piece
        except (KeyError, values.ValueDecodingError):
            return []  # said when its subtask is sent
        return list(content) if isinstance(content, dict) else []

    def _laid(self, name: str) -> Files:
        try:
            content = values.decode(values.from_ref(self._refs[name], self._blobs.get))
        except (KeyError, values.ValueDecodingError) as error:
            raise InputMissing(f"the folder {name!r} cannot be read: {error}") from error
        out: Files = {}
        for target, path in laid_out(content).items():
            raw = content[path]
            data = raw if isinstance(raw, bytes) else str(raw).encode()
            out[target] = (self._blobs.put(data), len(data))
        return out
