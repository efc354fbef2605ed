"""The daemon's side: hands looks to the workers of their location, waits for what they saw, and no longer than that."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from healthd.metrics import Metrics
from healthd.model.catalogue import Catalogue, Check
from healthd.model.outcomes import Observation, ProbeError
from healthd.model.tasks import end_tasks
from healthd.model.units import format_duration
from healthd.schedule import Attempt, Due
from healthd.settings import Settings
from healthd.store.base import StoreError
from healthd.workers.letters import Answer, Question
from healthd.workers.place import Place
from healthd.workers.switchboard import Call, Switchboard
from healthd.workers.terms import locations, obstacle

BEGIN = 4.0  # seconds beyond two leases: within all of it a look is begun, by a second worker if the first is lost
DELIVERY = timedelta(seconds=3)  # for a look that does not end when told to, and for its answer to come back
HUNG = 0.9  # of a check's time: a look that took longer waited for something that did not answer
TICK = 0.5
HANGS = 5.0  # seconds for what a tick does
SWEEP = 600.0

log = structlog.get_logger("healthd.workers")


class Dispatch:
    """Implements Elsewhere for the looks, and Service for the daemon. Does nothing until a check has a location."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._lease = settings.worker_lease.total_seconds()
        self._begin = 2 * self._lease + BEGIN
        self._places: dict[str, Place] = {}
        self._hung: set[str] = set()
        self._obstacle = ""
        self._trouble = ""  # why the workers cannot be asked just now
        self._line: Switchboard | None = None
        self._task: asyncio.Task[None] | None = None

    # -- as a service ------------------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Nothing is remembered: whom a daemon before this one asked is told not to bother once there is a line."""

    def adopt(self, catalogue: Catalogue) -> None:
        """Its locations count from now on."""
        wanted = locations(catalogue)
        now = asyncio.get_running_loop().time()
        for name in [name for name in self._places if name not in wanted]:
            self._places.pop(name).give_up(ProbeError("the location is not in the catalogue any more", "worker"))
            self._forget(name)
        self._places |= {name: Place(name, now) for name in wanted if name not in self._places}
        self._obstacle = obstacle(self._settings) if wanted else ""
        if self._obstacle:
            log.error("no_workers_here", locations=sorted(wanted), reason=self._obstacle)
        elif wanted and self._task is None:
            self._line = Switchboard(self._settings)
            self._task = asyncio.get_running_loop().create_task(self._keep(self._line))

    async def scan(self, now: datetime) -> None:
        """What there is to do is done beside the other services: none of them waits for it."""

    async def close(self) -> None:
        """Looks that are under way may still be answered: see `end`."""

    async def end(self) -> None:
        """Once no look is under way."""
        await end_tasks([self._task])
        if self._line is not None:
            with suppress(StoreError, TimeoutError):
                await asyncio.wait_for(self._line.close(), 2)

    # -- one look ----------------------------------------------------------------------------------------------------

    async def look(self, due: Due, started: datetime) -> Attempt[Observation]:
        """Have a worker look. Never raises anything but CancelledError: without an answer it is a ProbeError."""
        clock = asyncio.get_running_loop().time
        began, check = clock(), due.check
        try:
            answer = await self._ask(due)
        except ProbeError as error:
            self._count(check.location, "unanswered")
            return Attempt(None, error, started, timedelta(seconds=clock() - began))
        self._remember(check, answer)
        waited = max(timedelta(0), timedelta(seconds=clock() - began) - answer.duration)
        return Attempt(answer.observation, answer.error, started + waited, answer.duration, answer.attempts)

    async def _ask(self, due: Due) -> Answer:
        location = due.check.location
        place, line = self._places.get(location), self._line
        if place is None or line is None:
            raise ProbeError(self._obstacle or f"{location}: the location is not in the catalogue any more", "config")
        if self._is_silent(place):
            raise self._nobody(place)
        async with place.turn(hangs=due.check.id in self._hung):
            return await self._answer(due, place, line)

    async def _answer(self, due: Due, place: Place, line: Switchboard) -> Answer:
        """It is its turn: put the job into the queue, and wait for its end."""
        loop = asyncio.get_running_loop()
        begin_by = loop.time() + self._begin
        try:
            async with asyncio.timeout_at(begin_by):
                call = await line.call(place.name, Question.of(due, line.clock() + self._begin), begin_by)
        except (StoreError, TimeoutError) as error:
            raise self._cut_off(error) from None
        try:
            await asyncio.wait((call.answer,), timeout=begin_by - loop.time())
            if not call.answer.done() and await self._withdrawn(call, line):
                raise self._nobody(place)
            whole = due.check.timeout + DELIVERY
            await asyncio.wait((call.answer,), timeout=whole.total_seconds())
            if not call.answer.done():
                raise ProbeError(f"the worker at {place.name} did not answer within {_words(whole)}", "worker")
            return call.answer.result()
        finally:
            line.hang_up(call)

    async def _withdrawn(self, call: Call, line: Switchboard) -> bool:
        """Whether nobody had begun it, as far as the database says."""
        try:
            async with asyncio.timeout(DELIVERY.total_seconds()):
                return await line.withdraw(call)
        except (StoreError, TimeoutError) as error:
            raise self._cut_off(error) from None

    def _remember(self, check: Check, answer: Answer) -> None:
        """Who hangs waits for those turns from now on."""
        down = answer.observation is None or answer.observation.note
        if down and answer.duration >= check.timeout * HUNG:
            self._hung.add(check.id)
        else:
            self._hung.discard(check.id)
        self._count(check.location, "answered")
        self._metrics.worker_look.labels(check.location).observe(answer.duration.total_seconds())

    # -- why there is no answer --------------------------------------------------------------------------------------

    def _is_silent(self, place: Place) -> bool:
        return place.silence(asyncio.get_running_loop().time()) > self._lease

    def _nobody(self, place: Place) -> ProbeError:
        if self._trouble:
            return ProbeError(self._trouble, "worker")
        if place.alive and not self._is_silent(place):
            begin = format_duration(self._begin)
            return ProbeError(f"the workers at {place.name} are busy: none began the look within {begin}", "worker")
        seen = f"last seen {place.seen:%Y-%m-%d %H:%M:%S} UTC" if place.seen else "none has been seen"
        return ProbeError(
            f"no worker answers at {place.name} ({seen}): is `healthd worker --location {place.name}` running?",
            "worker",
        )

    def _cut_off(self, error: StoreError | TimeoutError) -> ProbeError:
        reason = error.reason if isinstance(error, StoreError) else "the database does not answer"
        return ProbeError(f"the workers cannot be asked: {reason}", "worker")

    # -- beside the looks --------------------------------------------------------------------------------------------

    async def _keep(self, line: Switchboard) -> None:
        """As long as the daemon leads."""
        clock = asyncio.get_running_loop().time
        swept = -SWEEP
        while True:
            try:
                async with asyncio.timeout(HANGS):
                    await line.open()
                    presences = await line.turn()
                    if clock() - swept > SWEEP:
                        swept = clock()
                        await line.sweep()
                if self._trouble:
                    log.info("workers_can_be_asked")
                self._trouble = ""
                for place in self._places.values():
                    place.hear(presences.get(place.name), clock())
            except (StoreError, TimeoutError) as error:
                reason = self._cut_off(error).reason
                if not self._trouble:
                    log.error("workers_cannot_be_asked", reason=reason)
                self._trouble = reason
            except Exception:
                log.exception("dispatch_failed")
            self._look_after_places()
            await asyncio.sleep(TICK)

    def _look_after_places(self) -> None:
        metrics = self._metrics
        for name, place in self._places.items():
            if self._is_silent(place):
                place.alive = 0
                place.give_up(self._nobody(place))
            metrics.workers.labels(name).set(place.alive)
            metrics.worker_waiting.labels(name).set(place.waiting)
            metrics.worker_under_way.labels(name).set(place.under_way)
            if place.seen is not None:
                metrics.worker_seen.labels(name).set(place.seen.timestamp())

    def _count(self, location: str, outcome: str) -> None:
        self._metrics.worker_looks.labels(location, outcome).inc()

    def _forget(self, name: str) -> None:
        metrics = self._metrics
        for gauge in (metrics.workers, metrics.worker_waiting, metrics.worker_under_way, metrics.worker_seen):
            with suppress(KeyError):
                gauge.remove(name)

    def standing(self) -> dict[str, tuple[int, str]]:
        """By location: how many workers are alive there, and what is wrong, if anything."""
        found = {}
        for name, place in self._places.items():
            problem = self._obstacle or ("" if place.alive else self._nobody(place).reason)
            found[name] = (place.alive, problem)
        return found


def _words(duration: timedelta) -> str:
    return format_duration(duration.total_seconds())
