"""Scheduler: what to start, retry and cancel next, as a state machine without I/O and without a clock."""

from nadg_kernel.scheduler.core import Change, Scheduler, Start
from nadg_kernel.scheduler.lifecycle import Cancel
from nadg_kernel.scheduler.needs import MODULE, labels_needed, labels_offered
from nadg_kernel.scheduler.retry import RetryPolicy

__all__ = [
    "MODULE",
    "Cancel",
    "Change",
    "RetryPolicy",
    "Scheduler",
    "Start",
    "labels_needed",
    "labels_offered",
]
