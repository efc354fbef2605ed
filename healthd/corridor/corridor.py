"""Runs checks, keeps what is known of each, and hands on what a run, or time, means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from healthd.corridor.cases import Cases
from healthd.corridor.gear import Gear, Known
from healthd.corridor.waits import Waits
from healthd.evaluate import advance, tick
from healthd.incidents import Decision, acknowledge
from healthd.incidents.dependencies import ancestors
from healthd.look import Shared, judged
from healthd.model.catalogue import Catalogue, Check
from healthd.model.incidents import Incident, Member
from healthd.model.outcomes import CheckState, Level, Outcome
from healthd.schedule import Due, Runs, next_due
from healthd.store.base import Commit

# The clock moved on by this much between two scans, a second apart: this process was held up, or the clock was set.
HELD_UP = timedelta(seconds=3)
SUSPENDED = timedelta(seconds=10)
HUNG = 0.9  # of a check's time: a look that took longer waited for something that did not answer
NO_MARKS: Mapping[str, datetime] = MappingProxyType({})
STOPPED = "healthd was stopped during this run"

log = structlog.get_logger("healthd.check")


class Corridor:
    """Runs checks and keeps what is known of each in memory; what must survive is committed with every run."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._known = Known()
        self._cases = Cases(gear, self._known, self._in_background)
        self._catalogue: Catalogue | None = None
        self._runs = Runs(self._run, self._missed)
        self._waits = Waits(lambda check_id: self._in_background(self._tick(check_id)))
        self._shared: dict[datetime, Shared] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._scanned_at: datetime | None = None
        self._pruned_at: datetime | None = None
        self._excused = False
        self.confirm: Callable[[str, datetime], None] = lambda check_id, at: None  # set by the app: a one-off run
        self.on_outcome: list[Callable[[Due, Outcome], None]] = []  # told of every run once it is recorded
        self.redact: Callable[[str], str] = str

    @property
    def checks(self) -> Mapping[str, Check]:
        """In force and enabled, by id."""
        return self._known.checks

    @property
    def states(self) -> Mapping[str, CheckState]:
        """By check id."""
        return self._known.states

    @property
    def latest(self) -> Mapping[str, Outcome]:
        """The newest outcome by check id."""
        return self._known.latest

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """Open ones, by id."""
        return self._cases.book.incidents

    @property
    def incident_of(self) -> Mapping[str, str]:
        """By id of a check that fails: the id of its open incident."""
        return self._cases.book.incident_of

    @property
    def suppressed(self) -> Mapping[str, str]:
        """By check id: the broken dependency that keeps it quiet."""
        return self._cases.suppressed

    @property
    def on_incident(self) -> list[Callable[[Decision, Incident], None]]:
        """Told of every change of an incident once it is recorded."""
        return self._cases.listeners

    def members(self, incident_id: str) -> list[Member]:
        """Of an open incident, in the order they joined; empty for any other."""
        case = self._cases.book.case(incident_id)
        return list(case.members.values()) if case else []

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
        amended = self._cases.amend(incident_id, change)
        if amended is None:
            return None
        incident, written = amended
        if written.heard:
            await self._gear.recorder.commit(written.into(Commit()))
            self._cases.hear(written)
        return incident

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
        if self._pruned_at is None or not timedelta(0) <= now - self._pruned_at < timedelta(minutes=1):
            self._pruned_at = now
            self._cases.prune()

    # -- the catalogue in force ------------------------------------------------------------------------------------

    def reopenable_since(self, catalogue: Catalogue) -> datetime:
        """Incidents that ended before then cannot be reopened in any system."""
        longest = (system.grouping.reopen_within for system in catalogue.systems.values())
        return self._gear.now() - max(longest, default=timedelta(0))

    def restore(
        self,
        states: Mapping[str, CheckState],
        latest: Mapping[str, Outcome],
        incidents: Iterable[Incident],
        members: Iterable[Member] = (),
    ) -> None:
        """What the store remembers of a former life: also of incidents that are over, as long as they may be reopened.
        Levels that were pending wait for a new look."""
        self._known.states = {k: replace(s, pending_until=None, expected_by=None) for k, s in states.items()}
        self._known.latest = dict(latest)
        self._cases.restore(incidents, members)

    async def adopt(self, catalogue: Catalogue) -> list[str]:
        """Put a catalogue in force; returns the ids of checks that are gone. They leave their incidents."""
        self._catalogue = catalogue
        self._gear.teller.catalogue = catalogue
        # a check that is switched off is as good as gone
        self._known.checks = {check_id: check for check_id, check in catalogue.checks.items() if check.enabled}
        gone = [check_id for check_id in self.states if check_id not in self.checks]
        for check_id in gone:
            del self._known.states[check_id]
            self._known.latest.pop(check_id, None)
            self._runs.forget(check_id)
            self._waits.disarm(check_id)
        self._gear.metrics.forget(gone)
        now = self._gear.now()
        self._scanned_at = self._scanned_at or now
        for check in self.checks.values():
            state = self.states.get(check.id) or CheckState(check.id)
            if state.expected_by is None or state.fingerprint != check.fingerprint:
                self._known.states[check.id] = replace(state, expected_by=self._expected_by(check, now))
        written = self._cases.adopt(catalogue)
        if written.heard:
            await self._gear.recorder.commit(written.into(Commit()))
            self._cases.hear(written)
        return gone

    def expect_again(self) -> None:
        """Work out anew when each check's next run would be overdue: the machine slept or its clock was set."""
        now = self._gear.now()
        for check in self.checks.values():
            state = self.states.get(check.id) or CheckState(check.id)
            self._known.states[check.id] = replace(state, expected_by=self._expected_by(check, now))

    # -- one run ---------------------------------------------------------------------------------------------------

    def _missed(self, due: Due) -> None:
        self._gear.metrics.missed.labels(due.check.system).inc()
        log.warning("run_skipped", check=due.check.id, due=due.at, reason="its previous run has not ended")

    async def _run(self, due: Due) -> Outcome:
        check, gear = due.check, self._gear
        launched = started = gear.now()
        try:
            async with self._slot(check):
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
        self._known.latest[check.id] = outcome
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
        self._known.states[check.id] = state
        if self._waits.arm(check.id, state.pending_until, self._gear.now()) and state.pending_until is not None:
            self.confirm(check.id, state.pending_until)
        for quiet in self._cases.release(check.id):
            self._in_background(self._look_again(quiet))
        written = self._cases.consider(check, state, kinds)
        commit = Commit((outcome,) if outcome is not None else (), (state,), marks=marks)
        await self._gear.recorder.commit(written.into(commit) if written else commit)
        if written:
            self._cases.hear(written)

    async def _look_at_dependencies(self, check: Check, since: datetime) -> None:
        """Before a check fires, what it depends on gets a look no older than its own."""
        needed = list(ancestors(check, self.checks))
        for _ in range(2):  # a run that was under way began before: its look may be too old still
            tasks = [
                self._runs.start(Due(dependency, self._gear.now(), "confirm"))
                for dependency in needed
                if dependency.enabled and not self._looked_at(dependency, since)
            ]
            if tasks:
                await asyncio.wait(tasks, timeout=max(c.timeout for c in needed).total_seconds())

    async def _look_again(self, check: Check) -> None:
        """A look that begins now: one that is under way began too early."""
        if (under_way := self._runs.of(check.id)) is not None:
            await asyncio.wait((under_way,))
        self._runs.launch(Due(check, self._gear.now(), "confirm"))

    def _looked_at(self, check: Check, since: datetime) -> bool:
        state = self.states.get(check.id)
        return state is not None and state.last_run is not None and state.last_run >= since

    # -- small things ----------------------------------------------------------------------------------------------

    def _slot(self, check: Check) -> AbstractAsyncContextManager[None]:
        """A turn to look. Those of another location wait for one of that location's workers instead."""
        if check.location:
            return nullcontext()
        return self._gear.slots.slot(check.probe.type, slow=self._hung(check))

    def _hung(self, check: Check) -> bool:
        """Whether its last look took all the time there was."""
        last = self.latest.get(check.id)
        return last is not None and last.level is not Level.OK and last.duration >= check.timeout * HUNG

    def _zone(self, check: Check) -> ZoneInfo:
        assert self._catalogue is not None
        system = self._catalogue.systems.get(check.system)
        return system.zone if system else ZoneInfo("UTC")

    def _expected_by(self, check: Check, now: datetime) -> datetime | None:
        due = next_due(check, now) if check.enabled else None
        return due + check.grace if due else None

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def drain(self, grace: float) -> None:
        """Let what runs finish within `grace` seconds, cut short and record the rest."""
        self._waits.close()
        self._cases.close()
        self._runs.close()
        running: list[asyncio.Task[Any]] = [*self._runs.tasks(), *self._background]
        if running:
            await asyncio.wait(running, timeout=grace)
        running = [*self._runs.tasks(), *self._background]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=2)
