"""Somebody who asks a database of an emulated production questions that take their time."""

from __future__ import annotations

import asyncio

from healthd.sandbox.parts.database import Database


class SlowQueries:
    """Asked over the application's role, some at a time, until `stop`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, seconds: float, at_once: int = 4) -> None:
        """Ask again and again; each answer takes so long."""
        await self.stop()
        self._tasks = [asyncio.create_task(self._ask(seconds)) for _ in range(at_once)]

    async def stop(self) -> None:
        """Ask no longer."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, seconds: float) -> None:
        from psycopg import AsyncConnection

        async with await AsyncConnection.connect(self._database.url, autocommit=True) as connection:
            while True:
                await connection.execute("SELECT pg_sleep(%s)", [seconds])
