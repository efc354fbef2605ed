"""The page with 5,000 checks in five systems: in order, and all of them failing, each in an incident of its own.

Server time and bytes as a browser asks for them, what a refresh costs when nothing has changed, and when Chromium has
painted. Run: python -m tests.benchmarks.bench_page [ok|failing ...]
"""

from __future__ import annotations

import asyncio
import gzip
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import httpx
from playwright.sync_api import sync_playwright

from healthd.model.incidents import Incident, Member
from healthd.model.outcomes import CheckState, Level, Measurement, Outcome, Verdict
from healthd.model.units import Unit
from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.benchmarks.table import Row, print_rows
from tests.e2e.daemon import Daemon

SYSTEMS, EACH = 5, 1_000
REPEATED = 15
AT_ONCE = 500
DAY = timedelta(days=1)
WORDS = (
    "upstream",
    "timeout",
    "refused",
    "certificate",
    "queue",
    "replica",
    "shard",
    "gateway",
    "pool",
    "broker",
    "pod",
)
PAINTED = """() => new Promise(tell => new PerformanceObserver((list, watcher) => {
  const paint = list.getEntriesByName("first-contentful-paint")[0];
  if (!paint) return;
  watcher.disconnect();
  tell([paint.startTime, performance.getEntriesByType("navigation")[0].domInteractive]);
}).observe({type: "paint", buffered: true}))"""
BROWSER_ASKS = {"Accept": "text/html", "Accept-Encoding": "gzip, deflate, br, zstd"}


def _name(system: int) -> str:
    return f"system-{system}"


def _catalogue(system: int, *, failing: bool) -> str:
    limits = "critical: '>= 0'" if failing else "target: '< 1000', warning: '>= 5000', critical: '>= 20000'"
    rows = "".join(
        f"  - {{name: c{n:04}, title: The {_word(n)} of the {_word(n + 7)} {n} answers,"
        f" cadence: [{('morning', 'evening')[n % 2]}, continuous], severity: SEV{n % 3 + 1},"
        f" probe: {{type: load}}, thresholds: {{measure: load1, {limits}}}}}\n"
        for n in range(EACH)
    )
    return (
        f"system: {{name: {_name(system)}, title: System {system}}}\n"
        "severities: {SEV1: {}, SEV2: {}, SEV3: {}}\ncadences:\n"
        "  morning: {on: daily, at: '00:00', title: Morning checks}\n"
        "  evening: {on: daily, at: '23:59', title: Evening checks}\n  continuous: {every: 12h, title: All the time}\n"
        f"checks:\n{rows}"
    )


def _word(number: int) -> str:
    return WORDS[crc32(str(number).encode()) % len(WORDS)]


def _reason(value: float, number: int) -> str:
    return f"load1 {value:g}, limit >= 0; the {_word(number)} says {crc32(str(value).encode()):x} since {number} runs"


async def _remember(database: str, *, failing: bool) -> None:
    """A state and an outcome of every check; for those that fail an open incident each."""
    store = SqlStore(database)
    await store.open()
    at = datetime.now(UTC) - timedelta(minutes=7)
    level = Level.CRITICAL if failing else Level.OK
    for system in range(SYSTEMS):
        found = [_run(f"{_name(system)}/c{n:04}", n, level, at) for n in range(EACH)]
        for start in range(0, EACH, AT_ONCE):
            part = found[start : start + AT_ONCE]
            await store.commit(
                Commit(
                    outcomes=tuple(run.outcome for run in part),
                    states=tuple(run.state for run in part),
                    incidents=tuple(run.incident for run in part) if failing else (),
                    members=tuple(run.member for run in part) if failing else (),
                )
            )
    await store.close()


@dataclass(frozen=True)
class _Run:
    outcome: Outcome
    state: CheckState
    incident: Incident
    member: Member


def _run(check: str, number: int, level: Level, at: datetime) -> _Run:
    severity, value = f"SEV{number % 3 + 1}", crc32(check.encode()) % 20_000 / 7
    reason = _reason(value, number) if level else ""
    verdict = Verdict("load1", "load1", "", value, Unit.COUNT, level, ">= 0" if level else "")
    state = CheckState(check, level, level, reason, at, last_run=at, verdicts=(verdict,), expected_by=at + DAY)
    if level:
        state = replace(state, firing=True, firing_level=level, firing_since=at)
    seen = (Measurement("load1", value, Unit.COUNT),)
    outcome = Outcome(check, at, timedelta(milliseconds=84), level, reason, seen, (verdict,))
    id_ = "INC-" + check.replace("/", "-")
    incident = Incident(
        id_, id_, check.partition("/")[0], check, f"Endpoint {number} answers", severity, Level.CRITICAL, at, reason
    )
    return _Run(outcome, state, incident, Member(id_, check, Level.CRITICAL, severity, at, reason, Level.CRITICAL))


