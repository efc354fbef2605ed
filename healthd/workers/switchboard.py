"""The queues and the board as the daemon uses them: many looks in one statement, each answer to who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from healthd.model.outcomes import ProbeError
from healthd.model.tasks import end_tasks
from healthd.settings import Settings
from healthd.store.base import StoreError
from healthd.workers.board import Board, Presence
from healthd.workers.engine import Engine
from healthd.workers.letters import Answer, Question
from healthd.workers.terms import CHANNEL, QUEUE, TASK, TRIES, queue_of

if TYPE_CHECKING:
    from procrastinate import App
    from procrastinate.jobs import Job

CONNECTIONS = 3
BATCH = 200
STALE = 60.0  # seconds after which a job of a dead worker, asked for by another daemon, is removed

log = structlog.get_logger("healthd.workers")


@dataclass(slots=True, eq=False)
class Call:
    """One job and who waits for it. `begin_by` is the loop's clock."""

    location: str
    question: Question
    begin_by: float
    sent: asyncio.Future[None]
    answer: asyncio.Future[Answer]
    job: int = 0
    lost: bool = False


class Switchboard:
    """What fails is StoreError. Unless it says otherwise it may be called at any time, and again."""

    def __init__(self, settings: Settings) -> None:
        url = settings.database_url.get_secret_value()
        self._engine = Engine(url, connections=CONNECTIONS, name="healthd dispatch")
        self._board = Board(self._engine)
        self._lease = settings.worker_lease
        self._calls: dict[int, Call] = {}
        self._outgoing: list[Call] = []
        self._arrived: set[int] = set()
        self._early: set[int] = set()  # answered before we knew the job's number
        self._sending: asyncio.Task[None] | None = None
        self._taking: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._prepared = False
        self._offset = 0.0  # from the loop's clock to the server's

    def clock(self) -> float:
        """The database's, in seconds since 1970."""
        return asyncio.get_running_loop().time() + self._offset

    async def open(self) -> None:
        """Connect, prepare the database, and withdraw what a daemon before this one asked for."""
        await self._engine.open()
        if not self._prepared:
            await self._engine.prepare()
            for job in await self._engine.call(lambda app: app.job_manager.list_jobs_async(task=TASK)):
                await self._drop(job.id or 0)
            self._prepared = True
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def turn(self) -> dict[str, Presence]:
        """What is due again and again: the clock, answers nobody told us of, looks whose worker is gone. Returns how
        the workers stand, by location."""
        self._offset = await self._board.clock() - asyncio.get_running_loop().time()
        self._early.clear()
        if self._calls:
            await self._take(set(self._calls))
            await self._rescue()
        return await self._board.presences(self._lease)

    async def sweep(self) -> None:
        """Drop what was left behind."""
        await self._board.sweep()
        for queue in await self._engine.call(lambda app: app.job_manager.list_queues_async()):
            if str(queue["name"]).startswith(QUEUE):
                await self._engine.call(lambda app, name=queue["name"]: _prune(app, name))  # type: ignore[misc]

    async def close(self) -> None:
        """Withdraw what is under way and disconnect."""
        await end_tasks((self._listening, self._sending, self._taking))
        for call in list(self._calls.values()):
            self.hang_up(call)
        if self._errands:
            await asyncio.wait(self._errands, timeout=1)
        await self._engine.close()

    # -- one look ----------------------------------------------------------------------------------------------------

    async def call(self, location: str, question: Question, begin_by: float) -> Call:
        """Put it into the queue of the location; with it go all others that are asked for at this moment."""
        loop = asyncio.get_running_loop()
        call = Call(location, question, begin_by, loop.create_future(), loop.create_future())
        self._outgoing.append(call)
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._send())
        await call.sent
        return call

    async def withdraw(self, call: Call) -> bool:
        """Whether nobody had taken it; then nobody will."""
        return await self._engine.call(lambda app: app.job_manager.cancel_job_by_id_async(call.job, delete_job=True))

    def hang_up(self, call: Call) -> None:
        """Nobody waits for it any more."""
        self._calls.pop(call.job, None)
        if call.lost or not call.answer.done():
            call.answer.cancel()
            self._run(self._drop(call.job, lost=call.lost))

    async def _send(self) -> None:
        while self._outgoing:
            batch, self._outgoing = self._outgoing[:BATCH], self._outgoing[BATCH:]
            try:
                jobs = [_job(call) for call in batch]
                made = await self._engine.call(lambda app, j=jobs: app.job_manager.batch_defer_jobs_async(j))  # type: ignore[misc]
            except StoreError as error:
                for call in batch:
                    if not call.sent.done():
                        call.sent.set_exception(StoreError(error.reason, transient=error.transient))
                continue
            for call, job in zip(batch, made, strict=True):
                self._sent(call, job.id or 0)

    def _sent(self, call: Call, job: int) -> None:
        call.job = job
        if call.sent.done():  # cancelled meanwhile
            self._run(self._drop(job))
            return
        self._calls[job] = call
        call.sent.set_result(None)
        if job in self._early:
            self._heard(job)

    async def _drop(self, job: int, *, lost: bool = False) -> None:
        """Remove a job, or stop it where it is under way."""
        from procrastinate.jobs import Status

        with suppress(StoreError):
            await self._engine.call(
                lambda app: app.job_manager.cancel_job_by_id_async(job, abort=True, delete_job=True)
            )
        if lost:
            with suppress(StoreError):
                await self._engine.call(
                    lambda app: app.job_manager.finish_job_by_id_async(job, Status.ABORTED, delete_job=True)
                )

    def _run(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    # -- answers -----------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Until the connection breaks; what comes while nobody listens is found by `turn`."""
        import psycopg

        with suppress(StoreError, psycopg.Error, OSError):
            async with await self._engine.listener() as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                async for notice in connection.notifies():
                    self._heard(int(notice.payload))

    def _heard(self, job: int) -> None:
        if job not in self._calls:
            self._early.add(job)
            return
        self._arrived.add(job)
        if self._taking is None or self._taking.done():
            self._taking = asyncio.get_running_loop().create_task(self._take_arrived())

    async def _take_arrived(self) -> None:
        with suppress(StoreError):  # the next turn finds them
            while self._arrived:
                jobs, self._arrived = self._arrived, set()
                await self._take(jobs)

    async def _take(self, jobs: set[int]) -> None:
        for job, body in (await self._board.take(tuple(jobs))).items():
            call = self._calls.get(job)
            if call is not None and not call.answer.done():
                call.answer.set_result(Answer.load(body))

    # -- dead workers ------------------------------------------------------------------------------------------------

    async def _rescue(self) -> None:
        """Give the looks of workers that are gone to others, where there is time; otherwise say so."""
        silence = self._lease.total_seconds()
        stalled = await self._engine.call(
            lambda app: app.job_manager.get_stalled_jobs(task_name=TASK, seconds_since_heartbeat=silence)
        )
        for job in stalled:
            call = self._calls.get(job.id or 0)
            if call is None:
                if float(str(job.task_kwargs.get("begin_by", 0))) < self.clock() - STALE:
                    await self._drop(job.id or 0, lost=True)
            elif asyncio.get_running_loop().time() < call.begin_by and job.attempts + 1 < TRIES:
                log.warning("worker_lost", location=call.location, check=call.question.check, again=True)
                with suppress(StoreError):  # it has ended meanwhile
                    await self._engine.call(lambda app, j=job: app.job_manager.retry_job(j))  # type: ignore[misc]
            elif not call.answer.done():
                log.warning("worker_lost", location=call.location, check=call.question.check, again=False)
                call.lost = True
                call.answer.set_result(Answer(None, ProbeError(_lost(call.location, job.attempts), "worker")))


def _lost(location: str, attempts: int) -> str:
    if attempts:
        return f"the worker at {location} that made this look was lost, and so was the one asked after it"
    return f"the worker at {location} that made this look was lost, and there was no time to ask another"


def _job(call: Call) -> Job:
    from procrastinate.jobs import Job

    return Job(
        id=None,
        queue=queue_of(call.location),
        lock=None,
        queueing_lock=None,
        task_name=TASK,
        task_kwargs=call.question.as_arguments(),
    )


async def _prune(app: App, queue: str) -> None:
    """Jobs that have ended remove themselves; those that could not are removed here."""
    await app.job_manager.delete_old_jobs(
        nb_hours=1, queue=queue, include_failed=True, include_cancelled=True, include_aborted=True
    )
