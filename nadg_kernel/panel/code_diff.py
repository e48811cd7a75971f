"""The difference between two codes, line by line, in the form that the plan view draws."""

from __future__ import annotations

import difflib

DIFF_LINES = 2000
"""Lines of code up to which a diff is computed at every edit."""


def code_diff(before: str, after: str) -> list[list[str]]:
    """Lines as [mark, text]: `-` gone, `+` new, empty kept. Empty list if too long to compute while typing."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > DIFF_LINES:
        return []
    lines: list[list[str]] = []
    for verb, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if verb == "equal":
            lines += [["", text] for text in old[i1:i2]]
        else:
            lines += [["-", text] for text in old[i1:i2]] + [["+", text] for text in new[j1:j2]]
    return lines
