"""How an emulated application asks its PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

from psycopg import AsyncConnection
from psycopg import Error as DatabaseError

_PATIENCE = 2.0  # seconds


class Link:
    """One connection, made when it is needed and again after it broke; one question at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask. Raises psycopg.Error, or TimeoutError after two seconds."""
        async with self._turn, asyncio.timeout(_PATIENCE):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await AsyncConnection.connect(self._url, autocommit=True)
                cursor = await self._connection.execute(sql.encode(), values)
                return await cursor.fetchall() if cursor.description else []
            except (DatabaseError, asyncio.CancelledError):
                await self.close()
                raise

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
