"""The emulated SyncWatch backend: answers as its operations guide says, from the real state of its servers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from secrets import SystemRandom
from typing import Any

from aiohttp import WSMsgType, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import AsyncConnection
from psycopg import Error as DatabaseError
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NoRedis
from redis.exceptions import RedisError

from healthd.sandbox.child import free_port
from healthd.sandbox.parts.aws.account import Aws
from healthd.sandbox.parts.cache import Cache
from healthd.sandbox.syncwatch.telemetry import Telemetry

QUEUE = "transcoding:queue"
_random = SystemRandom()
_DEPENDENCY_TIMEOUT = 2.0
_API = "/api/"
_TAIL = 1.5  # seconds that a slow request takes longer


_BUCKET = "syncwatch-videos"


@dataclass
class Behaviour:
    """What faults change in the application itself. Every so many-th means regularly: 0 for never."""

    delay: float = 0.0  # seconds added to every answer of the API
    slow_every: int = 0  # every so many-th answer takes 1.5 s longer
    fail_every: int = 0  # every so many-th question for videos or rooms is answered with 500
    reject_every: int = 0  # ... with 400
    refuse_logins: bool = False  # nobody's password is right
    refuse_sockets: bool = False  # WebSockets that are opened now
    broadcast_delay: float = 0.0  # seconds between a sync command and its broadcast
    lose_database: bool = False  # the application cannot reach PostgreSQL, which answers everybody else
    lose_redis: bool = False  # likewise


class Application:
    """The backend on one port. `start` and `stop` may follow each other; metrics go on counting."""

    def __init__(self, database_url: str, cache: Cache, aws: Aws) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.behaviour = Behaviour()
        self.telemetry = Telemetry()
        self._database_url, self._cache, self._aws = database_url, cache, aws
        self._connections: asyncio.LifoQueue[AsyncConnection[Any] | None] = asyncio.LifoQueue()
        for _ in range(3):
            self._connections.put_nowait(None)
        self._deferred: list[str] = []
        self._numbers = count(1)  # of the API's requests
        self._rooms: dict[str, set[web.WebSocketResponse]] = {}
        self._runner: web.AppRunner | None = None

    @property
    def running(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        """Listen."""
        application = web.Application(middlewares=[self._measure])
        application.add_routes(
            [
                web.get("/health", self._live),
                web.get("/health/live", self._live),
                web.get("/health/ready", self._ready),
                web.get("/metrics", self._metrics),
                web.get("/sync", self._sync),
                web.post("/api/auth/register", self._register),
                web.post("/api/auth/login", self._login),
                web.get("/api/videos", self._videos),
                web.post("/api/videos", self._upload),
                web.get("/api/rooms/{code}", self._room),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Stop listening and cut what is connected."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await asyncio.gather(*(ws.close() for room in self._rooms.values() for ws in set(room)))
            await runner.cleanup()

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        while not self._connections.empty():
            if (connection := self._connections.get_nowait()) is not None:
                await connection.close()

    async def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database over one of the application's few pooled connections."""
        if self.behaviour.lose_database:
            raise DatabaseError("connection refused")
        connection = await self._connections.get()
        try:
            if connection is None or connection.closed:
                connection = await AsyncConnection.connect(self._database_url, autocommit=True, connect_timeout=2)
            cursor = await connection.execute(sql.encode(), values)
            return await cursor.fetchall() if cursor.description else []
        except DatabaseError:
            if connection is not None:
                await connection.close()
            connection = None
            raise
        finally:
            self._connections.put_nowait(connection)

    @property
    def _redis(self) -> Redis:
        if self.behaviour.lose_redis:
            raise NoRedis("connection refused")
        return self._cache.client

    async def read_servers(self) -> None:
        """Read what /metrics says of the database, Redis and the queue; what does not answer is left out."""
        database, redis = await asyncio.gather(*map(_within_a_second, (self._read_database(), self._read_redis())))
        self.telemetry.readings = {
            **database,
            **redis,
            "syncwatch_database_up": bool(database),
            "syncwatch_redis_up": bool(redis),
            "syncwatch_websocket_connections": sum(len(room) for room in self._rooms.values()),
            "active_users": 180,
        }

    async def _read_database(self) -> Mapping[str, float]:
        rows = await self.query(
            "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity"
            " WHERE backend_type = 'client backend'"
        )
        return {"syncwatch_database_connections": rows[0][0], "syncwatch_database_connections_max": rows[0][1]}

    async def _read_redis(self) -> Mapping[str, float]:
        depth = await self._redis.llen(QUEUE)
        info = await self._redis.info("memory")
        return {
            "syncwatch_transcoding_queue_depth": depth,
            "redis_memory_used_bytes": info["used_memory"],
            "redis_memory_max_bytes": info["maxmemory"],
        }

    @web.middleware
    async def _measure(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Count and time the API's requests, and make them slow or fail when a fault says so."""
        if not request.path.startswith(_API):
            return await handler(request)
        started = time.perf_counter()
        behaviour, number = self.behaviour, next(self._numbers)
        tail = _TAIL if _is_turn(number, behaviour.slow_every) else 0.0
        await asyncio.sleep(_random.uniform(0.004, 0.06) + behaviour.delay + tail)
        plain = request.method == "GET"
        if plain and _is_turn(number, behaviour.fail_every):
            response: web.StreamResponse = _problem(500, "Internal server error")
        elif plain and _is_turn(number, behaviour.reject_every):
            response = _problem(400, "Bad request")
        else:
            response = await _answered(handler, request)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        self.telemetry.requests.labels(route, str(response.status)).inc()
        self.telemetry.durations.labels(route).observe(time.perf_counter() - started)
        return response

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _: web.Request) -> web.Response:
        database, redis, storage = await asyncio.gather(
            _works(self.query("SELECT 1")),
            _works(self._ping()),
            _works(self._aws.buckets.accessible(_BUCKET)),
        )
        body = {
            "status": "ready" if database and redis and storage else "not ready",
            "checks": {
                "database": "connected" if database else "disconnected",
                "redis": "connected" if redis else "disconnected",
                "storage": "accessible" if storage else "inaccessible",
            },
        }
        return web.json_response(body, status=200 if body["status"] == "ready" else 503)

    async def _ping(self) -> bool:
        return bool(await self._redis.ping())

    async def _metrics(self, _: web.Request) -> web.Response:
        await self.read_servers()
        body = generate_latest(self.telemetry.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _register(self, request: web.Request) -> web.Response:
        fields = await _fields(request, "email", "username", "password")
        if await self.query('SELECT 1 FROM "User" WHERE email = %s', fields["email"]):
            return _problem(409, "Email already registered")
        await self.query('INSERT INTO "User" (email, username, password) VALUES (%s, %s, md5(%s))', *fields.values())
        return web.json_response({"user": {"email": fields["email"], "username": fields["username"]}}, status=201)

    async def _login(self, request: web.Request) -> web.Response:
        fields = await _fields(request, "email", "password")
        if self.behaviour.refuse_logins:
            return _problem(401, "Invalid credentials")
        rows = await self.query('SELECT id FROM "User" WHERE email = %s AND password = md5(%s)', *fields.values())
        if not rows:
            return _problem(401, "Invalid credentials")
        return web.json_response({"accessToken": f"token-of-user-{rows[0][0]}"})

    async def _videos(self, _: web.Request) -> web.Response:
        rows = await self.query('SELECT id, title FROM "Video" ORDER BY id LIMIT 20')
        return web.json_response([{"id": number, "title": title} for number, title in rows])

    async def _upload(self, _: web.Request) -> web.Response:
        """Queue a transcoding job; without Redis it waits here."""
        self.telemetry.uploads.inc()
        self._deferred.append(json.dumps({"video": _random.randrange(10**6), "at": time.time()}))
        try:
            await self._redis.rpush(QUEUE, *self._deferred)
        except RedisError:
            return web.json_response({"status": "deferred"}, status=202)
        self._deferred.clear()
        return web.json_response({"status": "queued"}, status=202)

    async def _room(self, request: web.Request) -> web.Response:
        """Who is in a room; without Redis people fall back to playing alone, as the documents say."""
        code = request.match_info["code"]
        try:
            people = await self._redis.smembers(f"room:{code}:participants")
        except RedisError:
            return web.json_response({"code": code, "participants": [], "sync": "disabled"})
        if not people:
            return _problem(404, "Room not found")
        return web.json_response({"code": code, "participants": sorted(people)})

    async def _sync(self, request: web.Request) -> web.WebSocketResponse:
        """The WebSocket: join a room, send commands, acknowledge those of others with one's own drift."""
        if self.behaviour.refuse_sockets:
            raise web.HTTPServiceUnavailable(text="too many WebSockets")
        socket = web.WebSocketResponse(heartbeat=25)
        await socket.prepare(request)
        room: set[web.WebSocketResponse] = set()
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    break
                message = json.loads(frame.data)
                data = message.get("data", {})
                match message.get("channel"):
                    case "room:join":
                        room = self._rooms.setdefault(data.get("roomCode", ""), set())
                        room.add(socket)
                    case "sync:play" | "sync:pause" | "sync:seek":
                        await self._broadcast(room, message)
                    case "sync:ack":
                        self.telemetry.drift.observe(float(data["driftMs"]))
        except (ValueError, KeyError, AttributeError):
            await socket.close(code=1003, message=b"expected JSON with channel and data")
        finally:
            room.discard(socket)
        return socket

    async def _broadcast(self, room: set[web.WebSocketResponse], message: Mapping[str, Any]) -> None:
        received = time.perf_counter()
        await asyncio.sleep(self.behaviour.broadcast_delay)
        for viewer in set(room):
            with suppress(ConnectionError):
                await viewer.send_json(message)
        self.telemetry.command_latency.observe((time.perf_counter() - received) * 1000)


async def _answered(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], request: web.Request
) -> web.StreamResponse:
    """The handler's answer, or the one for what went wrong behind it."""
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return answer
    except DatabaseError:
        return _problem(500, "Connection to database failed")


async def _fields(request: web.Request, *names: str) -> dict[str, str]:
    try:
        body = await request.json()
        return {name: str(body[name]) for name in names}
    except (ValueError, KeyError, TypeError):
        raise web.HTTPBadRequest(text=f"expected a JSON object with {', '.join(names)}") from None


def _is_turn(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


async def _works(question: Awaitable[Any]) -> bool:
    try:
        async with asyncio.timeout(_DEPENDENCY_TIMEOUT):
            return bool(await question)
    except (DatabaseError, RedisError, TimeoutError):
        return False


async def _within_a_second(reading: Awaitable[Mapping[str, float]]) -> Mapping[str, float]:
    try:
        async with asyncio.timeout(1):
            return await reading
    except (DatabaseError, RedisError, TimeoutError):
        return {}


def _problem(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
