"""Incidents: when one opens, changes, ends; what keeps it quiet."""

from healthd.incidents.dependencies import blocker, dependants
from healthd.incidents.lifecycle import Decision, abandon, acknowledge, decide

__all__ = ["Decision", "abandon", "acknowledge", "blocker", "decide", "dependants"]
