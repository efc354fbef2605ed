"""Incidents: which failing checks are one, when it changes and ends, what keeps a check quiet, when what is told."""

from healthd.incidents.book import Book
from healthd.incidents.case import Case
from healthd.incidents.dependencies import blocker, dependants
from healthd.incidents.lifecycle import Decision, acknowledge
from healthd.incidents.tellings import held, plan, told

__all__ = ["Book", "Case", "Decision", "acknowledge", "blocker", "dependants", "held", "plan", "told"]
