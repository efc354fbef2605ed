"""Which checklist runs are under way, and which have ended. No I/O, no clock of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from healthd.model.catalogue import Cadence, Catalogue, Check, System
from healthd.model.outcomes import Outcome
from healthd.model.runbook import ReportPlan
from healthd.schedule import next_fire

Key = tuple[str, str]  # system, cadence
PATIENCE = timedelta(minutes=5)  # beyond the longest a check may take: runs are spread, retried, confirmed
KEPT = timedelta(hours=1)  # an outcome may come so long after its report was made, and is added to it


@dataclass(frozen=True, slots=True)
class Round:
    """What a firing of one cadence of one system looks at and gathers. Made anew with every catalogue."""

    system: System
    cadence: Cadence
    checks: tuple[Check, ...]
    plans: tuple[ReportPlan, ...]
    gathered: Mapping[str, tuple[Check, ...]]  # by plan: checks beyond the cadence's own
    period: timedelta  # between two firings

    @property
    def key(self) -> Key:
        return self.system.name, self.cadence.name

    @property
    def patience(self) -> timedelta:
        """How long after it began a run is not waited for any more."""
        longest = max((c.timeout * c.retry.attempts + c.retry.backoff * 2**c.retry.attempts for c in self.checks),
                      default=timedelta(0))  # fmt: skip
        return longest + PATIENCE


@dataclass(slots=True)
class Run:
    """One firing: what has come in so far. `made`: its report exists."""

    round: Round
    due: datetime
    began: datetime
    arrived: dict[str, Outcome] = field(default_factory=dict)
    made: bool = False

    @property
    def complete(self) -> bool:
        return all(check.id in self.arrived for check in self.round.checks)

    def over(self, now: datetime) -> bool:
        """Whether its report is to be made."""
        return not self.made and (self.complete or now - self.began > self.round.patience)


class Rounds:
    """The book of rounds and runs."""

    def __init__(self) -> None:
        self.rounds: dict[Key, Round] = {}
        self.runs: dict[tuple[Key, datetime], Run] = {}
        self._next: dict[Key, datetime | None] = {}

    def adopt(self, catalogue: Catalogue, now: datetime) -> None:
        """The rounds of this catalogue. Runs under way go on with what it says of them; those it drops are dropped."""
        self.rounds = {r.key: r for system in catalogue.systems.values() for r in rounds_of(system, now)}
        due = {key: at for key, at in self._next.items() if at is not None and at <= now}
        self._next = {key: due.get(key) or next_fire(r.cadence.rule, now) for key, r in self.rounds.items()}
        self.runs = {(key, due): run for (key, due), run in self.runs.items() if key in self.rounds}
        for (key, _), run in self.runs.items():
            run.round = self.rounds[key]

    def ring(self, now: datetime) -> None:
        """Open the runs that have become due."""
        for key, at in self._next.items():
            if at is not None and at <= now:
                self.open(key, at, now)
                self._next[key] = next_fire(self.rounds[key].cadence.rule, now)

    def open(self, key: Key, due: datetime, now: datetime) -> Run:
        """The run of that firing, opened if need be."""
        return self.runs.setdefault((key, due), Run(self.rounds[key], due, now))

    def add(self, key: Key, due: datetime, outcome: Outcome, now: datetime) -> None:
        """An outcome of a round's check came in; one that comes after its report was made is added to that."""
        if key in self.rounds:
            run = self.open(key, due, now)
            run.arrived[outcome.check_id] = outcome
            run.made = False

    def over(self, now: datetime) -> list[Run]:
        """Runs whose report is to be made now. Forgets what is long past."""
        self.runs = {k: run for k, run in self.runs.items() if not run.made or now - run.began < KEPT}
        return [run for run in self.runs.values() if run.over(now)]


def rounds_of(system: System, now: datetime) -> Iterator[Round]:
    """The system's calendar cadences that something runs at, or is gathered at."""
    # what people sign for stands in a part of its own
    enabled = [check for check in system.checks if check.enabled and not check.is_attestation]
    for cadence in system.cadences.values():
        checks = tuple(check for check in enabled if cadence.name in check.cadences)
        plans = tuple(plan for plan in system.runbook.reports if plan.cadence == cadence.name)
        if cadence.rule.is_interval or not (checks or plans):
            continue
        gathered = {plan.name: _matching(plan, enabled) for plan in plans}
        yield Round(system, cadence, checks, plans, gathered, period_of(cadence, now))


def period_of(cadence: Cadence, now: datetime) -> timedelta:
    """Between the next two firings; a year for one that does not fire twice any more."""
    first = next_fire(cadence.rule, now)
    second = next_fire(cadence.rule, first) if first else None
    return second - first if first and second else timedelta(days=366)


def _matching(plan: ReportPlan, checks: list[Check]) -> tuple[Check, ...]:
    return tuple(check for check in checks if any(fnmatchcase(check.name, glob) for glob in plan.checks))
