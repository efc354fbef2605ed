"""The whole daemon under load, on real servers: CPU per check, lag with 10,000 checks, scrapes, start, notification.

Run: python -m tests.benchmarks.bench_daemon [cpu|many|ready|notify ...]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.benchmarks.table import Row, print_rows
from tests.e2e.daemon import Daemon
from tests.servers.nginx import NginxServer
from tests.servers.process import Process, free_port
from tests.servers.receiver import Receiver

SECONDS = 20
SYSTEM = """\
system: {name: shop, title: Shop}
checks:
"""


def _check(number: int, url: str, interval: str) -> str:
    return (
        f"  - {{name: c{number}, title: c{number}, every: {interval}, probe: {{type: http, url: '{url}'}},"
        " thresholds: {measure: latency, target: '< 300ms', warning: '>= 500ms', critical: '>= 1s'}}\n"
    )


@contextmanager
def _daemon(checks: int, url: str, interval: str, **settings: str) -> Iterator[tuple[Daemon, float]]:
    folder = Path(tempfile.mkdtemp(prefix="healthd-bench-"))
    daemon = Daemon(folder, SYSTEM + "".join(_check(i, url, interval) for i in range(checks)), **settings)
    began = time.monotonic()
    daemon.start(60)
    try:
        yield daemon, time.monotonic() - began
    finally:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _nginx() -> Iterator[NginxServer]:
    folder = Path(tempfile.mkdtemp(prefix="healthd-nginx-"))
    server = NginxServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def cpu() -> list[Row]:
    """CPU per complete check at 500 checks/s, against blackbox_exporter's CPU for the bare probe of the same URL."""
    with _nginx() as server:
        reference = _blackbox(server.url)
        with _daemon(500, server.url, "1s") as (daemon, _):
            assert daemon.process is not None
            time.sleep(3)
            runs, used, began = _runs(daemon), _cpu(daemon.process.pid), time.monotonic()
            time.sleep(SECONDS)
            used_after, took = _cpu(daemon.process.pid), time.monotonic() - began
            count = _runs(daemon) - runs
            mine = (used_after - used) / count
            rate = count / took
    return [
        Row("CPU per complete HTTP check", f"{mine * 1e3:.3f} ms at {rate:.0f}/s",
            f"blackbox_exporter, bare probe: {reference * 1e3:.3f} ms", f"{mine / reference:.2f}", "<= 1.0"),
    ]  # fmt: skip


def _runs(daemon: Daemon) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for line in daemon.metrics().splitlines()
        if line.startswith("healthd_check_runs_total{")
    )


def _blackbox(url: str, probes: int = 4000) -> float:
    binary = shutil.which("prometheus-blackbox-exporter")
    assert binary, "prometheus-blackbox-exporter is missing: apt-get install prometheus-blackbox-exporter"
    folder = Path(tempfile.mkdtemp(prefix="healthd-blackbox-"))
    config = folder / "blackbox.yml"
    config.write_text("modules: {http_2xx: {prober: http, timeout: 5s}}\n")
    port = free_port()
    argv = [binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    server = Process(argv, folder / "log").start().wait_for_port(port)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            ask = {"target": url, "module": "http_2xx"}
            for _ in range(200):
                client.get("/probe", params=ask).raise_for_status()
            before = _cpu(server.pid)
            for _ in range(probes):
                client.get("/probe", params=ask)
            return (_cpu(server.pid) - before) / probes
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def many() -> list[Row]:
    """10,000 checks every 30 s for a minute: missed runs, lag, memory; and what a scrape does to the lag."""
    with _nginx() as server, _daemon(10_000, server.url, "30s") as (daemon, ready):
        assert daemon.process is not None
        time.sleep(5)
        before = _lag(daemon)
        time.sleep(60)
        p99 = _quantile(before, _lag(daemon), 0.99)
        missed = daemon.metric("healthd_schedule_missed_total") or 0
        before = _lag(daemon)
        took = 0.0
        for _ in range(5):
            began = time.monotonic()
            size = len(daemon.metrics())
            took = max(took, time.monotonic() - began)
        during = _quantile(before, _lag(daemon), 1.0)
        memory = psutil.Process(daemon.process.pid).memory_info().rss
    return [
        Row("10,000 checks at 30 s: runs missed", f"{missed:.0f}", "", "", "0"),
        Row("  start lag p99", f"< {p99 * 1e3:.0f} ms", "", "", "< 250 ms"),
        Row("  RSS", f"{memory / 1e6:.0f} MB", "", "", "< 250 MB"),
        Row("  longest lag while scraped", f"< {during * 1e3:.0f} ms", f"{size / 1e6:.1f} MB in {took:.2f} s", "",
            "<= 50 ms"),
        Row("  ready after", f"{ready:.2f} s", "", "", ""),
    ]  # fmt: skip


def _lag(daemon: Daemon) -> dict[float, float]:
    buckets = {}
    for line in daemon.metrics().splitlines():
        if line.startswith("healthd_schedule_lag_seconds_bucket"):
            bound = line.split('le="')[1].split('"')[0]
            buckets[float(bound)] = float(line.rpartition(" ")[2])
    return buckets


def _quantile(before: dict[float, float], after: dict[float, float], quantile: float) -> float:
    """The upper bound of the bucket the quantile falls into."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    total = counts[float("inf")]
    return min(bound for bound, count in counts.items() if count >= total * quantile)


def ready() -> list[Row]:
    """From `healthd run` to /readyz with 500 checks; the median of five."""
    with _nginx() as server:
        times = []
        for _ in range(5):
            with _daemon(500, server.url, "60s") as (_, took):
                times.append(took)
    return [Row("ready with 500 checks", f"{sorted(times)[2]:.2f} s", "median of 5", "", "< 2 s")]


def notify() -> list[Row]:
    """From a server's death to the notification accepted, beyond the check's interval."""
    receiver = Receiver().start()
    channel = {"webhook_url": receiver.url, "webhook_secret": "whsec_" + "c2VjcmV0" * 4}
    worst = 0.0
    try:
        for _ in range(3):
            with _nginx() as server, _daemon(1, server.url, "1s", **channel) as (daemon, _):
                daemon.until(lambda d=daemon: d.metric("healthd_check_status", check="c0") == 0, 10, "seen in order")
                seen = len(receiver.requests)
                died = time.monotonic()
                server.stop()
                receiver.wait_for(seen + 1, timeout=10)
                worst = max(worst, time.monotonic() - died - 1.0)
    finally:
        receiver.stop()
    return [Row("death to notification, beyond interval and for:", f"{worst:.2f} s", "worst of 3", "", "< 1 s")]


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {"cpu": cpu, "many": many, "ready": ready, "notify": notify}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        print_rows(BENCHMARKS[name]())
