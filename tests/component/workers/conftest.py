"""A daemon's dispatch and its workers, each with a catalogue of its own, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from healthd.loading import load_catalogue
from healthd.metrics import Metrics
from healthd.model.outcomes import Observation
from healthd.schedule import Attempt, Due
from healthd.settings import Settings, load_settings
from healthd.store import SqlStore
from healthd.workers.dispatch import Dispatch
from healthd.workers.worker import Worker
from tests.servers.postgres import PostgresServer
from tests.servers.receiver import Receiver

LEASE = "3s"


@dataclass
class Installation:
    """One database; whoever is started on it ends with the test."""

    folder: Path
    url: str
    worker_url: str = ""
    running: dict[Worker, asyncio.Task[None]] = field(default_factory=dict)
    dispatches: list[Dispatch] = field(default_factory=list)

    def settings(self, name: str, catalogue: str, url: str = "", **more: str) -> Settings:
        """Of the process of that name, with its own copy of the catalogue."""
        folder = self.folder / name / "shop"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "system.yaml").write_text(catalogue)
        environment = {
            "HEALTHD_CHECKS": str(folder.parent),
            "HEALTHD_DATABASE_URL": url or self.url,
            "HEALTHD_WORKER_LEASE": LEASE,
            "HEALTHD_RELOAD_WATCH": "false",
            "HEALTHD_SHUTDOWN_GRACE": "1s",
        }
        return load_settings({**environment, **{f"HEALTHD_{key.upper()}": value for key, value in more.items()}})

    async def dispatch(self, catalogue: str, name: str = "daemon", **more: str) -> Desk:
        """A daemon's side, with its tables."""
        settings = self.settings(name, catalogue, **more)
        store = SqlStore(self.url)
        await store.open()
        await store.close()
        metrics = Metrics("test")
        dispatch = Dispatch(settings, metrics)
        self.dispatches.append(dispatch)
        found = load_catalogue(settings)
        dispatch.adopt(found)
        async with asyncio.timeout(20):
            while found.checks and not await asyncio.to_thread(self._prepared):
                await asyncio.sleep(0.02)
        return Desk(dispatch, metrics, found.checks)

    def _prepared(self) -> bool:
        """Whether the engine's tables are there."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
        return row is not None and row[0] is not None

    def work(self, catalogue: str, name: str = "worker", *, capacity: int = 10, **more: str) -> Worker:
        """A worker at eu-west, under way."""
        worker = Worker(self.settings(name, catalogue, self.worker_url, **more), "eu-west", capacity)
        worker.read_catalogue()
        self.running[worker] = asyncio.get_running_loop().create_task(worker.run())
        return worker

    async def close(self) -> None:
        for dispatch in self.dispatches:
            await dispatch.end()
        for worker in self.running:
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*self.running.values()), 20)


@dataclass
class Desk:
    """Where looks are asked for."""

    dispatch: Dispatch
    metrics: Metrics
    checks: Mapping[str, Any]

    async def look(self, name: str = "web") -> Attempt[Observation]:
        """As the corridor does."""
        now = datetime.now(UTC)
        return await self.dispatch.look(Due(self.checks[f"shop/{name}"], now), now)

    async def until(self, condition: Callable[[], object], timeout: float = 15) -> None:
        async with asyncio.timeout(timeout):
            while not condition():
                await asyncio.sleep(0.02)

    async def alive(self, count: int = 1, location: str = "eu-west") -> None:
        """Until it knows of so many workers there."""
        await self.until(lambda: self.dispatch.standing()[location][0] == count)


@pytest.fixture
async def installation(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Installation]:
    made = Installation(tmp_path, postgres.create_database())
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def hook() -> Any:
    """What is looked at."""
    with Receiver() as receiver:
        yield receiver
