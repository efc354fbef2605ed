"""The scheduler after downtime, and when the wall clock is set."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import time_machine

from healthd.schedule import mark_key
from tests.component.scheduler_desk import DAY, HOUR, MORNING_MARK, WallClock, desk, morning, utc
from tests.factories import cron, every, make_check

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


async def test_a_long_grace_reaches_back_as_far_as_it_says() -> None:
    drill = make_check(rules=(cron("0 9 1 1,4,7,10 *"),), cadences=("quarterly",), grace=14 * DAY)
    stored = {"shop/web|quarterly": utc("2025-10-01T09:00")}
    async with desk([drill], WallClock(utc("2026-01-12T12:00")).now, marks=stored) as it:
        (due,) = await it.launched(1)
    assert (due.at, due.late, it.missed) == (utc("2026-01-01T09:00"), True, {})


async def test_what_a_reload_brings_back_owes_nothing_for_the_time_between() -> None:
    clock = WallClock(utc("2026-01-15T08:30"))
    async with desk([morning()], clock.now, marks={MORNING_MARK: utc("2026-01-15T08:00")}) as it:
        assert it.scheduler.replace([]) == {}
        assert list(it.scheduler.replace([morning()])) == [MORNING_MARK]
        assert it.scheduler.replace([morning()]) == {}


async def test_months_of_missed_minutes_do_not_hold_up_the_start() -> None:
    checks = [make_check(name=f"c{n}", rules=(cron("* * * * *"),)) for n in range(200)]
    stored = {mark_key(check.id, check.rules[0], ""): utc("2025-06-01T00:00") for check in checks}
    begin = time.process_time()
    async with desk(checks, WallClock(utc("2026-01-15T08:30:30")).now, marks=stored) as it:
        assert time.process_time() - begin < 1
        await it.launched(20)
    assert set(it.missed.values()) == {7 * 24 * 60 - 1}, "as far as a week back"


async def test_everything_caught_up_at_start_is_spread_over_all_jobs() -> None:
    checks = [make_check(name=f"c{n}", rules=(cron(f"{n} 8 * * *"),)) for n in range(6)]
    stored = {mark_key(check.id, check.rules[0], ""): utc("2026-01-14T12:00") for check in checks}
    async with desk(checks, WallClock(utc("2026-01-15T08:30")).now, marks=stored) as it:
        await it.launched(6)
    it.assert_one_after_another(utc("2026-01-15T08:30"))


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
    assert sorted(gap for gap in elapsed if abs(gap) < HOUR)[-1] < timedelta(seconds=3)
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
