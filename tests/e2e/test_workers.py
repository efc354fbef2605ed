"""A daemon and workers as processes of their own: killed, told to stop, and without their database."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.daemon import Daemon
from tests.servers.postgres import PostgresServer
from tests.servers.process import Process
from tests.servers.receiver import Receiver

CATALOGUE = """
system: {{name: shop}}
checks:
  - {{name: web, every: {often}, timeout: 400ms, location: eu-west, probe: {{type: http, url: "{hook}/web"}}}}
  - {{name: slow, cron: "0 0 1 1 *", timeout: 10s, location: eu-west, probe: {{type: http, url: "{hook}/slow"}}}}
"""


class Site:
    """One daemon, its database, and the workers of one location."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hook = Receiver().start()
        self.database = PostgresServer().start()
        url = self.database.create_database()
        settings = {"worker_lease": "3s", "shutdown_grace": "1s", "database_url": url}
        self.daemon = Daemon(folder / "daemon", CATALOGUE.format(hook=self.hook.url, often="500ms"), **settings).start()
        self.running: list[Process] = []
        self._threads = ThreadPoolExecutor(1)

    def start_worker(self) -> None:
        environment = self.daemon.environment()
        del environment["HEALTHD_PORT"]
        argv = [sys.executable, "-m", "healthd", "worker", "--location", "eu-west"]
        log = self.folder / f"worker{len(self.running)}.log"
        self.running.append(Process(argv, log, env=environment, cwd=self.folder).start())

    def workers(self, count: int) -> None:
        """Start so many, until they are known."""
        for _ in range(count):
            self.start_worker()
        self.daemon.until(lambda: self.daemon.metric("healthd_workers", location="eu-west") == count, 30, "workers")

    def looking(self) -> Process | None:
        """The worker that waits for an answer."""
        for process in self.running:
            if process.running():
                connections = psutil.Process(process.pid).net_connections("tcp")
                if any(c.raddr and c.raddr.port == self.hook.port and c.status == "ESTABLISHED" for c in connections):
                    return process
        return None

    def status(self, check: str = "web") -> dict[str, Any]:
        return dict(self.daemon.get(f"/api/v1/checks/shop/{check}"))

    def ask(self, check: str) -> Future[dict[str, Any]]:
        """Have it run now."""
        path = f"/api/v1/checks/shop/{check}/run"
        return self._threads.submit(lambda: dict(self.daemon.http.post(path, timeout=60).json()))

    def close(self) -> None:
        for process in self.running:
            process.stop(signal.SIGKILL)
        self.daemon.kill()
        self.database.remove()
        self.hook.stop()
        self._threads.shutdown()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_worker_is_killed_and_then_the_database_is(site: Site) -> None:
    """What it was looking at is looked at by the other one; and both sides go on when the database is back."""
    site.workers(2)
    site.daemon.until(lambda: site.status()["level"] == "ok", 20, "looked at")
    assert site.status()["location"] == "eu-west"
    assert "looked at by workers at <code>eu-west</code>" in site.daemon.http.get("/checks/shop/web").text
    site.daemon.write(CATALOGUE.format(hook=site.hook.url, often="1h"))  # nothing but the slow one is looked at
    site.hook.script(["hang"], path="/slow")
    asked = site.ask("slow")
    site.hook.wait_for(1, path="/slow")
    looking = site.daemon.until(site.looking, what="found")
    assert looking is not None
    looking.stop(signal.SIGKILL)
    assert asked.result(60)["level"] == "ok", asked.result()
    assert len(site.hook.to("/slow")) == 2
    site.daemon.until(lambda: site.daemon.metric("healthd_workers", location="eu-west") == 1, 20, "missed")
    site.database.stop(crash=True)
    site.database.start()
    seen = len(site.hook.to("/web"))
    site.daemon.write(CATALOGUE.format(hook=site.hook.url, often="500ms"))
    site.daemon.until(lambda: len(site.hook.to("/web")) > seen + 1, 30, "looked at again")
    site.daemon.until(lambda: site.status()["level"] == "ok", 20, "judged again")
    assert [process.running() for process in site.running].count(True) == 1
    (left,) = (process for process in site.running if process.running())
    assert left.stop() == 0
