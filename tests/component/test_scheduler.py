"""The scheduler on a real event loop: intervals, calendar firings, reloads, one-off runs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from healthd.schedule import Due, mark_key
from tests.component.scheduler_desk import HOUR, MORNING_MARK, MS, Desk, WallClock, desk, morning, utc
from tests.factories import cron, every, make_check

# --- intervals


@asynccontextmanager
async def held_up() -> AsyncIterator[list[float]]:
    """By how many seconds the event loop came late: with little of the processor used, that is the machine's doing."""
    pauses = [0.0]

    async def watch() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.02)
            pauses.append(time.monotonic() - began - 0.02)

    watching = asyncio.create_task(watch())
    try:
        yield pauses
    finally:
        watching.cancel()


async def test_an_interval_check_runs_on_its_grid_at_once_and_after_a_restart() -> None:
    check = make_check(rules=(every(0.3),))
    clock = WallClock(utc("2026-01-15T12:00"))
    async with desk([check], clock.now) as first:
        await first.launched(4)
    async with desk([check], clock.now) as second:
        await second.launched(2)
    times = first.of("shop/web")
    first.assert_in_step("shop/web", 300 * MS)
    assert all((at - times[0]) % (300 * MS) == timedelta(0) for at in second.of("shop/web"))
    assert {(due.trigger, due.late, due.mark) for due in first.dues} == {("schedule", False, "")}
    assert max(first.lags) < 0.3


async def test_a_thousand_checks_all_run_every_second_spread_and_punctual() -> None:
    checks = [make_check(name=f"c{n}", rules=(every(1),)) for n in range(1000)]
    spent = time.process_time()
    async with desk(checks, lambda: datetime.now(UTC)) as it, held_up() as pauses:
        await it.launched(2500)
    assert time.process_time() - spent < 1.5, "it costs little of the two seconds and a half it lasts"
    for check in checks:
        it.assert_in_step(check.id, timedelta(seconds=1))
    per_slot = Counter(it.dues[n].at for n in range(1000))
    assert max(per_slot.values()) < 200, "ten slots share a second's 1000 checks about evenly"
    assert sorted(it.lags)[int(len(it.lags) * 0.99)] < 0.5 + max(pauses)


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
    first.assert_one_after_another(now)

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
    it.assert_one_after_another(utc("2026-01-15T08:00"))
    assert max(it.lags) < 0.3, "splay is no lag"
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
    it.assert_in_step("shop/stays", 300 * MS)
    assert len(it.of("shop/goes")) == gone
    assert {due.check.title for due in it.dues if due.check.name == "stays"} == {"Shop front", "new"}


async def test_a_reload_in_the_middle_of_a_firing_skips_only_what_was_removed() -> None:
    checks = [morning(f"c{n}") for n in range(6)]
    async with desk(checks, WallClock(utc("2026-01-15T07:59:59.9")).now) as it:
        await it.launched(2)
        waiting = [check for check in checks if check.id not in {due.check.id for due in it.dues}]
        assert it.scheduler.replace([check for check in checks if check is not waiting[0]]) == {}
        it.scheduler.replace(checks)  # back again: its part in this firing is over all the same
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
