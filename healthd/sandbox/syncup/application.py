"""The emulated SyncUp: its own health check and its API, from the real state of PostgreSQL and Redis; and its users."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from secrets import SystemRandom
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from psycopg import AsyncConnection
from psycopg import Error as DatabaseError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from healthd.sandbox.child import free_port

_random = SystemRandom()
_PATIENCE = 2.0  # seconds for a dependency
_REQUESTS_PER_SECOND = 15


class Application:
    """The site on one port. `start` and `stop` may follow each other."""

    def __init__(self, database_url: str, redis: Callable[[], Redis]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._database_url, self._redis = database_url, redis
        self._connection: AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()  # one question at a time on the one connection
        self._runner: web.AppRunner | None = None

    @property
    def running(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        """Listen."""
        if self._runner is not None:
            return
        application = web.Application()
        application.add_routes(
            [
                web.get("/api/health", self._health),
                web.get("/api/meetings", self._meetings),
                web.post("/api/chat", self._chat),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database. Raises psycopg.Error or TimeoutError."""
        async with self._turn, asyncio.timeout(_PATIENCE):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await AsyncConnection.connect(self._database_url, autocommit=True)
                cursor = await self._connection.execute(sql.encode(), values)
                return await cursor.fetchall() if cursor.description else []
            except (DatabaseError, asyncio.CancelledError):
                if self._connection is not None:
                    await self._connection.close()
                self._connection = None
                raise

    async def _health(self, _: web.Request) -> web.Response:
        database, cache = await asyncio.gather(_works(self._query("SELECT 1")), _works(self._redis().ping()))
        checks = {"database": "up" if database else "down", "cache": "up" if cache else "down"}
        well = database and cache
        return web.json_response({"status": "ok" if well else "error", "checks": checks}, status=200 if well else 503)

    async def _meetings(self, _: web.Request) -> web.Response:
        try:
            rows = await self._query("SELECT id, title FROM meetings ORDER BY id DESC LIMIT 10")
        except (DatabaseError, TimeoutError):
            return web.json_response({"error": "database not available"}, status=503)
        return web.json_response([{"id": number, "title": title} for number, title in rows])

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        with suppress(RedisError):
            await self._redis().set(f"chat:{body['user']}", body["text"], ex=600)
        with suppress(DatabaseError, TimeoutError):
            await self._query("INSERT INTO messages (author, text) VALUES (%s, %s)", body["user"], body["text"])
        return web.json_response({"answer": "There were three action items."})


class Users:
    """Who uses the site, all the time. What is down is tried again a moment later."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Come."""
        self._tasks.add(asyncio.create_task(self._visit()))

    async def stop(self) -> None:
        """Leave."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _visit(self) -> None:
        async with ClientSession(self._url, timeout=ClientTimeout(total=5)) as session:
            while True:
                with suppress(ClientError, TimeoutError):
                    if _random.random() < 0.8:
                        async with session.get("/api/meetings") as response:
                            await response.read()
                    else:
                        question = {"user": _random.randrange(200), "text": "What did we decide?"}
                        async with session.post("/api/chat", json=question) as response:
                            await response.read()
                await asyncio.sleep(_random.uniform(0.5, 1.5) / _REQUESTS_PER_SECOND)


async def _works(question: Awaitable[Any]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            return bool(await question)
    except (DatabaseError, RedisError, TimeoutError):
        return False
