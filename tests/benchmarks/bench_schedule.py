"""What starting a run costs: the scheduler's CPU per run against plain APScheduler with one job per check.

    python -m tests.benchmarks.bench_schedule [--checks 10000] [--interval 30] [--seconds 8]

Both start the same number of checks in the same process, one after the other; what starting up costs is reported
apart. Also: CPU of `attempt` and of a free concurrency slot around a look that does nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from healthd.model.catalogue import Check
from healthd.schedule import Due, Limits, Scheduler, attempt
from healthd.schedule.splay import phase
from tests.factories import every, make_check


@dataclass
class Result:
    """CPU in seconds, lags in seconds."""

    startup: float = 0.0
    cpu: float = 0.0
    missed: int = 0
    lags: list[float] = field(default_factory=list)

    @property
    def per_run(self) -> float:
        """CPU microseconds per run started."""
        return self.cpu / max(len(self.lags), 1) * 1e6

    def percentile(self, share: float) -> float:
        """Lag in milliseconds."""
        ordered = sorted(self.lags) or [0.0]
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


async def ours(checks: list[Check], seconds: float) -> Result:
    """Scheduler, as the daemon uses it."""
    result = Result()

    def launch(due: Due) -> None:
        """Nothing: only the way here is measured."""

    def missed(check_id: str, count: int) -> None:
        result.missed += count

    scheduler = Scheduler(launch, now=now, on_missed=missed, on_lag=result.lags.append)
    cpu = time.process_time()
    scheduler.start(checks, {}, {})
    await asyncio.sleep(0)
    result.startup = time.process_time() - cpu
    await _measure(result, seconds)
    scheduler.stop()
    return result


async def plain(checks: list[Check], interval: timedelta, seconds: float) -> Result:
    """The reference: one APScheduler job per check, spread alike."""
    result = Result()
    begin = now()

    async def fire(due: list[datetime]) -> None:
        result.lags.append((now() - due[0]).total_seconds())
        due[0] += interval

    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True})
    cpu = time.process_time()
    scheduler.start(paused=True)
    for check in checks:
        first = begin + phase(check.id, interval)
        scheduler.add_job(
            fire, "interval", seconds=interval.total_seconds(), start_date=first, args=([first],), next_run_time=first
        )
    scheduler.resume()
    await asyncio.sleep(0)
    result.startup = time.process_time() - cpu
    await _measure(result, seconds)
    scheduler.shutdown(wait=False)
    await asyncio.sleep(0)
    return result


async def _measure(result: Result, seconds: float) -> None:
    await asyncio.sleep(0.5)  # what piled up while starting
    result.lags.clear()
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    result.cpu = time.process_time() - cpu


async def per_call(call: Callable[[], Awaitable[object]], count: int = 20_000) -> float:
    """CPU microseconds per awaited call."""
    cpu = time.process_time()
    for _ in range(count):
        await call()
    return (time.process_time() - cpu) / count * 1e6


async def overheads() -> tuple[float, float]:
    """CPU microseconds of `attempt` and of a slot, around nothing."""
    limits, started, timeout = Limits(100), now(), timedelta(seconds=10)

    async def look() -> int:
        return 1

    async def slot() -> None:
        async with limits.slot("http"):
            pass

    bare = await per_call(look)
    bounded = await per_call(lambda: attempt(look, started=started, timeout=timeout))
    return bounded - bare, await per_call(slot) - bare


async def main(count: int, interval: float, seconds: float) -> None:
    """Measure and print."""
    checks = [make_check(name=f"c{n}", rules=(every(interval),)) for n in range(count)]
    reference = await plain(checks, timedelta(seconds=interval), seconds)
    measured = await ours(checks, seconds)
    print(f"{count} checks every {interval:g}s, for {seconds:g}s")
    print(f"{'':28}{'healthd':>12}{'APScheduler':>14}")
    for title, a, b in (
        ("runs started", len(measured.lags), len(reference.lags)),
        ("CPU per run, microseconds", measured.per_run, reference.per_run),
        ("start lag p50, ms", measured.percentile(0.5), reference.percentile(0.5)),
        ("start lag p99, ms", measured.percentile(0.99), reference.percentile(0.99)),
        ("starting up, CPU s", measured.startup, reference.startup),
    ):
        print(f"{title:28}{a:12.6g}{b:14.6g}")
    print(f"{'runs missed':28}{measured.missed:12}")
    print(f"ratio of CPU per run: {measured.per_run / reference.per_run:.3f}")
    bounded, slot = await overheads()
    print(f"attempt() adds {bounded:.1f} microseconds to a look, a free slot {slot:.1f}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=10_000)
    parser.add_argument("--interval", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    asyncio.run(main(options.checks, options.interval, options.seconds))
