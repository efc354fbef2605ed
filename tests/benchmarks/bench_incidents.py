"""Incidents by the thousand: what a second costs with 10,000 open ones, how long their page takes, and a storm.

Run: python -m tests.benchmarks.bench_incidents [open|storm|killed|killed-postgresql ...], the last only if named
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from healthd.app import App
from healthd.model.incidents import Incident, Member
from healthd.model.outcomes import CheckState, Level
from healthd.settings import Settings
from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.benchmarks.table import Row, print_rows
from tests.component.kill_cycles import Cycles, random_cycles
from tests.e2e.daemon import Daemon
from tests.servers.nginx import NginxServer
from tests.servers.postgres import PostgresServer
from tests.servers.receiver import Receiver

MANY = 10_000
PAGES = ("/incidents", "/incidents?page=57", "/", "/incidents/INC-00007")
SYSTEM = "system: {name: shop, title: Shop}\nseverities: {SEV1: {}, SEV2: {}}\nchecks:\n"


def _check(number: int, every: str = "1h", probe: str = "{type: load}") -> str:
    return (
        f"  - {{name: c{number}, title: Check {number}, every: {every}, probe: {probe}, severity: SEV{number % 2 + 1},"
        " thresholds: {measure: load1, critical: '>= 0'}}\n"
    )


async def _fill(folder: Path) -> None:
    """A store in which every check fails, each in an incident of its own."""
    store = SqlStore(f"sqlite:///{folder / 'healthd.db'}")
    await store.open()
    at = datetime.now(UTC) - timedelta(minutes=1)
    for number in range(MANY):
        check, id_, severity = f"shop/c{number}", f"INC-{number:05}", f"SEV{number % 2 + 1}"
        reason = f"load1 {number}, limit > 100"
        state = CheckState(
            check, Level.CRITICAL, Level.CRITICAL, reason, at, firing=True, firing_level=Level.CRITICAL,
            firing_since=at, last_run=at,
        )  # fmt: skip
        incident = Incident(id_, id_, "shop", check, f"Check {number}", severity, Level.CRITICAL, at, reason)
        member = Member(id_, check, Level.CRITICAL, severity, at, reason, peak=Level.CRITICAL)
        await store.commit(Commit(states=(state,), incidents=(incident,), members=(member,)))
    await store.close()


def open_() -> list[Row]:
    """10,000 open incidents, one for each of 10,000 checks."""
    folder = Path(tempfile.mkdtemp(prefix="healthd-bench-"))
    try:
        daemon = Daemon(folder, SYSTEM + "".join(_check(n) for n in range(MANY)))
        asyncio.run(_fill(folder))
        ticks = asyncio.run(_ticks(daemon))
        daemon.start(90)
        try:
            pages = {path: _page(daemon, path) for path in PAGES}
            assert daemon.metric("healthd_incidents_open", severity="SEV1") == MANY / 2
        finally:
            daemon.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    slowest = max(pages, key=lambda path: pages[path])
    return [
        Row(f"{MANY:,} open incidents: what is done every second", f"{statistics.median(ticks) * 1e3:.1f} ms",
            f"longest of {len(ticks)}: {max(ticks) * 1e3:.1f} ms", "", "< 50 ms"),
        Row("  their page", f"{pages['/incidents'] * 1e3:.0f} ms",
            f"slowest of all: {slowest} {pages[slowest] * 1e3:.0f} ms", "", "< 300 ms"),
    ]  # fmt: skip


async def _ticks(daemon: Daemon) -> list[float]:
    """Seconds on the CPU of the daemon's own once-a-second work, every part of it."""
    settings = Settings(
        checks=str(daemon.folder / "checks"), database_url=f"sqlite:///{daemon.folder / 'healthd.db'}",
        reload_watch=False, log_format="json",
    )  # fmt: skip  # type: ignore[arg-type]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    app = App(settings)
    app.read_catalogue()
    await app.start()
    assert len(app.incidents) == MANY
    found = []
    for _ in range(20):
        await asyncio.sleep(0.2)
        began = time.thread_time()
        await app._scan()
        found.append(time.thread_time() - began)
    await app.stop()
    return found


