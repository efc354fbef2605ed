"""Checks under a flood: 500 HTTP checks every second, and 200 requests/s on `/metrics` and `/` for a minute.

The clients are processes of their own. The reference is the same daemon, in the same run, left alone for as long.
Run: python -m tests.benchmarks.bench_flood [seconds]
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import psutil

from tests.benchmarks.bench_daemon import _daemon, _lag, _nginx, _quantile
from tests.benchmarks.table import Row, print_rows
from tests.e2e.daemon import Daemon

SECONDS = 60
RATE = 200.0  # requests per second, by all clients
CLIENTS = 2  # processes: one keeps its connections, the other opens one for each request
PATHS = ("/metrics", "/")


@dataclass(frozen=True, slots=True)
class Tally:
    """What a client got. `seconds`: how long each answer took."""

    seconds: list[float]
    statuses: dict[int, int]
    failed: int


async def _ask(session: aiohttp.ClientSession, url: str, tally: Tally, lost: list[str]) -> None:
    began = time.monotonic()
    try:
        async with session.get(url) as answer:
            await answer.read()
            tally.statuses[answer.status] = tally.statuses.get(answer.status, 0) + 1
            tally.seconds.append(time.monotonic() - began)
    except (aiohttp.ClientError, TimeoutError) as error:
        lost.append(type(error).__name__)


async def _flood(url: str, rate: float, seconds: float, keep: bool) -> Tally:
    """Asks at the rate it was told, whether or not answers come: a flood does not wait."""
    tally, lost = Tally([], {}, 0), list[str]()
    connector = aiohttp.TCPConnector(limit=45, force_close=not keep)
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
        asyncio.TaskGroup() as group,
    ):
        began = time.monotonic()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            group.create_task(_ask(session, url + PATHS[number % len(PATHS)], tally, lost))
    return Tally(tally.seconds, tally.statuses, len(lost))


def _client(url: str, rate: float, seconds: float, keep: bool) -> Tally:
    return asyncio.run(_flood(url, rate, seconds, keep))


def _watched(daemon: Daemon, seconds: float, url: str = "") -> tuple[float, float, float, list[Tally]]:
    """(latest start by bucket, p99, share of a core, tallies) of a time with or without a flood."""
    assert daemon.process is not None
    process = psutil.Process(daemon.process.pid)
    before, used, began = _lag(daemon), process.cpu_times(), time.monotonic()
    tallies: list[Tally] = []
    if url:
        with multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:
            asked = [(url, RATE / CLIENTS, seconds, keep) for keep in (True, False)]
            tallies = pool.starmap(_client, asked)
    else:
        time.sleep(seconds)
    took, after, use = time.monotonic() - began, _lag(daemon), process.cpu_times()
    cpu = (use.user + use.system - used.user - used.system) / took
    return _quantile(before, after, 1.0), _quantile(before, after, 0.99), cpu, tallies


def flood(seconds: float = SECONDS) -> list[Row]:
    """What a flood does to the checks."""
    with _nginx() as server, _daemon(500, server.url, "1s") as (daemon, _):
        time.sleep(3)
        quiet, quiet_p99, quiet_cpu, _ = _watched(daemon, seconds)
        latest, p99, cpu, tallies = _watched(daemon, seconds, daemon.url)
        missed = daemon.metric("healthd_schedule_missed_total") or 0
    took = sorted(second for tally in tallies for second in tally.seconds)
    median, slow = took[len(took) // 2], took[len(took) * 99 // 100]
    return [
        Row(f"500 checks/s, {RATE:.0f} requests/s for {seconds:.0f} s: latest start", f"< {latest * 1e3:.0f} ms",
            f"without: < {quiet * 1e3:.0f} ms", "", "<= 250 ms"),
        Row("  start lag p99", f"< {p99 * 1e3:.0f} ms", f"without: < {quiet_p99 * 1e3:.0f} ms", "", ""),
        Row("  runs missed", f"{missed:.0f}", "", "", "0"),
        Row("  of one core", f"{cpu:.0%}", f"without: {quiet_cpu:.0%}", f"{cpu / quiet_cpu:.2f}", ""),
        Row("  answers", *_answers(tallies), "", "all 200"),
        Row("  an answer took", f"median {median * 1e3:.0f} ms, p99 {slow * 1e3:.0f} ms"),
    ]  # fmt: skip


def _answers(tallies: Sequence[Tally]) -> tuple[str, str]:
    statuses: Counter[int] = sum((Counter(tally.statuses) for tally in tallies), Counter())
    said = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    return said, f"{sum(tally.failed for tally in tallies)} failed"


if __name__ == "__main__":
    print_rows(flood(float(sys.argv[1]) if sys.argv[1:] else SECONDS))
