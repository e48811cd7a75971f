"""What planners are asked from the front door, each with what is known of workers and data."""

from nadg_kernel.advice.asking import READY_S, Samples, chosen
from nadg_kernel.advice.core import Advice

__all__ = ["READY_S", "Advice", "Samples", "chosen"]
