"""At most one run of a check at a time, and which due times that costs."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from healthd.model.catalogue import Check
from healthd.schedule import Due, Runs
from tests.component.scheduler_desk import utc
from tests.factories import make_check

AT = utc("2026-01-05 09:00")
CHECK = make_check(name="web")


class Bench:
    """Runs that end when they are told to."""

    def __init__(self) -> None:
        self.begun: list[Due] = []
        self.missed: list[Due] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.runs = Runs(self._run, self.missed.append)

    async def _run(self, due: Due) -> str:
        self.begun.append(due)
        end = self._ends[due.check.id] = asyncio.Event()
        await end.wait()
        return due.trigger

    async def end(self, check: Check = CHECK) -> None:
        task = self.runs.of(check.id)
        assert task is not None
        await asyncio.sleep(0)
        self._ends[check.id].set()
        await task
        await asyncio.sleep(0)  # its callback
        await asyncio.sleep(0)  # what waited begins


def interval(at: datetime = AT) -> Due:
    return Due(CHECK, at)


def calendar(at: datetime = AT, mark: str = "shop/web|morning") -> Due:
    return Due(CHECK, at, cadence="morning", mark=mark)


async def test_an_interval_run_that_finds_its_check_busy_is_missed() -> None:
    bench = Bench()
    bench.runs.launch(interval())
    again = interval(utc("2026-01-05 09:01"))
    bench.runs.launch(again)
    await bench.end()
    assert bench.missed == [again]
    assert len(bench.begun) == 1


@pytest.mark.parametrize("extra", ["confirm", "manual", "startup"])
async def test_an_extra_look_serves_as_the_interval_run_it_meets(extra: str) -> None:
    bench = Bench()
    bench.runs.start(Due(CHECK, AT, extra))
    bench.runs.launch(interval())
    bench.runs.launch(Due(CHECK, AT, "confirm"))
    await bench.end()
    assert (len(bench.begun), bench.missed) == (1, [])


async def test_a_calendar_run_waits_for_the_run_under_way() -> None:
    bench = Bench()
    bench.runs.launch(interval())
    bench.runs.launch(calendar())
    bench.runs.launch(calendar(mark="shop/web|weekly"))
    await bench.end()
    await bench.end()
    await bench.end()
    assert [due.mark for due in bench.begun] == ["", "shop/web|morning", "shop/web|weekly"]
    assert bench.missed == []
    assert bench.runs.of(CHECK.id) is None


async def test_of_two_waiting_times_of_one_rule_the_newer_runs() -> None:
    bench = Bench()
    older, newer = calendar(), calendar(utc("2026-01-05 09:05"))
    bench.runs.launch(interval())
    bench.runs.launch(older)
    bench.runs.launch(newer)
    await bench.end()
    assert (bench.begun[1], bench.missed) == (newer, [older])


@pytest.mark.parametrize("stopping", [True, False])
async def test_nothing_that_waits_begins_when_healthd_stops_or_the_check_is_gone(stopping: bool) -> None:
    bench = Bench()
    bench.runs.launch(interval())
    bench.runs.launch(calendar())
    if stopping:
        bench.runs.close()
    else:
        bench.runs.forget(CHECK.id)
    await bench.end()
    assert len(bench.begun) == 1


async def test_who_asks_for_a_run_gets_the_one_under_way() -> None:
    bench = Bench()
    bench.runs.launch(interval())
    task = bench.runs.start(Due(CHECK, AT, "manual"))
    assert task is bench.runs.of(CHECK.id)
    await bench.end()
    assert task.result() == "schedule"
