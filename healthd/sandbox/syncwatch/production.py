"""Every server of the emulated SyncWatch, started together and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from healthd.sandbox.parts.aws.account import Aws
from healthd.sandbox.parts.cache import Cache
from healthd.sandbox.parts.database import Database
from healthd.sandbox.parts.dumps import dump
from healthd.sandbox.parts.monitoring import monitoring
from healthd.sandbox.parts.slow_queries import SlowQueries
from healthd.sandbox.syncwatch.application import Application
from healthd.sandbox.syncwatch.cloud import Cloud
from healthd.sandbox.syncwatch.cluster import Platform
from healthd.sandbox.syncwatch.contents import TABLES, rooms
from healthd.sandbox.syncwatch.edge import Edge
from healthd.sandbox.syncwatch.machine import Machine
from healthd.sandbox.syncwatch.rules import RULES
from healthd.sandbox.syncwatch.telemetry import MachineExporter, MediaExporter
from healthd.sandbox.syncwatch.traffic import Traffic

# what vacuums is healthd's subject; here it was done before the sandbox began
_SETTINGS = {"autovacuum": "off"}
# what Redis writes to disk: every command, and a snapshot every six hours
_DURABLE = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "21600", "1")


class Production:
    """One SyncWatch on loopback. `scratch` is a folder for restored databases."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.scratch = folder / "scratch"
        self.database = Database(
            folder, logs / "postgres.log",
            name="syncwatch", owner="syncwatch", tables=TABLES, extensions=("pg_stat_statements",), settings=_SETTINGS,
        )  # fmt: skip
        self.slow_queries = SlowQueries(self.database)
        self.cache = Cache(logs / "redis.log", fill_in=rooms, options=_DURABLE, folder=folder / "redis")
        self.standby = Cache(logs / "redis-standby.log", folder=folder / "redis-standby", replica_of=self.cache)
        self.aws = Aws(logs / "aws.log")
        self.cloud = Cloud(self.aws)
        self.platform = Platform(folder / "kubernetes")
        self.machine = Machine(folder / "machine", folder / "docker.sock")
        self.application = Application(self.database.url, self.cache, self.aws)
        self.edge = Edge()
        self.nodes, self.media = MachineExporter(), MediaExporter()
        self.traffic = Traffic(self.application.url, self.cache, self.media)
        targets = {"syncwatch": self.application.port, "node": self.nodes.port, "media": self.media.port}
        self.monitoring = monitoring(targets, RULES, folder, logs)

    async def start(self) -> None:
        """Start everything; returns when all of it answers."""
        self.scratch.mkdir(mode=0o755)
        await asyncio.gather(
            self._start_data(), self.cache.start(), self.standby.start(), self.platform.cluster.start(),
            self.machine.start(), self.application.start(), self.edge.start(), self.nodes.start(), self.media.start(),
            self.monitoring.start(),
        )  # fmt: skip
        self.traffic.start()

    async def _start_data(self) -> None:
        await asyncio.gather(self.database.start(), self.aws.start())
        await self.database.execute("VACUUM (ANALYZE)")
        await self.cloud.start(await dump(self.database, custom=True))

    async def stop(self) -> None:
        """Stop everything, users first; one part that fails does not keep the others running."""
        first: list[Callable[[], Awaitable[object]]] = [self.traffic.stop, self.slow_queries.stop]
        then: list[Callable[[], Awaitable[object]]] = [
            *(self.monitoring.stop, self.application.close, self.edge.stop, self.nodes.stop, self.media.stop),
            *(self.machine.engine.stop, self.platform.cluster.stop, self.aws.stop),
            *(self.standby.close, self.cache.close, self.database.stop),
        ]
        for parts in (first, then):
            await asyncio.gather(*(part() for part in parts), return_exceptions=True)
