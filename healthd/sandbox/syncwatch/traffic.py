"""The people and workers of the emulated production: requests, viewers in a room, and the transcoder."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from itertools import count
from secrets import SystemRandom
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse
from redis.exceptions import RedisError

from healthd.model.tasks import end_tasks
from healthd.sandbox.parts.cache import Cache
from healthd.sandbox.syncwatch.application import QUEUE
from healthd.sandbox.syncwatch.telemetry import MediaExporter

_random = SystemRandom()
_REQUESTS_PER_SECOND = 15
_ROOM = "TEST1234"
_LOGIN = {"email": "user7@example.com", "password": "Test123!"}
# weight, method, path, body; the odd wrong password and unknown room are the usual share of 4xx
_REQUESTS: tuple[tuple[int, str, str, Any], ...] = (
    (400, "GET", "/api/videos", None),
    (400, "GET", "/api/rooms/ABC12345", None),
    (150, "POST", "/api/auth/login", _LOGIN),
    (20, "POST", "/api/videos", {"title": "Holiday"}),
    (3, "POST", "/api/auth/login", {**_LOGIN, "password": "forgotten"}),
    (3, "GET", "/api/rooms/GONE0000", None),
)


class Traffic:
    """What keeps the production busy. Whatever is down is tried again a moment later."""

    def __init__(self, url: str, cache: Cache, media: MediaExporter) -> None:
        self._url, self._cache, self._media = url, cache, media
        self.transcoder_works = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: ClientSession | None = None

    def start(self) -> None:
        """Begin."""
        self._session = ClientSession(self._url, timeout=ClientTimeout(total=10))
        for forever in (self._visit, self._watch, self._watch, self._transcode, self._play):
            self._spawn(_again(forever))

    async def stop(self) -> None:
        """Everybody leaves."""
        await end_tasks(self._tasks)
        if self._session is not None:
            await self._session.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _visit(self) -> None:
        weights = [request[0] for request in _REQUESTS]
        while True:
            (_, method, path, body) = _random.choices(_REQUESTS, weights)[0]
            self._spawn(self._request(method, path, body))
            await asyncio.sleep(_random.uniform(0.5, 1.5) / _REQUESTS_PER_SECOND)

    async def _request(self, method: str, path: str, body: Any) -> None:
        assert self._session is not None
        try:
            async with self._session.request(method, path, json=body) as response:
                await response.read()
        except (ClientError, TimeoutError):
            return

    async def _watch(self) -> None:
        """One viewer: sends a command now and then, and says how late those of the room arrive."""
        assert self._session is not None
        async with self._session.ws_connect("/sync") as socket:
            await socket.send_json({"channel": "room:join", "data": {"roomCode": _ROOM, "guestName": "viewer"}})
            commands = asyncio.create_task(self._command(socket))
            try:
                async for frame in socket:
                    sent_at = json.loads(frame.data)["data"]["sentAt"]
                    late = (time.time() - sent_at) * 1000 + _random.uniform(10, 70)
                    await socket.send_json({"channel": "sync:ack", "data": {"driftMs": late}})
            finally:
                commands.cancel()
        raise ConnectionError("the server closed the WebSocket")

    @staticmethod
    async def _command(socket: ClientWebSocketResponse) -> None:
        for sequence in count(1):
            await asyncio.sleep(1)
            data = {"sequenceNumber": sequence, "sentAt": time.time()}
            await socket.send_json({"channel": "sync:play", "data": data})

    async def _transcode(self) -> None:
        """The transcoder: takes one job at a time, twice a second."""
        while True:
            if self.transcoder_works:
                await self._cache.client.lpop(QUEUE)
            await asyncio.sleep(0.5)

    async def _play(self) -> None:
        """Players that fetch segments."""
        while True:
            self._media.segments.observe(_random.uniform(0.02, 0.18))
            await asyncio.sleep(0.2)


async def _again(forever: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await forever()
        except (ClientError, ConnectionError, TimeoutError, RedisError, ValueError, KeyError):
            await asyncio.sleep(0.5)
