"""The scheduler on a real event loop. Its wall clock is injected: it runs in real time and can be set."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import time_machine

from healthd.model.catalogue import Check
from healthd.schedule import Due, Scheduler, mark_key
from tests.factories import cron, every, make_check

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
        self._news.set()

    def miss(self, check_id: str, count: int) -> None:
        self.missed[check_id] += count
        self._news.set()

    def jump(self, seconds: float) -> None:
        self.jumps.append(seconds)
        self._news.set()

    async def until(self, holds: Callable[[], bool], timeout: float = 10) -> None:
        async with asyncio.timeout(timeout):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def launched(self, count: int) -> list[Due]:
        await self.until(lambda: len(self.dues) >= count)
        return self.dues

    def of(self, check_id: str) -> list[datetime]:
        return [due.at for due in self.dues if due.check.id == check_id]


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


# --- intervals


async def test_an_interval_check_runs_on_its_grid_at_once_and_after_a_restart() -> None:
    check = make_check(rules=(every(0.3),))
    clock = WallClock(utc("2026-01-15T12:00"))
    async with desk([check], clock.now) as first:
        await first.launched(4)
    async with desk([check], clock.now) as second:
        await second.launched(2)
    times = first.of("shop/web")
    assert all(b - a == 300 * MS for a, b in pairwise(times))
    assert all((at - times[0]) % (300 * MS) == timedelta(0) for at in second.of("shop/web"))
    assert {(due.trigger, due.late, due.mark) for due in first.dues} == {("schedule", False, "")}
    assert max(first.lags) < 0.25
    assert not first.missed


async def test_a_thousand_checks_all_run_every_second_spread_and_punctual() -> None:
    checks = [make_check(name=f"c{n}", rules=(every(1),)) for n in range(1000)]
    async with desk(checks, lambda: datetime.now(UTC)) as it:
        await it.launched(2500)
    assert not it.missed
    for check in checks:
        assert all(b - a == timedelta(seconds=1) for a, b in pairwise(it.of(check.id)))
    per_slot = Counter(it.dues[n].at for n in range(1000))
    assert max(per_slot.values()) < 200, "ten slots share a second's 1000 checks about evenly"
    assert sorted(it.lags)[int(len(it.lags) * 0.99)] < 0.25


async def test_a_blocked_loop_runs_what_it_missed_once_and_counts_the_rest() -> None:
    async with desk([make_check(rules=(every(0.2),))], lambda: datetime.now(UTC)) as it:
        await it.launched(1)
        time.sleep(1.1)  # what this test is about
        before = len(it.dues)
        await it.launched(before + 2)
    times = it.of("shop/web")
    steps = [(b - a) // (200 * MS) for a, b in pairwise(times)]
    assert it.missed["shop/web"] == sum(steps) - len(steps) >= 4
    assert len(set(times)) == len(times)
    assert max(it.lags) < 1.2


async def test_a_long_interval_runs_soon_after_the_first_start_but_not_again_after_a_restart() -> None:
    hourly = [make_check(name=f"h{n}", rules=(every(3600),)) for n in range(5)]
    often = make_check(name="often", rules=(every(60),))
    now = utc("2026-01-15T12:00:01")
    async with desk([*hourly, often], WallClock(now).now) as first:
        await first.launched(5)
    assert {due.check.id for due in first.dues} == {check.id for check in hourly}
    assert {due.trigger for due in first.dues} == {"startup"}
    assert first.started[-1] - first.started[0] > 300 * MS, "spread"

    ran = {check.id: now - timedelta(minutes=1) for check in hourly[:4]} | {hourly[4].id: now - timedelta(hours=3)}
    async with desk(hourly, WallClock(now).now, last_runs=ran) as second:
        await second.launched(1)
        await asyncio.sleep(0.3)
    assert [due.check.id for due in second.dues] == [hourly[4].id]


# --- the calendar


async def test_a_cadence_fires_its_checks_one_after_another_under_its_calendar_time() -> None:
    checks = [morning(f"c{n}") for n in range(5)]
    async with desk(checks, WallClock(utc("2026-01-15T07:59:59.7")).now) as it:
        await it.launched(5)
        assert it.scheduler.replace(checks) == {}
        await asyncio.sleep(0.2)
    assert {due.at for due in it.dues} == {utc("2026-01-15T08:00")}
    assert {(due.trigger, due.cadence, due.late) for due in it.dues} == {("schedule", "morning", False)}
    assert {due.mark for due in it.dues} == {f"shop/c{n}|morning" for n in range(5)}
    assert all(80 * MS < b - a < 300 * MS for a, b in pairwise(it.started))
    assert max(it.lags) < 0.2, "splay is no lag"
    assert len(it.dues) == 5


async def test_the_order_of_a_firing_is_always_the_same() -> None:
    orders = []
    for checks in ([morning(f"c{n}") for n in range(4)], [morning(f"c{n}") for n in (2, 0, 3, 1)]):
        async with desk(checks, WallClock(utc("2026-01-15T07:59:59.9")).now) as it:
            orders.append([due.check.id for due in await it.launched(4)])
    assert orders[0] == orders[1]


async def test_two_rules_firing_at_once_both_store_their_mark() -> None:
    check = make_check(rules=(cron("0 8 * * *"), cron("0 8 15 * *")))
    async with desk([check], WallClock(utc("2026-01-15T07:59:59.9")).now) as it:
        dues = await it.launched(2)
    assert {due.mark for due in dues} == {mark_key(check.id, rule, "") for rule in check.rules}


async def test_a_rule_that_fires_while_a_reload_is_under_way_is_not_lost() -> None:
    clock = WallClock(utc("2026-01-15T07:59:59.9"))
    readings = [clock.now(), utc("2026-01-15T08:00:00.1")]  # the second hand passes 08:00 in the middle of start

    def now() -> datetime:
        return readings.pop(0) if readings else clock.now() + 200 * MS

    async with desk([morning()], now) as it:
        assert [due.at for due in await it.launched(1)] == [utc("2026-01-15T08:00")]


# --- catching up


async def test_a_new_calendar_job_gets_a_mark_to_store_and_nothing_to_catch_up() -> None:
    now = utc("2026-01-15T08:30")
    async with desk([morning()], WallClock(now).now) as it:
        assert list(it.marks) == [MORNING_MARK]
        assert abs(it.marks[MORNING_MARK] - now) < timedelta(seconds=1)
        await asyncio.sleep(0.15)
        assert it.dues == []


async def test_a_run_missed_while_down_is_caught_up_once_within_its_grace() -> None:
    now = utc("2026-01-15T08:30")
    stored = {MORNING_MARK: utc("2026-01-12T08:00")}
    async with desk([morning(grace=HOUR)], WallClock(now).now, marks=stored) as it:
        (due,) = await it.launched(1)
    assert (due.at, due.trigger, due.cadence, due.late) == (utc("2026-01-15T08:00"), "catch-up", "morning", True)
    assert it.missed == {"shop/web": 2}, "13 and 14 January"
    assert it.marks == {MORNING_MARK: utc("2026-01-14T08:00")}, "those are not to be counted again"
    assert it.lags == [], "being down is not lag"

    async with desk([morning(grace=HOUR)], WallClock(now).now, marks=it.marks) as again:
        assert [due.at for due in await again.launched(1)] == [due.at], "its outcome was not stored"
    assert not again.missed
    async with desk([morning(grace=HOUR)], WallClock(now).now, marks={due.mark: due.at}) as done:
        await asyncio.sleep(0.15)
    assert (done.dues, done.missed, done.marks) == ([], {}, {})


async def test_a_run_missed_beyond_its_grace_is_only_counted() -> None:
    stored = {MORNING_MARK: utc("2026-01-13T08:00")}
    async with desk([morning(grace=HOUR)], WallClock(utc("2026-01-15T09:00:01")).now, marks=stored) as it:
        await asyncio.sleep(0.15)
    assert it.dues == []
    assert it.missed == {"shop/web": 2}
    assert it.marks == {MORNING_MARK: utc("2026-01-15T08:00")}


async def test_months_of_missed_minutes_do_not_hold_up_the_start() -> None:
    checks = [make_check(name=f"c{n}", rules=(cron("* * * * *"),)) for n in range(200)]
    stored = {mark_key(check.id, check.rules[0], ""): utc("2025-06-01T00:00") for check in checks}
    begin = time.perf_counter()
    async with desk(checks, WallClock(utc("2026-01-15T08:30:30")).now, marks=stored) as it:
        assert time.perf_counter() - begin < 1
        await it.launched(20)
    assert set(it.missed.values()) == {7 * 24 * 60 - 1}, "as far as a week back"


async def test_everything_caught_up_at_start_is_spread_over_all_jobs() -> None:
    checks = [make_check(name=f"c{n}", rules=(cron(f"{n} 8 * * *"),)) for n in range(6)]
    stored = {mark_key(check.id, check.rules[0], ""): utc("2026-01-14T12:00") for check in checks}
    async with desk(checks, WallClock(utc("2026-01-15T08:30")).now, marks=stored) as it:
        await it.launched(6)
    assert all(b - a > 80 * MS for a, b in pairwise(it.started))


# --- reload


async def test_a_reload_keeps_the_rhythm_of_what_stays_and_uses_its_new_definition() -> None:
    old = [make_check(name=name, rules=(every(0.3),)) for name in ("stays", "goes")]
    new = [make_check(name=name, rules=(every(0.3),), title="new") for name in ("stays", "comes")]
    async with desk(old, lambda: datetime.now(UTC)) as it:
        await it.until(lambda: len(it.of("shop/stays")) >= 2 and len(it.of("shop/goes")) >= 2)
        for _ in range(3):
            it.scheduler.replace(new)
        gone = len(it.of("shop/goes"))
        await it.until(lambda: len(it.of("shop/stays")) >= 6 and len(it.of("shop/comes")) >= 2)
    assert all(b - a == 300 * MS for a, b in pairwise(it.of("shop/stays")))
    assert len(it.of("shop/goes")) == gone
    assert {due.check.title for due in it.dues if due.check.name == "stays"} == {"Shop front", "new"}
    assert not it.missed


async def test_a_reload_in_the_middle_of_a_firing_skips_only_what_was_removed() -> None:
    checks = [morning(f"c{n}") for n in range(6)]
    async with desk(checks, WallClock(utc("2026-01-15T07:59:59.9")).now) as it:
        await it.launched(2)
        waiting = [check for check in checks if check.id not in {due.check.id for due in it.dues}]
        assert it.scheduler.replace([check for check in checks if check is not waiting[0]]) == {}
        await it.launched(5)
        await asyncio.sleep(0.15)
    assert {due.check.id for due in it.dues} == {check.id for check in checks} - {waiting[0].id}
    assert len(it.dues) == 5


async def test_what_a_reload_adds_begins_and_disabled_checks_never_run() -> None:
    clock = WallClock(utc("2026-01-15T07:59:59.5"))
    off = make_check(name="off", rules=(every(0.1),), enabled=False)
    async with desk([], clock.now) as it:
        marks = it.scheduler.replace([morning(), off, make_check(name="daily", rules=(every(86400),))])
        assert list(marks) == [MORNING_MARK]
        await it.launched(2)
    assert {(due.check.name, due.trigger) for due in it.dues} == {("daily", "startup"), ("web", "schedule")}


# --- one-off runs


async def test_a_confirmation_runs_once_the_last_request_counts_and_it_can_be_taken_back() -> None:
    checks = [make_check(name=name, rules=(every(3600),)) for name in ("a", "b")]
    clock = WallClock(utc("2026-01-15T08:30"))
    ran = {check.id: clock.now() for check in checks}
    async with desk(checks, clock.now, last_runs=ran) as it:
        it.scheduler.once("shop/a", clock.now() + HOUR, "confirm")
        it.scheduler.once("shop/a", at := clock.now() + 150 * MS, "confirm")
        it.scheduler.once("shop/b", clock.now() + 50 * MS, "confirm")
        it.scheduler.cancel_once("shop/b", "confirm")
        it.scheduler.cancel_once("shop/b", "confirm")
        it.scheduler.once("shop/unknown", clock.now(), "confirm")
        clock.jump(-HOUR)
        await it.launched(1)
        await asyncio.sleep(0.1)
    assert [(due.check.id, due.at, due.trigger, due.mark) for due in it.dues] == [("shop/a", at, "confirm", "")]


# --- clocks that are set


async def test_a_clock_set_forward_catches_up_what_it_passed_once() -> None:
    checks = [morning("within", grace=2 * HOUR), morning("beyond", grace=timedelta(minutes=30))]
    clock = WallClock(utc("2026-01-15T06:00"))
    async with desk(checks, clock.now) as it:
        clock.jump(3 * DAY + 3 * HOUR)
        (due,) = await it.launched(1)
        await it.until(lambda: bool(it.jumps))
        clock.jump(-HOUR - timedelta(minutes=1))  # 07:59 again
        await it.until(lambda: len(it.jumps) == 2)
        clock.jump(2 * timedelta(minutes=1))  # and 08:01
        await it.until(lambda: len(it.jumps) == 3)
        await asyncio.sleep(0.2)
    assert (due.check.name, due.at, due.trigger, due.late) == ("within", utc("2026-01-18T08:00"), "catch-up", True)
    assert it.dues == [due], "the same time does not come twice"
    assert it.missed == {"shop/within": 3, "shop/beyond": 4}
    assert [round(jump) for jump in it.jumps] == [3 * 86400 + 3 * 3600, -3660, 120]


async def test_a_clock_that_was_a_year_ahead_does_not_stop_the_calendar() -> None:
    clock = WallClock(utc("2026-01-15T07:00"))
    async with desk([morning()], clock.now) as it:
        clock.jump(365 * DAY + 1.5 * HOUR)
        await it.until(lambda: len(it.dues) == 1 and len(it.jumps) == 1)
        clock.jump(-365 * DAY - 1.5 * HOUR)
        await it.until(lambda: len(it.jumps) == 2)
        clock.jump(timedelta(minutes=59, seconds=59.5))
        await it.launched(2)
    assert it.of("shop/web") == [utc("2027-01-15T08:00"), utc("2026-01-15T08:00")]


async def test_a_mark_from_a_clock_that_was_ahead_neither_blocks_nor_repeats() -> None:
    clock = WallClock(utc("2026-01-15T07:59:59.8"))
    stored = {MORNING_MARK: utc("2027-01-15T08:00")}
    async with desk([morning()], clock.now, marks=stored) as it:
        assert [due.at for due in await it.launched(1)] == [utc("2026-01-15T08:00")]
    clock = WallClock(utc("2026-01-15T07:59:59.8"))
    async with desk([morning()], clock.now, marks={MORNING_MARK: utc("2026-01-15T08:00")}) as it:
        await asyncio.sleep(0.6)
    assert it.dues == []


async def test_interval_checks_keep_their_pace_when_the_clock_is_set_back_or_forward() -> None:
    clock = WallClock(utc("2026-01-15T08:30"))
    async with desk([make_check(rules=(every(0.3),))], clock.now) as it:
        await it.launched(2)
        clock.jump(-2 * HOUR)
        await it.launched(5)
        clock.jump(4 * HOUR)
        await it.launched(8)
    elapsed = [b - a for a, b in pairwise(it.started)]
    assert sorted(gap for gap in elapsed if abs(gap) < HOUR)[-1] < 900 * MS
    assert len(set(it.of("shop/web"))) == len(it.dues)


async def test_after_a_long_stall_interval_checks_do_not_start_all_at_once() -> None:
    checks = [make_check(name=f"c{n}", rules=(every(30),)) for n in range(300)]
    clock = WallClock(utc("2026-01-15T08:30"))
    async with desk(checks, clock.now) as it:
        clock.jump(8 * HOUR)
        await it.until(lambda: bool(it.jumps))
        await asyncio.sleep(1)
    assert 5 < len(it.dues) < 150
    assert all(count >= 8 * 120 - 2 for count in it.missed.values())


async def test_apscheduler_follows_the_system_clock_too() -> None:
    """The same with the system's clock set, as far as a process can: what Python tells of it is."""
    with time_machine.travel(utc("2026-01-15T07:00"), tick=True) as traveller:
        async with desk([morning(), make_check(name="often", rules=(every(0.3),))], lambda: datetime.now(UTC)) as it:
            await it.launched(1)
            traveller.move_to(utc("2026-01-15T05:00"), tick=True)
            await it.until(lambda: len(it.jumps) == 1)
            seen = len(it.dues)
            await it.launched(seen + 2)
            assert it.of("shop/web") == []
            traveller.move_to(utc("2026-01-15T08:30"), tick=True)
            await it.until(lambda: it.of("shop/web") == [utc("2026-01-15T08:00")])


# --- bad days


async def test_a_launch_that_fails_does_not_take_the_others_along() -> None:
    class Clumsy(Desk):
        def launch(self, due: Due) -> None:
            super().launch(due)
            if due.check.name == "bad":
                raise RuntimeError("launch failed")

    it = Clumsy(lambda: datetime.now(UTC))
    names = ["a", "bad", "c"]
    it.scheduler.start([make_check(name=name, rules=(every(0.1),)) for name in names], {}, {})
    await it.until(lambda: all(len(it.of(f"shop/{name}")) >= 3 for name in names))
    it.scheduler.stop()


async def test_nothing_is_launched_after_stop() -> None:
    checks = [make_check(rules=(every(0.1),)), morning("m"), morning("n")]
    clock = WallClock(utc("2026-01-15T07:59:59.9"))
    async with desk(checks, clock.now) as it:
        it.scheduler.once("shop/web", clock.now() + 100 * MS)
        await it.launched(1)
        it.scheduler.stop()
        launched = len(it.dues)
        assert it.scheduler.replace(checks) == {}
        await asyncio.sleep(0.4)
    assert len(it.dues) == launched
