"""How many checks a second one worker carries, and two of them: `make bench ARGS=workers`.

    python -m tests.benchmarks.bench_workers [--seconds 10] [--concurrency 4]

One daemon on a real PostgreSQL, with more checks of one location than two workers can make. Every look waits 100 ms for
its answer, and a worker makes a few at once: what is measured is how the work is shared, and what goes between looks.
First one worker works, then a second comes; then the second alone again, so that a machine whose load changes shows.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.table import Row, print_rows
from tests.e2e.daemon import Daemon
from tests.servers.postgres import PostgresServer
from tests.servers.process import Process

ANSWERS_AFTER = 0.1
CHECKS = 200
SYSTEM = """
system: {name: shop}
defaults: {location: there, timeout: 900ms, unknown: ignore}
checks:
"""
CHECK = '  - {{name: web-{number}, every: 1s, probe: {{type: http, url: "{url}/{number}"}}}}\n'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@contextmanager
def receiver() -> Iterator[str]:
    """What is looked at: answers after a while, however many ask."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(ANSWERS_AFTER)
        writer.write(OK)
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class Site:
    """The daemon and its workers."""

    def __init__(self, folder: Path, url: str, database: str, concurrency: int) -> None:
        catalogue = SYSTEM + "".join(CHECK.format(number=number, url=url) for number in range(CHECKS))
        settings = {"database_url": database, "self_watch": "false", "log_level": "error"}
        self.daemon = Daemon(folder / "daemon", catalogue, **settings).start(60)
        self._folder, self._concurrency = folder, concurrency
        self.workers: list[Process] = []

    def start_worker(self) -> None:
        """One more."""
        environment = {k: v for k, v in self.daemon.environment().items() if k != "HEALTHD_PORT"}
        argv = [sys.executable, "-m", "healthd", "worker", "--location", "there"]
        argv += ["--concurrency", str(self._concurrency)]
        log = self._folder / f"worker{len(self.workers)}.log"
        self.workers.append(Process(argv, log, env=environment, cwd=self._folder).start())
        self.known(len(self.workers))

    def known(self, count: int) -> None:
        """Until the daemon knows of so many, and a little longer."""
        self.daemon.until(lambda: self.daemon.metric("healthd_workers", location="there") == count, 60, "workers")
        time.sleep(2)

    def answered(self) -> float:
        """Looks so far."""
        return self.daemon.metric("healthd_worker_looks_total", location="there", outcome="answered") or 0.0

    def per_second(self, seconds: float) -> float:
        """Looks answered."""
        before, began = self.answered(), time.monotonic()
        time.sleep(seconds)
        return (self.answered() - before) / (time.monotonic() - began)

    def stop(self) -> None:
        """End everything."""
        for process in self.workers:
            process.stop()
        self.daemon.stop()


def measure(seconds: float, concurrency: int) -> tuple[float, float]:
    """Checks per second of one worker, the better of two times, and of two workers."""
    server = PostgresServer().start()
    try:
        with receiver() as url, tempfile.TemporaryDirectory() as folder:
            site = Site(Path(folder), url, server.create_database(), concurrency)
            try:
                site.start_worker()
                first = site.per_second(seconds)
                site.start_worker()
                both = site.per_second(seconds)
                site.workers[0].stop()
                site.known(1)
                second = site.per_second(seconds)
            finally:
                site.stop()
    finally:
        server.remove()
    return max(first, second), both


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--concurrency", type=int, default=4)
    given = parser.parse_args()
    one, two = measure(given.seconds, given.concurrency)
    bound = f"{given.concurrency / ANSWERS_AFTER:.0f}/s at most"
    print_rows([
        Row("one worker", f"{one:.1f}/s", bound),
        Row("two workers", f"{two:.1f}/s", f"{one:.1f}/s", f"{two / one:.2f}", "at least 1.8"),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
