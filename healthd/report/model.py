"""What a report holds: plain values, ready to be shown, stored and compared with the next one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MISSING = "missing"  # the level of an item whose check has not run


@dataclass(frozen=True, slots=True)
class Value:
    """One measured value. `before` is what the report before this one had; `change` says in words what became of it."""

    measure: str
    text: str
    series: str = ""
    value: float | str | None = None  # base unit
    unit: str = ""
    level: str = "ok"
    limits: str = ""  # as configured: "warning >= 500ms, critical >= 1s"
    before: float | str | None = None
    change: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One check of the checklist. `points` are its first value over the time before, oldest first, for a small plot."""

    check_id: str
    title: str
    level: str  # ok, warning, critical, unknown or missing
    reason: str = ""
    values: tuple[Value, ...] = ()
    before: str = ""  # its level in the report before
    incident_id: str = ""  # open because of it
    playbook: str = ""
    points: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """Something a person signs for: `state` is due, overdue, given or missed."""

    name: str
    title: str
    state: str
    who: str = ""
    by: str = ""
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """A value that moves towards its limit in a straight line. `quality` is R² of it, `per_day` in base units."""

    check_id: str
    title: str
    measure: str
    series: str
    now: str
    per_day: float
    change: str  # per day, in words
    limit: str
    level: str  # what the limit means
    days: float  # until it is reached
    quality: float


@dataclass(frozen=True, slots=True)
class Objective:
    """How available a check's subject was, as shares of the runs that could look, by number of days looked back.

    `budget` is the share of the permitted failures of the longest period that is left: 1 for none used, below 0 for
    more than all.
    """

    check_id: str
    title: str
    target: float
    ratios: tuple[tuple[int, float | None], ...]
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An incident since the report before."""

    incident_id: str
    title: str
    severity: str
    level: str
    opened_at: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A report that the runbook asks for: its title, what it is about, and which checks' numbers are gathered."""

    title: str
    who: str = ""
    description: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One checklist run, or one gathering of numbers. Times are aware, in UTC; `zone` is the system's."""

    id: str
    system: str
    system_title: str
    cadence: str
    title: str
    due: datetime
    made_at: datetime
    zone: str
    items: tuple[Item, ...] = ()
    sections: tuple[Section, ...] = ()
    tasks: tuple[Task, ...] = ()
    events: tuple[Event, ...] = ()
    growth: tuple[Growth, ...] = ()
    objectives: tuple[Objective, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    before: str = ""  # id of the report before

    @property
    def counts(self) -> dict[str, int]:
        """Items by level, the worst first; levels without any are left out."""
        found = dict.fromkeys(BY_BADNESS, 0)
        for item in self.items:
            found[item.level] += 1
        return {level: count for level, count in found.items() if count}

    @property
    def level(self) -> str:
        """The worst of its items; "ok" for a report without any."""
        return next(iter(self.counts), "ok")


BY_BADNESS = ("critical", "warning", "unknown", MISSING, "ok")
