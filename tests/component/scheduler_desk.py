"""What the scheduler's tests share: a wall clock that can be set, and a desk where everything is written down."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from healthd.model.catalogue import Check
from healthd.schedule import Due, Scheduler
from tests.factories import cron, make_check

MS = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class WallClock:
    """Shows `start` now, runs on in real time, and can be set forward and back."""

    def __init__(self, start: datetime) -> None:
        self._offset = start - self._elapsed()

    @staticmethod
    def _elapsed() -> timedelta:
        return timedelta(seconds=time.monotonic())

    def now(self) -> datetime:
        return self._offset + self._elapsed()

    def jump(self, by: timedelta) -> None:
        self._offset += by


class Desk:
    """A scheduler with everything it says written down."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.dues: list[Due] = []
        self.started: list[datetime] = []
        self.missed: Counter[str] = Counter()
        self.missed_between: Counter[str] = Counter()  # two runs; on a machine that stalls there are some beyond
        self._missed_since: dict[str, int] = {}
        self.lags: list[float] = []
        self.jumps: list[float] = []
        self.marks: dict[str, datetime] = {}
        self._news = asyncio.Event()
        self.scheduler = Scheduler(
            self.launch,
            now=now,
            on_missed=self.miss,
            on_lag=self.lags.append,
            on_clock_jump=self.jump,
            watch_every=50 * MS,
        )

    def launch(self, due: Due) -> None:
        self.dues.append(due)
        self.started.append(self.now())
        self.missed_between[due.check.id] += self._missed_since.get(due.check.id, 0)
        self._missed_since[due.check.id] = 0
        self._news.set()

    def miss(self, check_id: str, count: int) -> None:
        self.missed[check_id] += count
        if check_id in self._missed_since:  # it has run
            self._missed_since[check_id] += count
        self._news.set()

    def jump(self, seconds: float) -> None:
        self.jumps.append(seconds)
        self._news.set()

    async def until(self, holds: Callable[[], bool], timeout: float = 30) -> None:
        async with asyncio.timeout(timeout):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def launched(self, count: int) -> list[Due]:
        await self.until(lambda: len(self.dues) >= count)
        return self.dues

    def of(self, check_id: str) -> list[datetime]:
        return [due.at for due in self.dues if due.check.id == check_id]

    def assert_in_step(self, check_id: str, every: timedelta) -> None:
        """Every due time of the check ran once, or (on a machine that stalls) was counted as missed."""
        steps = [(b - a) / every for a, b in pairwise(self.of(check_id))]
        assert all(step >= 1 and step == int(step) for step in steps)
        assert sum(steps) == len(steps) + self.missed_between[check_id]

    def assert_one_after_another(self, begin: datetime) -> None:
        """Each start came 100 ms after the one before, or later."""
        early = 10 * MS
        assert all(at > begin + n * 100 * MS - early for n, at in enumerate(self.started))


@asynccontextmanager
async def desk(
    checks: Iterable[Check],
    now: Callable[[], datetime],
    *,
    marks: Mapping[str, datetime] | None = None,
    last_runs: Mapping[str, datetime] | None = None,
) -> AsyncIterator[Desk]:
    it = Desk(now)
    it.marks = it.scheduler.start(checks, marks or {}, last_runs or {})
    try:
        yield it
    finally:
        it.scheduler.stop()


def morning(name: str = "web", **overrides: object) -> Check:
    """Runs at 09:00 in Madrid: 08:00 UTC in winter."""
    fields = {"rules": (cron("0 9 * * *", zone="Europe/Madrid"),), "cadences": ("morning",), "name": name}
    return make_check(**{**fields, **overrides})


MORNING_MARK = "shop/web|morning"
