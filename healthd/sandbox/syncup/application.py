"""The emulated SyncUp: its own health check and its API, from the real state of PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from aiohttp import web
from psycopg import Error as DatabaseError
from redis.exceptions import RedisError

from healthd.sandbox.parts.cache import Cache
from healthd.sandbox.parts.link import Link
from healthd.sandbox.parts.listener import Listener
from healthd.sandbox.parts.visitors import Visit

VISITS = (Visit(8, "GET", "/api/meetings"), Visit(2, "POST", "/api/chat"))
_PATIENCE = 2.0  # seconds for a dependency


class Application:
    """The site on one port."""

    def __init__(self, database_url: str, cache: Cache) -> None:
        self.site = Listener(self._routes)
        self._database, self._cache = Link(database_url), cache

    async def close(self) -> None:
        """Stop listening for good."""
        await self.site.stop()
        await self._database.close()

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/health", self._health),
            web.get("/api/meetings", self._meetings),
            web.post("/api/chat", self._chat),
        ]

    async def _health(self, _: web.Request) -> web.Response:
        database, cache = await asyncio.gather(
            _works(self._database.query("SELECT 1")), _works(self._cache.client.ping())
        )
        checks = {"database": "up" if database else "down", "cache": "up" if cache else "down"}
        well = database and cache
        return web.json_response({"status": "ok" if well else "error", "checks": checks}, status=200 if well else 503)

    async def _meetings(self, _: web.Request) -> web.Response:
        try:
            rows = await self._database.query("SELECT id, title FROM meetings ORDER BY id DESC LIMIT 10")
        except (DatabaseError, TimeoutError):
            return web.json_response({"error": "database not available"}, status=503)
        return web.json_response([{"id": number, "title": title} for number, title in rows])

    async def _chat(self, request: web.Request) -> web.Response:
        """Remember what was asked: without Redis or the database the chat goes on, but has no memory."""
        body = await request.json()
        with suppress(RedisError):
            await self._cache.client.set(f"chat:{body['user']}", body["text"], ex=600)
        with suppress(DatabaseError, TimeoutError):
            await self._database.query(
                "INSERT INTO messages (author, text) VALUES (%s, %s)", body["user"], body["text"]
            )
        return web.json_response({"answer": "There were three action items."})


async def _works(question: Awaitable[Any]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            return bool(await question)
    except (DatabaseError, RedisError, TimeoutError):
        return False
