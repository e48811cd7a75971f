"""Which Gemini models there are, and which are no more."""

from __future__ import annotations

CURRENT = ("gemini-3.8-flash", "gemini-3.5-flash-lite", "gemini-4-argon")
_RETIRED = ("gemini-1.0", "gemini-1.5", "gemini-pro", "gemini-ultra", "text-bison", "chat-bison", "palm")


def plain(model: str) -> str:
    """The name without `models/` before it."""
    return model.strip().removeprefix("models/")


def retired(model: str) -> str | None:
    """Words for a model that no longer answers; None for any other."""
    name = plain(model).lower()
    if not name.startswith(_RETIRED):
        return None
    others = ", ".join(CURRENT)
    return (
        f"{plain(model)} is retired and no longer answers: set NADG_GEMINI_MODEL to one of {others}, "
        "or use the planner chat or recipes"
    )
