"""What a subtask gave, as a person uses it: the value, and everything to show, through the MIME allow-list."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from nadg_kernel.display import Bundle, bundles_html, clean_text, safe_bundle, value_bundles
from nadg_kernel.errors import RunFailed
from nadg_kernel.model import SubtaskState
from nadg_kernel.runview import ICONS
from nadg_kernel.values import Encoded, ValueDecodingError, decode, from_ref, mime_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nadg_kernel.engines.base import Blobs
    from nadg_kernel.model import Artifact, Result
    from nadg_kernel.progress import SubtaskProgress


class ResultView:
    """A subtask's result. As the last line of a cell it shows itself; `value` is the Python value.

    A subtask with a map has one result per shard: `value` is their list, in shard order.
    """

    def __init__(
        self, progress: SubtaskProgress, blobs: Blobs, *, mapped: bool, to_cell: Callable[[], None] | None = None
    ) -> None:
        """Look at what a run keeps of a subtask; nothing is copied. `to_cell` is the run's."""
        self._progress, self._blobs, self._mapped, self._to_cell = progress, blobs, mapped, to_cell

    @property
    def id(self) -> str:
        """The subtask's id."""
        return self._progress.id

    @property
    def state(self) -> SubtaskState:
        """The subtask's state now."""
        return self._progress.state

    @property
    def value(self) -> Any:
        """The Python value. Raises RunFailed when the subtask has not succeeded."""
        if not self.state.good:
            raise RunFailed(self._why())
        return decode(self.encoded())

    @property
    def stdout(self) -> str:
        """What it printed, over all shards; while it runs, what is known so far."""
        done = [result.stdout for result in self._results()]
        return "".join(done) if any(done) else self._progress.stdout

    @property
    def stderr(self) -> str:
        """What it printed to stderr, over all shards."""
        done = [result.stderr for result in self._results()]
        return "".join(done) if any(done) else self._progress.stderr

    @property
    def displays(self) -> list[Bundle]:
        """What the code displayed, safe to show."""
        return [safe_bundle(raw) for raw in self._raw_displays()]

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The files that the code left, with size in bytes and digest."""
        return tuple(item for result in self._results() for item in result.artifacts)

    @property
    def error(self) -> Mapping[str, Any] | None:
        """Why it failed: type, message, line and traceback of the person's own code; None if it has not."""
        return self._progress.error

    def to_cell(self) -> None:
        """Put its code into the next cell, to run here on its real inputs (see `%%subtask`). Raises RunFailed."""
        if self._to_cell is None:
            raise RunFailed(f"{self.id} is shown without its run: run.to_cell({self.id!r})")
        self._to_cell()

    def read(self, path: str) -> bytes:
        """The bytes of an artifact. Raises KeyError listing what there is."""
        for item in self.artifacts:
            if item.path == path:
                return self._blobs.get(item.sha256)
        known = ", ".join(item.path for item in self.artifacts) or "none"
        message = f"no file {path!r} (there are: {known})"
        raise KeyError(message)

    def save(self, path: str, target: str | Path) -> Path:
        """Write an artifact to `target`, a file or folder of yours; gives the file's path."""
        from pathlib import Path

        place = Path(target)
        if place.is_dir():
            place = place / Path(path).name
        place.write_bytes(self.read(path))
        return place

    def encoded(self) -> Encoded:
        """The value as bytes by format. Raises RunFailed where a shard's is missing, KeyError where a blob is."""
        parts = []
        for result in self._results():
            if result.value is None:
                parts.append(Encoded(format="json", data=b"null"))
            else:
                parts.append(from_ref(result.value, self._blobs.get))
        if self._mapped:
            return Encoded(format="list", items=tuple(parts))
        if not parts:
            raise RunFailed(self._why())
        return parts[0]

    def bundles(self) -> list[Bundle]:
        """Everything to show, in order: error or value, displays, printed text, files. Safe to put into a page."""
        out: list[Bundle] = []
        if self.state is SubtaskState.FAILED:
            out.append(_error_bundle(self._progress.title, self.error or {}))
        elif self.state.good:
            raws = self._raw_displays()
            displays = [safe_bundle(raw) for raw in raws]
            if displays and self._only_displayed(displays):
                out += displays
            else:
                own = self._own_html()
                out += self._value_bundles()
                out += [
                    shown
                    for raw, shown in zip(raws, displays, strict=True)
                    if own is None or raw.get("text/html") != own
                ]
        else:
            out.append({"text/plain": self._why()})
        for name, text in (("printed", self.stdout), ("stderr", self.stderr)):
            if text.strip():
                body = clean_text(text)
                out.append(
                    {
                        "text/plain": body,
                        "text/html": f"<details><summary>{name}</summary><pre>{escape(body)}</pre></details>",
                    }
                )
        if self.artifacts:
            names = ", ".join(f"{clean_text(item.path, 200)} ({item.size:,} bytes)" for item in self.artifacts)
            out.append({"text/plain": f"files: {names}"})
        return out

    def html(self) -> str:
        """Everything to show as one HTML fragment; figures are named, not drawn."""
        return bundles_html(self.bundles())

    def __repr__(self) -> str:
        """The plain-text twin."""
        head = f"{ICONS[self.state]} {self.id} ({self.state})"
        return "\n".join([head, *(bundle.get("text/plain", "") for bundle in self.bundles())])

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for bundle in self.bundles():
            display(bundle, raw=True)  # type: ignore[no-untyped-call]

    def _results(self) -> list[Result]:
        return [result for result in self._progress.results() if result is not None]

    def _value_bundles(self) -> list[Bundle]:
        try:
            encoded = self.encoded()
        except (KeyError, ValueDecodingError) as error:
            return [{"text/plain": f"this result cannot be read: {clean_text(str(error), 500)}"}]
        if encoded.format == "json" and encoded.data == b"null":
            return []
        if encoded.format == "list" and len(encoded.items) > 1 and {i.format for i in encoded.items} == {"arrow"}:
            import pandas as pd

            from nadg_kernel.display import frame_bundle

            return [frame_bundle(pd.concat([decode(item) for item in encoded.items]))]
        return value_bundles(encoded)

    def _raw_displays(self) -> list[dict[str, Any]]:
        """What the code displayed, as it came."""
        refs = [ref for result in self._results() for ref in result.displays]
        plains = [decode(from_ref(ref, self._blobs.get)) for ref in refs]
        return [plain if isinstance(plain, dict) else {"text/plain": str(plain)} for plain in plains]

    def _own_html(self) -> str | None:
        """How a frame would show itself: code that also displays its result shows the same table twice otherwise."""
        encoded = self.encoded()
        if encoded.format != "arrow":
            return None
        html = mime_bundle(decode(encoded)).get("text/html")
        return html if isinstance(html, str) else None

    def _only_displayed(self, displays: list[Bundle]) -> bool:
        """Whether the value is only what was displayed too: figures, or the same Markdown."""
        value = self.encoded()
        leaves = value.items or (value,)
        if all(leaf.format == "mime" for leaf in leaves):
            return True
        plain = decode(value) if value.format == "json" else None
        return isinstance(plain, str) and any(shown.get("text/plain") == clean_text(plain) for shown in displays)

    def _why(self) -> str:
        progress = self._progress
        if progress.state is SubtaskState.FAILED and progress.error:
            return f"{progress.id} failed: {progress.error.get('type')}: {progress.error.get('message')}"
        return f"{progress.id} is {progress.state}{': ' + progress.reason if progress.reason else ''}"


def _error_bundle(title: str, error: Mapping[str, Any]) -> Bundle:
    trace = clean_text(str(error.get("traceback") or ""))
    line = f" at line {error['line']}" if error.get("line") else ""
    head = clean_text(f"{title} failed{line}: {error.get('type', '')}: {error.get('message', '')}", 2_000)
    hint = clean_text(str(error.get("hint") or ""), 2_000)
    text = "\n".join(part for part in (head, hint, trace) if part)
    html = f"<b style='color:var(--jp-error-color1,#b3261e)'>{escape(head)}</b>"
    html += f"<br>{escape(hint)}" if hint else ""
    html += f"<pre>{escape(trace)}</pre>" if trace else ""
    return {"text/plain": text, "text/html": html}
