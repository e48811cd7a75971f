"""Scheduler: what to start, retry and cancel next, as a state machine without I/O and without a clock."""

from nadg_kernel.scheduler.core import Change, Scheduler, Start, labels_needed
from nadg_kernel.scheduler.lifecycle import Cancel
from nadg_kernel.scheduler.retry import RetryPolicy

__all__ = ["Cancel", "Change", "RetryPolicy", "Scheduler", "Start", "labels_needed"]
