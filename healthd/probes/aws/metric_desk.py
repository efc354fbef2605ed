"""Many metric checks, few requests: what is asked of CloudWatch at about the same time goes out together.

A desk waits a moment for others before it asks. It also remembers who asked shortly after whom the last time, and asks
for them beforehand, so that checks whose starts are spread over seconds share one request all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta

from healthd.probes.aws.metric_query import Answer, Query
from healthd.probes.base import ProbeError

__all__ = ["MetricDesk"]

KEPT = timedelta(seconds=15)  # an answer serves this long; checks of one firing start within ten seconds
QUERIES_MAX = 500  # in one request: a limit of CloudWatch
_GATHER, _GATHER_STRANGERS = 0.02, 0.25  # seconds to wait for others: when they are known, when they are not
_GATHER_MAX = 2.5
_REMEMBERED = 5000
_NEAR = timedelta(hours=3)  # queries over different times share a request if all of them are short

Ask = Callable[[list[Query], datetime], Awaitable[dict[Query, Answer]]]


class MetricDesk:
    """Questions to one region of one account. `ask` sends one request."""

    def __init__(self) -> None:
        self._asked: dict[Query, datetime] = {}  # when each was asked the last time, the latest last
        self._answers: dict[Query, tuple[datetime, asyncio.Future[Answer]]] = {}
        self._waiting: dict[Query, asyncio.Future[Answer]] = {}
        self._alone: set[Query] = set()  # those CloudWatch refused: they would spoil it for the others
        self._timer: asyncio.TimerHandle | None = None
        self._opened = 0.0  # when the first of those waiting came
        self._sending: set[asyncio.Task[None]] = set()

    async def answer(self, query: Query, now: datetime, ask: Ask) -> Answer:
        """The answer to a query, at most fifteen seconds old. Raises what `ask` raises."""
        before = self._remember(query, now)
        kept = self._answers.get(query)
        if kept is not None and abs(now - kept[0]) < min(KEPT, timedelta(seconds=query.period)):
            return await asyncio.shield(kept[1])
        future = self._expect(query, now)
        if before is not None:
            for other in self._followers(query, before):
                self._expect(other, now)
        self._send_soon(now, ask, _GATHER_STRANGERS if before is None else _GATHER)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Nobody waits any longer."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._sending:
            task.cancel()

    def _remember(self, query: Query, now: datetime) -> datetime | None:
        before = self._asked.pop(query, None)
        self._asked[query] = now
        if len(self._asked) > _REMEMBERED:
            del self._asked[next(iter(self._asked))]
        return before

    def _followers(self, query: Query, before: datetime) -> Iterator[Query]:
        """Those asked soon after `query` the last time, and not yet since then."""
        for other, at in self._asked.items():
            # as long as an answer is kept, and a little less: it takes time to come
            follows = timedelta(0) <= at - before < KEPT * 0.9 and other != query
            if follows and other not in self._alone and timedelta(seconds=other.period) >= KEPT:
                yield other

    def _expect(self, query: Query, now: datetime) -> asyncio.Future[Answer]:
        if query not in self._waiting:
            future = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._waiting[query] = future
            self._answers[query] = (now, future)
        return self._waiting[query]

    def _send_soon(self, now: datetime, ask: Ask, pause: float) -> None:
        """Send what waits when nobody has come for a while, with the latest `ask`: it has most time left."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._opened, at = loop.time(), loop.time() + pause
        else:
            self._timer.cancel()
            at = min(self._opened + _GATHER_MAX, max(self._timer.when(), loop.time() + pause))
        self._timer = loop.call_at(at, self._send_now, now, ask)

    def _send_now(self, now: datetime, ask: Ask) -> None:
        waiting, self._waiting, self._timer = self._waiting, {}, None
        self._forget_old(now)
        for part in self._parts(list(waiting)):
            task = asyncio.get_running_loop().create_task(self._settle(part, waiting, now, ask))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def _forget_old(self, now: datetime) -> None:
        for query, (at, future) in list(self._answers.items()):
            if future.done() and abs(now - at) >= KEPT:
                del self._answers[query]

    def _parts(self, queries: list[Query]) -> list[list[Query]]:
        """What can go into one request: not those that must be alone, not seconds with months, not too many."""
        alone = [query for query in queries if query.alone or query in self._alone]
        parts = [[query] for query in alone]
        by_reach: dict[timedelta, list[Query]] = {}
        for query in queries:
            if not (query.alone or query in self._alone):
                by_reach.setdefault(max(query.over, _NEAR), []).append(query)
        for group in by_reach.values():
            size = QUERIES_MAX + 1
            for query in group:
                if (size := size + query.size) > QUERIES_MAX:
                    parts.append([])
                    size = query.size
                parts[-1].append(query)
        return parts

    async def _settle(
        self, part: list[Query], waiting: dict[Query, asyncio.Future[Answer]], now: datetime, ask: Ask
    ) -> None:
        try:
            answers = await ask(part, now)
        except BaseException as error:  # noqa: BLE001 - handed to those who wait
            if isinstance(error, ProbeError) and error.kind == "config" and len(part) > 1:
                # CloudWatch refuses all because of one: find it, and keep it apart from now on
                half = len(part) // 2
                await self._settle(part[:half], waiting, now, ask)
                await self._settle(part[half:], waiting, now, ask)
                return
            if isinstance(error, ProbeError) and error.kind == "config":
                self._alone.update(part)
            for query in part:
                self._fail(query, waiting[query], error)
            return
        for query in part:
            if not waiting[query].done():
                waiting[query].set_result(answers[query])

    def _fail(self, query: Query, future: asyncio.Future[Answer], error: BaseException) -> None:
        if self._answers.get(query, (None, None))[1] is future:
            del self._answers[query]
        if isinstance(error, asyncio.CancelledError):
            future.cancel()
        elif not future.done():
            future.set_exception(error)
