"""The daemon: keeps its rooms alive from start to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import structlog

from healthd.catalogue import CatalogueError, diff, watch
from healthd.doors import Doors
from healthd.loading import builtin, in_force, load_catalogue, secrets_of
from healthd.model.catalogue import Catalogue
from healthd.model.redact import Redactor, mask_personal
from healthd.model.tasks import end_tasks
from healthd.services.selfwatch import own_system
from healthd.store.base import Commit, StoreError
from healthd.web.daemon import ReloadResult
from healthd.workers.terms import locations

STORE_GRACE = 3.0  # seconds for closing a store
OPEN_PAUSE = 2.0  # seconds between attempts to reach a store that is away at start
PRUNE_EVERY = 3600.0
AGE_EVERY = 20.0
SETTLE_EVERY = 86400.0

log = structlog.get_logger("healthd")


class App(Doors):
    """One daemon. `start`, then `wait` until it is told to stop, then `stop`."""

    # -- life ------------------------------------------------------------------------------------------------------

    def heed_signals(self) -> None:
        """Before anything that takes time: until then SIGHUP would end the process."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._background(self._reload_quietly("SIGHUP")))

    def read_catalogue(self) -> None:
        """First reading; raises CatalogueError with everything that is wrong."""
        if self.settings.reload_watch:
            self._changes = watch(self.settings.checks)  # those since before it is read
        self._take(self._whole(load_catalogue(self.settings)))

    async def start(self) -> None:
        """Begin to work: returns at once if the store is away, which `unready` then says, and goes on trying."""
        assert self._catalogue is not None, "read_catalogue comes first"
        if self._changes is not None:
            self._background(self._watch_files(self._changes))
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
        await end_tasks(self._tasks)
        await asyncio.gather(*(service.close() for service in self._services), return_exceptions=True)
        await self._corridor.drain(max(0.5, grace - 4))
        await self._dispatch.end()
        await self._recorder.close()
        await self._outbox.stop(1.0)
        await end_tasks([self._guard])
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
            if self._changes is None:  # nobody told this replica what has changed since it started
                await self._reload_quietly("takeover")
            try:
                await self._lead()
            except StoreError as error:
                log.error("lead_not_taken_up", reason=error.reason)
                self._not_ready = []
                await self._leadership.resign()
            else:
                return

    async def _keep_lead(self) -> None:
        await self._leadership.keep()
        self.deposed, self._leading = True, False
        self._not_ready = ["another replica leads"]
        self._stopping.set()

    async def _lead(self) -> None:
        self._not_ready = self._not_ready or ["taking up the lead"]
        async with self._reloading:  # a change comes before or after
            await self._take_up()

    async def _take_up(self) -> None:
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
                if self._leading:
                    await self._audit(actor, "reload", "catalogue", f"refused: {self._reload_problem}")
                return ReloadResult(problems)
            old = self._catalogue
            added, changed, removed = diff(old, new) if old else (list(new.checks), [], [])
            self._take(new)
            if self._leading:
                await self._put_in_force(new)
                marks = self._scheduler.replace(new.checks.values())
                if marks:
                    await self._recorder.commit(Commit(marks=marks))
            self._pauses.settle()
            result = ReloadResult((), len(added), len(changed), len(removed))
            log.info("reloaded", by=actor, added=result.added, changed=result.changed, removed=result.removed)
            counts = f"{result.added} added, {result.changed} changed, {result.removed} removed"
            if self._leading:  # once for all replicas
                await self._audit(actor, "reload", "catalogue", counts)
            return result

    def _whole(self, written: Catalogue) -> Catalogue:
        """What runs: with what people attest, and with healthd itself."""
        return in_force(written, *own_system(self.settings, written.systems, elsewhere=bool(locations(written))))

    def _take(self, catalogue: Catalogue) -> None:
        """It has no mistake: this replica leads by it, now or when it is its turn."""
        for warning in catalogue.warnings:
            log.warning("catalogue_warning", detail=warning)
        self._catalogue = catalogue
        self._reload_problem = ""
        self.metrics.reload_ok.set(1)
        self.metrics.reload_at.set(self._now().timestamp())

    async def _put_in_force(self, catalogue: Catalogue) -> None:
        self._redact = Redactor({*secrets_of(self.settings), *catalogue.secrets})
        self._corridor.redact = self._teller.redact = self._redact
        if self.settings.mask_personal:
            secrets_gone = self._redact
            self._corridor.redact = lambda text: mask_personal(secrets_gone(text))
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
        self.metrics.catalogue_checks.clear()
        for system, count in catalogue.counts.items():
            self.metrics.catalogue_checks.labels(system).set(count)

    async def _watch_files(self, changes: AsyncIterator[None]) -> None:
        async for _ in changes:
            await self._reload_quietly("file change")

    async def _reload_quietly(self, actor: str) -> None:
        try:
            await self.reload(actor)
        except Exception:
            log.exception("reload_failed", by=actor)

    # -- what is done again and again ------------------------------------------------------------------------------

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
