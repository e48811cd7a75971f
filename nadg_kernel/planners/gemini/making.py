"""Makes the Gemini planner from settings."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from nadg_kernel.errors import MissingExtra
from nadg_kernel.planners.modelling import Model, ModelPlanner

if TYPE_CHECKING:
    from nadg_kernel.settings import Settings


def make_gemini(settings: Settings) -> ModelPlanner:
    """The planner. Raises MissingExtra where the SDK is not installed; a missing key is said at the first draft."""
    from nadg_kernel.settings import Secret

    key = settings.gemini_api_key or Secret("")
    model: Model
    if settings.gemini_sdk == "google-generativeai":
        _need("google.generativeai", "google-generativeai", "google-generativeai")
        from nadg_kernel.planners.gemini.google_generativeai import GoogleGenerativeai

        model = GoogleGenerativeai(key, settings.gemini_model)
    else:
        _need("google.genai", "google-genai", "gemini")
        from nadg_kernel.planners.gemini.google_genai import GoogleGenai

        model = GoogleGenai(key, settings.gemini_model)
    return ModelPlanner(model, "gemini")


def _need(module: str, package: str, extra: str) -> None:
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # its parent package is not there either
        found = None
    if found is None:
        raise MissingExtra(package, extra)
