"""More workers while there is more to do, fewer when there is not: within limits that a person sets, else never."""

from nadg_kernel.autoscaling.autoscaler import Autoscaler
from nadg_kernel.autoscaling.forecast import Forecast
from nadg_kernel.autoscaling.policy import (
    Action,
    Autoscale,
    Decision,
    Demand,
    Kind,
    Member,
    Memory,
    decide,
    to_wake,
)
from nadg_kernel.autoscaling.seen import plan_demand

__all__ = [
    "Action",
    "Autoscale",
    "Autoscaler",
    "Decision",
    "Demand",
    "Forecast",
    "Kind",
    "Member",
    "Memory",
    "decide",
    "plan_demand",
    "to_wake",
]
