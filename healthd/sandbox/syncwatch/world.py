"""SyncWatch in production, on loopback: which servers there are, and what the catalogue needs to find them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from healthd.sandbox.parts.cache import Cache
from healthd.sandbox.parts.database import Database
from healthd.sandbox.parts.monitoring import monitoring
from healthd.sandbox.syncwatch.application import Application
from healthd.sandbox.syncwatch.contents import TABLES, rooms
from healthd.sandbox.syncwatch.faults import FAULTS
from healthd.sandbox.syncwatch.rules import RULES
from healthd.sandbox.syncwatch.storage import CREDENTIALS, Storage
from healthd.sandbox.syncwatch.traffic import Traffic
from healthd.sandbox.world import Fault, state

# switches of the catalogue for what is not there
_NOT_EMULATED = (
    *("SYNCWATCH_KUBERNETES", "SYNCWATCH_COMPOSE", "SYNCWATCH_AWS", "SYNCWATCH_REDIS_DURABLE", "SYNCWATCH_STATEMENTS"),
    *("SYNCWATCH_TRANSCODING", "SYNCWATCH_FORECAST", "SYNCWATCH_AUDIT", "SYNCWATCH_RESTORE_DRILL"),
    "SYNCWATCH_LOAD_TEST",
)


class SyncWatch:
    """The world of SyncWatch; see `healthd.sandbox.world.World`."""

    name: ClassVar[str] = "syncwatch"
    catalogues: ClassVar[tuple[str, ...]] = ("host", "syncwatch")
    faults: ClassVar[Mapping[str, Fault[Any]]] = FAULTS

    def __init__(self, folder: Path, logs: Path) -> None:
        self.database = Database(folder, logs / "postgres.log", name="syncwatch", owner="syncwatch", tables=TABLES)
        self.cache = Cache(logs / "redis.log", fill_in=rooms)
        self.storage = Storage(logs / "s3.log")
        self.application = Application(self.database.url, self.cache, self.storage)
        self.traffic = Traffic(self.application.url, self.cache)
        self.monitoring = monitoring({"syncwatch": self.application.port}, RULES, folder, logs)

    async def start(self) -> None:
        """Start everything; returns when all of it answers."""
        await asyncio.gather(
            self.database.start(), self.cache.start(), self.storage.start(datetime.now(UTC)), self.application.start(),
            self.monitoring.start(),
        )  # fmt: skip
        self.traffic.start()

    async def stop(self) -> None:
        """Stop everything, users first; one part that fails does not keep the others running."""
        await self.traffic.stop()
        parts: list[Callable[[], Awaitable[None]]] = [
            *(self.monitoring.stop, self.application.close),
            *(self.storage.stop, self.cache.close, self.database.stop),
        ]
        await asyncio.gather(*(part() for part in parts), return_exceptions=True)

    def environment(self) -> dict[str, str]:
        """What the catalogue of this production reads: addresses with credentials, and a pace fit for watching."""
        return {
            "SYNCWATCH_API_URL": self.application.url,
            "SYNCWATCH_PROMETHEUS_URL": self.monitoring.url,
            "SYNCWATCH_DATABASE_URL": self.database.monitor_url,
            "SYNCWATCH_REDIS_URL": self.cache.url,
            "AWS_ENDPOINT_URL": self.storage.url,
            "SYNCWATCH_LOGIN_EMAIL": "user1@example.com",
            "SYNCWATCH_EVERY": "5s",
            "SYNCWATCH_RATE_WINDOW": "15s",
            "SYNCWATCH_QUEUE_HOLD": "15s",
            "SYNCWATCH_LATENCY_HOLD": "5s",
            "SYNCWATCH_LOGIN_HOLD": "15s",
            "SYNCWATCH_BACKUPS_AGAIN": "* * * * *",
            **dict.fromkeys(_NOT_EMULATED, "false"),
            **CREDENTIALS,
        }

    def description(self) -> str:
        """What it is made of, in one line."""
        return f"PostgreSQL, Redis, S3 (moto), the SyncWatch application, {self.monitoring.description}"

    def parts(self) -> dict[str, str]:
        """Each server with its address (no credentials), and whether it runs."""
        return {
            "application": state(self.application.running, self.application.url),
            "PostgreSQL": state(self.database.running, f"127.0.0.1:{self.database.port}"),
            "Redis": state(self.cache.running, f"127.0.0.1:{self.cache.port}"),
            "S3 (moto)": state(self.storage.running, self.storage.url),
            "Prometheus": state(True, self.monitoring.url),
        }
