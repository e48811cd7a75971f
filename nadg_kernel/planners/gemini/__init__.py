"""Gemini as a planner: google-genai by default, the retired google-generativeai where a project still needs it."""

from nadg_kernel.planners.gemini.making import make_gemini

__all__ = ["make_gemini"]
