"""How the rooms of the daemon are put together."""

from __future__ import annotations

import asyncio
import socket
from collections import ChainMap
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import structlog

from healthd import __version__
from healthd.corridor import Corridor, Gear
from healthd.leadership import Leadership, holder_name
from healthd.loading import secrets_of
from healthd.look import Looker, limits_of, slots_of
from healthd.memory import StoreMemory
from healthd.metrics import Metrics
from healthd.model.catalogue import ATTESTATION, Catalogue
from healthd.model.redact import Redactor
from healthd.model.times import utc_now
from healthd.notify import Outbox
from healthd.pauses import Pauses
from healthd.probes import PROBES
from healthd.probes.base import Probe, Resources
from healthd.schedule import Scheduler
from healthd.services import House, Service
from healthd.services.attestations import AttestationProbe, Attestations
from healthd.services.diagnostics import Diagnostics
from healthd.services.escalation import Escalation
from healthd.services.heartbeat import Heartbeat
from healthd.services.quiet import Quiet
from healthd.services.reports import Reports
from healthd.services.selfwatch import TYPE as SELF
from healthd.services.selfwatch import SelfProbe
from healthd.services.silences import Silences
from healthd.services.windows import Windows
from healthd.settings import Settings
from healthd.store import SqlStore
from healthd.store.base import AuditEntry, Commit, Store, StoreError
from healthd.store.recorder import Recorder
from healthd.telling import Teller
from healthd.workers.dispatch import Dispatch

log = structlog.get_logger("healthd")


def _advertised(settings: Settings) -> str:
    """Where the other replicas reach this one."""
    everywhere = settings.host in ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to
    host = socket.gethostname() if everywhere else settings.host
    with suppress(OSError):
        host = socket.gethostbyname(host) if everywhere else host
    scheme = "https" if settings.tls_cert else "http"
    return settings.advertise_url or f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"


class Wiring:
    """Every room of the daemon, made and told of each other; nothing runs yet."""

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
        self._dispatch = Dispatch(settings, self.metrics)
        self._looker = Looker(
            ChainMap(self._own_probes, cast(Any, PROBES)), self._resources, limits_of(settings), self._dispatch
        )
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
        self._changes: AsyncIterator[None] | None = None  # of the catalogue's files
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
        self._own_probes[SELF] = SelfProbe(house, heartbeat, lambda: self._reload_problem, self._dispatch.standing)
        quiet = Quiet(house, (self.windows, self.silences))
        self._escalation = Escalation(house)
        return [
            self._dispatch,
            self._reports,
            self.silences,
            self.windows,
            quiet,
            self.attestations,
            heartbeat,
            Diagnostics(house),
            self._escalation,
        ]

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
