"""The people who use the emulated Synk."""

from __future__ import annotations

import asyncio
import ssl
from secrets import SystemRandom
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

_random = SystemRandom()
_REQUESTS_PER_SECOND = 12
_USERS = 200
# weight, method, path; little is written, so that last night's backup still resembles what is there
_REQUESTS = (
    (300, "GET", "/"),
    (600, "GET", "/api/items/"),
    (90, "POST", "/accounts/login/"),
    (10, "POST", "/api/items/"),
)


class Traffic:
    """Keeps the site busy. What is down is tried again a moment later."""

    def __init__(self, url: str, trusted: ssl.SSLContext) -> None:
        self._url, self._trusted = url, trusted
        self._task: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._visit())

    async def stop(self) -> None:
        """Everybody leaves."""
        tasks = [*self._under_way, *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _visit(self) -> None:
        weights = [request[0] for request in _REQUESTS]
        async with ClientSession(self._url, timeout=ClientTimeout(total=10)) as session:
            while True:
                (_, method, path) = _random.choices(_REQUESTS, weights)[0]
                task = asyncio.create_task(self._request(session, method, path))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                await asyncio.sleep(_random.uniform(0.5, 1.5) / _REQUESTS_PER_SECOND)

    async def _request(self, session: ClientSession, method: str, path: str) -> None:
        user = _random.randrange(1, _USERS + 1)
        body: dict[str, Any] | None = {"user": user, "password": "correct"} if method == "POST" else None
        headers = {"X-Real-IP": f"203.0.113.{user % 250 + 1}"}
        try:
            async with session.request(method, path, json=body, headers=headers, ssl=self._trusted) as response:
                await response.read()
        except (ClientError, TimeoutError):
            return
