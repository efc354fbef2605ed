"""A run that is due, and the rules of a check as (rule, cadence) pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, repeat

from healthd.model.catalogue import Check, Rule


@dataclass(frozen=True, slots=True)
class Due:
    """One run to start now.

    `at` is when it was due (aware, UTC): the calendar time, not the splayed start. `trigger` is schedule, catch-up,
    confirm or startup. `late`: due while healthd was not there to run it. `mark` is the key under which `at` is to be
    stored together with the outcome, so that a restart knows what has been done; "" for runs that need no memory.
    """

    check: Check
    at: datetime
    trigger: str = "schedule"
    cadence: str = ""
    late: bool = False
    mark: str = ""


def timings(check: Check) -> Iterator[tuple[Rule, str]]:
    """Each rule of the check with its cadence's name: first those of its cadences, in order, then its own ("")."""
    cadences = chain(check.cadences, repeat(""))
    yield from zip(check.rules, cadences, strict=False)


def mark_key(check_id: str, rule: Rule, cadence: str) -> str:
    """Under which a calendar job's last due time is remembered; the same after a restart."""
    return f"{check_id}|{cadence or '; '.join(rule.crons)}"
