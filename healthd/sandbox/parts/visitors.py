"""The people who use an emulated production's site."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import SystemRandom
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from healthd.model.tasks import end_tasks

_random = SystemRandom()
_REQUESTS_PER_SECOND = 12


@dataclass(frozen=True, slots=True)
class Visit:
    """What people ask so often, compared with the rest. In `path`, {user} is who asks."""

    weight: int
    method: str
    path: str


class Visitors:
    """Keep a site busy. What is down is tried again a moment later.

    `users` is how many there are. Each request says who asks (X-Real-IP), and a POST says so in its JSON too, beside
    what is in `body`. `trusted` is for a site with TLS.
    """

    def __init__(
        self,
        url: str,
        visits: Sequence[Visit],
        *,
        users: int,
        body: Mapping[str, Any] | None = None,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._url, self._visits, self._users = url, visits, users
        self._body, self._trusted = body or {}, trusted or True
        self._task: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._come())

    async def stop(self) -> None:
        """Everybody leaves."""
        await end_tasks([*self._under_way, self._task])

    async def _come(self) -> None:
        weights = [visit.weight for visit in self._visits]
        async with ClientSession(self._url, timeout=ClientTimeout(total=10)) as session:
            while True:
                task = asyncio.create_task(self._ask(session, _random.choices(self._visits, weights)[0]))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                await asyncio.sleep(_random.uniform(0.5, 1.5) / _REQUESTS_PER_SECOND)

    async def _ask(self, session: ClientSession, visit: Visit) -> None:
        user = _random.randrange(1, self._users + 1)
        asked: dict[str, Any] = {"headers": {"X-Real-IP": f"203.0.113.{user % 250 + 1}"}, "ssl": self._trusted}
        if visit.method == "POST":
            asked["json"] = {**self._body, "user": user}
        try:
            async with session.request(visit.method, visit.path.format(user=user), **asked) as response:
                await response.read()
        except (ClientError, TimeoutError):
            return
