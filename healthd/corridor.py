"""The one way through the house, for one run of one check: look, judge, record, tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from healthd.evaluate import advance, tick
from healthd.incidents import Decision, abandon, acknowledge, blocker, decide, dependants
from healthd.incidents.dependencies import ancestors
from healthd.look import Looker, Shared, judged
from healthd.metrics import Metrics
from healthd.model.catalogue import Catalogue, Check
from healthd.model.incidents import Incident, TimelineEntry
from healthd.model.outcomes import CheckState, Level, Outcome
from healthd.schedule import Due, Limits, Runs, next_due
from healthd.store.base import Commit
from healthd.store.recorder import Recorder
from healthd.telling import Teller, unsaid_note

# Time a pending level's confirmation run gets before the level counts without it.
CONFIRMATION = 0.4
# The clock moved on by this much between two scans, a second apart: this process was held up, or the clock was set.
HELD_UP = timedelta(seconds=3)
SUSPENDED = timedelta(seconds=10)
NO_MARKS: Mapping[str, datetime] = MappingProxyType({})
STOPPED = "healthd was stopped during this run"

log = structlog.get_logger("healthd.check")


@dataclass(frozen=True, slots=True)
class Gear:
    """What every run uses."""

    looker: Looker
    slots: Limits
    metrics: Metrics
    recorder: Recorder
    teller: Teller
    now: Callable[[], datetime]


class Corridor:
    """Runs checks and keeps what is known of each in memory; what must survive is committed with every run."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._catalogue: Catalogue | None = None
        self._runs = Runs(self._run, self._missed)
        self._timers: dict[str, tuple[datetime, asyncio.TimerHandle]] = {}
        self._shared: dict[datetime, Shared] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._scanned_at: datetime | None = None
        self._excused = False
        self._dependants: Mapping[str, Sequence[str]] = {}
        self.confirm: Callable[[str, datetime], None] = lambda check_id, at: None  # set by the app: a one-off run
        self.on_outcome: list[Callable[[Due, Outcome], None]] = []  # told of every run once it is recorded
        self.on_incident: list[Callable[[Decision, Incident], None]] = []  # of every change of one, likewise
        self.redact: Callable[[str], str] = str
        self.checks: Mapping[str, Check] = {}  # in force and enabled, by id
        self.states: dict[str, CheckState] = {}
        self.latest: dict[str, Outcome] = {}
        self.incidents: dict[str, Incident] = {}
        self._incident_of: dict[str, str] = {}  # check id -> its open incident's
        self.suppressed: dict[str, str] = {}  # check id -> the broken dependency that keeps it quiet

    # -- what the scheduler and the doors call ---------------------------------------------------------------------

    def launch(self, due: Due) -> None:
        """Start a run; a check that is still running is not started twice (see Runs)."""
        self._runs.launch(due)

    async def run_now(self, check: Check) -> Outcome:
        """Run a check now, or wait for the run that is under way."""
        return await asyncio.shield(self._runs.start(Due(check, self._gear.now(), "manual")))

    async def acknowledge(self, incident_id: str, actor: str, note: str) -> Incident:
        """KeyError for an incident that is not open."""
        incident = await self.amend(incident_id, lambda i: acknowledge(i, self._gear.now(), actor, note))
        if incident is None:
            raise KeyError(incident_id)
        return incident

    async def amend(self, incident_id: str, change: Callable[[Incident], Decision | None]) -> Incident | None:
        """Something happened to an open incident beside its check: acknowledged, escalated, diagnosed. `change` is
        given the incident as it is now and says what becomes of it. None when it is not open (any more)."""
        incident = self.incidents.get(incident_id)
        if incident is None:
            return None
        decision = change(incident)
        if decision is None:
            return incident
        check, state = self.checks[incident.check_id], self.states[incident.check_id]
        seen = self.latest.get(check.id)
        told, messages = self._gear.teller.tell(
            decision, check, state.verdicts, seen.evidence if seen else (), self._kept_quiet(check.id)
        )
        self._keep(told)
        timeline = (decision.entry, *unsaid_note(decision, told))
        await self._gear.recorder.commit(Commit(incidents=(told,), timeline=timeline, messages=messages))
        self._heard(decision, told)
        return told

    def scan(self) -> None:
        """Called every second: which checks are overdue by now."""
        now = self._gear.now()
        before, self._scanned_at = self._scanned_at, now
        gap = abs(now - before) if before is not None else timedelta(0)
        if gap > SUSPENDED:
            self.expect_again()
        # what came due while nothing could run gets to run first, but not for ever
        self._excused = gap > HELD_UP and not self._excused
        if self._excused:
            return
        late = [s for s in self.states.values() if s.expected_by and now > s.expected_by and not s.overdue]
        for state in late:
            if self._runs.of(state.check_id) is None:
                log.warning("check_overdue", check=state.check_id, expected_by=state.expected_by)
                self._in_background(self._tick(state.check_id))
        self._shared = {at: shared for at, shared in self._shared.items() if now - at < timedelta(minutes=1)}

    # -- the catalogue in force ------------------------------------------------------------------------------------

    def restore(self, states: Mapping[str, CheckState], latest: Mapping[str, Outcome], open_: list[Incident]) -> None:
        """What the store remembers of a former life. Levels that were pending wait for a new look."""
        self.states = {k: replace(s, pending_until=None, expected_by=None) for k, s in states.items()}
        self.latest = dict(latest)
        for incident in open_:
            self._keep(incident)

    async def adopt(self, catalogue: Catalogue) -> list[str]:
        """Put a catalogue in force; returns the ids of checks that are gone. Their incidents end, and are told."""
        self._catalogue = catalogue
        self._gear.teller.catalogue = catalogue
        self._dependants = dependants(catalogue.checks)
        # a check that is switched off is as good as gone
        self.checks = {check_id: check for check_id, check in catalogue.checks.items() if check.enabled}
        gone = [check_id for check_id in self.states if check_id not in self.checks]
        for check_id in gone:
            del self.states[check_id]
            self.latest.pop(check_id, None)
            self.suppressed.pop(check_id, None)
            self._runs.forget(check_id)
            self._disarm(check_id)
        self._gear.metrics.forget(gone)
        now = self._gear.now()
        self._scanned_at = self._scanned_at or now
        for incident in list(self.incidents.values()):
            if incident.check_id not in self.checks:
                decision = abandon(incident, now, f"{incident.check_id} is no longer watched")
                ended, messages = self._gear.teller.tell_again(decision)
                self._keep(ended)
                await self._gear.recorder.commit(
                    Commit(incidents=(ended,), timeline=(decision.entry,), messages=messages)
                )
                self._heard(decision, ended)
        for check in self.checks.values():
            state = self.states.get(check.id) or CheckState(check.id)
            if state.expected_by is None or state.fingerprint != check.fingerprint:
                self.states[check.id] = replace(state, expected_by=self._expected_by(check, now))
        return gone

    def expect_again(self) -> None:
        """Work out anew when each check's next run would be overdue: the machine slept or its clock was set."""
        now = self._gear.now()
        for check in self.checks.values():
            state = self.states.get(check.id) or CheckState(check.id)
            self.states[check.id] = replace(state, expected_by=self._expected_by(check, now))

    # -- one run ---------------------------------------------------------------------------------------------------

    def _missed(self, due: Due) -> None:
        self._gear.metrics.missed.labels(due.check.system).inc()
        log.warning("run_skipped", check=due.check.id, due=due.at, reason="its previous run has not ended")

    async def _run(self, due: Due) -> Outcome:
        check, gear = due.check, self._gear
        launched = started = gear.now()
        try:
            async with gear.slots.slot(check.probe.type):
                started = gear.now()
                if due.trigger == "schedule":
                    since = launched if due.mark else due.at  # the splay of a calendar run is no lag
                    gear.metrics.schedule_lag.observe(max(0.0, (started - since).total_seconds()))
                zone = self._zone(check)
                seen = await gear.looker.look(due, started, zone, self._shared.setdefault(due.at, {}))
        except asyncio.CancelledError:
            return await self._cut_short(due, started)
        outcome = judged(due, seen, self.redact)
        gear.metrics.ran(check.id, check.probe.type, outcome.level, seen.duration.total_seconds())
        if due.late:
            gear.metrics.caught_up.labels(check.system).inc()
        await self._conclude(check, outcome, {due.mark: due.at} if due.mark else {})
        for listener in self.on_outcome:
            listener(due, outcome)
        return outcome

    async def _cut_short(self, due: Due, started: datetime) -> Outcome:
        """Stopped in the middle: recorded, but it says nothing of the check; a calendar run is caught up later."""
        now = self._gear.now()
        outcome = Outcome(
            due.check.id, started, max(now - started, timedelta(0)), Level.UNKNOWN, STOPPED,
            due=due.at, trigger=due.trigger, cadence=due.cadence, error_kind="stopped",
        )  # fmt: skip
        await self._gear.recorder.commit(Commit(outcomes=(outcome,)))
        return outcome

    # -- what a run, or time, means --------------------------------------------------------------------------------

    async def _conclude(self, check: Check, outcome: Outcome, marks: Mapping[str, datetime]) -> None:
        if check.id not in self.checks:  # removed by a reload while it ran
            await self._gear.recorder.commit(Commit(outcomes=(outcome,), marks=marks))
            return
        old = self.states.get(check.id) or CheckState(check.id)
        now = self._gear.now()
        expected = self._expected_by(check, now)
        state, transitions = advance(check, old, outcome, now, expected)
        if state.firing and not old.firing and check.depends_on:
            await self._look_at_dependencies(check, outcome.started)
            old = self.states.get(check.id) or old
            state, transitions = advance(check, old, outcome, self._gear.now(), expected)
        self.latest[check.id] = outcome
        await self._settle(check, state, [t.kind for t in transitions], outcome, marks)

    async def _tick(self, check_id: str) -> None:
        """Time alone may have changed a state: a level has held long enough, a run did not come."""
        check, old = self.checks.get(check_id), self.states.get(check_id)
        if check is None or old is None:
            return
        state, transitions = tick(check, old, self._gear.now())
        if state.firing and not old.firing and check.depends_on:
            await self._look_at_dependencies(check, self._gear.now())
            old = self.states.get(check_id) or old
            state, transitions = tick(check, old, self._gear.now())
        await self._settle(check, state, [t.kind for t in transitions])

    async def _settle(
        self,
        check: Check,
        state: CheckState,
        kinds: Collection[str],
        outcome: Outcome | None = None,
        marks: Mapping[str, datetime] = NO_MARKS,
    ) -> None:
        """Remember, decide, commit: nobody is told before all of it is durable."""
        self.states[check.id] = state
        self._arm(check, state)
        if self.suppressed:
            self._release(check.id)
        incident = self._open_incident(check.id)
        decision = self._decision(check, state, incident)
        outcomes = (outcome,) if outcome is not None else ()
        if decision is None:
            notes = _notes(incident, kinds, self._gear.now()) if incident and kinds else ()
            await self._gear.recorder.commit(Commit(outcomes, (state,), timeline=notes, marks=marks))
            return
        seen = outcome or self.latest.get(check.id)
        told, messages = self._gear.teller.tell(
            decision, check, state.verdicts, seen.evidence if seen else (), self._kept_quiet(check.id)
        )
        self._log(decision, told)
        self._keep(told)
        timeline = (decision.entry, *unsaid_note(decision, told), *_notes(told, kinds, self._gear.now()))
        await self._gear.recorder.commit(Commit(outcomes, (state,), (told,), timeline, messages, marks))
        self._heard(decision, told)

    def _decision(self, check: Check, state: CheckState, incident: Incident | None) -> Decision | None:
        if state.firing and incident is None:
            cause = blocker(check, self.checks, self.states)
            if cause:
                if self.suppressed.get(check.id) != cause:
                    self.suppressed[check.id] = cause
                    log.info("incident_suppressed", check=check.id, because_of=cause)
                return None
        self.suppressed.pop(check.id, None)
        return decide(check, state, incident, self._gear.now()) if state.firing or incident else None

    def _release(self, check_id: str) -> None:
        """A dependency in order again explains nothing any more: what it kept quiet is looked at again."""
        for quiet in [c for c, cause in self.suppressed.items() if cause == check_id]:
            check = self.checks.get(quiet)
            if check is None or not blocker(check, self.checks, self.states):
                del self.suppressed[quiet]
                if check is not None:
                    self._runs.launch(Due(check, self._gear.now(), "confirm"))

    async def _look_at_dependencies(self, check: Check, since: datetime) -> None:
        """Before a check fires, what it depends on gets a look no older than its own."""
        tasks = []
        for dependency in ancestors(check, self.checks):
            state = self.states.get(dependency.id)
            if dependency.enabled and (state is None or state.last_run is None or state.last_run < since):
                tasks.append(self._runs.start(Due(dependency, self._gear.now(), "confirm")))
        if tasks:
            await asyncio.wait(tasks, timeout=max(c.timeout for c in ancestors(check, self.checks)).total_seconds())

    # -- small things ----------------------------------------------------------------------------------------------

    def _zone(self, check: Check) -> ZoneInfo:
        assert self._catalogue is not None
        system = self._catalogue.systems.get(check.system)
        return system.zone if system else ZoneInfo("UTC")

    def _open_incident(self, check_id: str) -> Incident | None:
        return self.incidents.get(self._incident_of.get(check_id, ""))

    def _kept_quiet(self, check_id: str) -> list[str]:
        found = self._dependants.get(check_id, ())
        return [d for d in found if (state := self.states.get(d)) and state.level is not Level.OK]

    def _expected_by(self, check: Check, now: datetime) -> datetime | None:
        due = next_due(check, now) if check.enabled else None
        return due + check.grace if due else None

    def _arm(self, check: Check, state: CheckState) -> None:
        """A pending level gets a run when it would count, and counts shortly after whatever that run does."""
        armed = self._timers.get(check.id)
        if armed is not None and armed[0] == state.pending_until:
            return
        self._disarm(check.id)
        if state.pending_until is None:
            return
        self.confirm(check.id, state.pending_until)
        delay = (state.pending_until - self._gear.now()).total_seconds() + CONFIRMATION
        self._count_in(check.id, state.pending_until, max(delay, 0.0))

    def _count_in(self, check_id: str, moment: datetime, delay: float) -> None:
        loop = asyncio.get_running_loop()
        planned = loop.time() + delay

        def count() -> None:
            if loop.time() > planned + CONFIRMATION:  # this process was held up: the confirming run has only just begun
                self._count_in(check_id, moment, CONFIRMATION)
            else:
                self._in_background(self._tick(check_id))

        self._timers[check_id] = (moment, loop.call_later(delay, count))

    def _disarm(self, check_id: str) -> None:
        armed = self._timers.pop(check_id, None)
        if armed is not None:
            armed[1].cancel()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _keep(self, incident: Incident) -> None:
        gauge = self._gear.metrics.incidents_open
        before = self.incidents.pop(incident.id, None)
        if before is not None:
            gauge.labels(before.system, before.severity).dec()
        if incident.is_open:
            self.incidents[incident.id] = incident
            self._incident_of[incident.check_id] = incident.id
            gauge.labels(incident.system, incident.severity).inc()
        else:
            self._incident_of.pop(incident.check_id, None)

    def _heard(self, decision: Decision, incident: Incident) -> None:
        for listener in self.on_incident:
            listener(decision, incident)

    def _log(self, decision: Decision, incident: Incident) -> None:
        method = log.warning if decision.event in ("firing", "worsened") else log.info
        method(
            "incident_" + {"firing": "opened"}.get(decision.event, decision.event),
            incident=incident.id,
            check=incident.check_id,
            severity=incident.severity,
            status=incident.level.name.lower(),
            reason=incident.reason,
            channels=list(incident.details.get("channels", ())),
        )

    async def drain(self, grace: float) -> None:
        """Let what runs finish within `grace` seconds, cut short and record the rest."""
        for check_id in list(self._timers):
            self._disarm(check_id)
        self._runs.close()
        running: list[asyncio.Task[Any]] = [*self._runs.tasks(), *self._background]
        if running:
            await asyncio.wait(running, timeout=grace)
        running = [*self._runs.tasks(), *self._background]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=2)


def _notes(incident: Incident, kinds: Collection[str], now: datetime) -> tuple[TimelineEntry, ...]:
    texts = {"flapping": "flapping: kept open until it is steady", "steady": "steady again"}
    return tuple(TimelineEntry(incident.id, now, kind, texts[kind]) for kind in kinds if kind in texts)