@contextmanager
def _daemon(*, failing: bool) -> Iterator[Daemon]:
    folder = Path(tempfile.mkdtemp(prefix="healthd-bench-"))
    daemon = Daemon(folder, "", self_watch="false", reload_watch="false")
    shutil.rmtree(daemon.system)
    try:
        for system in range(SYSTEMS):
            place = folder / "checks" / _name(system)
            place.mkdir()
            (place / "system.yaml").write_text(_catalogue(system, failing=failing))
        asyncio.run(_remember(f"sqlite:///{folder / 'healthd.db'}", failing=failing))
        yield daemon.start(120)
    finally:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Answer:
    seconds: list[float]
    transferred: int
    whole: int
    unchanged: int  # bytes of a refresh when nothing has changed


def _ask(daemon: Daemon, path: str) -> _Answer:
    seconds = []
    with httpx.Client(base_url=daemon.url, headers=BROWSER_ASKS, timeout=30) as client:
        client.get(path)
        for _ in range(REPEATED):
            began = time.perf_counter()
            with client.stream("GET", path) as answer:
                raw = b"".join(answer.iter_raw())
            seconds.append(time.perf_counter() - began)
        again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    whole = gzip.decompress(raw) if answer.headers.get("content-encoding") == "gzip" else raw
    return _Answer(seconds, len(raw), len(whole), int(again.headers.get("content-length", 0)))


def _painted(daemon: Daemon) -> tuple[float, float]:
    """Milliseconds in Chromium until something is seen, and until the page can be used."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        found = []
        for _ in range(5):
            page = browser.new_page()
            page.goto(daemon.url)
            found.append(page.evaluate(PAINTED))
            page.close()
        browser.close()
    return statistics.median(f[0] for f in found), statistics.median(f[1] for f in found)


def measured(*, failing: bool) -> list[Row]:
    """The overview, a system, a checklist and the open incidents."""
    with _daemon(failing=failing) as daemon:
        count = daemon.get("/api/v1/status")["counts"]["critical" if failing else "ok"]
        assert count == SYSTEMS * EACH, f"{count} checks are as they should be"
        overview = _ask(daemon, "/")
        others = {path: _ask(daemon, path) for path in (f"/systems/{_name(1)}", f"/checklists/{_name(1)}/morning",
                                                        "/incidents", "/schedule")}  # fmt: skip
        painted, usable = _painted(daemon)
    slowest = max(others, key=lambda path: statistics.median(others[path].seconds))
    largest = max(others, key=lambda path: others[path].transferred)
    name = f"{SYSTEMS * EACH:,} checks, {'all failing' if failing else 'in order'}"
    return [
        Row(f"{name}: the overview", f"{statistics.median(overview.seconds) * 1e3:.0f} ms",
            f"longest of {REPEATED}: {max(overview.seconds) * 1e3:.0f} ms", "", "< 200 ms"),
        Row("  transferred", f"{overview.transferred / 1e3:.1f} kB", f"uncompressed {overview.whole / 1e3:.0f} kB", "",
            "< 300 kB"),
        Row("  refreshed, nothing changed", f"{overview.unchanged} B", "answered 304", "", "0"),
        Row("  slowest other page", f"{statistics.median(others[slowest].seconds) * 1e3:.0f} ms", slowest, "",
            "< 200 ms"),
        Row("  largest other page", f"{others[largest].transferred / 1e3:.1f} kB",
            f"{largest}, uncompressed {others[largest].whole / 1e3:.0f} kB", "", "< 300 kB"),
        Row("  painted in Chromium after", f"{painted:.0f} ms", f"usable after {usable:.0f} ms", "", ""),
    ]  # fmt: skip


if __name__ == "__main__":
    for word in sys.argv[1:] or ("ok", "failing"):
        print_rows(measured(failing=word == "failing"))
