"""Fills a prompt's template with input values. Its source runs inside the sandbox, where reading a value is safe."""

from __future__ import annotations

import json
import re
from typing import Any

PROMPT_CHARS = 400_000


def render(template: str, inputs: dict[str, Any], shard: int = 0, shards: int = 1) -> str:
    """Put each value where the template names it in braces; what it does not name follows at the end.

    Text and tables are wrapped in <data> tags, so that a model can tell them from its instructions.
    """
    values = {"shard": shard, "shards": shards, **inputs}
    names = "|".join(sorted(map(re.escape, values), key=len, reverse=True))
    used = set()

    def fill(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        used.add(name)
        return _block(name, values[name])

    text = re.sub(rf"\{{\{{\s*({names})\s*\}}\}}|\{{\s*({names})\s*\}}", fill, template)
    rest = [_block(name, value) for name, value in inputs.items() if name not in used]
    text = "\n\n".join([text, *rest])
    if len(text) > PROMPT_CHARS:
        message = f"the prompt has {len(text)} characters of at most {PROMPT_CHARS}: map over the data, or send less"
        raise ValueError(message)
    return text


def _block(name: str, value: Any) -> str:
    if isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        text: str = value
    elif hasattr(value, "to_csv"):
        text = value.to_csv(index=False)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    # The data cannot close its own tag.
    text = re.sub(r"<(/?data)", r"<\\\1", text, flags=re.IGNORECASE)
    label = re.sub(r"[^\w .-]", "_", name)
    return f'<data name="{label}">\n{text}\n</data>'
