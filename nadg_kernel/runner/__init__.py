"""Runner: drives one run. The only place where scheduler, engine and store meet, and the only writer of its journal."""

from nadg_kernel.runner.core import Runner
from nadg_kernel.runner.intents import Cancel, Hold, Intent, Rerun, Revise, Skip

__all__ = ["Cancel", "Hold", "Intent", "Rerun", "Revise", "Runner", "Skip"]
