"""The emulated Social Live backend and frontend, answering from the real state of their PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from secrets import SystemRandom
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import Error as DatabaseError
from redis.exceptions import RedisError

from healthd.sandbox.parts.cache import Cache
from healthd.sandbox.parts.certificates import IssuedCertificate
from healthd.sandbox.parts.link import Link
from healthd.sandbox.parts.listener import Listener
from healthd.sandbox.social_live.telemetry import BackendTelemetry

_random = SystemRandom()
_PATIENCE = 2.0  # seconds for a dependency
_FEED_SECONDS = 5  # that a feed is cached
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Behaviour:
    """What faults change in the backend itself."""

    delay: float = 0.0  # seconds added to every answer
    error_share: float = 0.0  # of the API's requests that are answered with 500


class Application:
    """`api` is what the ingress leads to, `web` the frontend, `metrics` what Prometheus scrapes of the pods."""

    def __init__(self, certificate: IssuedCertificate, database_url: str, cache: Cache) -> None:
        self.behaviour = Behaviour()
        self.telemetry = BackendTelemetry()
        self.api = Listener(self._api_routes, middlewares=[self._measured], certificate=certificate)
        self.web = Listener(lambda: [web.get("/", self._page)], certificate=certificate)
        self.metrics = Listener(lambda: [web.get("/metrics", self._expose)])
        self._database, self._cache = Link(database_url), cache

    async def start(self) -> None:
        """Listen."""
        await asyncio.gather(self.api.start(), self.web.start(), self.metrics.start())

    async def stop(self) -> None:
        """Stop listening, for good."""
        await asyncio.gather(self.api.stop(), self.web.stop(), self.metrics.stop())
        await self._database.close()

    def _api_routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self._health),
            web.get("/api/posts", self._posts),
            web.post("/api/posts", self._post),
            web.get("/api/feed/{user}", self._feed),
        ]

    @web.middleware
    async def _measured(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, count and time it; the health check is not a request of users."""
        if request.path == "/health":
            return await handler(request)
        started = time.perf_counter()
        await asyncio.sleep(_random.uniform(0.005, 0.06) + self.behaviour.delay)
        response = await self._answered(request, handler)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        self.telemetry.answered(request.method, route, response.status, time.perf_counter() - started)
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if _random.random() < self.behaviour.error_share:
            return web.json_response({"statusCode": 500, "message": "Internal server error"}, status=500)
        try:
            return await handler(request)
        except web.HTTPException as answer:
            return answer
        except (DatabaseError, RedisError, TimeoutError):
            return web.json_response({"statusCode": 503, "message": "Service unavailable"}, status=503)
        except ConnectionResetError:  # whoever asked has gone, in the middle of the question
            return web.Response(status=400)

    async def _health(self, _: web.Request) -> web.Response:
        database, redis = await asyncio.gather(
            _works(self._database.query("SELECT 1")), _works(self._cache.client.ping())
        )
        details = {"database": "up" if database else "down", "redis": "up" if redis else "down"}
        well = database and redis
        return web.json_response({"status": "ok" if well else "error", **details}, status=200 if well else 503)

    async def _posts(self, _: web.Request) -> web.Response:
        rows = await self._database.query(
            "SELECT id, content FROM posts WHERE deleted_at IS NULL ORDER BY id DESC LIMIT 10"
        )
        return web.json_response([{"id": number, "content": content} for number, content in rows])

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self._database.query("INSERT INTO posts (user_id, content) VALUES (%s, 'Hello')", int(body["user"]))
        return web.json_response({"posted": True}, status=201)

    async def _feed(self, request: web.Request) -> web.Response:
        """What a user is shown, from the cache while it is fresh."""
        key = f"feed:{request.match_info['user']}"
        if (cached := await self._cache.client.get(key)) is not None:
            return web.Response(text=str(cached), content_type="application/json")
        rows = await self._database.query(
            "SELECT id FROM feed_items WHERE user_id = %s ORDER BY score DESC LIMIT 10", int(request.match_info["user"])
        )
        answer = web.json_response([number for (number,) in rows])
        await self._cache.client.set(key, answer.text or "[]", ex=_FEED_SECONDS)
        return answer

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text="<h1>Social Live</h1>", content_type="text/html")

    async def _expose(self, _: web.Request) -> web.Response:
        body = generate_latest(self.telemetry.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _works(question: Awaitable[Any]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            return bool(await question)
    except (DatabaseError, RedisError, TimeoutError):
        return False
