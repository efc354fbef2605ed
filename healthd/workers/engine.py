"""Procrastinate on the daemon's PostgreSQL, over a few connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from healthd.store.base import StoreError
from healthd.store.postgresql import PostgresBackend

if TYPE_CHECKING:
    import procrastinate
    import psycopg
    import psycopg_pool

T = TypeVar("T")
PATIENCE = 5.0  # seconds for a connection
_SCHEMA_LOCK = 0x6865616C746865  # "healthe": after the store's
# What is lost with the server's last instants is looked at again: nothing here has to be on the disk at once.
_SESSION = (
    "SELECT set_config('lock_timeout', '5s', false), set_config('statement_timeout', '10s', false),"
    " set_config('synchronous_commit', 'off', false)"
)
_UNHURRIED = "SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true)"
_MARK = "healthd: "  # and the newest migration, as the comment of the engine's table


class Engine:
    """The queues. What goes wrong with the server is StoreError, in the store's words and without a password."""

    def __init__(self, url: str, *, connections: int, name: str) -> None:
        """`connections` at most, beside those that listen. StoreError for a URL that is none."""
        self._backend = PostgresBackend(url)
        self._parameters = {**self._backend.parameters, "application_name": name}
        self._connections = connections
        self._pool: psycopg_pool.AsyncConnectionPool[Any] | None = None
        self.app: procrastinate.App
        self.broken = asyncio.Event()  # what the engine runs by itself may have ended

    async def open(self) -> None:
        """Connect. Harmless when open."""
        if self._pool is not None:
            return
        import procrastinate
        import psycopg_pool

        from healthd.workers.connector import WatchedConnector

        with self._explained():
            async with await self.listener():  # a pool would not say why it cannot connect
                pass
            pool: psycopg_pool.AsyncConnectionPool[Any] = psycopg_pool.AsyncConnectionPool(
                kwargs=self._parameters,
                min_size=1,
                max_size=self._connections,
                timeout=PATIENCE,
                configure=_configure,
                check=psycopg_pool.AsyncConnectionPool.check_connection,
                open=False,
            )
            await pool.open(wait=True, timeout=PATIENCE)
            self.app = procrastinate.App(connector=WatchedConnector(self.broken))
            await self.app.open_async(pool)
        self._pool = pool

    async def close(self) -> None:
        """Let go of the connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close(timeout=1)

    async def ready(self) -> bool:
        """Whether a daemon has prepared the database."""
        rows = await self.rows("SELECT to_regclass('procrastinate_jobs'), to_regclass('healthd_answers')")
        return None not in rows[0]

    async def prepare(self) -> None:
        """Bring the engine's tables to what this installation of it knows; one process at a time, all or nothing. What
        somebody else has made of them is left as it is."""
        scripts = _scripts()
        async with self._connection() as connection, connection.transaction():
            await connection.execute(_UNHURRIED)
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
            found = await connection.execute(
                "SELECT table_, obj_description(table_, 'pg_class') FROM to_regclass('procrastinate_jobs') AS table_"
            )
            table, comment = await found.fetchone() or (None, None)
            mark = (comment or "").removeprefix(_MARK) if (comment or "").startswith(_MARK) else ""
            wanted = _whole() if table is None else [s.read_text() for s in scripts if mark and s.name > mark]
            for script in wanted:
                await connection.execute(script)
            if wanted:
                from psycopg import sql

                await connection.execute(
                    sql.SQL("COMMENT ON TABLE procrastinate_jobs IS {}").format(sql.Literal(_MARK + scripts[-1].name))
                )

    async def rows(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run one statement, committed at once. Raises StoreError."""
        async with self._connection() as connection:
            done = await connection.execute(statement, parameters)
            return await done.fetchall() if done.description else []

    async def call(self, work: Callable[[procrastinate.App], Awaitable[T]]) -> T:
        """Ask the engine. Raises StoreError."""
        if self._pool is None:
            raise StoreError("the queues are not open")
        with self._explained():
            return await work(self.app)

    async def listener(self) -> psycopg.AsyncConnection[Any]:
        """A connection of its own, to be closed by whoever asked for it."""
        import psycopg

        with self._explained():
            return await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        if self._pool is None:
            raise StoreError("the queues are not open")
        with self._explained():
            async with self._pool.connection() as connection:
                yield connection

    def _explained(self) -> _Explained:
        return _Explained(self._backend)


class _Explained:
    """What a driver or the engine raises about the server becomes a StoreError."""

    def __init__(self, backend: PostgresBackend) -> None:
        self._backend = backend

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import procrastinate.exceptions
        import psycopg

        if isinstance(error, procrastinate.exceptions.ConnectorException):
            error = error.__cause__ or error
        if isinstance(error, psycopg.Error | procrastinate.exceptions.ConnectorException | OSError):
            raise self._backend.explain(error) from None


async def _configure(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)
    await connection.execute(_SESSION)


def _whole() -> list[str]:
    from procrastinate.schema import SchemaManager

    return [SchemaManager.get_schema()]


def _scripts() -> list[Path]:
    """The engine's migrations, in their order."""
    from procrastinate.schema import SchemaManager

    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"), key=lambda path: path.name)
