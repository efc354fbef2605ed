"""SyncUp's database: its tables, and what can go wrong inside of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from healthd.sandbox.parts.database import Database
from healthd.sandbox.parts.relay import Relay

if TYPE_CHECKING:
    from psycopg import AsyncConnection

USERS = 400  # as in the tables
TABLES = """
CREATE TABLE users (id serial PRIMARY KEY, email text UNIQUE NOT NULL, name text NOT NULL);
CREATE TABLE meetings (
    id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users(id), title text NOT NULL, started timestamptz NOT NULL
);
CREATE TABLE summaries (id serial PRIMARY KEY, meeting_id int NOT NULL REFERENCES meetings(id), text text NOT NULL);
CREATE TABLE messages (id serial PRIMARY KEY, author int NOT NULL, text text NOT NULL, sent timestamptz DEFAULT now());
INSERT INTO users (email, name)
    SELECT 'user' || n || '@example.com', 'User ' || n FROM generate_series(1, 400) AS n;
INSERT INTO meetings (user_id, title, started)
    SELECT 1 + n % 400, 'Meeting ' || n, now() - n * interval '1 hour' FROM generate_series(1, 2000) AS n;
INSERT INTO summaries (meeting_id, text) SELECT id, md5(title) || md5(id::text) FROM meetings;
"""
# what vacuums is SyncUp's weekly maintenance; here it was done before the sandbox began
SETTINGS = {"autovacuum": "off", "track_io_timing": "on"}


class Maintenance:
    """What the weekly maintenance should have seen to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def vacuum(self) -> None:
        """Do it: of every table."""
        await self._database.execute("VACUUM (ANALYZE)")

    async def add_dirty_table(self) -> None:
        """Make a table that nobody ever vacuumed."""
        await self._database.execute("CREATE TABLE transcripts AS SELECT * FROM summaries")

    async def drop_dirty_table(self) -> None:
        """Drop it."""
        await self._database.execute("DROP TABLE IF EXISTS transcripts")

    async def break_index(self) -> None:
        """Leave an index that could not be built, as there are duplicates."""
        from psycopg import errors

        with suppress(errors.UniqueViolation):
            await self._database.execute("CREATE UNIQUE INDEX CONCURRENTLY meetings_user ON meetings (user_id)")

    async def drop_index(self) -> None:
        """Drop it."""
        await self._database.execute("DROP INDEX IF EXISTS meetings_user")


class SlowReports:
    """People who ask the database for reports that take their time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    async def start(self, table: str, seconds: float) -> None:
        """Ask of a table again and again, two at a time."""
        await self.stop(table)
        self._tasks[table] = [asyncio.create_task(self._ask(table, seconds)) for _ in range(2)]

    async def stop(self, table: str) -> None:
        """Ask that no longer."""
        tasks = self._tasks.pop(table, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Ask nothing any longer."""
        for table in tuple(self._tasks):
            await self.stop(table)

    async def _ask(self, table: str, seconds: float) -> None:
        from psycopg import AsyncConnection
        from psycopg.sql import SQL, Identifier

        question = SQL("SELECT count(*), pg_sleep(%s) FROM {}").format(Identifier(table))
        async with await AsyncConnection.connect(self._database.url, autocommit=True) as connection:
            while True:
                await connection.execute(question, [seconds])


class Stranger:
    """A client on another machine that does without TLS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._relay = Relay(database.port)
        self._connection: AsyncConnection[Any] | None = None

    async def admit(self) -> None:
        """Have the server take connections from that machine."""
        with (self._database.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 127.0.0.2/32 scram-sha-256\n")
        await self._database.execute("SELECT pg_reload_conf()")

    async def come(self) -> None:
        """Connect, and stay."""
        from psycopg import AsyncConnection

        await self._relay.start()
        url = self._database.url.replace(f":{self._database.port}/", f":{self._relay.port}/")
        self._connection = await AsyncConnection.connect(url, autocommit=True)

    async def leave(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        await self._relay.stop()
