"""Every server of the emulated SyncUp, started together and stopped together."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path

from healthd.sandbox.parts.aws.account import Aws
from healthd.sandbox.parts.cache import Cache
from healthd.sandbox.parts.database import Database
from healthd.sandbox.parts.dumps import dump
from healthd.sandbox.parts.replica import Replica
from healthd.sandbox.parts.visitors import Visitors
from healthd.sandbox.syncup.application import VISITS, Application
from healthd.sandbox.syncup.database import SETTINGS, TABLES, USERS, Maintenance, SlowReports, Stranger
from healthd.sandbox.syncup.host import Host
from healthd.sandbox.syncup.scene import Scene
from healthd.sandbox.syncup.services import Services


class Production:
    """One SyncUp on loopback. `scratch` is a folder for restored databases."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.scratch = folder / "scratch"
        self.database = Database(
            folder, logs / "postgres.log",
            name="syncup", owner="syncup", tables=TABLES, extensions=("pg_stat_statements",), settings=SETTINGS,
        )  # fmt: skip
        self.replica = Replica(folder / "replica", logs / "replica.log", self.database)
        self.cache = Cache(logs / "redis.log")
        self.aws = Aws(logs / "aws.log")
        self.scene = Scene(self.aws)
        self.host = Host(folder / "host")
        self.services = Services()
        self.application = Application(self.database.url, self.cache)
        chat = {"text": "What did we decide?"}
        self.users = Visitors(self.application.site.url, VISITS, users=USERS, body=chat)
        self.maintenance = Maintenance(self.database)
        self.reports = SlowReports(self.database)
        self.stranger = Stranger(self.database)

    async def start(self) -> None:
        """Start everything; returns when all of it answers."""
        self.host.start()
        self.scratch.mkdir(mode=0o755)
        dumped, *_ = await asyncio.gather(
            self._start_database(), self._start_aws(), self.cache.start(), self.services.sites.start(),
            self.application.site.start(),
        )  # fmt: skip
        await self.scene.keep(dumped)
        self.users.start()

    async def _start_database(self) -> bytes:
        """Start it and its replica. A backup of it, compressed."""
        await self.database.start()
        await asyncio.gather(self.maintenance.vacuum(), self.stranger.admit())
        await self.replica.start()
        return gzip.compress(await dump(self.database))

    async def _start_aws(self) -> None:
        await self.aws.start()
        await self.scene.start()

    async def stop(self) -> None:
        """Stop everything, users first; one part that fails does not keep the others running."""
        first: list[Callable[[], Awaitable[object]]] = [self.users.stop, self.reports.close, self.stranger.leave]
        then: list[Callable[[], Awaitable[object]]] = [
            *(self.application.close, self.services.sites.stop, self.replica.stop),
            *(self.aws.stop, self.cache.close, self.database.stop),
        ]
        for parts in (first, then):
            await asyncio.gather(*(part() for part in parts), return_exceptions=True)