def _page(daemon: Daemon, path: str) -> float:
    """Seconds for a page; the median of 7, after one."""
    times = []
    for _ in range(8):
        began = time.monotonic()
        daemon.http.get(path).raise_for_status()
        times.append(time.monotonic() - began)
    return statistics.median(times[1:])


def storm(checks: int = 500) -> list[Row]:
    """500 checks of one server fail at once: messages in each of three channels, and when the first was there."""
    nginx_folder, folder = (Path(tempfile.mkdtemp(prefix="healthd-bench-")) for _ in range(2))
    with Receiver() as receiver:
        server = NginxServer(nginx_folder)
        server.start()
        url = {name: f"{receiver.url}/{name}" for name in ("slack", "pagerduty", "webhook")}
        text = "".join(
            f"  - {{name: c{n}, title: Check {n}, every: 1s, timeout: 900ms, severity: SEV{n % 2 + 1},"
            f" probe: {{type: http, url: '{server.url}/'}}, thresholds: {{measure: up, critical: '= 0'}}}}\n"
            for n in range(checks)
        )
        daemon = Daemon(
            folder, SYSTEM + text, slack_webhook_url=url["slack"], pagerduty_url=url["pagerduty"],
            pagerduty_routing_key="0" * 32, webhook_url=url["webhook"], webhook_secret="whsec_" + "c2VjcmV0" * 4,
        ).start()  # fmt: skip
        try:
            daemon.until(lambda: daemon.get("/api/v1/systems")["systems"][0]["counts"]["ok"] == checks, 30, "in order")
            server.stop()
            died = time.monotonic()
            first = receiver.wait_for(1, 10)[0].monotonic - died
            daemon.until(lambda: _failing(daemon) == checks, 30, "all failing")
            time.sleep(5)
            server.start()
            daemon.until(lambda: not daemon.get("/api/v1/incidents?open=true")["incidents"], 30, "over")
            time.sleep(2)
            counts = Counter(request.path for request in receiver.requests)
        finally:
            daemon.stop()
            server.stop()
            for path in (nginx_folder, folder):
                shutil.rmtree(path, ignore_errors=True)
    return [
        Row(f"{checks} checks fail at once: messages in each channel", f"{max(counts.values())}",
            "from the first to the end", "", "<= 5"),
        Row("  the first of them", f"{first:.2f} s", "after the failure; checks every second", "", "< 2 s"),
    ]  # fmt: skip


def _failing(daemon: Daemon) -> int:
    return sum(incident["failing"] for incident in daemon.get("/api/v1/incidents?open=true")["incidents"])


def killed_postgresql(count: int = 1000) -> list[Row]:
    """The same on PostgreSQL."""
    server = PostgresServer()
    try:
        return killed(count, server.start().create_database(), ", PostgreSQL")
    finally:
        server.remove()


def killed(count: int = 1000, database: str = "", where: str = "") -> list[Row]:
    """kill -9 at a random write between a look and a message accepted."""
    folder = Path(tempfile.mkdtemp(prefix="healthd-bench-"))
    try:
        with Receiver() as receiver, Cycles(folder, receiver, database) as cycles:
            random_cycles(cycles, count)
            cycles.end()
            result = asyncio.run(cycles.result())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Row(
            f"{count:,} times kill -9 before it is told{where}: lost", f"{result.lost} of {result.changes}", "", "", "0"
        ),
        Row("  repeated under the same id / another one", f"{result.repeated} / {result.foreign}", "", "", "any / 0"),
    ]


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {"open": open_, "storm": storm, "killed": killed}
ON_REQUEST: dict[str, Callable[[], list[Row]]] = {"killed-postgresql": killed_postgresql}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        print_rows((BENCHMARKS | ON_REQUEST)[name]())
