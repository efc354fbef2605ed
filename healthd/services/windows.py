"""Maintenance windows: those of the catalogue and those that people add; announced, kept, and over by themselves."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from itertools import islice

import structlog

from healthd.incidents import windows as pure
from healthd.model.catalogue import Catalogue, Check, System
from healthd.model.incidents import Incident
from healthd.model.windows import LONGEST, Maintenance, WindowError
from healthd.schedule import fires
from healthd.services.base import House
from healthd.store.base import AuditEntry, Commit

AHEAD = timedelta(days=14)  # how far occurrences of the catalogue's windows are worked out
PLAN_EVERY = timedelta(minutes=1)
MOST = 100  # occurrences of one window ahead
CATALOGUE = "a change of the catalogue"  # who ended one that is not planned any more
log = structlog.get_logger("healthd.window")


class Windows:
    """Every occurrence that is near, in memory; what has been said of one, and what people did to it, as records."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._systems: Mapping[str, System] = {}
        self._known: dict[str, Maintenance] = {}
        self._told: dict[str, frozenset[str]] = {}
        self._active: tuple[Maintenance, ...] = ()
        self._plan_at: datetime | None = None
        self.generation = 0

    async def restore(self) -> None:
        """What was added, ended or announced before."""
        oldest = self._house.now() - LONGEST
        for record in await self._house.store.records(pure.KIND, limit=5_000):
            if record.at > oldest:
                window, told = pure.from_record(record)
                self._known[window.id], self._told[window.id] = window, told

    def adopt(self, catalogue: Catalogue) -> None:
        """Its windows are planned anew; one that was announced and is not any more is called off."""
        self._systems = catalogue.systems
        now = self._house.now()
        self._plan(now)
        self._refresh(now)
        self._measure()

    async def scan(self, now: datetime) -> None:
        """Say what is due to be said of each, once."""
        if self._plan_at is None or now >= self._plan_at or now < self._plan_at - PLAN_EVERY:
            self._plan(now)
        self._refresh(now)
        for window in list(self._known.values()):
            for phase in pure.due_phases(window, now, self._told.get(window.id, ())):
                await self._announce(window, phase, now)

    async def close(self) -> None:
        """Nothing runs in the background."""

    def why(self, incident: Incident, check: Check) -> str:
        """Which maintenance keeps it quiet, and until when; "" for none."""
        return next((pure.why(w) for w in self._active if pure.covers(w, incident, check)), "")

    # -- what people do --------------------------------------------------------------------------------------------

    @property
    def known(self) -> Sequence[Maintenance]:
        """Those that are not over, the soonest first."""
        now = self._house.now()
        coming = (w for w in self._known.values() if w.state(now) in ("active", "planned"))
        return sorted(coming, key=lambda w: (w.starts_at, w.id))

    async def past(self, limit: int) -> Sequence[Maintenance]:
        """Those in the store that are over or were called off, the newest first."""
        now = self._house.now()
        windows = await self.recorded(limit, before=now)
        return [w for w in windows if w.state(now) in ("over", "called off")]

    async def recorded(
        self, limit: int, *, system: str = "", before: datetime | None = None, before_id: str = ""
    ) -> Sequence[Maintenance]:
        """Those in the store, over or not, what begins last first; `before` and `before_id` as the store has them."""
        store = self._house.store
        found = await store.records(pure.KIND, system=system, limit=limit, before=before, before_id=before_id)
        return [self._known.get(record.id) or pure.from_record(record)[0] for record in found]

    async def find(self, window_id: str) -> Maintenance:
        """Over or not. Raises KeyError."""
        if window_id in self._known:
            return self._known[window_id]
        record = await self._house.store.record(pure.KIND, window_id)
        if record is None:
            raise KeyError(window_id)
        return pure.from_record(record)[0]

    async def add(self, planned: Maintenance) -> Maintenance:
        """Add one, whose id is still to be given. Raises WindowError."""
        now = self._house.now()
        if planned.system not in self._systems:
            near = get_close_matches(planned.system, self._systems, n=1) or list(self._systems)
            raise WindowError(f"no system {planned.system[:60]!r}", f"there is {', '.join(near)}")
        window = pure.make(replace(planned, id=f"WIN-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"), now)
        times = f"{window.starts_at:%Y-%m-%d %H:%M} to {window.ends_at:%Y-%m-%d %H:%M} UTC"
        words = f"{window.system}, {times}: {window.title}"
        await self._keep(window, now, self._house.audited(window.author, "add window", window.id, words))
        return window

    async def end(self, window_id: str, actor: str) -> Maintenance:
        """End one early, or call it off. KeyError for an unknown one, WindowError for one that is over."""
        window, now = self._known[window_id], self._house.now()
        changed = pure.ended(window, now, actor)
        action = "call off window" if changed.called_off else "end window"
        words = f"{window.system}: {window.title}"
        await self._keep(changed, now, self._house.audited(actor, action, window.id, words))
        return changed

    # -- small things ----------------------------------------------------------------------------------------------

    def _plan(self, now: datetime) -> None:
        """Work out the catalogue's occurrences around now; forget what is long over."""
        self._plan_at = now + PLAN_EVERY
        planned = {window.id: window for window in self._occurrences(now)}
        for window in list(self._known.values()):
            if window.starts_at < now - LONGEST and window.state(now) != "active":
                self._forget(window)
            elif window.name and window.id not in planned and window.state(now) in ("planned", "active"):
                self._withdrawn(window, now)
        for window in planned.values():
            known = self._known.get(window.id)
            if known is None or known.ended_by in ("", CATALOGUE):
                self._known[window.id] = window

    def _withdrawn(self, window: Maintenance, now: datetime) -> None:
        """The catalogue has it no more. Who was told of it hears that."""
        if self._told.get(window.id):
            self._known[window.id] = pure.ended(window, now, CATALOGUE)
        else:
            self._forget(window)

    def _forget(self, window: Maintenance) -> None:
        del self._known[window.id]
        self._told.pop(window.id, None)

    def _occurrences(self, now: datetime) -> Iterator[Maintenance]:
        for system in self._systems.values():
            for window in system.runbook.windows:
                cadence = system.cadences.get(window.cadence)
                if cadence is None or cadence.rule.is_interval:
                    continue
                ahead = max(AHEAD, window.notice or timedelta(0))
                starts = fires(cadence.rule, now - window.duration, now + ahead)
                yield from (pure.occurrence(system.name, window, at) for at in islice(starts, MOST))

    async def _announce(self, window: Maintenance, phase: str, now: datetime) -> None:
        told = self._told[window.id] = self._told.get(window.id, frozenset()) | {phase}
        notice = pure.notice(window, phase, self._systems.get(window.system), now)
        record = pure.to_record(window, told)
        log.info("window_" + phase, window=window.id, system=window.system, until=window.ends_at)
        await self._house.recorder.commit(Commit(records=(record,), messages=self._house.teller.announce(notice)))

    async def _keep(self, window: Maintenance, now: datetime, entry: AuditEntry) -> None:
        self._known[window.id] = window
        self._refresh(now)
        record = pure.to_record(window, self._told.get(window.id, ()))
        await self._house.recorder.commit(Commit(records=(record,), audits=(entry,)))

    def _refresh(self, now: datetime) -> None:
        active = tuple(w for w in self._known.values() if w.state(now) == "active")
        if active != self._active:
            self._active = active
            self.generation += 1
            self._measure()

    def _measure(self) -> None:
        gauge, busy = self._house.metrics.maintenance_active, {window.system for window in self._active}
        gauge.clear()
        for name in self._systems:
            gauge.labels(name).set(int(name in busy))
