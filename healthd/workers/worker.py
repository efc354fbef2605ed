"""A worker: makes the looks of one location, and leaves to the daemon what they mean."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from healthd.catalogue import CatalogueError, Looks, watch
from healthd.loading import load_looks, secrets_of
from healthd.look import Looker, Shared, limits_of, slots_of
from healthd.model.catalogue import Check, Retry
from healthd.model.outcomes import Evidence, Observation, ProbeError
from healthd.model.redact import Redactor, mask_personal
from healthd.model.tasks import end_tasks
from healthd.model.times import utc_now
from healthd.probes import PROBES
from healthd.probes.base import Resources
from healthd.schedule import Attempt, Due
from healthd.settings import Settings
from healthd.store.base import StoreError
from healthd.store.serialisation import moment_of
from healthd.workers.board import Board
from healthd.workers.engine import Engine
from healthd.workers.letters import Answer, Question
from healthd.workers.terms import BEAT, TASK, TRIES, queue_of

if TYPE_CHECKING:
    from procrastinate import App, JobContext
    from procrastinate.jobs import Job
    from procrastinate.worker import Worker as Engines

CONNECTIONS = 4  # and one that listens
PATIENCE = 5.0  # seconds for the last words with the database
PAUSE = 1.0  # seconds until the database is tried again
DEAD = 60.0  # seconds: the engine's own tidying, of workers of others too
SHARED = timedelta(minutes=1)

log = structlog.get_logger("healthd.worker")


class Worker:
    """`read_catalogue`, then `run` until `stop`. Goes on through whatever the database does."""

    def __init__(self, settings: Settings, location: str, capacity: int, now: Callable[[], datetime] = utc_now) -> None:
        """`capacity`: looks at once. StoreError for a database URL that is none."""
        self._settings, self.location, self._capacity, self._now = settings, location, capacity, now
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._engine = self._new_engine()
        self._resources = Resources()
        self._looker = Looker(PROBES, self._resources, limits_of(settings))
        self._slots = slots_of(settings)
        self._shared: dict[int, Shared] = {}
        self._looks = Looks({}, {}, frozenset())
        self._redact: Callable[[str], str] = str
        self._offset: float | None = None  # from the loop's clock to the server's
        self._stopping, self._asked_to_reload = asyncio.Event(), asyncio.Event()
        self._reloading = asyncio.Lock()
        self._working: Engines | None = None
        self.unready = "starting"
        self._refused: set[str] = set()

    def _new_engine(self) -> Engine:
        url = self._settings.database_url.get_secret_value()
        return Engine(url, connections=CONNECTIONS, name=f"healthd worker {self.location}")

    # -- life --------------------------------------------------------------------------------------------------------

    def read_catalogue(self) -> None:
        """All of this location's, or CatalogueError."""
        self._adopt(load_looks(self._settings, self.location))

    def _adopt(self, looks: Looks) -> None:
        self._looks = looks
        redactor = Redactor({*secrets_of(self._settings), *self._looks.secrets})
        masked = self._settings.mask_personal
        self._redact = (lambda text: mask_personal(redactor(text))) if masked else redactor
        self._refused.clear()

    def ask_to_reload(self) -> None:
        """Soon, beside the looks."""
        self._asked_to_reload.set()

    async def reload(self) -> None:
        """Read the catalogue again; the old one stays where the new one has a mistake. In a thread: what is being
        looked at meanwhile would seem slow."""
        async with self._reloading:
            try:
                looks = await asyncio.to_thread(load_looks, self._settings, self.location)
            except CatalogueError as error:
                problems = [str(problem) for problem in error.problems]
                log.error("reload_refused", problems=problems[:20], count=len(problems))
            except Exception:
                log.exception("reload_failed")
            else:
                self._adopt(looks)
                log.info("reloaded", checks=len(looks.checks))

    def stop(self) -> None:
        """Finish what is under way within the grace period, and end."""
        self.unready = "stopping"
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`."""
        loop = asyncio.get_running_loop()
        reloading = loop.create_task(self._watch_files()), loop.create_task(self._heed_requests())
        try:
            while not self._stopping.is_set():
                try:
                    await self._serve()
                except StoreError as error:
                    self._away(error.reason)
                except Exception as error:
                    log.exception("worker_failed")
                    self._away(f"failed: {type(error).__name__}")
                await self._engine.close()
                if not self._stopping.is_set():
                    self._engine = self._new_engine()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), PAUSE)
        finally:
            await end_tasks(reloading)
            await self._resources.close()
        log.info("stopped")

    def _away(self, reason: str) -> None:
        if reason != self.unready and not self._stopping.is_set():
            log.warning("no_looks_here", reason=reason)
            self.unready = reason

    async def _watch_files(self) -> None:
        if self._settings.reload_watch:
            async for _ in watch(self._settings.checks):
                await self.reload()

    async def _heed_requests(self) -> None:
        while await self._asked_to_reload.wait():
            self._asked_to_reload.clear()
            await self.reload()

    async def _serve(self) -> None:
        """As long as the database holds."""
        await self._engine.open()
        while not await self._engine.ready():
            self._away("the daemon has not prepared the database yet: is it running, with a check of a location?")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PAUSE)
            if self._stopping.is_set():
                return
        board = Board(self._engine)
        await self._beat(board)
        works = (self._take_jobs(board), self._keep_beating(board), self._stopping.wait(), self._engine.broken.wait())
        tasks = tuple(asyncio.ensure_future(work) for work in works)
        self.unready = ""
        log.info("ready", location=self.location, checks=len(self._looks.checks), looks_at_once=self._capacity)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end_serving(board, tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if not self._stopping.is_set():
            self._away("the connection to the database broke")

    async def _end_serving(self, board: Board, tasks: tuple[asyncio.Future[Any], ...]) -> None:
        """Say so first, that nobody hands over more; then finish what is under way, or break it off after the grace."""
        taking, *others = tasks
        await end_tasks(others)
        with suppress(StoreError, TimeoutError):
            await asyncio.wait_for(self._beat(board, gone=True), 2)
        if self._working is not None:
            self._working.stop()  # type: ignore[no-untyped-call]
            await asyncio.wait((taking,), timeout=self._settings.shutdown_grace.total_seconds() + PATIENCE)
        await end_tasks([taking])

    async def _beat(self, board: Board, *, gone: bool = False) -> None:
        clock = await board.beat(self._name, self.location, self._capacity, gone=gone)
        self._offset = clock - asyncio.get_running_loop().time()

    async def _keep_beating(self, board: Board) -> None:
        while True:
            await asyncio.sleep(BEAT)
            await self._beat(board)

    async def _take_jobs(self, board: Board) -> None:
        """The engine's part, until it is cancelled or loses the database."""
        from procrastinate import BaseRetryStrategy, RetryDecision

        app, stopping = self._engine.app, self._stopping

        class ByAnother(BaseRetryStrategy):
            """What this worker has to give up when it is stopped is looked at by another."""

            def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
                again = stopping.is_set() and not job.abort_requested and job.attempts + 1 < TRIES
                return RetryDecision(retry_at=utc_now()) if again else None

        @app.task(name=TASK, pass_context=True, retry=ByAnother())
        async def look(context: JobContext, /, **asked: Any) -> None:
            answer = await self._answer(asked)
            if answer is not None:
                await board.answer(context.job.id or 0, answer.dump())

        await self._engine.call(self._work)

    async def _work(self, app: App) -> None:
        """Ended by being told so: while it begins a cancellation may be lost on its way through the connections."""
        from procrastinate.worker import Worker as Engines

        working = self._working = Engines(
            app,
            name=self._name,
            queues=[queue_of(self.location)],
            concurrency=self._capacity,
            fetch_job_polling_interval=BEAT,
            abort_job_polling_interval=BEAT,
            update_heartbeat_interval=BEAT,
            stalled_worker_timeout=DEAD,
            shutdown_graceful_timeout=self._settings.shutdown_grace.total_seconds(),
            delete_jobs="always",
            install_signal_handlers=False,
        )
        await working.run()  # type: ignore[no-untyped-call]

    # -- one look ----------------------------------------------------------------------------------------------------

    async def _answer(self, asked: dict[str, Any]) -> Answer | None:
        """None when nobody waits for it any more."""
        try:
            question = Question(**asked)
        except TypeError:
            return _refusal(f"the worker at {self.location} is of another version of healthd")
        left = question.begin_by - self._clock()
        if left <= 0:
            return None
        check = self._looks.checks.get(question.check)
        if check is None or check.definition != question.definition or check.probe.type != question.type:
            return self._not_the_same(question.check, check)
        started_by = asyncio.get_running_loop().time() + left
        try:
            async with asyncio.timeout_at(started_by) as patience, self._slots.slot(question.type):
                patience.reschedule(None)
                seen = await self._look(check, question)
        except TimeoutError:
            return _refusal(f"the worker at {self.location} is busy with other looks of the type {question.type}")
        return Answer(self._clean(seen.observation), self._redacted(seen.error), seen.duration, seen.attempts)

    def _clock(self) -> float:
        """The database's, in seconds since 1970."""
        return asyncio.get_running_loop().time() + (self._offset or 0.0)

    def _not_the_same(self, check_id: str, check: Check | None) -> Answer:
        if check_id not in self._refused:
            self._refused.add(check_id)
            log.warning(
                "look_refused", check=check_id, reason="another definition" if check else "not in the catalogue"
            )
        has = f"another definition of {check_id}" if check else f"no {check_id}"
        return _refusal(f"the worker at {self.location} has {has}: give it the same catalogue")

    async def _look(self, check: Check, question: Question) -> Attempt[Observation]:
        timeout = timedelta(seconds=question.timeout)
        retry = Retry(question.attempts, timedelta(seconds=question.backoff))
        now = self._now()
        shared = self._shared.setdefault(question.at, {})
        self._forget_shared(now)
        zone = self._looks.zones[check.system]
        due = Due(replace(check, timeout=timeout, retry=retry), moment_of(question.at))
        return await self._looker.look(due, now, zone, shared)

    def _forget_shared(self, now: datetime) -> None:
        for at in [at for at in self._shared if now - moment_of(at) > SHARED]:
            if all(answer.done() for answer in self._shared[at].values()):
                del self._shared[at]

    def _clean(self, observation: Observation | None) -> Observation | None:
        if observation is None:
            return None
        return replace(observation, evidence=self._evidence(observation.evidence), note=self._redact(observation.note))

    def _redacted(self, error: ProbeError | None) -> ProbeError | None:
        if error is None:
            return None
        return ProbeError(self._redact(error.reason), error.kind, self._evidence(error.evidence))

    def _evidence(self, evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        return tuple(replace(part, text=self._redact(part.text)) for part in evidence)


def _refusal(reason: str) -> Answer:
    return Answer(None, ProbeError(reason, "worker"))
