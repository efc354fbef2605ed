"""A month that the made-up company's checks have behind them, written through the store's own interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from zlib import crc32

from healthd.evaluate import advance, judge
from healthd.incidents.attestations import request_id, to_record
from healthd.model.attestations import Request
from healthd.model.catalogue import Catalogue, Check, Rule
from healthd.model.incidents import Incident, Member, TimelineEntry
from healthd.model.outcomes import CheckState, Level, Measurement, Outcome
from healthd.model.records import Record
from healthd.report import Material, Report, build, to_json
from healthd.schedule import fires, mark_key
from healthd.schedule.due import timings
from healthd.store import SqlStore
from healthd.store.base import AuditEntry, Commit
from tests.demo.courses import BY_ID

MONTH = timedelta(days=30)
RECENT = timedelta(days=1)
RECORDS_AT_ONCE = 500
SCALE = {"ms": 0.001, "%": 0.01, "h": 3600.0, "m": 60.0}  # to base units
TROUBLES = (  # days ago, hours, check, what it was
    (3.4, 0.7, "shop/checkout", "checkout_time 2.3s, limit >= 2s"),
    (9.2, 2.1, "shop/orders-queue", "waiting 231, limit > 200"),
    (16.6, 0.3, "payments/gateway", "connection refused"),
    (22.1, 5.5, "warehouse/stock-sync", "sync_age 18m, limit >= 15m"),
)


class Past:
    """Fills one store up to `now`."""

    def __init__(self, store: SqlStore, catalogue: Catalogue, now: datetime, apart: timedelta) -> None:
        self._store, self._catalogue, self._now, self._apart = store, catalogue, now, apart
        self._outcomes: dict[str, list[Outcome]] = {}
        self._marks: dict[str, datetime] = {}

    async def fill(self) -> None:
        """Runs of every check, states that follow from them, incidents, reports of each round, changes by people."""
        states = tuple(self._lived(check) for check in self._catalogue.checks.values() if check.id in BY_ID)
        everything = [outcome for found in self._outcomes.values() for outcome in found]
        for start in range(0, len(everything), RECORDS_AT_ONCE):
            await self._store.commit(Commit(outcomes=tuple(everything[start : start + RECORDS_AT_ONCE])))
        await self._store.commit(Commit(states=states, marks=self._marks, records=tuple(self._reports())))
        for trouble in TROUBLES:
            await self._store.commit(self._incident(*trouble))
        await self._store.commit(Commit(records=tuple(self._tasks())))
        await self._store.commit(Commit(audits=tuple(self._audits())))
        await self._store.prune(self._now, outcomes=timedelta(days=7), history=timedelta(days=400))

    # -- runs ------------------------------------------------------------------------------------------------------

    def _lived(self, check: Check) -> CheckState:
        state = CheckState(check.id)
        found = self._outcomes.setdefault(check.id, [])
        for at, cadence in self._times(check):
            outcome = self._outcome(check, at, cadence)
            found.append(outcome)
            state, _ = advance(check, state, outcome, at, at + check.grace + MONTH)
        return state

    def _times(self, check: Check) -> list[tuple[datetime, str]]:
        """When it ran: by calendar as it says, otherwise seldom, and on the last day more often."""
        found: dict[datetime, str] = {}
        for rule, cadence in timings(check):
            for at in self._steady() if rule.is_interval else self._fired(check, rule, cadence):
                found[at] = "" if rule.is_interval else cadence
        return sorted(found.items())

    def _steady(self) -> Iterator[datetime]:
        at = self._now - MONTH
        while at < self._now - timedelta(seconds=30):
            yield at
            at += self._apart if self._now - at > RECENT else min(self._apart, timedelta(minutes=6))

    def _fired(self, check: Check, rule: Rule, cadence: str) -> list[datetime]:
        due = list(fires(rule, self._now - MONTH, self._now))
        if due:
            self._marks[mark_key(check.id, rule, cadence)] = due[-1]
        return due

    def _outcome(self, check: Check, at: datetime, cadence: str) -> Outcome:
        look = BY_ID[check.id]
        value = look.course.at(at, check.id, self._now)
        if any(
            at - timedelta(hours=h) <= self._now - timedelta(days=d) <= at
            for d, h, id_, _ in TROUBLES
            if id_ == check.id
        ):
            value *= 12
        row = next(row for row in check.thresholds if row.measure == look.measure)
        seen = (
            Measurement("up", 1.0, None),
            Measurement("latency", 0.02 + value % 0.01, None),
            Measurement(row.measure, value * SCALE.get(look.unit, 1.0), row.unit),
        )
        level, reason, verdicts = judge(check.thresholds, seen)
        return Outcome(check.id, at, timedelta(milliseconds=23), level, reason, seen, verdicts, due=at, cadence=cadence)

    def _troubles(self, check_id: str) -> list[tuple[datetime, timedelta]]:
        return [(self._now - timedelta(days=d), timedelta(hours=h)) for d, h, id_, _ in TROUBLES if id_ == check_id]

    # -- what came of them -----------------------------------------------------------------------------------------

    def _reports(self) -> Iterator[Record]:
        for system in self._catalogue.watched:
            for cadence in system.cadences.values():
                checks = [c for c in system.checks if cadence.name in c.cadences and not c.is_attestation]
                before: Report | None = None
                for due in [] if cadence.rule.is_interval else fires(cadence.rule, self._now - MONTH, self._now):
                    outcomes = {c.id: o for c in checks for o in self._outcomes[c.id] if o.due == due}
                    report = build(
                        Material(system, cadence, due, due, checks, outcomes, before, points=self._points(checks, due))
                    )
                    yield Record("report", report.id, due, system.name, cadence.name, due, to_json(report))
                    before = report

    def _points(self, checks: Iterable[Check], due: datetime) -> dict[str, list[float]]:
        return {
            c.id: [float(o.verdicts[0].value or 0) for o in self._outcomes[c.id] if o.started <= due][-60:]
            for c in checks
        }

    def _incident(self, days: float, hours: float, check_id: str, reason: str) -> Commit:
        check = self._catalogue.checks[check_id]
        at = self._now - timedelta(days=days)
        end = at + timedelta(hours=hours)
        id_ = f"INC-{at:%Y%m%d-%H%M%S}-{crc32(check_id.encode()):08x}"
        taken = at + timedelta(minutes=6)
        incident = Incident(
            id_, f"healthd/{id_}", check.system, check_id, check.title, check.severity, Level.CRITICAL, at, reason,
            playbook=check.playbook or "", resolved_at=end, acknowledged_at=taken, acknowledged_by="ada", failing=0,
        )  # fmt: skip
        told = [("opened", 0, reason), ("told", 1, "told to pagerduty"), ("told", 2, "told to slack")]
        entries = [TimelineEntry(id_, at + timedelta(seconds=s), kind, text) for kind, s, text in told]
        entries.append(TimelineEntry(id_, taken, "acknowledged", "acknowledged by ada: on it", "ada"))
        entries.append(TimelineEntry(id_, end, "resolved", "resolved"))
        member = Member(id_, check_id, Level.CRITICAL, check.severity, at, reason, Level.CRITICAL, end)
        return Commit(incidents=(incident,), timeline=tuple(entries), members=(member,))

    def _tasks(self) -> Iterator[Record]:
        """What people were asked to do: one task is overdue, one is due, others are done."""
        for days, within, check_id, by, note in (
            (30.2, 7, "shop/restore-drill", "ada", "restored in 41 minutes"),
            (12.3, 3, "payments/key-rotation", "lin", ""),
            (5.3, 3, "payments/key-rotation", "", ""),
            (1.3, 0.5, "shop/handover", "sam", "quiet night"),
            (0.3, 0.5, "shop/handover", "", ""),
        ):
            check = self._catalogue.tasks[check_id]
            at = self._now - timedelta(days=days)
            yield to_record(
                Request(
                    request_id(check_id, at),
                    check_id,
                    check.title,
                    at,
                    at + timedelta(days=within),
                    cadence=check.cadences[0],
                    who=check.probe.params.who,
                    description=check.description,
                    closed_at=at + timedelta(hours=5) if by else None,
                    given_by=by,
                    note=note,
                )
            )

    def _audits(self) -> Iterator[AuditEntry]:
        for days, actor, action, target, detail in (
            (9.2, "ada", "acknowledge", "INC-20260101-101500-1a2b3c", "on it"),
            (5.1, "lin", "silence", "SIL-20260101-101500-1a2b3c", "check=shop/images for 4h: a new provider"),
            (3.4, "ada", "acknowledge", "INC-20260107-092000-9f8e7d", "rolling back"),
            (1.2, "signal", "reload", "catalogue", "2 changed"),
            (0.3, "sam", "run", "shop/backup-age", ""),
        ):
            yield AuditEntry(self._now - timedelta(days=days), actor, action, target, detail)
