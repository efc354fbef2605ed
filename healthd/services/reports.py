"""Makes, keeps and tells the report of every checklist run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from healthd.incidents.attestations import from_record
from healthd.model.catalogue import Catalogue, Check
from healthd.model.incidents import Incident, Notice
from healthd.model.outcomes import Level, Outcome, Verdict
from healthd.model.records import Record
from healthd.model.tasks import end_tasks
from healthd.report import Growth, Material, Report, Task, build, from_json, headline, objectives, summary, to_json
from healthd.report.build import report_id
from healthd.report.growth import growth
from healthd.report.model import Objective
from healthd.report.objectives import PERIODS
from healthd.schedule import Due, fires
from healthd.services.base import House
from healthd.services.rounds import Key, Round, Rounds, Run
from healthd.store.base import Commit, StoreError

KIND = "report"
TELL_FROM = timedelta(hours=6)  # what is reported more often is kept, and not told
REVIEW_FROM = timedelta(days=6)  # from a week on a report looks at growth and availability of the whole system
LOOKBACK = timedelta(days=30)
POINTS = 120  # six hours each: two days are enough of them for a line
MOST_PLOTS = 200  # checks of one report whose history is read
RECENT = timedelta(days=1)  # a run broken off by a restart is finished if it was due within this

log = structlog.get_logger("healthd.report")


class Reports:
    """A Service. Reports are Records of the kind "report"; their body is what `to_json` gives."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._rounds = Rounds()
        self._restored = False
        self._working: set[asyncio.Task[None]] = set()
        house.corridor.on_outcome.append(self._heard)

    # -- Service ---------------------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """What was broken off is looked for at the first scan, when the catalogue is known."""

    def adopt(self, catalogue: Catalogue) -> None:
        """The cadences of this catalogue."""
        self._rounds.adopt(catalogue, self._house.now())

    async def scan(self, now: datetime) -> None:
        """Open what is due, make what is over."""
        if not self._restored:
            await self._resume(now)
            self._restored = True
        self._rounds.ring(now)
        for run in self._rounds.over(now):
            run.made = True
            self._begin(run)

    async def close(self) -> None:
        """Reports not yet made are made after the next start."""
        await end_tasks(self._working)

    # -- the doors -------------------------------------------------------------------------------------------------

    async def preview(self, system: str, cadence: str) -> Report:
        """The report as it would be if the newest outcomes were those of a run. KeyError for an unknown cadence."""
        now = self._house.now()
        run = Run(self._rounds.rounds[system, cadence], now, now)
        run.arrived = {c.id: o for c in run.round.checks if (o := self._house.corridor.latest.get(c.id))}
        return await self._build(run, now)

    async def objectives(self, system: str) -> list[Objective]:
        """Availability of every check of a system. KeyError for an unknown one."""
        assert self._house.teller.catalogue is not None
        found = self._house.teller.catalogue.systems[system]
        watched = [c for c in found.checks if c.enabled and not c.is_attestation]
        return await self._objectives(watched, found.objective, self._house.now())

    # -- runs ------------------------------------------------------------------------------------------------------

    def _heard(self, due: Due, outcome: Outcome) -> None:
        if due.cadence and due.mark and outcome.error_kind != "stopped":
            self._rounds.add((due.check.system, due.cadence), due.at, outcome, self._house.now())

    async def _resume(self, now: datetime) -> None:
        """Runs that an earlier process began and did not report."""
        for key, found in self._rounds.rounds.items():
            last = max(fires(found.cadence.rule, now - max(RECENT, found.cadence.grace), now), default=None)
            if last is None or await self._house.store.record(KIND, report_id(*key, last)):
                continue
            arrived = await self._recorded(found, last)
            if arrived or (not found.checks and await self._house.store.records(KIND, system=key[0], name=key[1])):
                self._rounds.open(key, last, now).arrived |= arrived

    async def _recorded(self, found: Round, due: datetime) -> dict[str, Outcome]:
        arrived = {}
        latest = self._house.corridor.latest
        for check in found.checks:
            newest = latest.get(check.id)
            if newest is None or newest.started < due:  # it has not run since: no need to ask the store
                continue
            for outcome in await self._house.store.outcomes(check.id, since=due, limit=50):
                if outcome.due == due and outcome.cadence == found.cadence.name and outcome.error_kind != "stopped":
                    arrived[check.id] = outcome
        return arrived

    def _begin(self, run: Run) -> None:
        task = asyncio.get_running_loop().create_task(self._make(run))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _make(self, run: Run) -> None:
        try:
            report = await self._build(run, self._house.now())
            await self._keep(report, run.round)
        except StoreError as error:
            log.warning("report_postponed", system=run.round.key[0], cadence=run.round.key[1], reason=error.reason)
            run.made = False
        except Exception:
            log.exception("report_failed", system=run.round.key[0], cadence=run.round.key[1])

    async def _keep(self, report: Report, found: Round) -> None:
        record = Record(KIND, report.id, report.due, report.system, report.cadence, report.made_at, to_json(report))
        known = await self._house.store.record(KIND, report.id) is not None
        tell = not known and found.period >= TELL_FROM
        messages = self._house.teller.announce(notice_of(report)) if tell else ()
        await self._house.recorder.commit(Commit(records=(record,), messages=messages))
        log.info("report_made", report=report.id, counts=report.counts, told=[m.channel for m in messages])

    # -- gathering -------------------------------------------------------------------------------------------------

    async def _build(self, run: Run, now: datetime) -> Report:
        found = run.round
        own = {c.id: c for c in found.checks}
        checks = own | {c.id: c for cs in found.gathered.values() for c in cs}
        latest = self._house.corridor.latest
        # a check that the report only gathers has run at its own times
        newest = {check_id: latest[check_id] for check_id in checks if check_id in latest and check_id not in own}
        outcomes = {**newest, **run.arrived}
        before = await self._before(found.key, run.due)
        review = found.period >= REVIEW_FROM
        enabled = [c for c in found.system.checks if c.enabled and not c.is_attestation]
        watched = checks | {c.id: c for c in enabled} if review else checks
        points, growing = await self._histories(list(watched.values())[:MOST_PLOTS], {**latest, **outcomes}, now)
        return build(
            Material(
                system=found.system,
                cadence=found.cadence,
                due=run.due,
                made_at=now,
                checks=tuple(checks.values()),
                outcomes=outcomes,
                before=before,
                incidents=await self._incidents(found, before, run.due),
                open_by_check=dict(self._house.corridor.incident_of),
                tasks=await self._tasks(found),
                points=points,
                growth=growing,
                objectives=await self._objectives(enabled, found.system.objective, now) if review else (),
                plans=found.plans,
                gathered=found.gathered,
            )
        )

    async def _before(self, key: Key, due: datetime) -> Report | None:
        records = await self._house.store.records(KIND, system=key[0], name=key[1], before=due, limit=1)
        try:
            return from_json(records[0].body) if records else None
        except (TypeError, ValueError, KeyError):
            log.warning("report_unreadable", report=records[0].id)
            return None

    async def _incidents(self, found: Round, before: Report | None, due: datetime) -> list[Incident]:
        since = before.due if before else due - found.period
        newest = await self._house.store.incidents(system=found.system.name, limit=100)
        return [i for i in newest if i.opened_at >= since or i.is_open]

    async def _tasks(self, found: Round) -> list[Task]:
        """Attestations of this system that are open, or were given or missed since the last time."""
        titles = {a.name: a for a in found.system.runbook.attestations}
        now = self._house.now()
        tasks = []
        for record in await self._house.store.records("attestation", system=found.system.name, limit=100):
            known = titles.get(record.name)
            if known is None or (record.closed_at is not None and record.closed_at < now - found.period):
                continue
            asked = from_record(record)
            tasks.append(Task(known.name, known.title, asked.state(now), known.who, asked.given_by, asked.due_by))
        return tasks

    async def _histories(
        self, checks: Sequence[Check], outcomes: Mapping[str, Outcome], now: datetime
    ) -> tuple[dict[str, list[float]], list[Growth]]:
        """The course of each check's first number, and of those numbers the ones on their way to a limit."""
        points: dict[str, list[float]] = {}
        growing: list[Growth] = []
        for check in checks:
            outcome = outcomes.get(check.id)
            for index, verdict in enumerate(_telling(outcome.verdicts)[:8] if outcome else ()):
                if not isinstance(verdict.value, int | float):
                    continue
                found = await self._house.store.history(
                    check.id, verdict.measure, since=now - LOOKBACK, until=now, points=POINTS, series=verdict.series
                )
                if index == 0:
                    points[check.id] = [point.average for point in found]
                row = next((row for row in check.thresholds if row.key == verdict.row), None)
                course = [(point.at, point.average) for point in found]
                if row is not None and (grown := growth(check, row, verdict, course, now)):
                    growing.append(grown)
        return points, sorted(growing, key=lambda g: g.days)

    async def _objectives(self, checks: Iterable[Check], target: float, now: datetime) -> list[Objective]:
        checks = list(checks)
        ids = [check.id for check in checks]
        ratios = {}
        for days in PERIODS:
            found = await self._house.store.availability(now - timedelta(days=days), ids) if ids else {}
            ratios[days] = {check_id: counted.ratio for check_id, counted in found.items()}
        return objectives(checks, ratios, target)


def _telling(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """That something answers comes last: its course says nothing as long as it does."""
    return sorted(verdicts, key=lambda verdict: verdict.measure == "up" and verdict.level is Level.OK)


def notice_of(report: Report) -> Notice:
    """What is told of a report."""
    return Notice(
        kind=KIND,
        id=report.id,
        system=report.system,
        title=headline(report),
        text=summary(report),
        at=report.made_at,
        cadence=report.cadence,
        path=f"/reports/{report.id}",
        details={"level": report.level, "counts": report.counts, "due": report.due.isoformat()},
    )
