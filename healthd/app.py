"""The daemon: wires the rooms together and keeps them alive from start to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import ChainMap
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

import structlog

from healthd import __version__
from healthd.catalogue import CatalogueError, diff, watch
from healthd.corridor import Corridor, Gear
from healthd.incidents.escalation import release
from healthd.leadership import Leadership, holder_name
from healthd.loading import builtin, in_force, load_catalogue, secrets_of
from healthd.look import Looker, slots_of
from healthd.memory import StoreMemory
from healthd.metrics import Metrics
from healthd.model.catalogue import ATTESTATION, Catalogue
from healthd.model.escalation import Climb
from healthd.model.incidents import Incident, TimelineEntry
from healthd.model.outcomes import CheckState, Outcome
from healthd.model.redact import Redactor
from healthd.notify import Outbox
from healthd.pauses import Pauses
from healthd.probes import PROBES
from healthd.probes.base import Probe, ProbeLimits, Resources
from healthd.report import Objective, Report
from healthd.schedule import Scheduler
from healthd.services import House, Service
from healthd.services.attestations import AttestationProbe, Attestations
from healthd.services.diagnostics import Diagnostics
from healthd.services.escalation import Escalation
from healthd.services.heartbeat import Heartbeat
from healthd.services.postmortem import postmortem
from healthd.services.quiet import Quiet
from healthd.services.reports import Reports
from healthd.services.selfwatch import TYPE as SELF
from healthd.services.selfwatch import SelfProbe, own_system
from healthd.services.silences import Silences
from healthd.services.windows import Windows
from healthd.settings import Settings
from healthd.store import SqlStore
from healthd.store.base import AuditEntry, Commit, Store, StoreError
from healthd.store.recorder import Recorder
from healthd.telling import Teller
from healthd.web.daemon import ReloadResult

STORE_GRACE = 3.0  # seconds for closing a store
OPEN_PAUSE = 2.0  # seconds between attempts to reach a store that is away at start
PRUNE_EVERY = 3600.0
AGE_EVERY = 20.0
SETTLE_EVERY = 86400.0

log = structlog.get_logger("healthd")


def _limits(settings: Settings) -> ProbeLimits:
    return ProbeLimits(
        allowed_commands=settings.allowed_commands,
        allowed_load_hosts=settings.allowed_load_hosts,
        scratch_dir=settings.scratch_dir,
    )


def _advertised(settings: Settings) -> str:
    """Where the other replicas reach this one."""
    everywhere = settings.host in ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to
    host = socket.gethostname() if everywhere else settings.host
    with suppress(OSError):
        host = socket.gethostbyname(host) if everywhere else host
    return settings.advertise_url or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class App:
    """One daemon. `start`, then `wait` until it is told to stop, then `stop`."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self._now = now
        self.started_at = now()
        self.metrics = Metrics(__version__, settings.revision)
        self._redact = Redactor(secrets_of(settings))
        self.store: Store = SqlStore(settings.database_url.get_secret_value(), redact=self._redact, exclusive=True)
        self._recorder = Recorder(
            self.store, saved=self._saved, failed=self.metrics.store_errors.inc, lost=self.metrics.lost.inc
        )
        self._public_url = settings.public_url or f"http://{settings.host}:{settings.port}"
        self._teller = Teller(self._public_url)
        self._outbox = Outbox(
            self.store,
            observe=self._notified,
            now=now,
            memory=StoreMemory(self.store, now),
            redact=lambda text: self._redact(text),  # noqa: PLW0108 - a reload puts another in its place
            allowed=lambda: self._leadership.valid,
        )
        self._resources = Resources()
        self._own_probes: dict[str, Probe] = {}  # those that look at what only this process knows
        self._looker = Looker(ChainMap(self._own_probes, cast(Any, PROBES)), self._resources, _limits(settings))
        self._slots = slots_of(settings)
        self._corridor = Corridor(
            Gear(
                looker=self._looker,
                slots=self._slots,
                metrics=self.metrics,
                recorder=self._recorder,
                teller=self._teller,
                now=now,
            )
        )
        self._scheduler = Scheduler(
            self._corridor.launch,
            now=now,
            on_missed=self._missed,
            on_lag=lambda seconds: None,  # the corridor knows of the wait for a slot as well
            on_clock_jump=lambda seconds: self._corridor.expect_again(),
        )
        self._corridor.confirm = self._scheduler.once
        self._leadership = Leadership(self.store, holder_name(), _advertised(settings), settings.lease)
        self._leading = False
        self._guard: asyncio.Task[None] | None = None
        self.deposed = False  # another replica leads: this one has to start over as a standby
        self._services = self._make_services()
        self._pauses = Pauses()
        self._catalogue: Catalogue | None = None
        self._reloading = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._not_ready: list[str] = ["starting"]
        self._reload_problem = ""
        self.hangs = False  # after `stop`: a thread is stuck in the store, and would hold up the end of the process

    def _make_services(self) -> list[Service]:
        """In the order in which they hear of a catalogue."""
        house = House(
            settings=self.settings,
            store=self.store,
            recorder=self._recorder,
            corridor=self._corridor,
            teller=self._teller,
            metrics=self.metrics,
            now=self._now,
            audit=self._audit,
            looker=self._looker,
            slots=self._slots,
        )
        self._reports = Reports(house)
        self.silences, self.windows = Silences(house), Windows(house)
        self.attestations = Attestations(house)
        self._own_probes[ATTESTATION] = AttestationProbe(self.attestations)
        heartbeat = Heartbeat(house, lambda: self._scheduler.running)
        self._own_probes[SELF] = SelfProbe(house, heartbeat, lambda: self._reload_problem)
        quiet = Quiet(house, (self.windows, self.silences))
        self._escalation = Escalation(house)
        return [
            self._reports,
            self.silences,
            self.windows,
            quiet,
            self.attestations,
            heartbeat,
            Diagnostics(house),
            self._escalation,
        ]

    # -- life ------------------------------------------------------------------------------------------------------

    def heed_signals(self) -> None:
        """Before anything that takes time: until then SIGHUP would end the process."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._background(self._reload_quietly("SIGHUP")))

    def read_catalogue(self) -> None:
        """First reading; raises CatalogueError with everything that is wrong."""
        self._catalogue = self._whole(load_catalogue(self.settings))
        for warning in self._catalogue.warnings:
            log.warning("catalogue_warning", detail=warning)

    async def start(self) -> None:
        """Begin to work: returns at once if the store is away, which `unready` then says, and goes on trying."""
        assert self._catalogue is not None, "read_catalogue comes first"
        try:
            await self._begin()
        except StoreError as error:
            if not error.transient:
                raise
            log.error("store_unavailable", reason=error.reason, consequence="no check runs until it answers")
            self._not_ready = [error.reason]
            self._background(self._begin_later())

    async def wait(self) -> None:
        """Until SIGTERM or SIGINT."""
        await self._stopping.wait()

    async def stop(self) -> None:
        """Finish what runs within the grace period, record it, and close."""
        self._not_ready = ["stopping"]
        grace = 0.0 if self.deposed else self.settings.shutdown_grace.total_seconds()
        log.info("stopping", grace_seconds=grace)
        self._scheduler.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(service.close() for service in self._services), return_exceptions=True)
        await self._corridor.drain(max(0.5, grace - 4))
        await self._recorder.close()
        await self._outbox.stop(1.0)
        if self._guard is not None:
            self._guard.cancel()
        await self._leadership.resign()
        await self._resources.close()
        try:
            await asyncio.wait_for(self.store.close(), STORE_GRACE)
        except TimeoutError:
            log.error("store_hangs", consequence="ending without it; what was committed is safe")
            self.hangs = True
        log.info("stopped")

    async def _begin_later(self) -> None:
        while True:
            await asyncio.sleep(OPEN_PAUSE)
            try:
                await self._begin()
            except StoreError as error:
                if not error.transient:
                    log.error("store_unusable", reason=error.reason)
                    self._not_ready = [error.reason]
                    return
                self._not_ready = [error.reason]
                continue
            log.info("store_available")
            return

    async def _begin(self) -> None:
        await self.store.open()
        if await self._leadership.attempt():
            await self._lead()
        else:
            self._not_ready = []  # ready to take over
            log.info("standby", leader=self.leader_address)
            self._background(self._follow())

    async def _follow(self) -> None:
        """Wait for the lead, and take up what the one before left."""
        while True:
            await self._leadership.win()
            try:
                await self._lead()
            except StoreError as error:
                log.error("lead_not_taken_up", reason=error.reason)
                await self._leadership.resign()
            else:
                return

    async def _keep_lead(self) -> None:
        await self._leadership.keep()
        self.deposed, self._leading = True, False
        self._not_ready = ["another replica leads"]
        self._stopping.set()

    async def _lead(self) -> None:
        assert self._catalogue is not None
        self._guard = self._guard or asyncio.get_running_loop().create_task(self._keep_lead())
        states = await self.store.states()
        since = self._corridor.reopenable_since(self._catalogue)
        incidents, members = await self.store.open_incidents(since), await self.store.open_members(since)
        self._corridor.restore(states, await self.store.latest(), incidents, members)
        for service in self._services:
            await service.restore()
        await self._put_in_force(self._catalogue)
        checks = self._catalogue.checks.values()
        last_runs = {s.check_id: s.last_run for s in states.values() if s.last_run is not None}
        marks = self._scheduler.start(checks, await self.store.marks(), last_runs)
        if marks:
            await self._recorder.commit(Commit(marks=marks))
        self._outbox.start()
        self._background(self._every(1.0, self._scan))
        self._background(self._every(PRUNE_EVERY, self._prune))
        self._background(self._every(AGE_EVERY, self._age))
        self._background(self._every(SETTLE_EVERY, self._collect))
        self._pauses.settle()
        if self.settings.reload_watch:
            self._background(self._watch_files())
        self._not_ready, self._leading = [], True
        log.info("ready", systems=len(self._catalogue.watched), checks=sum(self._catalogue.counts.values()))

    # -- the catalogue ---------------------------------------------------------------------------------------------

    async def reload(self, actor: str) -> ReloadResult:
        """Read the catalogue again: all or nothing."""
        async with self._reloading:
            try:
                new = self._whole(await asyncio.to_thread(load_catalogue, self.settings))
            except CatalogueError as error:
                self.metrics.reload_ok.set(0)
                problems = tuple(str(problem) for problem in error.problems)
                self._reload_problem = problems[0] if problems else str(error)
                log.error("reload_refused", by=actor, problems=list(problems[:20]), count=len(problems))
                await self._audit(actor, "reload", "catalogue", f"refused: {self._reload_problem}")
                return ReloadResult(problems)
            old = self._catalogue
            added, changed, removed = diff(old, new) if old else (list(new.checks), [], [])
            if self._leading:
                await self._put_in_force(new)
                marks = self._scheduler.replace(new.checks.values())
                if marks:
                    await self._recorder.commit(Commit(marks=marks))
            else:
                self._catalogue = new
            self._pauses.settle()
            result = ReloadResult((), len(added), len(changed), len(removed))
            log.info("reloaded", by=actor, added=result.added, changed=result.changed, removed=result.removed)
            counts = f"{result.added} added, {result.changed} changed, {result.removed} removed"
            await self._audit(actor, "reload", "catalogue", counts)
            return result

    def _whole(self, written: Catalogue) -> Catalogue:
        """What runs: with what people attest, and with healthd itself."""
        return in_force(written, *own_system(self.settings, written.systems))

    async def _put_in_force(self, catalogue: Catalogue) -> None:
        for warning in catalogue.warnings if catalogue is not self._catalogue else ():
            log.warning("catalogue_warning", detail=warning)
        self._catalogue = catalogue
        self._redact = Redactor({*secrets_of(self.settings), *catalogue.secrets})
        self._corridor.redact = self._teller.redact = self._redact
        channels = {**builtin(self.settings), **catalogue.channels}
        self._teller.channels = channels
        self._outbox.reconfigure(channels)
        gone = await self._corridor.adopt(catalogue)
        for service in self._services:
            service.adopt(catalogue)
        if gone:
            try:
                await self.store.forget(gone)
            except StoreError as error:
                log.warning("forget_failed", reason=error.reason)
        self._reload_problem = ""
        self.metrics.reload_ok.set(1)
        self.metrics.reload_at.set(self._now().timestamp())
        self.metrics.catalogue_checks.clear()
        for system, count in catalogue.counts.items():
            self.metrics.catalogue_checks.labels(system).set(count)

    async def _watch_files(self) -> None:
        async for _ in watch(self.settings.checks):
            await self._reload_quietly("file change")

    async def _reload_quietly(self, actor: str) -> None:
        try:
            await self.reload(actor)
        except Exception:
            log.exception("reload_failed", by=actor)

    # -- the doors' view (healthd.web.daemon.Daemon) ---------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """In force now."""
        assert self._catalogue is not None
        return self._catalogue

    @property
    def states(self) -> Mapping[str, CheckState]:
        """By check id."""
        return self._corridor.states

    @property
    def latest(self) -> Mapping[str, Outcome]:
        """The newest outcome by check id."""
        return self._corridor.latest

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """Open incidents by id."""
        return self._corridor.incidents

    @property
    def incident_of(self) -> Mapping[str, str]:
        """By id of a check that fails: the id of its open incident."""
        return self._corridor.incident_of

    @property
    def suppressed(self) -> Mapping[str, str]:
        """Checks kept quiet, and the broken dependency that explains each."""
        return self._corridor.suppressed

    @property
    def reload_problem(self) -> str:
        """Why the last reload was refused; empty when it was not."""
        return self._reload_problem

    @property
    def leading(self) -> bool:
        """Whether this replica runs the checks."""
        return self._leading

    @property
    def leader_address(self) -> str:
        """Of the replica that leads, as it says itself; empty while nobody is known to."""
        return self._leadership.leader.address if self._leadership.leader else ""

    def unready(self) -> list[str]:
        """Why the daemon cannot run checks; empty when it can."""
        return [*self._not_ready, *([self._recorder.problem] if self._recorder.problem else [])]

    async def exposition(self) -> bytes:
        """`/metrics`."""
        await self._measure_outbox()
        self.metrics.unsaved.set(self._recorder.unsaved)
        self.metrics.leader.set(1 if self._leading and self._leadership.valid else 0)
        self.metrics.ready.set(0 if self.unready() else 1)
        return await self.metrics.render(self._corridor.checks, self.states, self.latest)

    async def run_now(self, check_id: str, actor: str) -> Outcome:
        """Run one check now; KeyError for an unknown id."""
        check = self.catalogue.checks[check_id]
        await self._audit(actor, "run", check_id)
        return await self._corridor.run_now(check)

    async def acknowledge(self, incident_id: str, actor: str, note: str = "") -> Incident:
        """KeyError for an unknown or resolved incident."""
        incident = await self._corridor.acknowledge(incident_id, actor, note)
        await self._audit(actor, "acknowledge", incident_id, note)
        return incident

    async def unacknowledge(self, incident_id: str, actor: str) -> Incident:
        """KeyError for an unknown or resolved incident."""
        incident = await self._corridor.amend(incident_id, lambda i: release(i, actor, self._now()))
        if incident is None:
            raise KeyError(incident_id)
        await self._audit(actor, "unacknowledge", incident_id)
        return incident

    async def remark(self, incident_id: str, actor: str, text: str, at: datetime | None = None) -> None:
        """KeyError for an unknown incident."""
        if incident_id not in self.incidents and await self.store.incident(incident_id) is None:
            raise KeyError(incident_id)
        now, said = self._now(), self._redact(text)
        entry = TimelineEntry(incident_id, min(at or now, now), "note", said, actor)
        audit = AuditEntry(now, actor, "remark", incident_id, said)
        await self._recorder.commit(Commit(timeline=(entry,), audits=(audit,)))

    def climb(self, incident: Incident) -> Climb:
        """How far an incident has climbed the escalation chain, and what follows."""
        return self._escalation.climb(incident)

    async def postmortem(self, incident_id: str) -> str:
        """A post-mortem begun, in Markdown. KeyError for an unknown incident, or one of a system that is gone."""
        return await postmortem(incident_id, self.store, self.catalogue, self._public_url)

    async def report_preview(self, system: str, cadence: str) -> Report:
        """The report of a calendar cadence as it would be now. KeyError for an unknown one."""
        return await self._reports.preview(system, cadence)

    async def objectives(self, system: str) -> list[Objective]:
        """Availability of every check of a system against its objective. KeyError for an unknown one."""
        return await self._reports.objectives(system)

    # -- small things ----------------------------------------------------------------------------------------------

    def _saved(self, commit: Commit) -> None:
        if commit.messages:
            self._outbox.wake({message.channel for message in commit.messages})

    def _notified(self, channel: str, outcome: str) -> None:
        self.metrics.notifications.labels(channel, outcome).inc()

    def _missed(self, check_id: str, count: int) -> None:
        system = check_id.partition("/")[0]
        self.metrics.missed.labels(system).inc(count)
        log.warning("runs_missed", check=check_id, count=count)

    async def _measure_outbox(self) -> None:
        metrics = self.metrics
        try:
            waiting = await asyncio.wait_for(self.store.outbox(), 1.0)
        except (StoreError, TimeoutError):
            return
        now = self._now()
        for gauge in (metrics.outbox_pending, metrics.outbox_oldest):
            gauge.clear()
        by_channel = {state.channel: state for state in waiting}
        for channel in {*self._teller.channels, *by_channel}:
            state = by_channel.get(channel)
            age = (now - state.oldest).total_seconds() if state and state.oldest else 0.0
            metrics.outbox_pending.labels(channel).set(state.pending if state else 0)
            metrics.outbox_oldest.labels(channel).set(max(0.0, age))

    async def _audit(self, actor: str, action: str, target: str, detail: str = "") -> None:
        log.info("audit", actor=actor, action=action, target=target)
        try:
            await self.store.audit(AuditEntry(self._now(), actor, action, target, self._redact(detail)))
        except StoreError as error:
            log.error("audit_not_saved", reason=error.reason)

    async def _age(self) -> None:
        self._pauses.age()

    async def _collect(self) -> None:
        self._pauses.settle()

    async def _scan(self) -> None:
        self._corridor.scan()
        for service in self._services:
            try:
                await service.scan(self._now())
            except StoreError as error:
                log.warning("store_unavailable", reason=error.reason)
            except Exception:
                log.exception("service_failed", service=type(service).__name__)

    async def _prune(self) -> None:
        settings = self.settings
        deleted = await self.store.prune(self._now(), outcomes=settings.retention, history=settings.retention_history)
        if deleted:
            log.info("pruned", rows=deleted)

    async def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except StoreError as error:
                log.warning("store_unavailable", reason=error.reason)
            except Exception:
                log.exception("background_work_failed")

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.get_running_loop().create_task(work))
