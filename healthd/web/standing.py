"""How a check stands, in the words that pages and API share. Pure: read from the daemon's memory, nothing computed
for checks that are not shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from healthd.model.catalogue import Check, Threshold
from healthd.model.outcomes import CheckState, Level, Outcome, Verdict
from healthd.web.daemon import Daemon


class Status(StrEnum):
    """Worst first. `waiting` has not run yet; `disabled` does not run at all: neither is a problem."""

    CRITICAL = "critical"
    WARNING = "warning"
    UNKNOWN = "unknown"
    WAITING = "waiting"
    OK = "ok"
    DISABLED = "disabled"

    @property
    def is_problem(self) -> bool:
        return self in _PROBLEMS

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _RANKS[self]


_PROBLEMS = frozenset({Status.CRITICAL, Status.WARNING, Status.UNKNOWN})
_OVERALL = (Status.CRITICAL, Status.WARNING, Status.UNKNOWN, Status.OK, Status.WAITING)
_RANKS = {status: rank for rank, status in enumerate(Status)}
_OF_LEVEL = {
    Level.OK: Status.OK,
    Level.WARNING: Status.WARNING,
    Level.CRITICAL: Status.CRITICAL,
    Level.UNKNOWN: Status.UNKNOWN,
}


def word(level: Level) -> str:
    """A level as pages and API write it."""
    return level.name.lower()


def status_of(check: Check, state: CheckState | None) -> Status:
    """What is said of a check."""
    if not check.enabled:
        return Status.DISABLED
    if state is None or (state.last_run is None and not state.firing and not state.overdue):
        return Status.WAITING
    return _OF_LEVEL[state.status]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to know beside the status: overdue, flapping, suppressed, pending, late."""

    word: str
    text: str


def is_flag(row: Threshold) -> bool:
    """Whether it says only that something has to be there: `critical: "= 0"` and nothing else."""
    others = (row.target, row.acceptable, row.warning)
    return row.critical is not None and row.critical.text.replace(" ", "") == "=0" and not any(others)


@dataclass(frozen=True, slots=True)
class Standing:
    """One check with all that is known of it now."""

    check: Check
    status: Status
    state: CheckState
    outcome: Outcome | None
    suppressed_by: str
    incident_id: str

    @property
    def reason(self) -> str:
        """Why it is not in order; empty when it is."""
        return self.state.reason if self.status.is_problem or self.state.level is not Level.OK else ""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of the last run, worst first."""
        return self.state.verdicts or (self.outcome.verdicts if self.outcome else ())

    @property
    def figures(self) -> tuple[Verdict, ...]:
        """Verdicts worth a line: that something is there goes without saying where it gave values."""
        flags = {row.key for row in self.check.thresholds if is_flag(row)}
        found = self.verdicts
        return tuple(v for v in found if v.row not in flags or v.level is not Level.OK) or found

    @property
    def next_run(self) -> datetime | None:
        """When it should run next, as known after its last run; None when it will not."""
        expected = self.state.expected_by
        return expected - self.check.grace if expected and self.check.enabled else None

    def row_of(self, verdict: Verdict) -> Threshold | None:
        """The threshold row behind a verdict."""
        return next((row for row in self.check.thresholds if row.key == verdict.row), None)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Each with a sentence that explains it."""
        state, found = self.state, []
        if state.overdue:
            found.append(Mark("overdue", "it has not run when it should have"))
        if state.flapping:
            found.append(Mark("flapping", "its level changes too often; its incident stays open until it is steady"))
        if self.suppressed_by:
            found.append(Mark("suppressed", f"explained by {self.suppressed_by}; it opens no incident of its own"))
        if self.outcome is not None and _pending(state):
            found.append(Mark(f"{word(state.level)} pending", "seen, but it has not lasted long enough to count"))
        if self.outcome is not None and self.outcome.late:
            found.append(Mark("late", "its last run made up for one missed while healthd was not running"))
        return tuple(found)


def _pending(state: CheckState) -> bool:
    return state.level is not Level.OK and state.level.badness > state.status.badness


def standings(daemon: Daemon, checks: Iterable[Check]) -> list[Standing]:
    """Of checks of the catalogue, in the order given."""
    return [_standing(daemon, check, daemon.incident_of.get(check.id, "")) for check in checks]


def standing(daemon: Daemon, check: Check) -> Standing:
    """Of one check."""
    return standings(daemon, [check])[0]


def _standing(daemon: Daemon, check: Check, incident_id: str) -> Standing:
    state = daemon.states.get(check.id)
    return Standing(
        check=check,
        status=status_of(check, state),
        state=state or CheckState(check.id),
        outcome=daemon.latest.get(check.id),
        suppressed_by=daemon.suppressed.get(check.id, ""),
        incident_id=incident_id,
    )


def statuses(daemon: Daemon, checks: Iterable[Check]) -> dict[str, Status]:
    """By check id, in the order given. Cheap enough for ten thousand checks."""
    states: Mapping[str, CheckState] = daemon.states
    return {check.id: status_of(check, states.get(check.id)) for check in checks}


def count(found: Iterable[Status]) -> dict[Status, int]:
    """How many of each, worst first; all statuses are there."""
    counter = Counter(found)
    return {status: counter[status] for status in Status}


def overall(counts: Mapping[Status, int]) -> Status:
    """The worst problem; without one ok, or waiting where nothing has been looked at yet, disabled where nothing is."""
    return next((s for s in _OVERALL if counts[s]), Status.DISABLED)
